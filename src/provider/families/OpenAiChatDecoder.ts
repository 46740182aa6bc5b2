/**
 * Chat completions, as OpenAI and everyone who is compatible with it streams them: chunks `{choices: [{delta}]}`, then
 * `[DONE]`, or nothing at all behind the last chunk.
 *
 * The end is held back until the body's end or `[DONE]`, since usage, moderation results and errors come behind
 * `finish_reason`. Only choice 0 counts. An answer that ends with `[DONE]` and no `finish_reason` is complete with an
 * unknown reason; one that ends with neither is incomplete. A body that is one whole completion is read the same way.
 */
import type { FinishReason } from "../../domain/TurnEvent.ts"
import type { DecoderOptions, FrameDecoder, Progress } from "../wire/Decoder.ts"
import { errorIn, type Fault, fromError, incomplete, unreadable } from "../wire/Fault.ts"
import { type JsonObject, listOf, nameOf, objectOf, parse, textOf } from "../wire/Json.ts"
import type { SseEvent } from "../wire/Sse.ts"
import * as InlineThinking from "./InlineThinking.ts"
import * as Calls from "./OpenAiChatCalls.ts"
import * as ChatUsage from "./OpenAiChatUsage.ts"

const reasons: ReadonlyMap<string, FinishReason> = new Map([
  ["stop", "stop"],
  ["end_turn", "stop"],
  ["eos", "stop"],
  ["length", "length"],
  ["model_length", "length"],
  ["max_tokens", "length"],
  ["tool_calls", "tool-calls"],
  ["function_call", "tool-calls"],
  ["content_filter", "content-filter"]
])

/** Reasons that are failures. */
const failures: ReadonlyMap<string, Fault> = new Map([
  ["error", { kind: "server", detail: "the answer ended with finish_reason error" }],
  ["insufficient_system_resource", { kind: "overloaded", detail: "the answer ended for lack of resources" }]
])

/** The first of the places where a server may put reasoning that holds any: some send the same text in two. */
const reasoningIn = (delta: JsonObject): string => {
  const plain = nameOf(delta["reasoning_content"]) ?? nameOf(delta["reasoning"])
  if (plain !== undefined) return plain
  let text = ""
  for (const detail of listOf(delta["reasoning_details"])) {
    const fields = objectOf(detail)
    text += textOf(fields?.["text"]) ?? textOf(fields?.["summary"]) ?? ""
  }
  return text
}

/** A part of Mistral's content lists: text, or thinking with a list of its own. */
const partText = (part: JsonObject, field: "text" | "thinking"): string => {
  const held = part[field]
  if (typeof held === "string") return held
  return listOf(held).map((piece) => textOf(objectOf(piece)?.["text"]) ?? "").join("")
}

/** Whether an error that is not JSON began as JSON; else it is words. */
const isCut = (data: string): boolean => /^\s*[{["]/.test(data)

export const make = (options: DecoderOptions): FrameDecoder<SseEvent> => {
  const { answeredBy, emit } = options
  const calls = Calls.make(options)
  let progress: Progress = "open"
  let finish: string | undefined
  let hadDelta = false

  const say = (kind: "text" | "reasoning", text: string) => emit({ _tag: "Delta", kind, text })
  const content = InlineThinking.make(say)

  const takeContent = (held: unknown): void => {
    if (typeof held === "string") {
      if (held !== "") content.push(held)
      return
    }
    for (const item of listOf(held)) {
      const part = objectOf(item)
      if (part === undefined) continue
      const [kind, text] = part["type"] === "thinking"
        ? ["reasoning" as const, partText(part, "thinking")]
        : ["text" as const, partText(part, "text")]
      if (text !== "") say(kind, text)
    }
  }

  const takeChoice = (choice: JsonObject): Fault | undefined => {
    // a whole completion has a message and no delta; where there was any delta the message repeats what was said
    const given = objectOf(choice["delta"])
    hadDelta ||= given !== undefined
    const delta = given ?? (hadDelta ? undefined : objectOf(choice["message"]))
    if (delta !== undefined) {
      const reasoning = reasoningIn(delta)
      if (reasoning !== "") say("reasoning", reasoning)
      takeContent(delta["content"])
      takeContent(delta["refusal"])
      const legacy = objectOf(delta["function_call"])
      const fault = calls.push(delta["tool_calls"]) ??
        (legacy === undefined ? undefined : calls.push([{ function: legacy }]))
      if (fault !== undefined) return fault
    }
    const reason = nameOf(choice["finish_reason"])
    if (reason !== undefined) {
      finish = reason
      progress = "finished"
    }
    // OpenRouter tells an error of the model behind it in the choice
    const error = errorIn(choice)
    return error !== undefined ? fromError(error) : reason === undefined ? undefined : failures.get(reason)
  }

  const takeChunk = (chunk: JsonObject): Fault | undefined => {
    const model = nameOf(chunk["model"])
    if (model !== undefined) answeredBy?.(model)
    let fault: Fault | undefined
    for (const item of listOf(chunk["choices"])) {
      const choice = objectOf(item)
      const index = choice?.["index"]
      if (choice !== undefined && (index === undefined || index === null || index === 0)) fault ??= takeChoice(choice)
    }
    const raw = ChatUsage.find(chunk)
    const usage = raw === undefined ? undefined : ChatUsage.normalize(raw)
    if (usage !== undefined) emit({ _tag: "Usage", usage, raw })
    const error = errorIn(chunk)
    return error === undefined ? fault : fromError(error)
  }

  const settle = (): Fault | undefined => {
    progress = "closed"
    content.flush()
    const known: FinishReason = finish === undefined ? "unknown" : reasons.get(finish) ?? "unknown"
    const reason = calls.any() && (known === "stop" || known === "unknown") ? "tool-calls" : known
    const fault = calls.settle(reason)
    if (fault !== undefined) return fault
    emit({ _tag: "Finish", reason, ...(finish === undefined ? {} : { raw: finish }) })
    return undefined
  }

  const ended = (fault: Fault): Fault => {
    content.flush()
    progress = "closed"
    return fault
  }

  return {
    frame: ({ data, event }) => {
      if (data.trim() === "[DONE]") return settle()
      const parsed = parse(data)
      if (parsed === undefined && (event !== "error" || isCut(data))) {
        content.flush()
        return unreadable
      }
      if (parsed === undefined || event === "error") {
        return ended(fromError(errorIn(parsed?.value) ?? objectOf(parsed?.value) ?? { message: data }))
      }
      // Google wraps an error into a list
      const chunk = objectOf(Array.isArray(parsed.value) ? parsed.value[0] : parsed.value)
      const fault = chunk === undefined ? undefined : takeChunk(chunk)
      return fault === undefined ? undefined : ended(fault)
    },
    end: () => {
      if (progress === "finished") return settle()
      return progress === "closed" ? undefined : ended(incomplete)
    },
    progress: () => progress
  }
}
