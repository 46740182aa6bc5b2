/**
 * What this browser keeps for the page between two visits, as strings. A browser that keeps nothing (its settings, a
 * full disk) costs the comfort, never an error.
 */
const prefix = "turnstream."

export const read = (key: string): string | undefined => {
  try {
    return localStorage.getItem(prefix + key) ?? undefined
  } catch {
    return undefined
  }
}

/** Undefined removes it. */
export const write = (key: string, value: string | undefined): void => {
  try {
    if (value === undefined) localStorage.removeItem(prefix + key)
    else localStorage.setItem(prefix + key, value)
  } catch {
    // the value lives as long as the page
  }
}
