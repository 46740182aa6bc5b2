/**
 * Newline-delimited JSON to frames. A last line without a line feed counts, unless it is cut. A body whose first line
 * only begins a document (an error, printed over several lines) is read as one frame at its end.
 */
import { type Decoder, frameBytesMax, type FrameDecoder } from "./Decoder.ts"
import { type Fault, protocol, unreadable } from "./Fault.ts"
import { parse } from "./Json.ts"

export const make = (decoder: FrameDecoder<unknown>): Decoder => {
  const text = new TextDecoder()
  let fault: Fault | undefined
  /** The line that has begun, as it came. */
  let pieces: Array<string> = []
  let size = 0

  let isFirst = true
  let isDocument = false

  const line = (content: string): Fault | undefined => {
    if (content.trim() === "" || decoder.progress() === "closed") return undefined
    const parsed = parse(content)
    if (parsed === undefined && isFirst && /^\s*[[{]\s*$/.test(content)) {
      isDocument = true
      keep(`${content}\n`)
      return undefined
    }
    isFirst = false
    return parsed === undefined ? unreadable : decoder.frame(parsed.value)
  }

  const keep = (part: string): void => {
    pieces.push(part)
    size += part.length
  }

  const feed = (part: string): Fault | undefined => {
    let from = 0
    for (let to = part.indexOf("\n"); to >= 0 && !isDocument; to = part.indexOf("\n", from)) {
      const rest = part.slice(from, to)
      const whole = pieces.length === 0 ? rest : pieces.join("") + rest
      pieces = []
      size = 0
      from = to + 1
      const found = line(whole)
      if (found !== undefined) return found
    }
    if (from < part.length) keep(part.slice(from))
    return size > frameBytesMax ? protocol(`one line is larger than ${frameBytesMax} characters`) : undefined
  }

  return {
    push: (bytes) => (fault ??= feed(text.decode(bytes, { stream: true }))),
    end: () => {
      if (fault !== undefined) return fault
      const last = line(pieces.join("") + text.decode())
      return last === undefined || last === unreadable ? decoder.end() : last
    },
    progress: decoder.progress
  }
}
