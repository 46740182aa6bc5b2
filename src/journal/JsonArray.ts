/**
 * Cuts the elements of one top-level member (`"messages": [...]`) out of a JSON document while its bytes arrive, so that
 * no string and no parse need hold the whole.
 *
 * It splits and does not judge: elements go out as arrays of some of them, in order, and `rest` is the document with an
 * empty array in their place. The document is valid exactly when each of these is valid JSON and no array but an only one
 * is empty: where a bracket or a comma stands wrong, a piece or the rest holds it and does not parse.
 *
 * Of members of the same name the last one counts, as in `JSON.parse`; `begin` tells of each. Held: the rest, up to
 * `restBytesMax` with runs of white space as one, and the piece that is not yet full. A single element is never divided.
 */

export interface Options {
  readonly member: string
  /** Arrays and objects in one another. Told from the bytes, before anything is built of them. */
  readonly depthMax: number
  /** Bytes of all but the member's elements. */
  readonly restBytesMax: number
  /** A piece goes out with the element that fills it. */
  readonly pieceBytes: number
  /** The member's array begins; what came of an earlier one does not count. */
  readonly begin: () => void
  /** JSON of an array of the next elements. */
  readonly take: (piece: Buffer) => void
}

export interface JsonArray {
  readonly write: (bytes: Uint8Array) => void
  /** Of all that was written. */
  readonly rest: () => Buffer
  /** Which limit it went beyond, if any: nothing is cut out from there on. */
  readonly beyond: () => "depth" | "rest" | undefined
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openArray = 0x5b
const closeArray = 0x5d
const openObject = 0x7b
const closeObject = 0x7d

const open = Buffer.of(openArray)
const close = Buffer.of(closeArray)

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/** Whether the bytes are JSON of this text; a name may be spelled by escapes. */
const spells = (bytes: ReadonlyArray<number>, text: string): boolean => {
  // each character as \uXXXX, and two quotes
  if (bytes.length > 6 * text.length + 2) return false
  try {
    return JSON.parse(Buffer.from(bytes).toString("latin1")) === text
  } catch {
    return false
  }
}

export const make = ({ begin, depthMax, member, pieceBytes, restBytesMax, take }: Options): JsonArray => {
  const rest: Array<number> = []
  let beyond: "depth" | "rest" | undefined
  let depth = 0
  let inString = false
  let escaped = false
  /** Within the member's array. */
  let cutting = false
  /** Of the piece that fills, but for those in the chunk at hand. */
  let held: Array<Uint8Array> = []
  let heldBytes = 0
  /** In `rest`: where the string began that is or was read last, and its end; the last byte that is no white space. */
  let nameFrom = 0
  let nameTo = 0
  let last = 0

  const keep = (byte: number): void => {
    if (isSpace(byte) && !inString && isSpace(rest.at(-1) ?? 0)) return
    if (rest.length < restBytesMax) rest.push(byte)
    else beyond ??= "rest"
  }

  const hold = (bytes: Uint8Array): void => {
    // a copy: the chunk is as large again as what is left of it
    held.push(Buffer.from(bytes))
    heldBytes += bytes.length
  }

  const give = (bytes: Uint8Array): void => {
    const piece = Buffer.concat([open, ...held, bytes, close])
    held = []
    heldBytes = 0
    take(piece)
  }

  /** Outside the member's array. True where it begins. */
  const outside = (byte: number): boolean => {
    const begins = byte === openArray && depth === 1 && last === colon && spells(rest.slice(nameFrom, nameTo), member)
    if (inString || byte === quote) {
      if (!inString) nameFrom = rest.length
      else if (byte === quote && !escaped) nameTo = rest.length + 1
    }
    if (!isSpace(byte)) last = byte
    keep(byte)
    return begins
  }

  const write = (bytes: Uint8Array): void => {
    let from = 0
    for (let at = 0; at < bytes.length && beyond !== "depth"; at++) {
      const byte = bytes[at] ?? 0
      const begins = cutting ? false : outside(byte)
      if (inString) {
        if (escaped) escaped = false
        else if (byte === backslash) escaped = true
        else if (byte === quote) inString = false
      } else if (byte === quote) inString = true
      else if (byte === openArray || byte === openObject) {
        if (++depth > depthMax) beyond = "depth"
        if (begins) {
          cutting = true
          from = at + 1
          begin()
        }
      } else if (byte === closeArray || byte === closeObject) {
        if (--depth === 1 && cutting) {
          give(bytes.subarray(from, at))
          cutting = false
          last = byte
          keep(byte)
        }
      } else if (byte === comma && cutting && depth === 2 && heldBytes + at - from >= pieceBytes) {
        give(bytes.subarray(from, at))
        from = at + 1
      }
    }
    if (cutting && from < bytes.length) hold(bytes.subarray(from))
  }

  return { write, rest: () => Buffer.from(rest), beyond: () => beyond }
}
