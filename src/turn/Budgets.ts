/**
 * What a turn may not begin beyond: tokens of its session, tokens of the day (UTC), bytes of the database. Looked at once a
 * turn, when its session is its own, so that a turn that waited sees what those before it spent. A turn under way is
 * never cut, and turns that begin at once do not see each other: the last may go over by what they use.
 */
import type * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { type BudgetLevel, type BudgetName, budgetNames } from "../domain/Budget.ts"
import type { SessionId } from "../domain/Ids.ts"
import { BudgetExceeded, type JournalFailure } from "../domain/TurnError.ts"
import type { Journal, Spent } from "../journal/Journal.ts"
import * as TurnMetrics from "./TurnMetrics.ts"
import type { TurnLimits } from "./TurnSettings.ts"

export interface Budgets {
  readonly isConfigured: boolean
  /** Fails where a turn of this session may not begin. */
  readonly check: (session: SessionId) => Effect.Effect<void, BudgetExceeded | JournalFailure>
  /** Every configured budget; of sessions, the one that spent most. */
  readonly levels: Effect.Effect<ReadonlyArray<BudgetLevel>, JournalFailure>
  /** Sets the gauges. A storage that does not answer leaves them as they were. */
  readonly measure: Effect.Effect<void>
}

export const make = (
  journal: Pick<Journal["Type"], "spent">,
  clock: Clock.Clock,
  limits: Pick<TurnLimits, BudgetName>
): Budgets => {
  const isConfigured = budgetNames.some((name) => limits[name] !== undefined)
  const today = () => DateTime.formatIsoDateUtc(DateTime.unsafeMake(clock.unsafeCurrentTimeMillis()))

  const levelsOf = ({ databaseBytes, day, session }: Spent): ReadonlyArray<BudgetLevel> => {
    const used = { tokensPerSession: session, tokensPerDay: day, databaseBytes }
    return budgetNames.flatMap((budget) => {
      const limit = limits[budget]
      return limit === undefined ? [] : [{ budget, used: used[budget], limit }]
    })
  }

  /** Of one session, or of the fullest. */
  const spent = (session: SessionId | undefined) =>
    Effect.suspend(() =>
      journal.spent({
        session,
        fullest: session === undefined && limits.tokensPerSession !== undefined,
        day: today()
      })
    )
  const read = (session: SessionId | undefined) => Effect.map(spent(session), levelsOf)

  return {
    isConfigured,
    check: (session) =>
      isConfigured
        ? Effect.flatMap(read(session), (levels) => {
          const over = levels.find(({ limit, used }) => used >= limit)
          return over === undefined ? Effect.void : new BudgetExceeded(over)
        })
        : Effect.void,
    levels: isConfigured ? read(undefined) : Effect.succeed([]),
    measure: Effect.map(spent(undefined), (found) => {
      TurnMetrics.databaseSize(found.databaseBytes)
      for (const { budget, limit, used } of levelsOf(found)) TurnMetrics.budgetUsed(budget, used / limit)
    }).pipe(Effect.ignore)
  }
}
