/** The usage ledger's sums, grouped. */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import type * as Journal from "./Journal.ts"
import * as Rows from "./Rows.ts"
import type * as Storage from "./Storage.ts"

const usageColumns = {
  inputTokens: "input_tokens",
  outputTokens: "output_tokens",
  cacheReadTokens: "cache_read_tokens",
  cacheWriteTokens: "cache_write_tokens",
  reasoningTokens: "reasoning_tokens",
  totalTokens: "total_tokens"
} as const

const groupColumns: Readonly<Record<Journal.UsageGroup, string>> = {
  session: "session_id",
  provider: "provider",
  model: "model",
  day: "day"
}

export const make = (sql: SqlClient.SqlClient, read: Storage.Reader) =>
  Effect.fn("Journal.usage")((by: ReadonlyArray<Journal.UsageGroup>) => {
    const keys = [...new Set(by)]
    const names = keys.map((key) => `${groupColumns[key]} AS "${key}"`)
    const sums = Object.entries(usageColumns).map(([name, column]) => `sum(${column}) AS "${name}"`)
    const grouped = keys.map((key) => groupColumns[key]).join(", ")
    const text = `SELECT ${[...names, "count(DISTINCT turn_id) AS turns", ...sums].join(", ")} FROM usage${
      keys.length === 0 ? " HAVING count(*) > 0" : ` GROUP BY ${grouped} ORDER BY ${grouped}`
    }`
    return read(
      "usage",
      (db) =>
        Effect.map(
          Rows.usageTotalRows(db, sql`${sql.literal(text)}`),
          (rows) =>
            rows.map(({ day, model, provider, session, turns, ...counts }): Journal.UsageTotal => {
              const all = { session, provider, model, day }
              return { by: Object.fromEntries(keys.map((key) => [key, all[key] ?? ""])), turns, usage: counts }
            })
        )
    )
  })
