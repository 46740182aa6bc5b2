/** `doctor` on what leaves the machine as telemetry, and on money: budgets with what is used of them, and prices. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Settings, type SettingsShape } from "../config/Settings.ts"
import { type BudgetName, budgetNames } from "../domain/Budget.ts"
import type { Prices } from "../domain/Cost.ts"
import type { DatabaseError } from "../journal/Database.ts"
import { Journal, type Spent } from "../journal/Journal.ts"
import * as Amounts from "./Amounts.ts"
import { fact, type Finding, fine, warning } from "./Finding.ts"

const count = (n: number, thing: string): string => `${n} ${thing}${n === 1 ? "" : "s"}`

/** The collector's host, and that there are headers; what is in them is nobody's business. */
const exportFinding = ({ otlp }: SettingsShape): Finding => {
  if (otlp === undefined) return fact("export: none; OTEL_EXPORTER_OTLP_ENDPOINT is not set")
  const headers = Object.keys(Redacted.value(otlp.headers)).length
  return fine(
    `export: traces, metrics and logs go to ${new URL(otlp.endpoint).host}${
      headers === 0 ? "" : `, with ${count(headers, "header")} (not shown)`
    }`
  )
}

export const telemetryFindings = (settings: SettingsShape): ReadonlyArray<Finding> => {
  const { captureContent, logLevel } = settings.telemetry
  return [
    exportFinding(settings),
    fact(logLevel === "none" ? "log: none" : `log: from level ${logLevel}`),
    captureContent
      ? warning(
        "content: captured; spans carry what was sent and said, with keys masked, and go wherever traces go. Set telemetry.captureContent to false unless that is wanted."
      )
      : fact("content: not captured; spans carry nothing of what was sent or said")
  ]
}

/** What is counted, and what helps where it is used up. */
const budgetTexts: Readonly<
  Record<BudgetName, { readonly used: (spent: Spent) => number; readonly of: string; readonly next: string }>
> = {
  tokensPerSession: {
    used: ({ session }) => session,
    of: "tokens of the session that used most",
    next: "Its next turns are refused: start another session, or raise the budget."
  },
  tokensPerDay: {
    used: ({ day }) => day,
    of: "tokens today (UTC)",
    next: "Turns are refused until midnight UTC, or until the budget is raised."
  },
  databaseBytes: {
    used: ({ databaseBytes }) => databaseBytes,
    of: "bytes in use",
    next: "Turns are refused: delete sessions, set retention.days, or raise the budget."
  }
}

const budgetFinding = (name: BudgetName, limit: number, spent: Spent | string): Finding => {
  const budget = `budget limits.${name}: `
  if (typeof spent === "string") return fact(`${budget}${Amounts.whole(limit)}; ${spent}`)
  const { next, of, used } = budgetTexts[name]
  const text = `${budget}${Amounts.whole(used(spent))} of ${Amounts.whole(limit)} ${of}`
  return used(spent) < limit ? fine(text) : warning(`${text}. ${next}`)
}

/** Where what is used can be read, or why there is nothing to read. */
export type Ledger = Layer.Layer<Journal, DatabaseError, Settings> | "none yet" | "unreadable"

const spentIn = Effect.fnUntraced(function*(ledger: Ledger) {
  if (ledger === "none yet") return "nothing is used yet"
  if (ledger === "unreadable") return "what is used cannot be read from this database"
  const day = DateTime.formatIsoDateUtc(yield* DateTime.now)
  return yield* Effect.flatMap(Journal, (journal) => journal.spent({ session: undefined, fullest: true, day })).pipe(
    Effect.provide(ledger),
    Effect.catchAll((error) => Effect.succeed(`what is used cannot be read: ${error.message}`))
  )
})

export const budgetFindings = (ledger: Ledger) =>
  Effect.gen(function*() {
    const { limits } = yield* Settings
    const budgets = budgetNames.flatMap((name) => {
      const limit = limits[name]
      return limit === undefined ? [] : [[name, limit] as const]
    })
    if (budgets.length === 0) {
      return [fact(`budgets: none; ${budgetNames.map((name) => `limits.${name}`).join(", ")} set them`)]
    }
    const spent = yield* spentIn(ledger)
    return budgets.map(([name, limit]) => budgetFinding(name, limit, spent))
  })

const hasPrice = (prices: Prices | undefined): boolean =>
  prices !== undefined && Object.values(prices).some((price) => price !== undefined)

export const pricesFinding = ({ providers }: SettingsShape): Finding => {
  const priced = providers.filter(({ prices }) => hasPrice(prices)).length
  const models = providers.flatMap(({ models }) => Array.isArray(models) ? models : [])
    .filter(({ prices }) => hasPrice(prices)).length
  return priced + models === 0
    ? fact("prices: none; what turns cost is unknown until providers[].prices are set")
    : fine(
      `prices: of ${count(priced, "provider")} and of ${count(models, "single model")}; what others cost is unknown`
    )
}
