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

/** `rows` holds one more than `limit` where there is more. */
export const cutPage = <R, A>(
  rows: ReadonlyArray<R>,
  limit: number,
  position: (row: R) => number,
  item: (row: R) => A
): Page<A> => {
  const kept = rows.slice(0, limit)
  const last = kept.at(-1)
  return {
    items: kept.map(item),
    ...(rows.length > limit && last !== undefined ? { nextCursor: String(position(last)) } : {})
  }
}
