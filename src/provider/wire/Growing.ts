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

/** One of each item. */
interface Begun<A, B> extends Beginnings.Beginning<A> {
  readonly made: ReadonlyArray<B>
}

/**
 * `items.flatMap(of)`; kept as far as each item gives one and `isOwn`: what is made of it depends on nothing else, and it is
 * the same object the next time.
 */
export const make = <A extends object, B>(isOwn: (item: A) => boolean = () => true) => {
  const begun = Beginnings.make<A, Begun<A, B>>(keptMax)

  const extend = (
    known: Beginnings.Found<Begun<A, B>> | undefined,
    items: ReadonlyArray<A>,
    settled: number,
    of: (item: A) => ReadonlyArray<B>
  ): Begun<A, B> => {
    if (known?.skip === 0 && known.value.items.length === settled) return known.value
    const made = known === undefined ? [] : known.value.made.slice(known.skip)
    for (let end = made.length; end < settled; end++) {
      const item = items[end]
      const own = item === undefined || !isOwn(item) ? [] : of(item)
      const [one] = own
      if (one === undefined || own.length > 1) break
      made.push(one)
    }
    const found = { items: items.slice(0, made.length), made }
    begun.put(found, made.length, known?.value)
    return found
  }

  return (items: ReadonlyArray<A>, of: (item: A) => ReadonlyArray<B>): ReadonlyArray<B> => {
    const settled = settledOf(items)
    const { items: { length }, made } = extend(begun.find(items, settled), items, settled, of)
    return made.concat(items.slice(length).flatMap(of))
  }
}
