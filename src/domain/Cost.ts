/**
 * What a call cost, by the prices that stand in the configuration when it ends. A count without its price makes the
 * cost unknown, and unknown is `undefined`, never 0.
 *
 * Costs are whole billionths of the operator's currency unit: sums over a ledger are exact up to some 9 million units,
 * and one token at a price of a thousandth a million is still one.
 */
import * as Schema from "effect/Schema"
import type { Usage } from "./Usage.ts"

const price = Schema.optional(Schema.Number.pipe(Schema.between(0, 1_000_000)))

/** What a million tokens cost, in the operator's currency. */
export const Prices = Schema.Struct({
  /** Input that is neither read from a cache nor written to one. */
  input: price,
  /** Input read from a cache. */
  cached: price,
  /** Input written to a cache; absent: as `input`. */
  cacheWrite: price,
  /** Output, reasoning included. */
  output: price
}).annotations({ identifier: "Prices" })
export type Prices = typeof Prices.Type

/** Billionths of a unit in a unit. */
const nanosPerUnit = 1e9
/** Billionths that one token costs at a price of 1 a million. */
const nanosPerToken = 1e3

/** Nothing costs nothing, also without a price. */
const part = (tokens: number, perMillion: number | undefined): number | undefined =>
  tokens === 0 ? 0 : perMillion === undefined ? undefined : tokens * perMillion * nanosPerToken

/** In units, exact to a billionth. Unknown where input or output is, where a price is missing, or beyond 9 million. */
export const of = (usage: Usage, prices: Prices | undefined): number | undefined => {
  const { inputTokens, outputTokens } = usage
  if (prices === undefined || inputTokens === null || outputTokens === null) return undefined
  const cacheRead = usage.cacheReadTokens ?? 0
  const cacheWrite = usage.cacheWriteTokens ?? 0
  const parts = [
    part(Math.max(0, inputTokens - cacheRead - cacheWrite), prices.input),
    part(cacheRead, prices.cached),
    part(cacheWrite, prices.cacheWrite ?? prices.input),
    part(outputTokens, prices.output)
  ]
  let nanos = 0
  for (const one of parts) {
    if (one === undefined) return undefined
    nanos += one
  }
  const whole = Math.round(nanos)
  // a sum that no ledger can hold is no cost that anybody pays
  return Number.isSafeInteger(whole) ? fromNanos(whole) : undefined
}

export const toNanos = (cost: number): number => Math.round(cost * nanosPerUnit)
export const fromNanos = (nanos: number): number => nanos / nanosPerUnit
