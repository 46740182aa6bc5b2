/**
 * Takes out of a text what must not be shown. A vendor echoes a key whole or cut, and quotes the prompt in an error:
 * any run of characters that also stands in a secret goes. Pure.
 */
import { keyLike, mask } from "../domain/Secrets.ts"

/** A text, and how many of its characters in a row may not be shown. */
export interface Hidden {
  readonly text: string
  readonly runMin: number
}

/** Characters of a key that tell it: less than this stands in any text by chance. */
const keyRunMin = 8
/** Characters of a prompt that quote it. */
const promptRunMin = 32
/** Of each hidden text, as much as is looked through: a failure must not cost a second. */
export const hiddenCharsMax = 262_144

export const key = (text: string): Hidden => ({ text, runMin: Math.min(keyRunMin, text.length) })
export const prompt = (text: string): Hidden => ({ text: text.slice(-hiddenCharsMax), runMin: promptRunMin })

const withoutOne = (shown: string, { runMin, text }: Hidden): string => {
  if (text.length < runMin || runMin < 4) return shown
  let out = ""
  let from = 0
  for (let at = 0; at + runMin <= shown.length;) {
    if (!text.includes(shown.slice(at, at + runMin))) {
      at++
      continue
    }
    let end = at + runMin
    while (end < shown.length && text.includes(shown.slice(end - runMin + 1, end + 1))) end++
    out += shown.slice(from, at) + mask
    from = end
    at = end
  }
  return out + shown.slice(from)
}

export const without = (shown: string, hidden: ReadonlyArray<Hidden>): string =>
  hidden.reduce(withoutOne, shown).replace(keyLike, mask)
