/**
 * Tool calls of chat completions, put together from their pieces. A piece belongs to the call of its `index`; without
 * one, to the call of its id, else to the last. The first id and name stand; later ones may be empty or repeated. A
 * server that gives every call index 0 is known by a new id that comes with a name.
 */
import type { FinishReason } from "../../domain/TurnEvent.ts"
import type { DecoderOptions } from "../wire/Decoder.ts"
import type { Fault } from "../wire/Fault.ts"
import { isObject, listOf, nameOf, objectOf, textOf } from "../wire/Json.ts"
import * as ToolArguments from "../wire/ToolArguments.ts"

interface OpenCall {
  readonly index: number | undefined
  readonly wireId: string | undefined
  readonly id: string
  name: string
  json: string
  /** Characters of `json` that were emitted; a call is not announced before its name is known. */
  said: number
}

export interface Calls {
  readonly push: (toolCalls: unknown) => void
  readonly any: () => boolean
  /** Emits every call that is complete. A cut one is a fault, unless `reason` explains it. */
  readonly settle: (reason: FinishReason) => Fault | undefined
}

export const make = ({ callId, emit }: DecoderOptions): Calls => {
  const calls: Array<OpenCall> = []

  const find = (index: number | undefined, id: string | undefined, name: string | undefined): OpenCall | undefined => {
    const found = index !== undefined
      ? calls.findLast((call) => call.index === index)
      : id !== undefined
      ? calls.find((call) => call.wireId === id)
      : calls.at(-1)
    const isOther = id !== undefined && name !== undefined && found?.wireId !== undefined && found.wireId !== id
    return isOther ? undefined : found
  }

  const pushOne = (piece: unknown): void => {
    const fields = objectOf(piece)
    const called = objectOf(fields?.["function"])
    if (fields === undefined || called === undefined) return
    const index = typeof fields["index"] === "number" ? fields["index"] : undefined
    const id = nameOf(fields["id"])
    const name = nameOf(called["name"])
    let call = find(index, id, name)
    if (call === undefined) {
      call = { index, wireId: id, id: id ?? callId(), name: "", json: "", said: 0 }
      calls.push(call)
    }
    if (call.name === "" && name !== undefined) call.name = name
    const given = called["arguments"]
    call.json += textOf(given) ?? (isObject(given) ? JSON.stringify(given) : "")
    if (call.name === "" || (call.said > 0 && call.said === call.json.length)) return
    emit({
      _tag: "Delta",
      kind: "tool-input",
      text: call.json.slice(call.said),
      toolCallId: call.id,
      toolName: call.name
    })
    call.said = call.json.length
  }

  const argumentsOf = (call: OpenCall, reason: FinishReason) =>
    ToolArguments.explainsCut(reason) && call === calls.at(-1)
      ? ToolArguments.unlessCut(call.json)
      : ToolArguments.complete(call.json)

  return {
    push: (toolCalls) => {
      for (const piece of listOf(toolCalls)) pushOne(piece)
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
