/**
 * What a model said in a turn, in pieces: for answers that are too long to be held as one. They come from the turn's
 * events while those are there, from the message's pieces once retention has folded the turn, and from the message's row
 * where it is held whole.
 *
 * Memory: one page of events or pieces. Each page is a read of its own: nothing is locked while a slow reader takes it. An
 * answer that is folded or deleted between two pages fails; it never ends as if that had been all.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { TurnId } from "../domain/Ids.ts"
import type { Part } from "../domain/Message.ts"
import { TurnNotFound } from "../domain/RequestError.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import { partsIn } from "./Answers.ts"
import { tick } from "./EventLoop.ts"
import type { AnswerKind } from "./Journal.ts"
import type * as Live from "./Live.ts"
import * as Rows from "./Rows.ts"
import type * as Storage from "./Storage.ts"
import type { StoredEvents } from "./StoredEvents.ts"

export interface Options {
  readonly sql: SqlClient.SqlClient
  readonly live: Live.Live
  readonly stored: StoredEvents
  readonly read: Storage.Reader
}

/** Pieces read at once; each was a page of events. */
const piecesAtOnce = 4

const takenAway = new JournalFailure({
  operation: "answer",
  retryable: true,
  reason: "folded or deleted while it was read"
})

type Place =
  | { readonly _tag: "Held"; readonly parts: ReadonlyArray<Part> }
  | { readonly _tag: "Pieces"; readonly messageId: string }
  | { readonly _tag: "Events"; readonly after: number; readonly upTo: number }

export const make = ({ live, read, sql, stored }: Options) => {
  const lastSeq = sql.literal(Rows.lastSeqOfT)

  const placeOf = (
    db: Connection,
    id: TurnId,
    upTo: number | undefined
  ): Effect.Effect<Place, TurnNotFound | Storage.StorageFault> =>
    Effect.gen(function*() {
      const [row] = yield* Rows.answerPlaceRows(
        db,
        sql`SELECT ${lastSeq}, t.folded_at AS "foldedAt", m.id AS "messageId", m.parts, m.answer_after AS "answerAfter" FROM turns t LEFT JOIN messages m ON m.id = t.message_id WHERE t.id = ${id}`
      )
      if (row === undefined) return yield* new TurnNotFound({ turnId: id })
      if (row.foldedAt !== null) {
        return row.messageId !== null && row.answerAfter !== null
          ? { _tag: "Pieces", messageId: row.messageId }
          : { _tag: "Held", parts: row.parts ?? [] }
      }
      if (row.parts !== null && row.answerAfter === null && upTo === undefined) {
        return { _tag: "Held", parts: row.parts }
      }
      const end = Math.min(upTo ?? row.lastSeq, row.lastSeq)
      const after = live.turn(id)?.state.answerAfter ?? row.answerAfter
      if (after !== null && after <= end) return { _tag: "Events", after, upTo: end }
      const state = yield* stored.foldUpTo(db, id, end)
      return { _tag: "Events", after: state?.answerAfter ?? 0, upTo: end }
    })

  const eventPages = (id: TurnId, kind: AnswerKind, after: number, upTo: number) =>
    Stream.paginateChunkEffect(after, (seq) =>
      read("answer", (db) => stored.turnPage(db, id, seq)).pipe(
        Effect.zipLeft(tick),
        Effect.flatMap(({ events }) => {
          const last = events.at(-1)?.seq ?? seq
          if (last === seq && seq < upTo) return takenAway
          return Effect.succeed([
            Chunk.unsafeFromArray(partsIn(events.filter((event) => event.seq <= upTo), kind)),
            last < upTo ? Option.some(last) : Option.none()
          ])
        })
      ))

  const piecePages = (messageId: string, kind: AnswerKind) =>
    Stream.paginateChunkEffect(0, (n) =>
      read("answer", (db) =>
        Effect.zip(
          Rows.pieceRows(
            db,
            sql`SELECT n, part FROM message_pieces WHERE message_id = ${messageId} AND n > ${n} ORDER BY n LIMIT ${piecesAtOnce}`
          ),
          Rows.countRows(db, sql`SELECT 1 AS n FROM messages WHERE id = ${messageId}`)
        )).pipe(
          Effect.zipLeft(tick),
          Effect.flatMap(([rows, [message]]) =>
            message === undefined ? takenAway : Effect.succeed([
              Chunk.unsafeFromArray(rows.map((row) => row.part).filter((part) => part.type === kind)),
              rows.length < piecesAtOnce ? Option.none() : Option.fromNullable(rows.at(-1)?.n)
            ])
          )
        ))

  /** `upTo`: as it stood at that seq. */
  const answer = (id: TurnId, kind: AnswerKind, upTo?: number): Stream.Stream<Part, TurnNotFound | JournalFailure> =>
    Stream.unwrap(Effect.map(read("answer", (db) => placeOf(db, id, upTo)), (place) => {
      switch (place._tag) {
        case "Held":
          return Stream.fromIterable(place.parts.filter((part) => part.type === kind))
        case "Pieces":
          return piecePages(place.messageId, kind)
        case "Events":
          return eventPages(id, kind, place.after, place.upTo)
      }
    }))

  return answer
}
