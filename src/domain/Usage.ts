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
