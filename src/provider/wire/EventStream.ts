/**
 * AWS event stream (application/vnd.amazon.eventstream) to messages: prelude (total length, length of the headers, CRC of
 * both), headers, body, CRC of it all. The codec of the SDK reads a whole message; this finds where one ends.
 *
 * The CRC of the prelude is checked before its length is believed, so that a damaged length neither allocates nor waits.
 * A message that lies whole in the bytes pushed is read where it lies; another is copied once, into its exact size. A
 * body that begins like JSON is no event stream but an error: no message is long enough to begin so.
 */
import { EventStreamCodec } from "@smithy/eventstream-codec"
import { type Decoder, frameBytesMax, type FrameDecoder } from "./Decoder.ts"
import { errorIn, type Fault, fromError, incomplete, protocol } from "./Fault.ts"
import { objectOf, parse } from "./Json.ts"

export interface EventStreamMessage {
  /** Headers whose value is a string; those of other types say nothing that we read. */
  readonly headers: ReadonlyMap<string, string>
  /** Valid while the message is handled: a view of the bytes that came. */
  readonly body: Uint8Array
}

const preludeBytes = 12
/** A message without headers and body: the prelude and the CRC of the whole. */
const overheadBytes = 16

/** How JSON begins; as the first byte of a length it would mean two gigabytes. */
const openBrace = 0x7b
/** Of a document as much as an error says. */
const documentBytesMax = 65_536

export const utf8 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8")

const codec = new EventStreamCodec(utf8, (text) => Buffer.from(text, "utf8"))

/** CRC-32 of the eight bytes from `at`. Node has one only from 20.15 on, and eight bytes need no table. */
const crcOfEight = (bytes: Uint8Array, at: number): number => {
  let crc = 0xffff_ffff
  for (let index = at; index < at + 8; index++) {
    crc ^= bytes[index] ?? 0
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0)
  }
  return ~crc >>> 0
}

/** The length of the message whose prelude begins at `at`. */
const lengthOf = (bytes: Uint8Array, at: number): number | Fault => {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, preludeBytes)
  if (view.getUint32(8) !== crcOfEight(bytes, at)) return protocol("the checksum of a message's prelude is wrong")
  const total = view.getUint32(0)
  if (total < overheadBytes) return protocol(`a message of ${total} bytes is too short to be one`)
  if (total > frameBytesMax) return protocol(`one message is larger than ${frameBytesMax} bytes`)
  if (view.getUint32(4) > total - overheadBytes) return protocol("the headers of a message are longer than the message")
  return total
}

/** The message in exactly these bytes, whose prelude was checked. */
const read = (bytes: Uint8Array): EventStreamMessage | Fault => {
  try {
    const { body, headers } = codec.decode(bytes)
    const texts = new Map<string, string>()
    for (const name of Object.keys(headers)) {
      const header = headers[name]
      if (header?.type === "string") texts.set(name, header.value)
    }
    return { headers: texts, body }
  } catch (error) {
    const isChecksum = error instanceof Error && error.message.includes("message checksum")
    return protocol(isChecksum ? "the checksum of a message is wrong" : "the headers of a message cannot be read")
  }
}

/** The error that a document tells instead of an answer; one that is cut tells nothing. */
const documentFault = (pieces: ReadonlyArray<Uint8Array>): Fault => {
  const body = parse(utf8(Buffer.concat(pieces)))?.value
  const error = errorIn(body) ?? objectOf(body)
  return error === undefined ? incomplete : fromError(error)
}

export const make = (decoder: FrameDecoder<EventStreamMessage>): Decoder => {
  const prelude = new Uint8Array(preludeBytes)
  /** What is being filled: the prelude, then the message that it announced. */
  let target = prelude
  let filled = 0
  let fault: Fault | undefined

  /** The body as far as it is JSON instead; undefined before its first byte and in a stream of messages. */
  let document: Array<Uint8Array> | undefined
  let begun = false

  const message = (bytes: Uint8Array): Fault | undefined => {
    const found = read(bytes)
    return "kind" in found ? found : decoder.frame(found)
  }

  /** Copies from `from` on until `target` is full or the bytes end; gives the place after them. */
  const fill = (bytes: Uint8Array, from: number): number => {
    const part = bytes.subarray(from, from + target.length - filled)
    target.set(part, filled)
    filled += part.length
    if (filled < target.length) return bytes.length
    if (target === prelude) {
      const total = lengthOf(prelude, 0)
      if (typeof total !== "number") fault = total
      else (target = new Uint8Array(total)).set(prelude)
    } else {
      const whole = target
      target = prelude
      filled = 0
      fault = message(whole)
    }
    return from + part.length
  }

  const feed = (bytes: Uint8Array): void => {
    let from = 0
    while (fault === undefined && from < bytes.length && decoder.progress() !== "closed") {
      if (filled === 0 && bytes.length - from >= preludeBytes) {
        const total = lengthOf(bytes, from)
        if (typeof total !== "number") {
          fault = total
          return
        }
        if (bytes.length - from >= total) {
          fault = message(bytes.subarray(from, from + total))
          from += total
          continue
        }
      }
      from = fill(bytes, from)
    }
  }

  return {
    push: (bytes) => {
      if (!begun && bytes.length > 0) {
        begun = true
        if (bytes[0] === openBrace) document = []
      }
      if (document === undefined) feed(bytes)
      else if (filled < documentBytesMax) {
        document.push(Uint8Array.from(bytes))
        filled += bytes.length
      }
      return fault
    },
    end: () => {
      if (document !== undefined) return documentFault(document)
      // a message that was cut after the answer's end costs the usage, not the answer
      return fault ?? (filled > 0 && decoder.progress() === "open" ? incomplete : decoder.end())
    },
    progress: decoder.progress
  }
}
