/**
 * Tool calls of chat completions, put together from their pieces. A piece belongs to the call of its `index`; without
 * one, to the call of its id, else to the last. The first id and name stand; later ones may be empty or repeated. A
 * server that gives every call the same index, or none, is known by a new id or name, or by arguments behind arguments
 * that were whole.
 */
import type { FinishReason } from "../../domain/TurnEvent.ts"
import { type DecoderOptions, frameBytesMax } from "../wire/Decoder.ts"
import { type Fault, protocol } from "../wire/Fault.ts"
import { isObject, type JsonObject, listOf, nameOf, objectOf, textOf } from "../wire/Json.ts"
import * as ToolArguments from "../wire/ToolArguments.ts"

/** Calls in one answer: far more than any model makes, few enough to hold and to search. */
export const callsMax = 1_024

/** Longer arguments are not asked whether they are whole: that would cost at each piece. */
const askedCharsMax = 4_096

interface OpenCall {
  readonly index: number | undefined
  readonly wireId: string | undefined
  readonly id: string
  /** Empty until it is known; the call is not announced before. */
  name: string
  /** Grows by pieces and is read at its end: reading it at each would copy it each time. */
  json: string
}

export interface Calls {
  readonly push: (toolCalls: unknown) => Fault | undefined
  readonly any: () => boolean
  /** Emits every call that is complete. A cut one is a fault, unless `reason` explains it. */
  readonly settle: (reason: FinishReason) => Fault | undefined
}

interface Piece {
  readonly index: number | undefined
  readonly id: string | undefined
  readonly name: string | undefined
  readonly text: string
}

const pieceOf = (fields: JsonObject, called: JsonObject): Piece => {
  const { index } = fields
  const given = called["arguments"]
  return {
    index: typeof index === "number" ? index : undefined,
    id: nameOf(fields["id"]),
    name: nameOf(called["name"]),
    text: textOf(given) ?? (isObject(given) ? JSON.stringify(given) : "")
  }
}

/** Whether a piece in the place of `call` begins another. */
const isOther = (call: OpenCall, { id, name, text }: Piece): boolean => {
  if (name === undefined || call.name === "") return false
  if (id !== undefined && call.wireId !== undefined) return id !== call.wireId
  return name !== call.name ||
    (text !== "" && call.json.length <= askedCharsMax && ToolArguments.unlessCut(call.json) !== undefined)
}

export const make = ({ callId, emit }: DecoderOptions): Calls => {
  const calls: Array<OpenCall> = []
  /** Characters of arguments that were not emitted, and so are not under the engine's cap. */
  let held = 0

  const open = ({ id, index }: Piece): OpenCall => {
    const isFree = id !== undefined && calls.every((call) => call.id !== id)
    const call = { index, wireId: id, id: isFree ? id : callId(), name: "", json: "" }
    calls.push(call)
    return call
  }

  const callOf = (piece: Piece): OpenCall => {
    const { id, index } = piece
    const found = index !== undefined
      ? calls.findLast((call) => call.index === index)
      : id !== undefined
      ? calls.findLast((call) => call.wireId === id)
      : calls.at(-1)
    return found === undefined || isOther(found, piece) ? open(piece) : found
  }

  const take = (piece: Piece): Fault | undefined => {
    if (piece.id === undefined && piece.name === undefined && piece.text === "") return undefined
    const call = callOf(piece)
    const isNew = call.name === "" && piece.name !== undefined
    if (isNew) call.name = piece.name ?? ""
    call.json += piece.text
    if (call.name === "") held += piece.text.length
    else if (isNew || piece.text !== "") {
      const text = isNew ? call.json : piece.text
      emit({ _tag: "Delta", kind: "tool-input", text, toolCallId: call.id, toolName: call.name })
    }
    return calls.length > callsMax || held > frameBytesMax
      ? protocol("its tool calls are more than can be held")
      : undefined
  }

  const argumentsOf = (call: OpenCall, reason: FinishReason) =>
    ToolArguments.explainsCut(reason) && call === calls.at(-1)
      ? ToolArguments.unlessCut(call.json)
      : ToolArguments.complete(call.json)

  return {
    push: (toolCalls) => {
      for (const item of listOf(toolCalls)) {
        const fields = objectOf(item)
        const called = objectOf(fields?.["function"])
        const fault = fields === undefined || called === undefined ? undefined : take(pieceOf(fields, called))
        if (fault !== undefined) return fault
      }
      return undefined
    },
    any: () => calls.length > 0,
    settle: (reason) => {
      for (const call of calls) {
        const parsed = call.name === "" ? undefined : argumentsOf(call, reason)
        if (parsed !== undefined) {
          emit({ _tag: "ToolCall", toolCallId: call.id, toolName: call.name, arguments: parsed.value })
        } else if (!ToolArguments.explainsCut(reason)) return ToolArguments.cutFault(call.name)
      }
      return undefined
    }
  }
}
