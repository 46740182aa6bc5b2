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
import * as Either from "effect/Either"
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
import * as Statements from "./Statements.ts"
import * as Storage from "./Storage.ts"
import type { StoredEvents } from "./StoredEvents.ts"
import type { Written } from "./Transaction.ts"
import type { Writer } from "./Writer.ts"

class LogInUse extends Data.TaggedError("LogInUse") {}

export interface Options {
  readonly sql: SqlClient.SqlClient
  /** Reads of the connection that never writes. */
  readonly read: Storage.Reader
  readonly stored: StoredEvents
  readonly answer: ReturnType<typeof SqlAnswers.make>
  readonly writer: Pick<Writer, "submit" | "maintain">
  readonly pages: PageCache
}

const insertFolded = Statements.inserter("folded_events", ["turn_id", "seq", "pos", "tail"])

type Db = Statements.Statements

const done: Either.Either<Written<void>> = Either.right({ value: undefined, publish: () => undefined })

/** Pieces of a copy that was cut short: another version may part an answer otherwise. */
const clearPieces = (db: Db, id: TurnId, messageId: string) => {
  db.all(
    "DELETE FROM message_pieces WHERE message_id = ? AND EXISTS (SELECT 1 FROM turns WHERE id = ? AND folded_at IS NULL)",
    [messageId, id]
  )
  return done
}

interface Piece {
  readonly n: number
  readonly part: string
}

/** Where the session was deleted meanwhile there is no message to add to. */
const insertPieces = (db: Db, messageId: string, pieces: Iterable<Piece>) => {
  for (const { n, part } of pieces) {
    db.all(
      "INSERT INTO message_pieces (message_id, n, part) SELECT id, ?, ? FROM messages WHERE id = ? ON CONFLICT (message_id, n) DO NOTHING",
      [n, part, messageId]
    )
  }
  return done
}

interface Folded {
  readonly seq: number
  readonly pos: number
  readonly tail: string
}

const foldRows = (db: Db, id: TurnId, events: ReadonlyArray<Folded>, at: string): void => {
  if (db.all("SELECT 1 FROM turns WHERE id = ? AND folded_at IS NULL", [id]).length === 0) return
  insertFolded(db, events.map(({ pos, seq, tail }) => [id, seq, pos, tail]))
  db.all("UPDATE turns SET folded_at = ? WHERE id = ?", [at, id])
  db.all("DELETE FROM batches WHERE turn_id = ?", [id])
  db.all(
    "DELETE FROM checkpoints WHERE turn_id = ? AND n < (SELECT max(n) FROM checkpoints WHERE turn_id = ?)",
    [id, id]
  )
}

/** Pieces of a long answer that are copied in one transaction: some hundred kilobytes. */
const piecesAtOnce = 8

/** 50 tries in 5 s: a backup that reads the log keeps it from being emptied, and writes go on between two tries. */
const logRetry = Schedule.intersect(Schedule.spaced("100 millis"), Schedule.recurs(50))

export const make = ({ answer, pages, read, sql, stored, writer }: Options) => {
  const due = (endedBefore: string, limit: number) =>
    read("fold", (db) =>
      Rows.dueRows(
        db,
        sql`SELECT t.id, m.id AS "messageId", m.answer_after AS "answerAfter" FROM turns t LEFT JOIN messages m ON m.id = t.message_id WHERE t.folded_at IS NULL AND t.ended_at IS NOT NULL AND t.ended_at < ${endedBefore} ORDER BY t.ended_at LIMIT ${limit}`
      ))

  /** The turn's lifecycle events with their places, read page by page. */
  const lifecycle = (id: TurnId) =>
    Effect.gen(function*() {
      const kept: Array<Folded> = []
      let seq = 0
      while (true) {
        const page = yield* read("fold", (db) => stored.turnPage(db, id, seq))
        const last = page.events.at(-1)
        if (last === undefined) return kept
        for (const event of page.events) {
          if (!Answers.isLifecycle(event.type)) continue
          const batch = yield* read("fold", (db) => stored.batchOf(db, id, event.seq))
          kept.push({
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

  const copyPieces = (id: TurnId, messageId: string) => {
    const pieces = Stream.flatMap(Stream.fromIterable(answerKinds), (kind) => answer(id, kind))
    return Stream.drain(Stream.fromEffect(writer.submit("fold", (db) => clearPieces(db, id, messageId)))).pipe(
      Stream.concat(pieces),
      Stream.zipWithIndex,
      Stream.map(([part, index]) => ({ n: index + 1, part: JSON.stringify(part) })),
      Stream.grouped(piecesAtOnce),
      Stream.runForEach((rows) => writer.submit("fold", (db) => insertPieces(db, messageId, rows)))
    )
  }

  const foldOne = ({ answerAfter, id, messageId }: Rows.DueRow, at: string) =>
    Effect.gen(function*() {
      if (messageId !== null && answerAfter !== null) yield* copyPieces(id, messageId)
      const events = yield* lifecycle(id)
      yield* writer.submit("fold", (db): Either.Either<Written<void>> => {
        foldRows(db, id, events, at)
        return Either.right({ value: undefined, publish: () => pages.clear() })
      })
    }).pipe(
      alone.withPermits(1),
      // deleted meanwhile: it is gone altogether
      Effect.catchTag("TurnNotFound", () => Effect.void)
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
