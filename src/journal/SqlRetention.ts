/**
 * What is done to a journal so that it need not grow for ever: closed turns are folded to their lifecycle events, and the
 * file is rewritten without what was deleted.
 *
 * Folding one turn is one transaction: the lifecycle events go to `folded_events` under their seqs, the batches go, of the
 * checkpoints the last stays. A long answer is copied into pieces before that, a few a transaction, so that no turn that
 * runs waits for it; killed in between, the next fold begins its copy again. Folds go one after the other.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { TurnId } from "../domain/Ids.ts"
import * as TurnEvent from "../domain/TurnEvent.ts"
import * as Answers from "./Answers.ts"
import { tick } from "./EventLoop.ts"
import { answerKinds, type Vacuumed, type WriteError } from "./Journal.ts"
import type { PageCache } from "./PageCache.ts"
import * as Rows from "./Rows.ts"
import type * as SqlAnswers from "./SqlAnswers.ts"
import type { SqlWrites } from "./SqlWrites.ts"
import * as Storage from "./Storage.ts"
import type { StoredEvents } from "./StoredEvents.ts"
import type { Writer } from "./Writer.ts"

class LogInUse extends Data.TaggedError("LogInUse") {}

export interface Options {
  readonly sql: SqlClient.SqlClient
  /** Reads of the connection that never writes. */
  readonly read: Storage.Reader
  readonly stored: StoredEvents
  readonly answer: ReturnType<typeof SqlAnswers.make>
  readonly writer: Pick<Writer, "submit" | "maintain">
  readonly writes: SqlWrites
  readonly pages: PageCache
}

/** Pieces of a long answer that are copied in one transaction: some hundred kilobytes. */
const piecesAtOnce = 8

/** 50 tries in 5 s: a backup that reads the log keeps it from being emptied, and writes go on between two tries. */
const logRetry = Schedule.intersect(Schedule.spaced("100 millis"), Schedule.recurs(50))

export const make = ({ answer, pages, read, sql, stored, writer, writes }: Options) => {
  const due = (endedBefore: string, limit: number) =>
    read("fold", (db) =>
      Rows.dueRows(
        db,
        sql`SELECT t.id, m.id AS "messageId", m.answer_after AS "answerAfter" FROM turns t LEFT JOIN messages m ON m.id = t.message_id WHERE t.folded_at IS NULL AND t.ended_at IS NOT NULL AND t.ended_at < ${endedBefore} ORDER BY t.ended_at LIMIT ${limit}`
      ))

  /** The turn's lifecycle events with their places, read page by page. */
  const lifecycle = (id: TurnId) =>
    Effect.gen(function*() {
      const kept: Array<
        { readonly turn_id: string; readonly seq: number; readonly pos: number; readonly tail: string }
      > = []
      let seq = 0
      while (true) {
        const page = yield* read("fold", (db) => stored.turnPage(db, id, seq))
        const last = page.events.at(-1)
        if (last === undefined) return kept
        for (const event of page.events) {
          if (!Answers.isLifecycle(event.type)) continue
          const batch = yield* read("fold", (db) => stored.batchOf(db, id, event.seq))
          kept.push({
            turn_id: id,
            seq: event.seq,
            pos: batch?.pos ?? 0,
            tail: TurnEvent.tailOf(event.json, event.seq)
          })
        }
        seq = last.seq
        yield* tick
      }
    })

  const alone = Effect.unsafeMakeSemaphore(1)

  /** Pieces of a copy that was cut short: another version may part an answer otherwise. */
  const clearPieces = (id: TurnId, messageId: string) =>
    writer.submit("fold", (db) =>
      Effect.as(
        Storage.run(
          db,
          sql`DELETE FROM message_pieces WHERE message_id = ${messageId} AND EXISTS (SELECT 1 FROM turns WHERE id = ${id} AND folded_at IS NULL)`
        ),
        { value: undefined, publish: () => undefined }
      ))

  const copyPieces = (id: TurnId, messageId: string) => {
    const pieces = Stream.flatMap(Stream.fromIterable(answerKinds), (kind) => answer(id, kind))
    return Stream.drain(Stream.fromEffect(clearPieces(id, messageId))).pipe(
      Stream.concat(pieces),
      Stream.zipWithIndex,
      Stream.map(([part, index]) => ({ message_id: messageId, n: index + 1, part: JSON.stringify(part) })),
      Stream.grouped(piecesAtOnce),
      Stream.runForEach((rows) =>
        writer.submit("fold", (db) =>
          Effect.as(
            Effect.forEach(rows, (row) => insertPiece(db, row), { discard: true }),
            { value: undefined, publish: () => undefined }
          ))
      )
    )
  }

  /** Where the session was deleted meanwhile there is no message to add to. */
  const insertPiece = (db: Connection, { message_id: id, n, part }: { message_id: string; n: number; part: string }) =>
    Storage.run(
      db,
      sql`INSERT INTO message_pieces (message_id, n, part) SELECT id, ${n}, ${part} FROM messages WHERE id = ${id} ON CONFLICT (message_id, n) DO NOTHING`
    )

  const foldRows = (
    db: Connection,
    id: TurnId,
    events: Effect.Effect.Success<ReturnType<typeof lifecycle>>,
    at: string
  ) =>
    Effect.gen(function*() {
      const [open] = yield* Rows.countRows(db, sql`SELECT 1 AS n FROM turns WHERE id = ${id} AND folded_at IS NULL`)
      if (open === undefined) return
      yield* writes.insertAll(db, "folded_events", events)
      yield* Storage.run(db, sql`UPDATE turns SET folded_at = ${at} WHERE id = ${id}`)
      yield* Storage.run(db, sql`DELETE FROM batches WHERE turn_id = ${id}`)
      yield* Storage.run(
        db,
        sql`DELETE FROM checkpoints WHERE turn_id = ${id} AND n < (SELECT max(n) FROM checkpoints WHERE turn_id = ${id})`
      )
    })

  const foldOne = ({ answerAfter, id, messageId }: Rows.DueRow, at: string) =>
    Effect.gen(function*() {
      if (messageId !== null && answerAfter !== null) yield* copyPieces(id, messageId)
      const events = yield* lifecycle(id)
      yield* writer.submit("fold", (db) =>
        Effect.as(foldRows(db, id, events, at), { value: undefined, publish: () => pages.clear() }))
    }).pipe(
      alone.withPermits(1),
      // deleted meanwhile: it is gone altogether
      Effect.catchTag("TurnNotFound", () =>
        Effect.void)
    )

  const foldTurns = (endedBefore: string, at: string, limit: number): Effect.Effect<number, WriteError> =>
    Effect.gen(function*() {
      const turns = yield* due(endedBefore, limit)
      yield* Effect.forEach(turns, (turn) => foldOne(turn, at), { discard: true })
      return turns.length
    })

  const bytes = (db: Connection) =>
    Effect.map(
      Rows.sizeOfDatabaseRows(
        db,
        sql`SELECT p.page_count * s.page_size AS bytes FROM pragma_page_count() p, pragma_page_size() s`
      ),
      ([row]) => row?.bytes ?? 0
    )

  /** What the log holds of deleted text is gone with it. False while somebody reads it. */
  const emptyLog = writer.maintain("vacuum", (db) =>
    Effect.map(
      Rows.checkpointedRows(db, sql`PRAGMA wal_checkpoint(TRUNCATE)`),
      ([row]) => row?.busy === 0
    ))

  const vacuum: Effect.Effect<Vacuumed, WriteError> = Effect.gen(function*() {
    const bytesBefore = yield* read("vacuum", bytes)
    yield* writer.maintain("vacuum", (db) => Storage.run(db, sql`VACUUM`))
    const again = Effect.filterOrFail(emptyLog, (emptied) => emptied, () => new LogInUse())
    const logEmptied = yield* Effect.retry(again, { schedule: logRetry, while: (error) => error._tag === "LogInUse" })
      .pipe(Effect.catchTag("LogInUse", () => Effect.succeed(false)))
    return { bytesBefore, bytesAfter: yield* read("vacuum", bytes), logEmptied }
  })

  return { foldTurns, vacuum }
}
