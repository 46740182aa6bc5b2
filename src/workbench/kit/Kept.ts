/**
 * What the browser keeps for the page, as strings: in this browser (`local`), or until the tab is closed (`tab`). Where it
 * keeps nothing (its settings, a full disk) a value lives as long as the page. What this page wrote is what it reads,
 * whatever another tab wrote since.
 */
const prefix = "turnstream."

const make = (storage: () => Storage) => {
  const written = new Map<string, string | undefined>()
  return {
    read: (key: string): string | undefined => {
      try {
        return written.has(key) ? written.get(key) : storage().getItem(prefix + key) ?? undefined
      } catch {
        return undefined
      }
    },
    /** Undefined removes it. */
    write: (key: string, value: string | undefined): void => {
      written.set(key, value)
      try {
        if (value === undefined) storage().removeItem(prefix + key)
        else storage().setItem(prefix + key, value)
      } catch {
        // kept above
      }
    }
  }
}

export const local = make(() => localStorage)
export const tab = make(() => sessionStorage)
