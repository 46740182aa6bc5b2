/** A family's decoder fed with bytes in any cut, and what came of it in the normal form of a turn. */
import type { Usage } from "../../../src/domain/Usage.ts"
import type { WireFamily } from "../../../src/provider/Family.ts"
import type { ProviderEvent } from "../../../src/provider/Provider.ts"
import type { Decoder } from "../../../src/provider/wire/Decoder.ts"
import type { Fault } from "../../../src/provider/wire/Fault.ts"

/** What a family's own test module gives, so that one suite proves them all over real sockets. */
export interface FamilyWire {
  readonly family: WireFamily
  readonly contentType: string
  /** The model that its answers name; undefined where the wire has no word for it. */
  readonly answeredBy: string | undefined
  /**
   * A good answer, one element a frame (event, line, message): each text one delta, usage of 11 input and 7 output
   * tokens, finish reason stop.
   */
  readonly answer: (texts: ReadonlyArray<string>) => ReadonlyArray<Uint8Array>
  /** A body cut before the last so many frames of `answer` is `incomplete_stream`. */
  readonly endFrames: number
  /** A good answer that is one tool call, its arguments in these pieces of JSON text. */
  readonly toolCall: (id: string, name: string, pieces: ReadonlyArray<string>) => ReadonlyArray<Uint8Array>
  /** An error that the wire sends in mid-stream; its kind is `overloaded`. */
  readonly overloaded: Uint8Array
  /** The body of an HTTP error with this message. */
  readonly errorBody: (message: string) => string
}

export interface Decoded {
  readonly events: ReadonlyArray<ProviderEvent>
  readonly fault: Fault | undefined
  readonly text: string
  readonly reasoning: string
  readonly toolCalls: ReadonlyArray<{ readonly id: string; readonly name: string; readonly arguments: unknown }>
  readonly finishReason: string | undefined
  readonly rawFinishReason: string | undefined
  readonly usage: Usage | undefined
  readonly rawUsage: unknown
}

const joined = (events: ReadonlyArray<ProviderEvent>, kind: "text" | "reasoning") =>
  events.flatMap((event) => (event._tag === "Delta" && event.kind === kind ? [event.text] : [])).join("")

export const decodedOf = (events: ReadonlyArray<ProviderEvent>, fault: Fault | undefined): Decoded => {
  const usage = events.findLast((event) => event._tag === "Usage")
  const finish = events.find((event) => event._tag === "Finish")
  return {
    events,
    fault,
    text: joined(events, "text"),
    reasoning: joined(events, "reasoning"),
    toolCalls: events.flatMap((event) =>
      event._tag === "ToolCall" ? [{ id: event.toolCallId, name: event.toolName, arguments: event.arguments }] : []
    ),
    finishReason: finish?.reason,
    rawFinishReason: finish?.raw,
    usage: usage?.usage,
    rawUsage: usage?.raw
  }
}

/** Feeds the pieces until the body or the answer ends, or a fault does. */
export const decode = (
  { decoder: makeDecoder }: Pick<WireFamily, "decoder">,
  pieces: Iterable<Uint8Array>
): Decoded => {
  const events: Array<ProviderEvent> = []
  let ids = 0
  const decoder: Decoder = makeDecoder({ emit: (event) => events.push(event), callId: () => `call_${++ids}` })
  for (const piece of pieces) {
    const fault = decoder.push(piece)
    if (fault !== undefined) return decodedOf(events, fault)
    if (decoder.progress() === "closed") break
  }
  return decodedOf(events, decoder.end())
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))

/** The body in pieces of `size` bytes. */
export const pieces = (body: Uint8Array, size: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(body.length / size) }, (_, index) => body.slice(index * size, (index + 1) * size))

/** The body cut at these places, in any order. */
export const cutAt = (body: Uint8Array, places: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const ends = [...new Set([...places.filter((place) => place > 0 && place < body.length), body.length])].sort((a, b) =>
    a - b
  )
  return ends.map((end, index) => body.slice(index === 0 ? 0 : ends[index - 1], end))
}

/** Deltas of one kind in a row joined: what no cut may change. */
export const settled = ({ events, fault, ...rest }: Decoded) => {
  const runs: Array<ProviderEvent> = []
  for (const event of events) {
    const last = runs.at(-1)
    if (
      event._tag === "Delta" && last?._tag === "Delta" && last.kind === event.kind &&
      last.toolCallId === event.toolCallId
    ) {
      runs[runs.length - 1] = { ...last, text: last.text + event.text }
    } else runs.push(event)
  }
  return { runs, fault: fault?.kind, ...rest }
}
