/**
 * Tool calls of the Messages API, by the index of their block. A call is complete where its block stops, but for one
 * without arguments: that may be a call of which the output limit let nothing through. It waits for the next block, or
 * for an end that explains no cut.
 */
import type { FinishReason } from "../../domain/TurnEvent.ts"
import type { DecoderOptions } from "../wire/Decoder.ts"
import { type Fault, protocol } from "../wire/Fault.ts"
import { isObject, type JsonObject, nameOf } from "../wire/Json.ts"
import * as ToolArguments from "../wire/ToolArguments.ts"

/** Calls that are open at once. The API sends one block after the other. */
const openCallsMax = 64

const isBlank = (text: string): boolean => text.trim() === ""

interface ToolBlock {
  readonly wireId: string | undefined
  readonly id: string
  /** Empty where the wire gave none: such a call can never be made. */
  readonly name: string
  /** Arguments that came with the block's start; text that follows replaces them. */
  readonly given: JsonObject | undefined
  json: string
}

export interface Calls {
  readonly start: (index: number | null, block: JsonObject) => Fault | undefined
  readonly push: (index: number | null, text: string) => void
  readonly stop: (index: number | null) => void
  /** Another block begins: a call that waited had no arguments. */
  readonly release: () => void
  /** The answer is over: nothing that was left open can still be completed. */
  readonly end: (reason: FinishReason) => Fault | undefined
}

export const make = ({ callId, emit }: DecoderOptions): Calls => {
  const open = new Map<number | null, ToolBlock>()
  let waiting: ToolBlock | undefined
  /** The name of the first call that was cut. */
  let cut: string | undefined

  const say = ({ id, name }: ToolBlock, text: string): void => {
    if (name !== "") emit({ _tag: "Delta", kind: "tool-input", text, toolCallId: id, toolName: name })
  }

  /** Makes the call, where its arguments are there. */
  const settle = (block: ToolBlock, read: typeof ToolArguments.complete): void => {
    const given = isBlank(block.json) ? block.given : undefined
    const parsed = given === undefined ? read(block.json) : { value: given }
    if (parsed === undefined || block.name === "") {
      cut ??= block.name
      return
    }
    emit({ _tag: "ToolCall", toolCallId: block.id, toolName: block.name, arguments: parsed.value })
  }

  const release = (): void => {
    if (waiting !== undefined) settle(waiting, ToolArguments.complete)
    waiting = undefined
  }

  return {
    release,
    start: (index: number | null, { id, input, name }: JsonObject): Fault | undefined => {
      const wireId = nameOf(id)
      const before = open.get(index)
      if (before !== undefined) {
        if (before.wireId === wireId) return undefined
        cut ??= before.name
      }
      if (open.size >= openCallsMax) return protocol(`more than ${openCallsMax} tool calls are open at once`)
      const given = isObject(input) && Object.keys(input).length > 0 ? input : undefined
      const block = { wireId, id: wireId ?? callId(), name: nameOf(name) ?? "", given, json: "" }
      open.set(index, block)
      // said at once, and so under the engine's cap
      say(block, given === undefined ? "" : JSON.stringify(given))
      return undefined
    },
    push: (index: number | null, text: string): void => {
      const block = open.get(index)
      // a call without a name can never be made: nothing of it is kept
      if (block === undefined || block.name === "" || text === "") return
      block.json += text
      say(block, text)
    },
    stop: (index: number | null): void => {
      const block = open.get(index)
      if (block === undefined) return
      open.delete(index)
      release()
      if (block.given === undefined && isBlank(block.json)) waiting = block
      else settle(block, ToolArguments.complete)
    },
    end: (reason: FinishReason): Fault | undefined => {
      if (ToolArguments.explainsCut(reason)) return undefined
      release()
      for (const block of open.values()) settle(block, ToolArguments.unlessCut)
      return cut === undefined ? undefined : ToolArguments.cutFault(cut)
    }
  }
}
