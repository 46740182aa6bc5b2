/**
 * Lists of a request that are made anew in each turn and differ only at their end: what was made of the beginning is used
 * again (`Beginnings`). The newest items are not kept: the question becomes another object once it is history.
 */
import * as Beginnings from "../../domain/Beginnings.ts"

/** Below it nothing is kept: the bookkeeping would cost what it saves. */
const itemsMin = 32
const unsettled = 2

/** Items of all lists that are kept of one kind: thirteen conversations of 5,000 messages, some 5 MB of objects. */
export const keptMax = 65_536

/** How many items of a list may be kept. */
export const settledOf = (items: ReadonlyArray<unknown>): number =>
  items.length < itemsMin ? 0 : items.length - unsettled

interface Begun<A, B> extends Beginnings.Beginning<A> {
  readonly made: ReadonlyArray<B>
}

/**
 * `items.flatMap(of)`; kept as far as each item `isOwn`: what is made of it depends on nothing else, and it is the same object
 * the next time.
 */
export const make = <A extends object, B>(isOwn: (item: A) => boolean = () => true) => {
  const begun = Beginnings.make<A, Begun<A, B>>(keptMax)

  const extend = (
    known: Begun<A, B> | undefined,
    items: ReadonlyArray<A>,
    settled: number,
    of: (item: A) => ReadonlyArray<B>
  ): Begun<A, B> => {
    const before = known ?? { items: [], made: [] }
    const made: Array<B> = []
    let end = before.items.length
    for (; end < settled; end++) {
      const item = items[end]
      if (item === undefined || !isOwn(item)) break
      for (const one of of(item)) made.push(one)
    }
    if (end === before.items.length) return before
    const found = { items: items.slice(0, end), made: before.made.concat(made) }
    begun.put(found, end, known)
    return found
  }

  return (items: ReadonlyArray<A>, of: (item: A) => ReadonlyArray<B>): ReadonlyArray<B> => {
    const settled = settledOf(items)
    const { items: { length }, made } = extend(begun.find(items, settled), items, settled, of)
    return made.concat(items.slice(length).flatMap(of))
  }
}
