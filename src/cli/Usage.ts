/**
 * `usage`: what turns used and cost, as a table for people or as lines of JSON, from the database or from a running
 * server. Rows are always told apart by who counted, so an estimate is never added to what was reported; the line at the
 * end is the sum of everything, and marked where estimates are in it.
 *
 * Memory: a page of rows. Columns are as wide as the rows so far want them.
 */
import * as Effect from "effect/Effect"
import type { UsageGroup, UsageQuery } from "../journal/Journal.ts"
import * as UsageReport from "../journal/UsageReport.ts"
import * as Amounts from "./Amounts.ts"
import { Output, printable } from "./Output.ts"
import { UsageReader } from "./UsageReader.ts"

/** The question as the flags give it. */
export type Asked = Omit<UsageReport.Asked, "turn" | "source">

/** Checks the question; refusals name the flag. */
export const queryOf = ({ by, from, model, provider, session, to }: Asked) =>
  Effect.map(
    UsageReport.queryOf({ by, from, model, provider, session, to }, (part) => `--${part}`),
    (query): UsageQuery => ({ ...query, by: [...new Set<UsageGroup>([...query.by, "source"])] })
  )

const numbers = ["turns", "input", "output", "total", "context", "cost"]

/** A cost that leaves attempts out. */
const atLeast = "+"

const cells = (item: UsageReport.UsageItem, estimated: boolean): ReadonlyArray<string> => {
  const { contextPercent, cost, turns, unpricedAttempts, usage } = item
  return [
    Amounts.whole(turns),
    Amounts.tokens(usage.inputTokens, estimated),
    Amounts.tokens(usage.outputTokens, estimated),
    Amounts.tokens(usage.totalTokens, estimated),
    Amounts.percent(contextPercent, estimated),
    `${Amounts.cost(cost, estimated)}${unpricedAttempts === undefined ? "" : atLeast}`
  ]
}

/** Lines of a table whose last columns are numbers; it remembers how wide its columns are. */
const tableOf = (names: number) => {
  const widths: Array<number> = []
  return (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
    for (const row of rows) row.forEach((cell, at) => widths[at] = Math.max(widths[at] ?? 0, cell.length))
    return rows.map((row) =>
      row.map((cell, at) => at < names ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)).join("  ")
    )
  }
}

/** A name of others, in one line. */
const nameOf = (text: string | undefined): string => printable(text ?? "").replace(/\s+/g, " ")

const isEstimate = ({ source }: UsageReport.UsageItem): boolean => source === "estimated"

const notes = ({ cost, unpricedAttempts = 0 }: UsageReport.UsageItem, estimated: boolean): ReadonlyArray<string> => [
  ...(estimated ? ["~ holds estimates: no provider reported these, they were counted here."] : []),
  ...(unpricedAttempts === 0
    ? []
    : [
      `${atLeast} is the least: what ${Amounts.whole(unpricedAttempts)} attempt${
        unpricedAttempts === 1 ? "" : "s"
      } cost is not known and not in it.`
    ]),
  ...(cost === undefined
    ? ["No cost is known. Set providers[].prices (docs/configuration.md), and those of later turns are."]
    : [])
]

const noUsage = ({ where = {} }: UsageQuery): string =>
  Object.values(where).every((condition) => condition === undefined)
    ? 'No usage yet. Start a turn with: turnstream turn "hello"'
    : "No usage fits these flags. Leave one out, or look at all of it with: turnstream usage"

/** All rows, a page at a time. */
const eachPage = <E, R>(
  query: UsageQuery,
  show: (items: ReadonlyArray<UsageReport.UsageItem>) => Effect.Effect<void, E, R>
) =>
  Effect.gen(function*() {
    const reader = yield* UsageReader
    let cursor: string | undefined
    do {
      const page = yield* reader.page(query, { cursor, limit: UsageReport.pageMax })
      if (page.items.length > 0) yield* show(page.items)
      cursor = page.nextCursor
    } while (cursor !== undefined)
  })

const table = Effect.fnUntraced(function*(query: UsageQuery) {
  const out = yield* Output
  const { page } = yield* UsageReader
  const first = { cursor: undefined, limit: UsageReport.pageMax }
  const [total] = (yield* page({ ...query, by: [] }, first)).items
  if (total === undefined) return yield* out.note(noUsage(query))
  const estimated = (yield* page({ ...query, by: ["source"] }, first)).items.some(isEstimate)
  const lines = tableOf(query.by.length)
  const totalRow = [...query.by.map((_, at) => at === 0 ? "total" : ""), ...cells(total, estimated)]
  lines([totalRow])
  let head: ReadonlyArray<ReadonlyArray<string>> = [[...query.by, ...numbers]]
  yield* eachPage(query, (items) => {
    const rows = items.map((item) => [
      ...query.by.map((group) => nameOf(item[group])),
      ...cells(item, isEstimate(item))
    ])
    const shown = lines([...head, ...rows])
    head = []
    return out.line(shown.join("\n"))
  })
  yield* out.line(out.style.bold(lines([totalRow]).join("\n")))
  for (const note of notes(total, estimated)) yield* out.note(note)
})

/** `json`: one line a row, without the sum. */
export const usage = Effect.fn("Cli.usage")(function*(query: UsageQuery, json: boolean) {
  const out = yield* Output
  return yield* json
    ? eachPage(query, (items) => out.line(items.map((item) => JSON.stringify(item)).join("\n")))
    : table(query)
})
