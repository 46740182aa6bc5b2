/**
 * Answers of the Messages API. The `type` in the JSON counts, the event's name only where there is none; types that we
 * do not know are passed over. Only `message_stop` ends an answer: without it the stream was cut, whatever came before.
 *
 * Calls are the `tool_use` blocks. What the provider runs itself (`server_tool_use`, `mcp_tool_use`, `*_tool_result`)
 * and what only the provider can read (`redacted_thinking`, signatures, `compaction`, `fallback`) is passed over.
 */
import type { FinishReason } from "../../domain/TurnEvent.ts"
import type * as Usage from "../../domain/Usage.ts"
import * as UsageSum from "../../domain/UsageSum.ts"
import type { DecoderOptions, FrameDecoder, MakeDecoder } from "../wire/Decoder.ts"
import { errorIn, type Fault, fromError, incomplete, protocol, unreadable } from "../wire/Fault.ts"
import { countOf, type JsonObject, listOf, nameOf, objectOf, parse, textOf } from "../wire/Json.ts"
import * as Sse from "../wire/Sse.ts"
import * as Calls from "./AnthropicCalls.ts"

const finishReasons: ReadonlyMap<string, FinishReason> = new Map([
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  // a pause among the provider's own tools: the raw word tells that the turn can go on
  ["pause_turn", "stop"],
  ["max_tokens", "length"],
  ["model_context_window_exceeded", "length"],
  ["tool_use", "tool-calls"],
  ["refusal", "content-filter"]
])

/** Every type of event that means something here. What comes as `event: error` and is none of them is an error. */
const eventTypes: ReadonlySet<string> = new Set([
  "message_start",
  "content_block_start",
  "content_block_delta",
  "content_block_stop",
  "message_delta",
  "message_stop",
  "ping"
])

/** Fields of the usage object; the API has about ten. */
const usageFieldsMax = 64

/** The counts exclude each other on this wire: input is what was neither read from the cache nor written to it. */
const usageOf = (raw: JsonObject): Usage.Usage | undefined => {
  const input = countOf(raw["input_tokens"])
  const cacheReadTokens = countOf(raw["cache_read_input_tokens"])
  const cacheWriteTokens = countOf(raw["cache_creation_input_tokens"])
  const outputTokens = countOf(raw["output_tokens"])
  const reasoningTokens = countOf(objectOf(raw["output_tokens_details"])?.["thinking_tokens"])
  const counts = {
    inputTokens: input === null ? null : input + (cacheReadTokens ?? 0) + (cacheWriteTokens ?? 0),
    outputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    reasoningTokens
  }
  return UsageSum.isKnown(counts) ? UsageSum.make(counts) : undefined
}

/** Later counts are cumulative and replace the earlier, field by field; a field that is null says nothing. */
const mergedUsage = (earlier: JsonObject, later: JsonObject): JsonObject => {
  const merged = { ...earlier, ...Object.fromEntries(Object.entries(later).filter(([, value]) => value !== null)) }
  return Object.keys(merged).length > usageFieldsMax ? earlier : merged
}

/** An error of the stream, in whatever form it came. */
const errorFault = (value: unknown): Fault => {
  const requestId = nameOf(objectOf(value)?.["request_id"])
  const fault = fromError(errorIn(value) ?? objectOf(value) ?? { message: value })
  return requestId === undefined ? fault : { ...fault, requestId }
}

const frames = (options: DecoderOptions): FrameDecoder<Sse.SseEvent> => {
  const { emit } = options
  const calls = Calls.make(options)
  let begun = false
  let messageId: string | undefined
  let usage: JsonObject | undefined
  let stopReason: string | undefined
  let closed = false
  let fault: Fault | undefined

  const say = (kind: "text" | "reasoning", value: unknown): void => {
    const text = nameOf(value)
    if (text !== undefined) emit({ _tag: "Delta", kind, text })
  }

  const count = (value: unknown): void => {
    const later = objectOf(value)
    if (later === undefined) return
    usage = mergedUsage(usage ?? {}, later)
    const counted = usageOf(usage)
    if (counted !== undefined) emit({ _tag: "Usage", usage: counted, raw: usage })
  }

  const startBlock = (index: number | null, block: JsonObject | undefined): Fault | undefined => {
    calls.release()
    if (block?.["type"] === "text") say("text", block["text"])
    else if (block?.["type"] === "thinking") say("reasoning", block["thinking"])
    else if (block?.["type"] === "tool_use") return calls.start(index, block)
    return undefined
  }

  const pushDelta = (index: number | null, delta: JsonObject | undefined): void => {
    if (delta?.["type"] === "text_delta") say("text", delta["text"])
    else if (delta?.["type"] === "thinking_delta") say("reasoning", delta["thinking"])
    else if (delta?.["type"] === "input_json_delta") calls.push(index, textOf(delta["partial_json"]) ?? "")
  }

  const startMessage = (message: JsonObject): Fault | undefined => {
    const id = nameOf(message["id"])
    if (begun) {
      if (id !== undefined && messageId !== undefined && id !== messageId) {
        return protocol("a second message begins inside the first")
      }
      if (usage === undefined) count(message["usage"])
      return undefined
    }
    begun = true
    messageId = id
    const model = nameOf(message["model"])
    if (model !== undefined) options.answeredBy?.(model)
    stopReason = nameOf(message["stop_reason"])
    count(message["usage"])
    // an answer that was continued may bring whole blocks at once
    for (const [index, block] of listOf(message["content"]).entries()) {
      const found = startBlock(index, objectOf(block))
      if (found !== undefined) return found
      calls.stop(index)
    }
    return undefined
  }

  const stopMessage = (): Fault | undefined => {
    const reason = (stopReason === undefined ? undefined : finishReasons.get(stopReason)) ?? "unknown"
    closed = true
    const found = calls.end(reason)
    if (found === undefined) emit({ _tag: "Finish", reason, ...(stopReason === undefined ? {} : { raw: stopReason }) })
    return found
  }

  const read = (type: string | undefined, body: JsonObject): Fault | undefined => {
    switch (type) {
      case "content_block_delta":
        pushDelta(countOf(body["index"]), objectOf(body["delta"]))
        return undefined
      case "content_block_start":
        return startBlock(countOf(body["index"]), objectOf(body["content_block"]))
      case "content_block_stop":
        calls.stop(countOf(body["index"]))
        return undefined
      case "message_start":
        return startMessage(objectOf(body["message"]) ?? {})
      case "message_delta":
        stopReason = nameOf(objectOf(body["delta"])?.["stop_reason"]) ?? stopReason
        count(body["usage"])
        return undefined
      case "message_stop":
        return stopMessage()
    }
    return undefined
  }

  return {
    frame: ({ data, event }) => {
      const parsed = parse(data)
      if (parsed === undefined) {
        // what servers of the other kind add; it ends nothing here
        if (data.trim() === "[DONE]") return undefined
        // words are an error's own, JSON that does not parse is a cut
        const isWords = event === "error" && !/^\s*[[{"]/.test(data)
        return isWords ? (fault = errorFault(data)) : unreadable
      }
      const body = objectOf(parsed.value)
      const named = nameOf(body?.["type"])
      const type = named !== undefined && (event !== "error" || eventTypes.has(named)) ? named : event
      const isError = type === "error" || (named === undefined && errorIn(parsed.value) !== undefined)
      if (isError) return (fault = errorFault(parsed.value))
      return body === undefined ? undefined : (fault = read(type, body))
    },
    end: () => fault ?? (closed ? undefined : incomplete),
    progress: () => (closed ? "closed" : "open")
  }
}

export const make: MakeDecoder = (options) => Sse.make(frames(options))
