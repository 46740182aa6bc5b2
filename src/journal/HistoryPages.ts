/**
 * A history read page by page, from what is kept where it is kept (`HistoryCache`) and else from its rows. Gives the pages
 * that the rows alone would give: the same exchanges, the same cursors.
 */
import * as Effect from "effect/Effect"
import type { HistoryReader } from "../domain/History.ts"
import type { SessionId } from "../domain/Ids.ts"
import { exchangesOf, type Unit } from "./Exchanges.ts"
import type { HistoryCache } from "./HistoryCache.ts"

export interface Start {
  /** The history is what stands below it. */
  readonly position: number
  /** Whether a question of a turn stands there, or nothing yet. */
  readonly isOfTurn: boolean
  /** Of the database, as its row is read with the position. */
  readonly epoch: number | null
}

/** The rows of one session, as units. */
export interface Source<E> {
  readonly start: Effect.Effect<Start, E>
  /** A page of what stands below a position and not below `from`, newest first. */
  readonly page: (
    below: number,
    charsMax: number,
    from?: number
  ) => Effect.Effect<{ readonly units: ReadonlyArray<Unit>; readonly cursor: number | undefined }, E>
}

/** Nothing is kept of it. */
export const plain = <E>(source: Source<E>): HistoryReader<E> => (cursor, charsMax) =>
  Effect.gen(function*() {
    const below = cursor ?? (yield* source.start).position
    const found = yield* source.page(below, charsMax)
    return { exchanges: exchangesOf(found.units), cursor: found.cursor }
  })

export const kept = <E>(cache: HistoryCache, id: SessionId, source: Source<E>): HistoryReader<E> => {
  /** Once its beginning is read, and as it was found then. */
  let isKept = false

  const page = (below: number, charsMax: number) =>
    Effect.suspend(() => {
      const known = cache.page(id, below)
      return known === undefined ? read(below, charsMax) : Effect.succeed(known)
    })

  const read = (below: number, charsMax: number) =>
    Effect.gen(function*() {
      const reading = cache.begin(id)
      const { cursor, units } = yield* source.page(below, charsMax)
      cache.older(reading, units, below, cursor === undefined)
      return { exchanges: exchangesOf(units), cursor }
    })

  /** Reads what came since the last time. Answers the position below which the history may be taken from what is kept. */
  const catchUp = (below: number) =>
    Effect.gen(function*() {
      const reading = cache.begin(id)
      const { upTo } = reading
      if (upTo === undefined || below <= upTo) return below
      const { cursor, units } = yield* source.page(below, 0, upTo)
      // as many as that, or an import behind a turn, which no version wrote: begun anew
      if (cursor !== undefined || units.some(({ question }) => question === undefined)) {
        cache.deleted(id)
        return below
      }
      return cache.newer(reading, units, below) ?? below
    })

  const first = (charsMax: number) =>
    Effect.gen(function*() {
      const { epoch, isOfTurn, position } = yield* source.start
      // somebody else writes: what is kept may be wrong, and so may what is read be soon
      if (epoch !== cache.epoch) cache.clear()
      isKept = epoch === cache.epoch && isOfTurn
      if (!isKept) return yield* plain(source)(position, charsMax)
      return yield* page(yield* catchUp(position), charsMax)
    })

  return (cursor, charsMax) => {
    if (cursor === undefined) return first(charsMax)
    return isKept ? page(cursor, charsMax) : plain(source)(cursor, charsMax)
  }
}
