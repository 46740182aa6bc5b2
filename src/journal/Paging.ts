/** Pages by position: a cursor is the position of the last item, in digits, and opaque to clients. */
import * as Effect from "effect/Effect"
import type { Page } from "../domain/Resources.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import type { PageRequest } from "./Journal.ts"

/** At most 15 digits: always a safe integer. */
const shape = /^\d{1,15}$/

/** The position after which a page begins; 0 for the first. */
export const cursorOf = ({ cursor }: PageRequest): Effect.Effect<number, JournalFailure> =>
  cursor === undefined
    ? Effect.succeed(0)
    : shape.test(cursor)
    ? Effect.succeed(Number(cursor))
    : new JournalFailure({ operation: "page", retryable: false, reason: "a malformed cursor" })

/**
 * Bytes of content that a page holds, whatever its limit: with one item at least. Sixteen answers as long as the default
 * output cap lets them be.
 */
export const pageBytesMax = 4 * 1024 * 1024

/** How many of these rows, by size, make a page: at least one. */
export const within = (rows: ReadonlyArray<{ readonly size: number }>, bytesMax: number): number => {
  let bytes = 0
  let count = 0
  for (const { size } of rows) {
    bytes += size
    if (count > 0 && bytes > bytesMax) break
    count++
  }
  return count
}

/** Of up to `limit + 1` places that come next, how many are shown: at most `limit`, and no more than a page may hold. */
export const fitting = (places: ReadonlyArray<{ readonly size: number }>, limit: number): number =>
  within(places.slice(0, limit), pageBytesMax)

/** A page of these rows; `more`: there is something after them. */
export const pageOf = <R, A>(
  rows: ReadonlyArray<R>,
  more: boolean,
  position: (row: R) => number,
  item: (row: R) => A
): Page<A> => {
  const last = rows.at(-1)
  return { items: rows.map(item), ...(more && last !== undefined ? { nextCursor: String(position(last)) } : {}) }
}

/** `rows` holds one more than `limit` where there is more. */
export const cutPage = <R, A>(
  rows: ReadonlyArray<R>,
  limit: number,
  position: (row: R) => number,
  item: (row: R) => A
): Page<A> => pageOf(rows.slice(0, limit), rows.length > limit, position, item)
