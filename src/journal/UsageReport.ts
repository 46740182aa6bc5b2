/**
 * What the usage ledger is asked, and how it answers, in the one form of HTTP and command line: conditions are checked
 * here, an unknown count is `null`, an unknown cost or window is absent, and neither is ever 0.
 *
 * Sums are as good as their rows: a group of several sources adds estimates to what providers reported, so whoever must
 * tell them apart groups by `source`.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Cost from "../domain/Cost.ts"
import { SessionId, TurnId } from "../domain/Ids.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import * as Resources from "../domain/Resources.ts"
import type { JournalFailure } from "../domain/TurnError.ts"
import { Usage, UsageSource } from "../domain/Usage.ts"
import {
  type Journal,
  type PageRequest,
  type UsageGroup,
  usageGroups,
  type UsageQuery,
  type UsageTotal
} from "./Journal.ts"

/** Groups on a page at most. */
export const pageMax = 10_000

const group = Schema.optional(Schema.String)
const described = <A, I>(schema: Schema.Schema<A, I>, description: string) =>
  Schema.optional(schema.annotations({ description }))

/** The sum of one group. Of the groups those are there that were asked for. */
export const UsageItem = Schema.Struct({
  turn: group,
  session: group,
  provider: group,
  model: group,
  day: described(Schema.String, "UTC, as 2026-01-31."),
  source: described(UsageSource, "Who counted."),
  turns: Schema.Int,
  usage: Usage,
  contextPercent: described(
    Schema.Number,
    "The fullest that a context window of the group was, 0 to 100; absent where nobody knows."
  ),
  cost: described(
    Schema.Number,
    "In your currency, by the prices when each attempt ended: the sum of what is known, absent where nothing is."
  ),
  unpricedAttempts: described(Schema.Int, "Attempts that the cost does not count, because theirs is not known.")
}).annotations({ identifier: "UsageTotal" })
export type UsageItem = typeof UsageItem.Type

export const UsagePage = Resources.page(UsageItem)
export type UsagePage = typeof UsagePage.Type

/** A question as text, by the names that HTTP gives it. */
export interface Asked {
  readonly by?: string | undefined
  readonly session?: string | undefined
  readonly turn?: string | undefined
  readonly provider?: string | undefined
  readonly model?: string | undefined
  readonly source?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

const isGroup = (name: string): name is UsageGroup => usageGroups.some((group) => group === name)

const dayPattern = /^(\d{4})-(\d{2})-(\d{2})$/

const daysIn = (year: number, month: number): number => {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}

const isDay = (text: string): boolean => {
  const [year = 0, month = 0, day = 0] = (dayPattern.exec(text) ?? []).slice(1).map(Number)
  return month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month)
}

const isUpTo = (charsMax: number) => (text: string): boolean => text !== "" && text.length <= charsMax
const isSource = Schema.is(UsageSource)
const idRule = "must be an id: 1 to 64 characters of A-Z a-z 0-9 _ -"
const dayRule = "must be a day that there is, as 2026-01-31"

const conditions = {
  session: [Schema.is(SessionId), idRule],
  turn: [Schema.is(TurnId), idRule],
  provider: [isUpTo(128), "must be 1 to 128 characters"],
  model: [isUpTo(256), "must be 1 to 256 characters"],
  source: [isSource, `must be one of ${UsageSource.literals.join(", ")}`],
  from: [isDay, dayRule],
  to: [isDay, dayRule]
} satisfies Record<Exclude<keyof Asked, "by">, readonly [holds: (text: string) => boolean, rule: string]>

/** Checks a question; `nameOf` says what its parts are called where it was asked. */
export const queryOf = (
  asked: Asked,
  nameOf: (part: keyof Asked) => string = (part) => part
): Effect.Effect<UsageQuery, InvalidRequest> =>
  Effect.suspend(() => {
    const refused = (part: keyof Asked, reason: string) => new InvalidRequest({ path: nameOf(part), reason })
    const by = asked.by === undefined ? [] : asked.by.split(",")
    if (!by.every(isGroup)) return refused("by", `must name groups of ${usageGroups.join(", ")}, with commas between`)
    for (const part of Object.keys(conditions) as ReadonlyArray<keyof typeof conditions>) {
      const [holds, rule] = conditions[part]
      const text = asked[part]
      if (text !== undefined && !holds(text)) return refused(part, rule)
    }
    const { by: _, source, ...where } = asked
    if (where.from !== undefined && where.to !== undefined && where.from > where.to) {
      return refused("from", `must not be after ${nameOf("to")}`)
    }
    return Effect.succeed({
      by: [...new Set(by)],
      where: { ...where, source: source !== undefined && isSource(source) ? source : undefined }
    })
  })

const itemOf = ({ by, contextPercent, costNanos, turns, unpriced, usage }: UsageTotal): UsageItem => {
  const { source, ...groups } = by
  return {
    ...groups,
    ...(source !== undefined && isSource(source) ? { source } : {}),
    turns,
    usage,
    ...(contextPercent === null ? {} : { contextPercent }),
    ...(costNanos === undefined ? {} : { cost: Cost.fromNanos(costNanos) }),
    ...(costNanos === undefined || unpriced === 0 ? {} : { unpricedAttempts: unpriced })
  }
}

/**
 * A page of groups, in their order. A cursor counts the groups before it: between two pages a group that comes or goes
 * before the cursor shifts the rest by one.
 */
export const page = (
  journal: Pick<Journal["Type"], "usage">,
  query: UsageQuery,
  { cursor, limit }: PageRequest
): Effect.Effect<UsagePage, JournalFailure> => {
  const skip = Number(cursor ?? 0)
  // one more than asked for tells whether there is more
  return Effect.map(journal.usage({ ...query, skip, limit: limit + 1 }), (totals) => {
    const items = totals.slice(0, limit).map(itemOf)
    return totals.length > limit ? { items, nextCursor: String(skip + limit) } : { items }
  })
}
