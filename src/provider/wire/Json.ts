/** Reading JSON that others wrote: any field may be missing, null or of another type, and then it is not there. */

export type JsonObject = { readonly [key: string]: unknown }

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const objectOf = (value: unknown): JsonObject | undefined => (isObject(value) ? value : undefined)

export const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

export const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

/** A text that says something: an empty one counts as absent. */
export const nameOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined

/** A count of tokens; anything but a whole, non-negative, exact number is unknown. */
export const countOf = (value: unknown): number | null =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null

/** Nesting that no wire comes near, and that whoever writes the value again can still follow. */
const depthMax = 512

/** Whether brackets stand deeper than `depthMax`. Brackets inside strings do not count. */
const isTooDeep = (text: string): boolean => {
  // a shorter text cannot be
  if (text.length <= 2 * depthMax) return false
  let depth = 0
  let inString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (inString) {
      if (code === 0x5c) index++
      else if (code === 0x22) inString = false
    } else if (code === 0x22) inString = true
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > depthMax) return true
    } else if (code === 0x5d || code === 0x7d) depth--
  }
  return false
}

/** Parsed, or undefined where it is not JSON, or nested deeper than any answer is. */
export const parse = (text: string): { readonly value: unknown } | undefined => {
  try {
    return isTooDeep(text) ? undefined : { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}
