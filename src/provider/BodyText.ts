/**
 * A call's body as JSON in UTF-8: the bytes of `JSON.stringify(body)`, going on from the last call of the conversation
 * where it can.
 *
 * A conversation is sent whole each time and grows at its end. The bytes of what it began with are kept, and used again
 * as long as its items are the same objects (`wire/Growing.ts` makes them so). The first item stands outside, since
 * instructions are made anew each time.
 */
import * as Beginnings from "../domain/Beginnings.ts"
import * as Growing from "./wire/Growing.ts"

interface Begun {
  /** From the second on. */
  readonly items: ReadonlyArray<object>
  /** Of these items, each with a comma before it; behind `length` there is room for more. */
  readonly bytes: Buffer
  readonly length: number
}

const nothing: Begun = { items: [], bytes: Buffer.alloc(0), length: 0 }

/** Bytes of all conversations: ten of 5,000 short messages. */
const bytesMax = 8 * 1024 * 1024
const begun = Beginnings.make<object, Begun>(bytesMax)

/** Room for growth: a conversation is copied once for each eighth that it grows by. */
const roomFor = (bytes: number): number => bytes + (bytes >> 3)

const isObjects = (items: ReadonlyArray<unknown>): items is ReadonlyArray<object> =>
  items.every((item) => typeof item === "object" && item !== null)

const textOf = (items: ReadonlyArray<object>, from: number, to: number): string => {
  let text = ""
  for (let index = from; index < to; index++) text += `,${JSON.stringify(items[index])}`
  return text
}

/** What is kept is added to in place: nobody else goes on from it. */
const extended = (known: Begun, items: ReadonlyArray<object>, to: number): Begun => {
  if (known.items.length + 1 === to) return known
  const added = Buffer.from(textOf(items, known.items.length + 1, to))
  const length = known.length + added.length
  let { bytes } = known
  if (bytes.length < length) {
    bytes = Buffer.allocUnsafeSlow(roomFor(length))
    known.bytes.copy(bytes, 0, 0, known.length)
  }
  added.copy(bytes, known.length)
  return { items: items.slice(1, to), bytes, length }
}

const kept = (items: ReadonlyArray<object>): Begun => {
  const settled = Growing.settledOf(items)
  if (settled < 2) return nothing
  const last = begun.find(items, settled, 1)
  const found = extended(last ?? nothing, items, settled)
  if (found !== last) begun.put(found, found.bytes.length, last)
  return found
}

export const encode = (body: Readonly<Record<string, unknown>>): Uint8Array => {
  const pieces: Array<Buffer> = []
  let text = "{"
  for (const [name, value] of Object.entries(body)) {
    const isList = Array.isArray(value) && isObjects(value) && value.length > 0
    const json = isList ? `[${JSON.stringify(value[0])}` : JSON.stringify(value)
    if (json === undefined) continue
    text += `${text.length > 1 || pieces.length > 0 ? "," : ""}${JSON.stringify(name)}:${json}`
    if (!isList) continue
    const { bytes, items, length } = kept(value)
    if (length > 0) {
      pieces.push(Buffer.from(text), bytes.subarray(0, length))
      text = ""
    }
    text += `${textOf(value, items.length + 1, value.length)}]`
  }
  return Buffer.concat([...pieces, Buffer.from(`${text}}`)])
}
