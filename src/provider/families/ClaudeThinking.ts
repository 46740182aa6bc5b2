/**
 * Claude's thinking, which Anthropic's own API and Bedrock ask for in the same words. Pure.
 *
 * Thinking is paid from the cap of the answer, which is never raised: it is the user's. So a budget takes at most half
 * of it, or the answer would be cut for having been thought about; where half is less than the API's least budget the
 * model answers at once. Behind the results of tool calls the API wants back the signed thinking that led to them,
 * which nobody keeps: then the model does not think either.
 */
import type { CallInput } from "../Family.ts"
import type { JsonObject } from "../wire/Json.ts"
import * as Prompt from "../wire/Prompt.ts"

/** Tokens to think with; the API takes no fewer than the least of them. */
const budgets = { low: 1_024, medium: 4_096, high: 16_384 } as const

/**
 * The fields that make it think, or undefined where it does not. `cap`: of the answer; undefined where the model's own
 * maximum holds. Newer models choose their budget themselves (`quirks.reasoning`: `adaptive`).
 */
export const fields = (
  { facts, request }: CallInput,
  entries: ReadonlyArray<Prompt.Entry>,
  cap: number | undefined
): JsonObject | undefined => {
  const { reasoning = "off" } = request.generation
  if (!facts.capabilities.reasoning || reasoning === "off" || Prompt.answersCalls(entries)) return undefined
  if (facts.quirks.reasoning === "adaptive") {
    return { thinking: { type: "adaptive" }, output_config: { effort: reasoning } }
  }
  const budget = cap === undefined ? budgets[reasoning] : Math.min(budgets[reasoning], Math.floor(cap / 2))
  return budget < budgets.low ? undefined : { thinking: { type: "enabled", budget_tokens: budget } }
}
