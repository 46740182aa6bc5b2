/**
 * Function calls of the Responses API. A call is known by its `call_id`; its pieces belong to the item at their
 * `output_index`, since ids of items may change between events. Each is told once, when an item says that it is complete
 * and its arguments are JSON; what is still open at the end is settled there.
 */
import type { FinishReason } from "../../domain/TurnEvent.ts"
import { type DecoderOptions, frameBytesMax } from "../wire/Decoder.ts"
import { type Fault, protocol } from "../wire/Fault.ts"
import { isObject, type JsonObject, nameOf } from "../wire/Json.ts"
import * as ToolArguments from "../wire/ToolArguments.ts"

/** Calls in one answer: far more than any model makes, few enough to hold. */
export const callsMax = 1_024

/** The place of an item in the answer: its index, or what stands for it where a server gives none. */
export type Place = number | string

interface Call {
  id: string | undefined
  name: string | undefined
  json: string
  /** Arguments that it began with: some servers give all of them there, and never again. */
  first: string
  /** Characters of `json` that were emitted. */
  said: number
  /** Whether an item said that it is complete. */
  complete: boolean
  told: boolean
}

export interface Calls {
  readonly added: (place: Place, item: JsonObject) => Fault | undefined
  readonly delta: (place: Place, text: string) => Fault | undefined
  /** All of the arguments; the item's own end follows. */
  readonly argumentsDone: (place: Place, event: JsonObject) => Fault | undefined
  readonly done: (place: Place, item: JsonObject) => Fault | undefined
  /** From the whole response, where a call may be that was never told and may not be one that was. */
  readonly listed: (index: number, item: JsonObject) => Fault | undefined
  readonly anyTold: () => boolean
  /** Tells what is open and whole. A cut one is a fault, unless `reason` explains it. */
  readonly settle: (reason: FinishReason) => Fault | undefined
}

const argumentsIn = (fields: JsonObject): string => {
  const given = fields["arguments"]
  return nameOf(given) ?? (isObject(given) ? JSON.stringify(given) : "")
}

export const make = ({ callId, emit }: DecoderOptions): Calls => {
  const calls: Array<Call> = []
  const byPlace = new Map<Place, Call>()
  const byId = new Map<string, Call>()
  /** Characters of arguments that were never emitted, and so are not under the engine's cap. */
  let held = 0

  const bounded = (): Fault | undefined =>
    Math.max(calls.length, byId.size, byPlace.size) > callsMax || held > frameBytesMax
      ? protocol("its tool calls are more than can be held")
      : undefined

  const open = (place: Place): Call => {
    const call: Call = { id: undefined, name: undefined, json: "", first: "", said: 0, complete: false, told: false }
    calls.push(call)
    byPlace.set(place, call)
    return call
  }

  /** The first id and name stand: deltas carry them. */
  const identify = (call: Call, item: JsonObject): void => {
    call.name ??= nameOf(item["name"])
    const id = nameOf(item["call_id"])
    if (id === undefined) return
    call.id ??= id
    byId.set(id, call)
  }

  const hold = (text: string): Fault | undefined => {
    held += text.length
    return bounded()
  }

  /** Adds to the arguments; said as a delta as soon as it is known whose they are. */
  const grow = (call: Call, text: string): Fault | undefined => {
    const fresh = call.said === call.json.length ? text : call.json.slice(call.said) + text
    call.json += text
    if (call.id === undefined || call.name === undefined) return hold(text)
    call.said = call.json.length
    if (fresh !== "") emit({ _tag: "Delta", kind: "tool-input", text: fresh, toolCallId: call.id, toolName: call.name })
    return bounded()
  }

  const tell = (call: Call, read: { readonly value: unknown } | undefined): boolean => {
    if (read === undefined || call.name === undefined) return false
    emit({ _tag: "ToolCall", toolCallId: call.id ?? callId(), toolName: call.name, arguments: read.value })
    call.told = true
    call.json = call.first = ""
    return true
  }

  const finish = (call: Call, item: JsonObject): Fault | undefined => {
    if (call.told) return undefined
    identify(call, item)
    call.json = argumentsIn(item) || call.json || call.first
    call.complete = item["status"] !== "incomplete"
    // no arguments may be what the output limit left of them: then the end tells, unless the item does
    const isWhole = item["status"] === "completed" || (call.complete && call.json.trim() !== "")
    return isWhole && tell(call, ToolArguments.complete(call.json)) ? bounded() : hold(call.json)
  }

  const known = (place: Place, item: JsonObject): Call | undefined => {
    const id = nameOf(item["call_id"])
    const there = byPlace.get(place)
    const own = id === undefined ? there : byId.get(id)
    // another call where one was told is one more of a server that gives all the same place
    return own ?? (there?.told === false ? there : undefined)
  }

  return {
    added: (place, item) => {
      const id = nameOf(item["call_id"])
      const there = byPlace.get(place)
      const early = there !== undefined && there.id === undefined && !there.told ? there : undefined
      const call = (id === undefined ? undefined : byId.get(id)) ?? early ?? open(place)
      byPlace.set(place, call)
      identify(call, item)
      if (call.told) return undefined
      call.first = argumentsIn(item)
      return hold(call.first)
    },
    delta: (place, text) => {
      const call = byPlace.get(place) ?? open(place)
      return call.told ? undefined : grow(call, text)
    },
    argumentsDone: (place, event) => {
      const call = byPlace.get(place) ?? open(place)
      const json = argumentsIn(event)
      if (call.told || json === "") return bounded()
      call.name ??= nameOf(event["name"])
      if (json.startsWith(call.json)) return grow(call, json.slice(call.json.length))
      call.json = json
      return hold(json)
    },
    done: (place, item) => finish(known(place, item) ?? open(place), item),
    listed: (index, item) => {
      const there = byPlace.get(index)
      // a server that gives new ids at the end
      const again = there?.told === true && there.name === nameOf(item["name"]) ? there : undefined
      const call = known(index, item) ?? again ?? open(index)
      return finish(call, item)
    },
    anyTold: () => calls.some(({ told }) => told),
    settle: (reason) => {
      if (ToolArguments.explainsCut(reason)) return undefined
      for (const call of calls) {
        // what no item ever named is nobody's call
        if (call.told || call.name === undefined) continue
        const json = call.json || call.first
        const read = call.complete ? ToolArguments.complete(json) : ToolArguments.unlessCut(json)
        if (!tell(call, read)) return ToolArguments.cutFault(call.name)
      }
      return undefined
    }
  }
}
