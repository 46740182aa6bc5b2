/** What followers read behind the live feed: pages of a turn's or a session's committed events. */
import type { Connection } from "@effect/sql/SqlConnection"
import * as Effect from "effect/Effect"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import { type SessionNotFound, TurnNotFound } from "../domain/RequestError.ts"
import { goneOf } from "../domain/Resources.ts"
import type * as Follow from "./Follow.ts"
import type * as Journal from "./Journal.ts"
import type { PageCache } from "./PageCache.ts"
import type * as Rows from "./Rows.ts"
import type * as Storage from "./Storage.ts"
import type { StoredEvents } from "./StoredEvents.ts"

export interface Options {
  readonly read: Storage.Reader
  readonly stored: StoredEvents
  readonly pages: PageCache
  readonly requireSession: (
    db: Connection,
    id: SessionId
  ) => Effect.Effect<void, SessionNotFound | Storage.StorageFault>
  readonly standing: (
    db: Connection,
    id: TurnId
  ) => Effect.Effect<Rows.StandingRow, TurnNotFound | Storage.StorageFault>
}

export const make = ({ pages, read, requireSession, standing, stored }: Options): Follow.Pages => {
  const turnPage = (id: TurnId, seq: number) => {
    const known = pages.get(id, seq)
    return known === undefined ? readTurnPage(id, seq) : Effect.succeed({ events: known.events, ended: false })
  }

  const readTurnPage = (id: TurnId, seq: number) =>
    read("follow", (db) =>
      Effect.gen(function*() {
        const seen = pages.clears()
        const page = yield* stored.turnPage(db, id, seq)
        if (pages.clears() === seen) pages.put(id, seq, page)
        if (page.events.length > 0) return { events: page.events, ended: false }
        const row = yield* standing(db, id)
        if (row.foldedAt !== null && row.lastSeq > seq) return yield* goneOf({ id, ...row }, row.foldedAt)
        // Committed between the two reads: nobody may come to wake a follower for it.
        if (row.lastSeq > seq) return { ...(yield* stored.turnPage(db, id, seq)), ended: false }
        return { events: [], ended: row.status !== "running" }
      }))

  const sessionPage = (id: SessionId, pos: number) =>
    read("followSession", (db) =>
      Effect.gen(function*() {
        const page = yield* stored.sessionPage(db, id, pos)
        if (page.events.length === 0) yield* requireSession(db, id)
        return page
      }))

  const sessionStart = (id: SessionId, { seq, turnId }: Journal.SessionCursor) =>
    read("followSession", (db) =>
      Effect.gen(function*() {
        yield* requireSession(db, id)
        const row = yield* standing(db, turnId)
        if (row.sessionId === id && row.foldedAt !== null && row.endPos !== null) {
          return row.lastSeq === seq
            ? { events: [], pos: row.endPos }
            : yield* goneOf({ id: turnId, ...row }, row.foldedAt)
        }
        const page = row.sessionId === id ? yield* stored.batchOf(db, turnId, seq) : undefined
        return page ?? (yield* new TurnNotFound({ turnId }))
      }))

  return { turnPage, sessionPage, sessionStart }
}
