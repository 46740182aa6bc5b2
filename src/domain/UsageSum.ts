/**
 * Counting with usage, in which unknown stays unknown. Imports types only, so that a browser loads it without the Effect
 * runtime.
 */
import type { Usage, UsageSource } from "./Protocol.ts"

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
