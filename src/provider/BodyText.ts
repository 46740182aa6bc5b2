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
  /** Of these items, each with a comma before it, from `start` on; behind the last there is room for more. */
  readonly bytes: Buffer
  readonly start: number
  /** Where each ends. */
  readonly ends: ReadonlyArray<number>
}

const nothing: Begun = { items: [], bytes: Buffer.alloc(0), start: 0, ends: [] }
const endOf = ({ ends, start }: Begun): number => ends.at(-1) ?? start

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

const skipping = ({ skip, value }: Beginnings.Found<Begun>): Begun => ({
  items: value.items,
  bytes: value.bytes,
  start: skip === 0 ? value.start : value.ends[skip - 1] ?? value.start,
  ends: value.ends.slice(skip)
})

/** With room for `size` more behind it. */
const roomy = (known: Begun, size: number): Begun => {
  const length = endOf(known) - known.start
  if (known.bytes.length >= endOf(known) + size) return known
  const bytes = Buffer.allocUnsafeSlow(roomFor(length + size))
  known.bytes.copy(bytes, 0, known.start, endOf(known))
  return { items: known.items, bytes, start: 0, ends: known.ends.map((end) => end - known.start) }
}

/** What is kept is added to in place: nobody else goes on from it. */
const extended = (known: Begun, items: ReadonlyArray<object>, to: number): Begun => {
  const added = items.slice(known.ends.length + 1, to).map((item) => Buffer.from(`,${JSON.stringify(item)}`))
  const { bytes, ends, start } = roomy(known, added.reduce((sum, { length }) => sum + length, 0))
  const all = [...ends]
  let end = ends.at(-1) ?? start
  for (const one of added) all.push(end += one.copy(bytes, end))
  return { items: items.slice(1, to), bytes, start, ends: all }
}

const kept = (items: ReadonlyArray<object>): Begun => {
  const settled = Growing.settledOf(items)
  if (settled < 2) return nothing
  const last = begun.find(items, settled, 1)
  if (last?.skip === 0 && last.value.items.length + 1 === settled) return last.value
  const found = extended(last === undefined ? nothing : skipping(last), items, settled)
  begun.put(found, found.bytes.length, last?.value)
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
    const start = kept(value)
    if (start.items.length > 0) {
      pieces.push(Buffer.from(text), start.bytes.subarray(start.start, endOf(start)))
      text = ""
    }
    text += `${textOf(value, start.items.length + 1, value.length)}]`
  }
  return Buffer.concat([...pieces, Buffer.from(`${text}}`)])
}
