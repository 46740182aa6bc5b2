/**
 * What was made of a list that is seen again and again and grows at its end: kept by the last object of the list, so that the
 * next one, a few objects longer, finds it, also where it begins later by then.
 *
 * Sound where no object of a list is written to once it is there: objects are compared, not what they say. Bounded: a value
 * lives no longer than its last object, the one that is gone on from makes room for what comes of it, and of all that is
 * kept what was put there first goes where it is more than `sizeMax`.
 */

/** A turn adds two messages; an import of a partner, a refused or a cut turn fewer. Beyond it a list counts as new. */
const stepsMax = 8

export interface Beginning<K> {
  readonly items: ReadonlyArray<K>
}

export interface Found<V> {
  readonly value: V
  /** So many of its first items do not stand there any more. */
  readonly skip: number
}

export interface Beginnings<K, V> {
  /** What is kept of the longest list that `all` has from `from` on, ending before `end`. */
  readonly find: (all: ReadonlyArray<K>, end: number, from?: number) => Found<V> | undefined
  /** Instead of `last`, which it goes on from. */
  readonly put: (value: V, size: number, last: V | undefined) => void
}

/** Whether these very objects, but for the first `skip`, stand in `all` from there on. */
const stands = (items: ReadonlyArray<unknown>, skip: number, all: ReadonlyArray<unknown>, from: number): boolean => {
  for (let index = skip; index < items.length; index++) if (items[index] !== all[from + index - skip]) return false
  return true
}

export const make = <K extends object, V extends Beginning<K>>(sizeMax: number): Beginnings<K, V> => {
  const kept = new WeakMap<K, { readonly value: V; readonly ref: WeakRef<K> }>()
  /** Oldest first. */
  const sizes = new Map<WeakRef<K>, number>()
  let total = 0

  const forget = (ref: WeakRef<K>): void => {
    total -= sizes.get(ref) ?? 0
    sizes.delete(ref)
    const key = ref.deref()
    if (key !== undefined && kept.get(key)?.ref === ref) kept.delete(key)
  }
  const forgetOf = (value: V | undefined): void => {
    const key = value?.items.at(-1)
    const found = key === undefined ? undefined : kept.get(key)
    if (found !== undefined) forget(found.ref)
  }

  return {
    find: (all, end, from = 0) => {
      for (let index = end - 1; index >= from && index >= end - stepsMax; index--) {
        const key = all[index]
        const value = key === undefined ? undefined : kept.get(key)?.value
        if (value === undefined) continue
        const skip = value.items.length - (index - from + 1)
        if (skip >= 0 && stands(value.items, skip, all, from)) return { value, skip }
      }
      return undefined
    },
    put: (value, size, last) => {
      forgetOf(last)
      forgetOf(value)
      const key = value.items.at(-1)
      if (key === undefined || size > sizeMax) return
      const ref = new WeakRef(key)
      kept.set(key, { value, ref })
      sizes.set(ref, size)
      total += size
      for (const oldest of sizes.keys()) {
        if (total <= sizeMax) break
        forget(oldest)
      }
    }
  }
}
