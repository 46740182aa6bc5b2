/**
 * Lists that are made anew in each turn and differ only at their end: what was made of the beginning is used again.
 *
 * Sound because nothing in it changes: an item is made by a pure function of it alone, items are compared as objects, and
 * no object is written to once it is here. Kept per conversation by its second item (the first may be the same in all),
 * and gone with it. The newest items are not kept: the question becomes another object once it is history.
 */

/** Below it nothing is kept: the bookkeeping would cost what it saves. */
const itemsMin = 32
const unsettled = 2

/** How many items of a list may be kept. */
export const settledOf = (items: ReadonlyArray<unknown>): number =>
  items.length < itemsMin ? 0 : items.length - unsettled

/** Whether `all` has these very objects from `from` on, none of them unsettled. */
export const stands = (kept: ReadonlyArray<object>, all: ReadonlyArray<object>, from = 0): boolean => {
  if (from + kept.length > settledOf(all)) return false
  for (let index = 0; index < kept.length; index++) if (kept[index] !== all[from + index]) return false
  return true
}

interface Begun<A, B> {
  readonly items: ReadonlyArray<A>
  readonly made: ReadonlyArray<B>
}

/**
 * `items.flatMap(of)`; kept as far as each item `isOwn`: what is made of it depends on nothing else, and it is the same object
 * the next time.
 */
export const make = <A extends object, B>(isOwn: (item: A) => boolean = () => true) => {
  const begun = new WeakMap<A, Begun<A, B>>()
  const none: Begun<A, B> = { items: [], made: [] }

  const extend = (known: Begun<A, B>, items: ReadonlyArray<A>, of: (item: A) => ReadonlyArray<B>): Begun<A, B> => {
    const settled = settledOf(items)
    const made: Array<B> = []
    let end = known.items.length
    for (; end < settled; end++) {
      const item = items[end]
      if (item === undefined || !isOwn(item)) break
      for (const one of of(item)) made.push(one)
    }
    return made.length === 0 ? known : { items: items.slice(0, end), made: known.made.concat(made) }
  }

  return (items: ReadonlyArray<A>, of: (item: A) => ReadonlyArray<B>): ReadonlyArray<B> => {
    const key = items[1]
    const last = key === undefined ? undefined : begun.get(key)
    const known = extend(last !== undefined && stands(last.items, items) ? last : none, items, of)
    if (key !== undefined && known.items.length > 0 && known !== last) begun.set(key, known)
    return known.made.concat(items.slice(known.items.length).flatMap(of))
  }
}
