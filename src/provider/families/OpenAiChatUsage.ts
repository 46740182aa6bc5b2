/** Usage of chat completions, wherever a server puts it, in the normal form (input with cache, output with reasoning). */
import type * as Usage from "../../domain/Usage.ts"
import * as UsageSum from "../../domain/UsageSum.ts"
import { countOf, type JsonObject, listOf, objectOf } from "../wire/Json.ts"

/** The usage object of a chunk: its own, Groq's older `x_groq.usage`, Moonshot's inside the choice. */
export const find = (chunk: JsonObject): JsonObject | undefined =>
  objectOf(chunk["usage"]) ?? objectOf(objectOf(chunk["x_groq"])?.["usage"]) ??
    objectOf(objectOf(listOf(chunk["choices"])[0])?.["usage"])

/** Undefined where it counts nothing. */
export const normalize = (raw: JsonObject): Usage.Usage | undefined => {
  const input = objectOf(raw["prompt_tokens_details"])
  const output = objectOf(raw["completion_tokens_details"])
  const inputTokens = countOf(raw["prompt_tokens"])
  const completion = countOf(raw["completion_tokens"])
  const totalTokens = countOf(raw["total_tokens"])
  const reasoningTokens = countOf(output?.["reasoning_tokens"]) ?? countOf(raw["reasoning_tokens"])
  // xAI counts reasoning beside the completion, and only its total tells
  const isBeside = reasoningTokens !== null && reasoningTokens > 0 && completion !== null && inputTokens !== null &&
    totalTokens === inputTokens + completion + reasoningTokens
  const usage = UsageSum.make({
    inputTokens,
    outputTokens: isBeside ? completion + reasoningTokens : completion,
    cacheReadTokens: countOf(input?.["cached_tokens"]) ?? countOf(raw["prompt_cache_hit_tokens"]) ??
      countOf(raw["cached_tokens"]),
    cacheWriteTokens: countOf(input?.["cache_write_tokens"]),
    reasoningTokens,
    totalTokens
  })
  return UsageSum.isKnown(usage) ? usage : undefined
}
