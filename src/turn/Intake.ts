/**
 * What a provider says, event by event: checked against the adapter contract, counted, and pushed to the turn's log.
 * Synchronous: one push an event, no effect.
 */
import { type ProviderFailure, providerFailure } from "../domain/TurnError.ts"
import type { EventBody, FinishReason } from "../domain/TurnEvent.ts"
import * as Usage from "../domain/Usage.ts"
import * as UsageSum from "../domain/UsageSum.ts"
import type { ProviderEvent } from "../provider/Provider.ts"
import * as Estimate from "./Estimate.ts"
import type { TurnLog } from "./TurnLog.ts"

/** Usage in the normal form, and as the provider's wire had it. */
export interface Reported {
  readonly usage: Usage.Usage
  readonly raw: unknown
}

/** How an answer ended, in the normal form and in the provider's own word. */
export interface Finish {
  readonly reason: FinishReason
  readonly raw: string | undefined
}

/** What one call has given so far; read after any ending to write its usage. */
export interface Heard {
  /** Deltas and calls pushed in this attempt. */
  readonly said: () => number
  /** What was said, for an estimate where nobody counts. */
  readonly sample: () => Estimate.Sample
  /** UTF-8 bytes of this attempt that the output cap counts: also names and ids. */
  readonly charged: () => number
  /** True once the vendor took the request: from there on it may bill it. */
  readonly accepted: () => boolean
  /** The model that the vendor says answers. */
  readonly model: () => string | undefined
  /** The last usage the provider reported. */
  readonly reported: () => Reported | undefined
  /** How the provider said that the answer ended. */
  readonly finish: () => Finish | undefined
}

export interface Intake extends Heard {
  /** Answers with the fault that the events commit. */
  readonly takeAll: (events: ReadonlyArray<ProviderEvent>) => ProviderFailure | undefined
  /** What an adapter still says from now on is not heard. */
  readonly close: () => void
  /** A failure that the engine itself tells of this call. */
  readonly failure: (kind: ProviderFailure["kind"], detail: string) => ProviderFailure
}

export interface IntakeOptions {
  readonly providerId: string
  /** 1 for the turn's first call. */
  readonly attempt: number
  readonly outputBytesMax: number
  /** What the output cap counted in earlier attempts. */
  readonly chargedBefore: number
  readonly log: Pick<TurnLog, "push">
}

/** A call is charged this much beside its text: a model that calls without end is cut off after some 16,000. */
const callCharge = 64

/**
 * Characters of one event. A longer delta becomes several events, so that nothing beside what the adapter itself holds
 * grows with it. Not less than the default output cap: with the defaults a delta is an event.
 */
const eventCharsMax = 1_048_576

/** Characters that are kept of what a wire says in its own form: of a finish reason, and of a usage object as JSON. */
const rawReasonMax = 128
const requestIdMax = 256
const modelMax = 256
const rawUsageMax = 4_096

/** JSON of what an adapter gave, or undefined where it has none: a cycle, or deeper than anybody can follow. */
const jsonOf = (value: unknown): string | undefined => {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

const keptUsage = (raw: unknown): unknown => {
  const json = jsonOf(raw)
  return json !== undefined && json.length <= rawUsageMax ? raw : undefined
}

/** The text in events' worth; both halves of a character stay together. */
const piecesOf = (text: string): ReadonlyArray<string> => {
  if (text.length <= eventCharsMax) return [text]
  const pieces: Array<string> = []
  let from = 0
  while (from < text.length) {
    const code = text.charCodeAt(from + eventCharsMax - 1)
    const isFirstHalf = code >= 0xd800 && code < 0xdc00
    const to = from + eventCharsMax - (isFirstHalf ? 1 : 0)
    pieces.push(text.slice(from, to))
    from = to
  }
  return pieces
}

const bytesOf = (...texts: ReadonlyArray<string | undefined>): number => {
  let bytes = 0
  for (const text of texts) if (text !== undefined) bytes += Buffer.byteLength(text)
  return bytes
}

export const make = ({ attempt, chargedBefore, log, outputBytesMax, providerId }: IntakeOptions): Intake => {
  let open = true
  let said = 0
  let charged = 0
  let accepted = false
  let requestId: string | undefined
  let model: string | undefined
  let reported: Reported | undefined
  let finish: Finish | undefined
  let toolInput: string | undefined
  const inputs = new Set<string>()
  const sample = Estimate.makeSample()

  const failure: Intake["failure"] = (kind, detail) =>
    providerFailure(providerId, kind, { detail, ...(requestId === undefined ? {} : { requestId }) })
  const fault = (detail: string) => failure("protocol", detail)

  const say = (bodies: ReadonlyArray<EventBody>, charge: number): ProviderFailure | undefined => {
    charged += charge
    if (chargedBefore + charged > outputBytesMax) return fault(`more than ${outputBytesMax} bytes of output`)
    said += 1
    for (const body of bodies) log.push(body)
    return undefined
  }

  const takeDelta = ({ _tag: _, ...data }: Extract<ProviderEvent, { readonly _tag: "Delta" }>) => {
    const { text, toolCallId } = data
    // nothing said, but for a tool's name the first time
    if (text === "" && (toolCallId === undefined || toolCallId === toolInput)) return undefined
    toolInput = toolCallId
    if (toolCallId !== undefined) inputs.add(toolCallId)
    sample.add(text)
    const bodies = piecesOf(text).map((piece): EventBody => ({
      type: "model.delta",
      attempt,
      data: { ...data, text: piece }
    }))
    return say(bodies, bytesOf(text, toolCallId, data.toolName))
  }

  const takeCall = ({ _tag: _, ...data }: Extract<ProviderEvent, { readonly _tag: "ToolCall" }>) => {
    const json = jsonOf(data.arguments)
    if (json === undefined) return fault("a tool call without arguments that JSON can hold")
    // what came as deltas before is counted already
    if (!inputs.has(data.toolCallId)) sample.add(json)
    return say(
      [{ type: "model.tool-call", attempt, data }],
      bytesOf(json, data.toolCallId, data.toolName) + callCharge
    )
  }

  const take = (event: ProviderEvent): ProviderFailure | undefined => {
    accepted = true
    if (finish !== undefined && event._tag !== "Usage") {
      return fault(event._tag === "Finish" ? "it ended twice" : "it went on after its end")
    }
    switch (event._tag) {
      case "Accepted":
        requestId = event.requestId?.slice(0, requestIdMax) ?? requestId
        model = event.model?.slice(0, modelMax) ?? model
        return undefined
      case "Delta":
        return takeDelta(event)
      case "ToolCall":
        return takeCall(event)
      case "Usage": {
        const usage = UsageSum.make(event.usage)
        if (!Usage.isPlausible(usage)) return fault("its usage is not in whole, sensible numbers of tokens")
        reported = { usage, raw: keptUsage(event.raw) }
        return undefined
      }
      case "Finish":
        finish = { reason: event.reason, raw: event.raw?.slice(0, rawReasonMax) }
        return undefined
    }
  }

  return {
    takeAll: (events) => {
      if (!open) return undefined
      for (const event of events) {
        const found = take(event)
        if (found !== undefined) return found
      }
      return undefined
    },
    close: () => {
      open = false
    },
    failure,
    said: () => said,
    sample: sample.sample,
    charged: () => charged,
    accepted: () => accepted,
    model: () => model,
    reported: () => reported,
    finish: () => finish
  }
}
