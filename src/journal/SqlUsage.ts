/** The usage ledger: its sums, grouped, and what is spent of each budget. */
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
  turn: "turn_id",
  session: "session_id",
  provider: "provider",
  model: "model",
  day: "day",
  source: "source"
}

const totals = [
  "count(DISTINCT turn_id) AS turns",
  "count(*) AS attempts",
  ...Object.entries(usageColumns).map(([name, column]) => `sum(${column}) AS "${name}"`),
  `max(context_percent) AS "contextPercent"`,
  // in two parts: the sum of large costs is more than an integer holds
  `sum(cost_nanos / 1000000000) AS "costUnits"`,
  `sum(cost_nanos % 1000000000) AS "costRest"`,
  "count(*) - count(cost_nanos) AS unpriced"
]

export const make = (sql: SqlClient.SqlClient, read: Storage.Reader) => {
  const conditions = ({ from, model, provider, session, source, to, turn }: NonNullable<Journal.UsageQuery["where"]>) =>
    sql.and([
      sql`1 = 1`,
      ...(turn === undefined ? [] : [sql`turn_id = ${turn}`]),
      // by way of its turns, which have an index: the ledger needs none of its own, that each attempt would pay for
      ...(session === undefined
        ? []
        : [sql`turn_id IN (SELECT id FROM turns WHERE session_id = ${session})`]),
      ...(provider === undefined ? [] : [sql`provider = ${provider}`]),
      ...(model === undefined ? [] : [sql`model = ${model}`]),
      ...(source === undefined ? [] : [sql`source = ${source}`]),
      ...(from === undefined ? [] : [sql`day >= ${from}`]),
      ...(to === undefined ? [] : [sql`day <= ${to}`])
    ])

  const usage = ({ by, limit, skip = 0, where = {} }: Journal.UsageQuery) => {
    const keys = [...new Set(by)]
    const columns = [...keys.map((key) => `${groupColumns[key]} AS "${key}"`), ...totals].join(", ")
    const grouped = keys.map((key) => groupColumns[key]).join(", ")
    const groups = keys.length === 0 ? "HAVING count(*) > 0" : `GROUP BY ${grouped} ORDER BY ${grouped}`
    return read(
      "usage",
      (db) =>
        Effect.map(
          Rows.usageTotalRows(
            db,
            sql`SELECT ${sql.literal(columns)} FROM usage WHERE ${conditions(where)} ${sql.literal(groups)} LIMIT ${
              limit ?? -1
            } OFFSET ${skip}`
          ),
          (rows) =>
            rows.map((row): Journal.UsageTotal => {
              const {
                attempts,
                contextPercent,
                costRest,
                costUnits,
                day,
                model,
                provider,
                session,
                source,
                turn,
                turns,
                unpriced
              } = row
              const { cacheReadTokens, cacheWriteTokens, inputTokens, outputTokens, reasoningTokens, totalTokens } = row
              const all = { turn, session, provider, model, day, source }
              return {
                by: Object.fromEntries(keys.map((key) => [key, all[key] ?? ""])),
                turns,
                attempts,
                usage: { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens, totalTokens },
                contextPercent,
                costNanos: costUnits === null || costRest === null ? undefined : costUnits * 1e9 + costRest,
                unpriced
              }
            })
        )
    )
  }

  const spent = ({ day, fullest = false, session }: Parameters<Journal.Journal["Type"]["spent"]>[0]) => {
    const ofSession = fullest
      ? sql`(SELECT max(tokens) FROM sessions)`
      : sql`(SELECT tokens FROM sessions WHERE id = ${session ?? null})`
    return read("spent", (db) =>
      Effect.map(
        Rows.spentRows(
          db,
          sql`SELECT ${ofSession} AS session, (SELECT tokens FROM usage_days WHERE day = ${day}) AS day,
            (SELECT (page_count - freelist_count) * page_size FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size())
              AS "databaseBytes"`
        ),
        ([row]): Journal.Spent => ({
          session: row?.session ?? 0,
          day: row?.day ?? 0,
          databaseBytes: row?.databaseBytes ?? 0
        })
      ))
  }

  return { usage, spent }
}
