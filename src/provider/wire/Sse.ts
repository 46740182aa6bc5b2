/**
 * Server-sent events to frames (eventsource-parser): comments, CR, LF and CRLF, BOM, several `data` lines.
 *
 * Beyond the format: an `error:` field counts as an error event (llama-box sends it); an event that no blank line
 * follows still counts at the end, unless it is cut; a body that is one JSON document instead of a stream is given as
 * one event, so that an error under HTTP 200 is read whatever its content type says.
 */
import { createParser } from "eventsource-parser"
import { type Decoder, frameBytesMax, type FrameDecoder } from "./Decoder.ts"
import { type Fault, protocol, unreadable } from "./Fault.ts"

export interface SseEvent {
  readonly event: string | undefined
  readonly data: string
}

/** Lines without an event: a line costs memory beyond its characters. */
const linesMax = 65_536

const tooLarge = () => protocol(`one event is larger than ${frameBytesMax} characters, or ${linesMax} lines`)

const linesIn = (part: string): number => {
  let count = 0
  for (let at = part.indexOf("\n"); at >= 0; at = part.indexOf("\n", at + 1)) count++
  if (count > 0) return count
  for (let at = part.indexOf("\r"); at >= 0; at = part.indexOf("\r", at + 1)) count++
  return count
}

export const make = (decoder: FrameDecoder<SseEvent>): Decoder => {
  const text = new TextDecoder()
  let fault: Fault | undefined
  /** Since the last event. */
  let lines = 0
  const frame = (event: SseEvent) => {
    if (fault === undefined && event.data !== "" && decoder.progress() !== "closed") fault = decoder.frame(event)
  }
  const parser = createParser({
    maxBufferSize: frameBytesMax,
    onEvent: ({ data, event }) => {
      lines = 0
      frame({ event, data })
    },
    onError: ({ field, type, value }) => {
      if (type === "max-buffer-size-exceeded") fault ??= tooLarge()
      else if (type === "unknown-field" && field === "error" && value !== undefined) {
        frame({ event: "error", data: value })
      }
    }
  })

  /** Pieces of a body that is one document; undefined before its first character and in a stream of events. */
  let pieces: Array<string> | undefined
  let size = 0
  let begun = false

  const feed = (given: string): void => {
    let part = given
    if (!begun) {
      // blank lines may come before either, to keep the connection open
      const start = given.trimStart()
      begun = start !== ""
      if (start.startsWith("{") || start.startsWith("[")) {
        pieces = []
        part = start
      }
    }
    if (pieces === undefined) {
      lines += linesIn(part)
      parser.feed(part)
      if (lines > linesMax) fault ??= tooLarge()
    } else if ((size += part.length) > frameBytesMax) fault ??= tooLarge()
    else pieces.push(part)
  }

  return {
    push: (bytes) => {
      const part = text.decode(bytes, { stream: true })
      if (fault === undefined && part !== "") feed(part)
      return fault
    },
    end: () => {
      if (fault !== undefined) return fault
      if (pieces !== undefined) frame({ event: undefined, data: pieces.join("") })
      else parser.feed(`${text.decode()}\n\n`)
      // what cannot be read at the very end is a cut, and the decoder knows whether it matters
      const last = fault as Fault | undefined
      return last === undefined || last === unreadable ? decoder.end() : last
    },
    progress: decoder.progress
  }
}
