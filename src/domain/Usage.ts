/**
 * Token usage in one normal form. Input includes cache reads and writes, output includes reasoning. A count that nobody
 * reported is `null`: unknown is not zero, and no sum turns it into one.
 */
import * as Schema from "effect/Schema"

/** A non-negative whole number of tokens, or `null` where nobody said. */
const Count = Schema.NullOr(Schema.Int.pipe(Schema.nonNegative()))

/** No call of a model is a millionth of this; sums of thousands of such counts are still exact. */
const countMax = 1e12

export const Usage = Schema.Struct({
  inputTokens: Count,
  outputTokens: Count,
  cacheReadTokens: Count,
  cacheWriteTokens: Count,
  reasoningTokens: Count,
  totalTokens: Count
}).annotations({ identifier: "Usage" })
export type Usage = typeof Usage.Type

/** Who counted: the provider, our estimate, or the deterministic provider. */
export const UsageSource = Schema.Literal("reported", "estimated", "deterministic")
export type UsageSource = typeof UsageSource.Type

const isUsage = Schema.is(Usage)

/** Whether one call can have used this: whole, not negative, and small enough that sums stay exact. */
export const isPlausible = (usage: Usage): boolean =>
  isUsage(usage) && Object.values(usage).every((count) => count === null || count <= countMax)

/** Nothing is known. The neutral element of `add`. */
export const unknown: Usage = {
  inputTokens: null,
  outputTokens: null,
  cacheReadTokens: null,
  cacheWriteTokens: null,
  reasoningTokens: null,
  totalTokens: null
}

/** Whether anybody counted anything. */
export const isKnown = (usage: Partial<Usage>): boolean => Object.values(usage).some((count) => count !== null)

const plus = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : a + b)

/** Field by field: the sum of what is known; `null` only where neither side knows. */
export const add = (a: Usage, b: Usage): Usage => ({
  inputTokens: plus(a.inputTokens, b.inputTokens),
  outputTokens: plus(a.outputTokens, b.outputTokens),
  cacheReadTokens: plus(a.cacheReadTokens, b.cacheReadTokens),
  cacheWriteTokens: plus(a.cacheWriteTokens, b.cacheWriteTokens),
  reasoningTokens: plus(a.reasoningTokens, b.reasoningTokens),
  totalTokens: plus(a.totalTokens, b.totalTokens)
})

/** Over all attempts, what providers reported or the deterministic one counted; null where nobody did. Estimates stay out. */
export const reported = (
  attempts: ReadonlyArray<{ readonly usage: Usage; readonly source: UsageSource }>
): Usage | null => {
  let total: Usage | null = null
  for (const { source, usage } of attempts) if (source !== "estimated") total = add(total ?? unknown, usage)
  return total
}

/** From the fields a provider gave: missing ones are unknown, the total is the wire's or input + output. */
export const make = (known: Partial<Usage>): Usage => {
  const usage = { ...unknown, ...known }
  return usage.totalTokens === null && usage.inputTokens !== null && usage.outputTokens !== null
    ? { ...usage, totalTokens: usage.inputTokens + usage.outputTokens }
    : usage
}
