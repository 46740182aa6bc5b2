/**
 * A call's body as JSON: `JSON.stringify(body)`, going on from the last call of the conversation where it can.
 *
 * A conversation is sent whole each time and grows at its end. The text of what it began with is kept, and used again
 * as long as its items are the same objects (`Prompt.perEntry` makes them so), which never change: a turn then encodes
 * what is new. Kept per first item, and gone with it: no longer than the messages that it was made of.
 */

interface Begun {
  readonly items: ReadonlyArray<object>
  /** With commas between them. */
  readonly text: string
}

const begun = new WeakMap<object, Begun>()

/** Below it nothing is kept: the bookkeeping would cost what it saves. */
const itemsMin = 32

/** The newest items change: the question becomes another object once it is history, and a prefix is asked once. */
const unsettled = 2

const isObjects = (items: ReadonlyArray<unknown>): items is ReadonlyArray<object> =>
  items.every((item) => typeof item === "object" && item !== null)

const textOf = (items: ReadonlyArray<object>, from: number, to: number): string => {
  const texts: Array<string> = []
  for (let index = from; index < to; index++) texts.push(JSON.stringify(items[index]))
  return texts.join(",")
}

const joined = (...texts: ReadonlyArray<string>): string => texts.filter((text) => text !== "").join(",")

/** Whether these very objects stand behind the first of `items`, and nothing newer than `settled`. */
const fits = (start: ReadonlyArray<object>, items: ReadonlyArray<object>, settled: number): boolean =>
  start.length < settled && start.every((item, index) => item === items[index + 1])

const listText = (items: ReadonlyArray<object>): string => {
  // The first item may be the instructions, which are made anew each time: it stands outside what is kept.
  const [head, key] = items
  if (head === undefined || key === undefined || items.length < itemsMin) {
    return `[${textOf(items, 0, items.length)}]`
  }
  const last = begun.get(key)
  const settled = items.length - unsettled
  const known = last !== undefined && fits(last.items, items, settled) ? last : { items: [], text: "" }
  const text = joined(known.text, textOf(items, known.items.length + 1, settled))
  begun.set(key, { items: items.slice(1, settled), text })
  return `[${joined(JSON.stringify(head), text, textOf(items, settled, items.length))}]`
}

export const encode = (body: Readonly<Record<string, unknown>>): string => {
  const fields: Array<string> = []
  for (const [name, value] of Object.entries(body)) {
    const text = Array.isArray(value) && isObjects(value) ? listText(value) : JSON.stringify(value)
    if (text !== undefined) fields.push(`${JSON.stringify(name)}:${text}`)
  }
  return `{${fields.join(",")}}`
}
