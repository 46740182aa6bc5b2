/**
 * Ollama's chat as it streams: lines `{message, done}`, the last with `done: true`, the only sign of an end, and with
 * the counts. Tool calls come whole; models that think into their text are heard as thinking. An error under HTTP 200 is a line `{error}`; its cloud adds the status to it.
 */
import type { FinishReason } from "../../domain/TurnEvent.ts"
import * as UsageSum from "../../domain/UsageSum.ts"
import type { DecoderOptions, FrameDecoder } from "../wire/Decoder.ts"
import { errorIn, type Fault, fromError, incomplete } from "../wire/Fault.ts"
import { countOf, isObject, type JsonObject, listOf, nameOf, objectOf } from "../wire/Json.ts"
import * as ToolArguments from "../wire/ToolArguments.ts"
import * as InlineThinking from "./InlineThinking.ts"

/** What the last line counts, and the nanoseconds that it took. */
const usageFields = [
  "prompt_eval_count",
  "eval_count",
  "total_duration",
  "load_duration",
  "prompt_eval_duration",
  "eval_duration"
] as const

/** Where a model calls tools it still says `stop`, or nothing; `load` and `unload` are no answers. */
const reasonOf = (word: string | undefined, called: boolean): FinishReason => {
  if (word === "length") return "length"
  if (called && (word === undefined || word === "stop" || word === "tool_calls")) return "tool-calls"
  return word === "stop" ? "stop" : "unknown"
}

/** `{error}`, with `StatusCode` and `Status` beside it or, where a key is missing, instead of it. */
const faultIn = (line: JsonObject): Fault | undefined => {
  const { error, Status, StatusCode } = line
  const refused = typeof StatusCode === "number" && StatusCode >= 400
  if (!refused && !isObject(error) && nameOf(error) === undefined) return undefined
  const said = errorIn(line) ?? {}
  return fromError({
    ...said,
    ...(refused ? { status: StatusCode } : {}),
    message: nameOf(said["message"]) ?? Status
  })
}

const argumentsOf = (value: unknown): { readonly value: unknown } | undefined => {
  if (value === undefined || value === null) return { value: {} }
  if (typeof value === "string") return ToolArguments.complete(value)
  return isObject(value) ? { value } : undefined
}

export const make = ({ answeredBy, callId, emit }: DecoderOptions): FrameDecoder<unknown> => {
  let ended: { readonly fault: Fault | undefined } | undefined
  let called = false
  /** The name of the first call whose arguments cannot be read. */
  let cut: string | undefined

  const say = (kind: "text" | "reasoning", text: string) => emit({ _tag: "Delta", kind, text })
  const content = InlineThinking.make(say)

  const takeCall = (item: unknown): void => {
    const call = objectOf(item)
    const named = objectOf(call?.["function"])
    const toolName = nameOf(named?.["name"])
    if (toolName === undefined) return
    called = true
    const read = argumentsOf(named?.["arguments"])
    if (read === undefined) cut ??= toolName
    else emit({ _tag: "ToolCall", toolCallId: nameOf(call?.["id"]) ?? callId(), toolName, arguments: read.value })
  }

  const takeUsage = (line: JsonObject): void => {
    const inputTokens = countOf(line["prompt_eval_count"])
    const outputTokens = countOf(line["eval_count"])
    if (inputTokens === null && outputTokens === null) return
    const raw = Object.fromEntries(usageFields.flatMap((field) => (field in line ? [[field, line[field]]] : [])))
    emit({ _tag: "Usage", usage: UsageSum.make({ inputTokens, outputTokens }), raw })
  }

  const finish = (line: JsonObject): Fault | undefined => {
    const word = nameOf(line["done_reason"])
    const reason = reasonOf(word, called)
    takeUsage(line)
    if (cut !== undefined && !ToolArguments.explainsCut(reason)) return ToolArguments.cutFault(cut)
    emit({ _tag: "Finish", reason, ...(word === undefined ? {} : { raw: word }) })
    return undefined
  }

  return {
    frame: (frame) => {
      const line = objectOf(frame)
      if (line === undefined) return undefined
      const fault = faultIn(line)
      if (fault === undefined) {
        const model = nameOf(line["model"])
        if (model !== undefined) answeredBy?.(model)
        const message = objectOf(line["message"])
        const thinking = nameOf(message?.["thinking"])
        const text = nameOf(message?.["content"])
        if (thinking !== undefined) say("reasoning", thinking)
        if (text !== undefined) content.push(text)
        for (const call of listOf(message?.["tool_calls"])) takeCall(call)
        if (line["done"] !== true) return undefined
      }
      content.flush()
      ended = { fault: fault ?? finish(line) }
      return ended.fault
    },
    end: () => {
      content.flush()
      return ended === undefined ? incomplete : ended.fault
    },
    progress: () => (ended !== undefined && ended.fault === undefined ? "closed" : "open")
  }
}
