/** What turns used, in words. Pure. A count that nobody gave is "unknown" and never 0. */
import type { Usage, UsageSource } from "../../domain/Protocol.ts"
import type { AttemptUsage } from "../../domain/TurnState.ts"
import * as Words from "../kit/Words.ts"
import type { TurnFacts } from "../session/TurnFacts.ts"
import * as ContextText from "./ContextText.ts"

const sources: Readonly<Record<UsageSource, string>> = {
  reported: "reported by the provider",
  estimated: "estimated here: nobody counted, so no total holds it",
  deterministic: "counted by the deterministic provider"
}

export const sourceText = (source: UsageSource): string => sources[source]

const tokens = (count: number | null): string => count === null ? "unknown" : Words.number(count)

/** Each count with its name. Input holds what the cache gave and took, output holds reasoning. */
export const countsOf = (usage: Usage): ReadonlyArray<readonly [name: string, count: string]> => [
  ["Input", tokens(usage.inputTokens)],
  ["Output", tokens(usage.outputTokens)],
  ["Cache read", tokens(usage.cacheReadTokens)],
  ["Cache write", tokens(usage.cacheWriteTokens)],
  ["Reasoning", tokens(usage.reasoningTokens)],
  ["Total", tokens(usage.totalTokens)]
]

/** In the operator's currency, which has no name here. */
export const costText = (cost: number | undefined): string =>
  cost === undefined ? "unknown" : cost.toLocaleString("en", { maximumFractionDigits: 9 })

/** The cost of all attempts, where that of each is known. */
export const costOf = (usages: ReadonlyArray<Pick<AttemptUsage, "cost">>): number | undefined =>
  usages.reduce<number | undefined>(
    (sum, { cost }) => sum === undefined || cost === undefined ? undefined : sum + cost,
    usages.length === 0 ? undefined : 0
  )

/** Of the last attempt of which it is known. */
export const percentOf = (usages: ReadonlyArray<Pick<AttemptUsage, "contextPercent">>): number | null =>
  usages.findLast(({ contextPercent }) => contextPercent !== null)?.contextPercent ?? null

export const windowText = (percent: number | null, window: number | undefined): string => {
  const size = window === undefined ? "the window" : `a window of ${Words.number(window)} tokens`
  if (percent === null) return `How much of ${size} is in use is unknown.`
  const mark = ContextText.compactionPercent
  const where = percent >= mark ? "past" : "below"
  return `${Words.number(percent)} % of ${size}, ${where} the mark at ${mark} %.`
}

export const finishText = (facts: TurnFacts): string =>
  facts.finishReason ?? (facts.status === "running" ? "none yet: the turn runs" : facts.error?._tag ?? "none")

/** Why nothing was used. */
export const noUsage = (facts: TurnFacts): string =>
  facts.attempts === 0 ? "No provider was called, so nothing was used." : "Nobody counted anything (yet)."
