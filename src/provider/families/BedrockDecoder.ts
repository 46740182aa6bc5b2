/**
 * The answer of Bedrock's ConverseStream, message by message. `messageStop` ends it; usage (`metadata`) comes after it,
 * before it, or never.
 *
 * A call is handed out when its block stops and its arguments are an object that closes. Other arguments (none at all, a
 * bare value, cut text) wait: when another block begins the model had gone on, so they were all; when the answer ends,
 * its reason tells whether they were cut. What the provider ran itself (server tools and their results) is never told.
 */
import type { FinishReason } from "../../domain/TurnEvent.ts"
import type * as Usage from "../../domain/Usage.ts"
import * as UsageSum from "../../domain/UsageSum.ts"
import type { DecoderOptions, FrameDecoder } from "../wire/Decoder.ts"
import type { EventStreamMessage } from "../wire/EventStream.ts"
import { utf8 } from "../wire/EventStream.ts"
import { type Fault, fromError, incomplete, protocol } from "../wire/Fault.ts"
import { countOf, type JsonObject, nameOf, objectOf, parse, textOf } from "../wire/Json.ts"
import { complete, cutFault, explainsCut, unlessCut } from "../wire/ToolArguments.ts"

/** Blocks that began and did not stop. Bedrock sends one after the other; more than this is not an answer. */
const openBlocksMax = 128

interface OpenCall {
  readonly id: string
  /** Empty where the wire gave none; such a call cannot be handed out. */
  readonly name: string
  text: string
}

const reasons: ReadonlyMap<string, FinishReason> = new Map([
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  ["max_tokens", "length"],
  ["model_context_window_exceeded", "length"],
  ["tool_use", "tool-calls"],
  ["guardrail_intervened", "content-filter"],
  ["content_filtered", "content-filter"]
])

/** Ends that mean that the answer cannot be used. */
const malformed: ReadonlyMap<string, string> = new Map([
  ["malformed_model_output", "the model gave an answer that its own service could not read"],
  ["malformed_tool_use", "the model called a tool in a form that its own service could not read"]
])

const noFields: JsonObject = {}

const usageOf = (raw: JsonObject): Usage.Usage => {
  const input = countOf(raw["inputTokens"])
  const cacheRead = countOf(raw["cacheReadInputTokens"])
  const cacheWrite = countOf(raw["cacheWriteInputTokens"])
  return UsageSum.make({
    inputTokens: input === null ? null : input + (cacheRead ?? 0) + (cacheWrite ?? 0),
    outputTokens: countOf(raw["outputTokens"]),
    cacheReadTokens: cacheRead,
    cacheWriteTokens: cacheWrite,
    totalTokens: countOf(raw["totalTokens"])
  })
}

/** The exception or error that a message is, if it is one. */
const errorOf = ({ body, headers }: EventStreamMessage): Fault | undefined => {
  const type = headers.get(":message-type")
  if (type === "error") return fromError({ code: headers.get(":error-code"), message: headers.get(":error-message") })
  if (type !== "exception") return undefined
  const said = objectOf(parse(utf8(body))?.value) ?? noFields
  return fromError({ code: headers.get(":exception-type"), message: nameOf(said["message"]) ?? said["Message"] })
}

export const make = ({ callId, emit }: DecoderOptions): FrameDecoder<EventStreamMessage> => {
  /** By content block; `provider` marks a block that the provider keeps to itself. */
  const open = new Map<unknown, OpenCall | "provider">()
  /** Calls whose block stopped with arguments that may be cut. */
  let waiting: Array<OpenCall> = []
  let hasEnded = false
  let hasMetadata = false

  /** Hands calls out where their arguments can be read so. One that cannot be is left out or a fault. */
  const give = (calls: Iterable<OpenCall | "provider">, read: typeof complete, isCut: boolean): Fault | undefined => {
    for (const call of calls) {
      if (call === "provider") continue
      const parsed = call.name === "" ? undefined : read(call.text)
      if (parsed !== undefined) {
        emit({ _tag: "ToolCall", toolCallId: call.id, toolName: call.name, arguments: parsed.value })
      } else if (!isCut) return call.name === "" ? protocol("a tool call came without a name") : cutFault(call.name)
    }
    return undefined
  }

  const wentOn = (): Fault | undefined => {
    if (waiting.length === 0) return undefined
    const calls = waiting
    waiting = []
    return give(calls, complete, false)
  }

  const stop = (body: JsonObject): undefined => {
    const index = body["contentBlockIndex"]
    const block = open.get(index)
    open.delete(index)
    if (block === undefined || block === "provider") return
    // in their order: none overtakes one that waits
    const isWhole = waiting.length === 0 && block.name !== "" && unlessCut(block.text) !== undefined
    if (isWhole) give([block], unlessCut, false)
    else waiting.push(block)
  }

  const start = (body: JsonObject): Fault | undefined => {
    // a block that begins where another was open ends it
    stop(body)
    const fault = wentOn()
    if (fault !== undefined) return fault
    const begun = objectOf(body["start"])
    const tool = objectOf(begun?.["toolUse"])
    const type = nameOf(tool?.["type"])
    const isProviders = objectOf(begun?.["toolResult"]) !== undefined || (type !== undefined && type !== "tool_use")
    if (tool === undefined && !isProviders) return undefined
    if (open.size >= openBlocksMax) return protocol(`more than ${openBlocksMax} content blocks are open`)
    open.set(
      body["contentBlockIndex"],
      isProviders
        ? "provider"
        : { id: nameOf(tool?.["toolUseId"]) ?? callId(), name: nameOf(tool?.["name"]) ?? "", text: "" }
    )
    return undefined
  }

  const say = (kind: "text" | "reasoning", text: string | undefined): Fault | undefined => {
    if (text === undefined) return undefined
    const fault = wentOn()
    if (fault === undefined) emit({ _tag: "Delta", kind, text })
    return fault
  }

  const delta = (body: JsonObject): Fault | undefined => {
    const said = objectOf(body["delta"])
    const block = open.get(body["contentBlockIndex"])
    if (said === undefined || block === "provider") return undefined
    const input = nameOf(objectOf(said["toolUse"])?.["input"])
    if (input !== undefined && block !== undefined && block.name !== "") {
      block.text += input
      emit({ _tag: "Delta", kind: "tool-input", text: input, toolCallId: block.id, toolName: block.name })
    }
    return say("reasoning", nameOf(objectOf(said["reasoningContent"])?.["text"])) ?? say("text", nameOf(said["text"]))
  }

  const finish = (body: JsonObject): Fault | undefined => {
    const raw = textOf(body["stopReason"])
    const unusable = malformed.get(raw ?? "")
    if (unusable !== undefined) return protocol(unusable)
    const reason = reasons.get(raw ?? "") ?? "unknown"
    const isCut = explainsCut(reason)
    // an answer that ends in order to have its tools run has said all of their arguments
    const fault = give(waiting, isCut ? unlessCut : complete, isCut) ??
      give(open.values(), reason === "tool-calls" ? complete : unlessCut, isCut)
    if (fault !== undefined) return fault
    hasEnded = true
    emit({ _tag: "Finish", reason, ...(raw === undefined ? {} : { raw }) })
    return undefined
  }

  const metadata = (body: JsonObject): undefined => {
    hasMetadata = true
    const raw = objectOf(body["usage"])
    if (raw === undefined) return
    const usage = usageOf(raw)
    if (UsageSum.isKnown(usage)) emit({ _tag: "Usage", usage, raw })
  }

  type Handler = (body: JsonObject) => Fault | undefined
  const whileOpen = (handle: Handler): Handler => (body) => (hasEnded ? undefined : handle(body))
  const events: ReadonlyMap<string, Handler> = new Map([
    ["messageStart", () => undefined],
    ["contentBlockStart", whileOpen(start)],
    ["contentBlockDelta", whileOpen(delta)],
    ["contentBlockStop", whileOpen(stop)],
    ["messageStop", whileOpen(finish)],
    ["metadata", metadata]
  ])

  return {
    frame: (message) => {
      const type = message.headers.get(":message-type")
      if (type !== undefined && type !== "event") return errorOf(message)
      const name = message.headers.get(":event-type") ?? ""
      const handle = events.get(name)
      if (handle === undefined) return undefined
      const parsed = parse(utf8(message.body))
      if (parsed === undefined) return protocol(`a ${name} event of the answer is not JSON`)
      return handle(objectOf(parsed.value) ?? noFields)
    },
    end: () => (hasEnded ? undefined : incomplete),
    progress: () => (!hasEnded ? "open" : hasMetadata ? "closed" : "finished")
  }
}
