/**
 * The Responses API as it streams: events whose `type` says what they are, then one that carries the whole response.
 *
 * Everything is told up to three times (deltas, the item, the response) and servers leave out any of them. Deltas are
 * listened to always; an item only where no delta came; the response only where neither did. A call is known by its
 * `call_id`, told once, from wherever it was first complete. Events of tools that the provider runs, and all others that
 * are not known, are passed over. `[DONE]` says nothing here.
 */
import type { FinishReason } from "../../domain/TurnEvent.ts"
import type * as Usage from "../../domain/Usage.ts"
import * as UsageSum from "../../domain/UsageSum.ts"
import type { DecoderOptions, FrameDecoder } from "../wire/Decoder.ts"
import { errorIn, type Fault, fromError, incomplete, unreadable } from "../wire/Fault.ts"
import { countOf, type JsonObject, listOf, nameOf, objectOf, parse, textOf } from "../wire/Json.ts"
import type { SseEvent } from "../wire/Sse.ts"
import * as Calls from "./OpenAiResponsesCalls.ts"

type Said = "text" | "reasoning"

/** Who was heard so far: the closer to the model, the higher. */
const heardIn = { nobody: 0, response: 1, item: 2, delta: 3 } as const
type Heard = (typeof heardIn)[keyof typeof heardIn]

const joined = (parts: unknown): string =>
  listOf(parts).map((part) => {
    const fields = objectOf(part)
    return textOf(fields?.["text"]) ?? textOf(fields?.["refusal"]) ?? ""
  }).join("")

const usageOf = (raw: JsonObject): Usage.Usage => {
  const input = objectOf(raw["input_tokens_details"])
  const output = objectOf(raw["output_tokens_details"])
  return UsageSum.make({
    inputTokens: countOf(raw["input_tokens"]),
    outputTokens: countOf(raw["output_tokens"]),
    cacheReadTokens: countOf(input?.["cached_tokens"]),
    cacheWriteTokens: countOf(input?.["cache_write_tokens"]),
    reasoningTokens: countOf(output?.["reasoning_tokens"]),
    totalTokens: countOf(raw["total_tokens"])
  })
}

/** The index of the item that an event belongs to, or the item's own id where a server gives no index. */
const placeOf = (event: JsonObject, item: JsonObject = {}): Calls.Place => {
  const index = event["output_index"]
  return typeof index === "number" ? index : nameOf(event["item_id"]) ?? nameOf(item["id"]) ?? -1
}

/** Text and reasoning, each from the first of their places that says any. */
const listener = ({ emit }: DecoderOptions) => {
  const heard: Record<Said, Heard> = { text: heardIn.nobody, reasoning: heardIn.nobody }
  /** By item: servers that tell a summary and the reasoning itself tell the same thing twice. */
  const reasoningEvents = new Map<Calls.Place, string>()

  const say = (kind: Said, text: string, from: Heard): void => {
    if (text === "" || heard[kind] > from) return
    heard[kind] = from
    emit({ _tag: "Delta", kind, text })
  }

  return {
    textDelta: (event: JsonObject) => say("text", textOf(event["delta"]) ?? "", heardIn.delta),
    reasoningDelta: (event: JsonObject, type: string) => {
      const text = textOf(event["delta"]) ?? ""
      if (text === "") return
      const place = placeOf(event)
      const first = reasoningEvents.get(place)
      if (first === undefined) reasoningEvents.set(place, type)
      if (first === undefined || first === type) say("reasoning", text, heardIn.delta)
    },
    item: (item: JsonObject, from: Heard) => {
      const { content, summary, type } = item
      if (type === "message") say("text", textOf(content) ?? joined(content), from)
      if (type === "reasoning") say("reasoning", joined(summary) || joined(content), from)
    }
  }
}

interface Outcome {
  readonly reason: FinishReason
  readonly raw: string
}

/** How a response ended, or undefined where it failed. Its status counts: some servers call every end `completed`. */
const outcomeOf = (word: string, response: JsonObject): Outcome | undefined => {
  const status = textOf(response["status"]) ?? word
  if (word === "failed" || status === "failed") return undefined
  if (word === "incomplete" || status === "incomplete") {
    const raw = nameOf(objectOf(response["incomplete_details"])?.["reason"]) ?? "incomplete"
    return {
      raw,
      reason: raw === "max_output_tokens" ? "length" : raw === "content_filter" ? "content-filter" : "unknown"
    }
  }
  return word === "cancelled" || status === "cancelled"
    ? { raw: "cancelled", reason: "unknown" }
    : { raw: "completed", reason: "stop" }
}

const endWords: ReadonlySet<unknown> = new Set(["completed", "incomplete", "failed", "cancelled"])

/** Reads the response that comes with the end: usage, what nobody heard yet, and how it ended. */
const closing =
  ({ emit }: DecoderOptions, calls: Calls.Calls, listen: ReturnType<typeof listener>) =>
  (word: string, response: JsonObject): Fault | undefined => {
    const raw = objectOf(response["usage"])
    const usage = raw === undefined ? UsageSum.unknown : usageOf(raw)
    if (UsageSum.isKnown(usage)) emit({ _tag: "Usage", usage, raw })
    const outcome = outcomeOf(word, response)
    if (outcome === undefined) return fromError(errorIn(response) ?? { message: "the response failed" })
    let fault: Fault | undefined
    listOf(response["output"]).forEach((listed, index) => {
      const item = objectOf(listed) ?? {}
      if (item["type"] === "function_call") fault ??= calls.listed(index, item)
      else listen.item(item, heardIn.response)
    })
    fault ??= calls.settle(outcome.reason)
    if (fault !== undefined) return fault
    const reason = outcome.reason === "stop" && calls.anyTold() ? "tool-calls" : outcome.reason
    emit({ _tag: "Finish", reason, raw: outcome.raw })
    return undefined
  }

/** An event's own word for what it is; `event: error` counts where the JSON does not say that it is anything else. */
const typeOf = (event: string | undefined, body: JsonObject): string | undefined => {
  const type = nameOf(body["type"])
  return event === "error" && type?.startsWith("response.") !== true ? event : type ?? event
}

/** Words instead of JSON; JSON that was cut is none. */
const isPlain = (data: string): boolean => !/^\s*[{["]/.test(data)

export const make = (options: DecoderOptions): FrameDecoder<SseEvent> => {
  const calls = Calls.make(options)
  const listen = listener(options)
  const close = closing(options, calls, listen)
  let ended: { readonly fault: Fault | undefined } | undefined
  const end = (fault: Fault | undefined): Fault | undefined => (ended ??= { fault }).fault

  const takeItem = (event: JsonObject, isDone: boolean): Fault | undefined => {
    const item = objectOf(event["item"]) ?? {}
    if (item["type"] === "function_call") {
      return isDone ? calls.done(placeOf(event, item), item) : calls.added(placeOf(event, item), item)
    }
    if (isDone) listen.item(item, heardIn.item)
    return undefined
  }

  /** Whatever is no event of a response: an error in any shape, a whole response, or nothing known. */
  const takeOther = (body: JsonObject, isError: boolean): Fault | undefined => {
    const status = body["status"]
    if (!isError && body["object"] === "response") {
      return endWords.has(status) ? end(close(String(status), body)) : undefined
    }
    const error = errorIn(body) ?? (isError ? body : undefined)
    return error === undefined ? undefined : end(fromError(error))
  }

  const takeEvent = (type: string | undefined, event: JsonObject): Fault | undefined => {
    switch (type) {
      case "response.output_text.delta":
      case "response.refusal.delta":
        listen.textDelta(event)
        return undefined
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_text.delta":
        listen.reasoningDelta(event, type)
        return undefined
      case "response.function_call_arguments.delta":
        return calls.delta(placeOf(event), textOf(event["delta"]) ?? "")
      case "response.function_call_arguments.done":
        return calls.argumentsDone(placeOf(event), event)
      case "response.output_item.added":
      case "response.output_item.done":
        return takeItem(event, type === "response.output_item.done")
      case "response.completed":
      case "response.incomplete":
      case "response.failed":
      case "response.cancelled":
        return end(close(type.slice("response.".length), objectOf(event["response"]) ?? event))
      default:
        return takeOther(event, type === "error" || type === "response.error")
    }
  }

  return {
    frame: ({ data, event }) => {
      if (data.trim() === "[DONE]") return undefined
      const parsed = parse(data)
      if (parsed === undefined) {
        if (event === "error" && isPlain(data)) return end(fromError({ message: data }))
        return unreadable
      }
      const body = objectOf(Array.isArray(parsed.value) ? parsed.value[0] : parsed.value)
      const model = nameOf(objectOf(body?.["response"])?.["model"])
      if (model !== undefined) options.answeredBy?.(model)
      const fault = body === undefined ? undefined : takeEvent(typeOf(event, body), body)
      return fault === undefined ? undefined : end(fault)
    },
    end: () => (ended === undefined ? incomplete : ended.fault),
    progress: () => (ended !== undefined && ended.fault === undefined ? "closed" : "open")
  }
}
