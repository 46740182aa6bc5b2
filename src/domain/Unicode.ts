/**
 * Text that every storage and every reader gives back as it came: JSON can spell half of a surrogate pair, UTF-8 cannot
 * hold it, and it would be replaced in silence. Pure.
 */

/** With the flag `u` a pair is one character: this finds halves only. */
const half = /\p{Surrogate}/u

/** The path of the first string (or key) in a JSON value that is not well-formed, or undefined. Recurses as deep as the value. */
export const malformedPath = (
  value: unknown,
  path: ReadonlyArray<string | number> = []
): ReadonlyArray<string | number> | undefined => {
  if (typeof value === "string") return half.test(value) ? path : undefined
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const found = malformedPath(item, [...path, index])
      if (found !== undefined) return found
    }
  } else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      // a key that is malformed cannot be shown
      const found = half.test(key) ? path : malformedPath(item, [...path, key])
      if (found !== undefined) return found
    }
  }
  return undefined
}

/** Whether JSON text spells any half of a pair by an escape, the only way it can: cheap, and mostly false. */
export const mayBeMalformed = (json: string): boolean => /\\u[dD][89a-fA-F]/.test(json)
