/**
 * Sessions as they are made, whole or in pieces.
 *
 * A session whose messages do not fit one transaction stands below the others (`ord < 0`) until its last piece is in:
 * no list reaches it and no lookup by id takes it. The last piece's transaction gives it its place, the one after all
 * others then, so that whoever pages through sessions meets it. What never gets that far is removed, at once where this
 * process lives, else at the next start; also in pieces.
 *
 * Each piece is written once, however often its transaction runs: where its first message is, it is. So an id is for one
 * attempt; what is given up under it may be under removal.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { SessionId } from "../domain/Ids.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import { tick } from "./EventLoop.ts"
import { type Piece, piecesOf } from "./Imports.ts"
import type * as Journal from "./Journal.ts"
import * as Paging from "./Paging.ts"
import type { Positions } from "./Positions.ts"
import * as Rows from "./Rows.ts"
import * as Statements from "./Statements.ts"
import * as Storage from "./Storage.ts"
import type { Written } from "./Transaction.ts"
import type * as Writer from "./Writer.ts"

type Db = Statements.Statements

/** Rows, and bytes of them, that one transaction removes. */
const removedRowsMax = 512
const removedBytesMax = 1_048_576

const insertSession = Statements.inserter("sessions", [
  "ord",
  "id",
  "title",
  "provider",
  "model",
  "system",
  "created_at",
  "updated_at"
])

const insertMessages = Statements.inserter("messages", [
  "id",
  "session_id",
  "turn_id",
  "position",
  "role",
  "parts",
  "state",
  "created_at"
])

/** Its place; undefined where it is not there at all. */
const ordOf = (db: Db, id: SessionId): number | undefined => {
  const [row] = db.all("SELECT ord FROM sessions WHERE id = ?", [id])
  return row === undefined ? undefined : Statements.integerOf(row, "ord")
}

const writeSession = (db: Db, ord: number, session: Journal.NewSession): void => {
  const { at, id, model = null, provider = null, system = null, title = null } = session
  insertSession(db, [[ord, id, title, provider, model, system, at, at]])
}

type MessageRows = ReadonlyArray<ReadonlyArray<Statements.Value>>

const rowsOf = ({ at, id }: Journal.NewSession, { first, messages }: Piece): MessageRows =>
  messages.map(({ id: messageId, parts, role }, index) => [
    messageId,
    id,
    null,
    first + index,
    role,
    JSON.stringify(parts),
    "complete",
    at
  ])

const isThere = (db: Db, id: SessionId, position: number): boolean =>
  db.all("SELECT 1 FROM messages WHERE session_id = ? AND position = ?", [id, position]).length > 0

/** Below every other one. */
const lowest = (db: Db): number => {
  const [row] = db.all("SELECT ord FROM sessions WHERE ord < 0 ORDER BY ord LIMIT 1", [])
  return (row === undefined ? 0 : Statements.integerOf(row, "ord")) - 1
}

/** After every one that there ever was. */
const show = (db: Db, positions: Positions, id: SessionId): void => {
  db.all("UPDATE sessions SET ord = ? WHERE id = ?", [positions.take(db, 1), id])
}

/** A session that is shown already was made whole by a commit that was reported as failed. */
const write = (
  db: Db,
  positions: Positions,
  session: Journal.NewSession,
  piece: Piece,
  rows: MessageRows
): void => {
  const ord = ordOf(db, session.id)
  if (ord !== undefined && ord > 0) return
  const isWhole = piece.first === 1 && piece.last
  if (ord === undefined) {
    // of a later piece: its session was given up meanwhile, and the messages' foreign key refuses them
    if (piece.first === 1) writeSession(db, isWhole ? positions.take(db, 1) : lowest(db), session)
  }
  if (!isThere(db, session.id, piece.first)) insertMessages(db, rows)
  if (piece.last && !isWhole) show(db, positions, session.id)
}

/** Removes some of what is there of a session that was never shown. True once nothing is. */
const remove = (db: Db, id: SessionId): boolean => {
  const ord = ordOf(db, id)
  if (ord === undefined || ord > 0) return true
  const rows = db.all(
    "SELECT position, octet_length(parts) AS size FROM messages WHERE session_id = ? ORDER BY position LIMIT ?",
    [id, removedRowsMax]
  )
  const sizes = rows.map((row) => ({ size: Statements.integerOf(row, "size") }))
  const last = rows[Paging.within(sizes, removedBytesMax) - 1]
  if (last === undefined) {
    db.all("DELETE FROM sessions WHERE id = ?", [id])
    return true
  }
  db.all("DELETE FROM messages WHERE session_id = ? AND position <= ?", [id, Statements.integerOf(last, "position")])
  return false
}

const done = <A>(value: A): Either.Either<Written<A>> => Either.right({ value, publish: () => undefined })

export interface Options {
  readonly submit: Writer.Writer["submit"]
  readonly positions: Positions
  /** Where what is left of an import is removed: it outlives whoever asked for the import. */
  readonly scope: Scope.Scope
}

export const make = ({ positions, scope, submit }: Options) => {
  const discard = (id: SessionId): Effect.Effect<void, Journal.WriteError> =>
    Effect.flatMap(
      submit("discardImport", (db) => done(remove(db, id))),
      (removed) => removed ? Effect.void : discard(id)
    )

  const put = (session: Journal.NewSession, piece: Piece) => {
    const rows = rowsOf(session, piece)
    return submit("createSession", (db) => {
      write(db, positions, session, piece, rows)
      return done(undefined)
    })
  }

  const importing = Effect.fnUntraced(function*(
    session: Journal.NewSession,
    piece: Piece,
    rest: Generator<Piece, void>
  ) {
    yield* put(session, piece)
    // what the next piece is made of is parsed now: not in the turn of the loop that committed
    for (yield* tick;; yield* tick) {
      const next = rest.next()
      if (next.done === true) return
      yield* put(session, next.value)
    }
  })

  /** Completes when the session is there. */
  const create = (session: Journal.NewSession, messages: Iterable<Journal.ImportedMessage>) =>
    Effect.suspend(() => {
      const pieces = piecesOf(messages)
      const first = pieces.next()
      if (first.done === true) return Effect.dieMessage("an import has one piece at least")
      if (first.value.last) return put(session, first.value)
      return Effect.onExit(
        importing(session, first.value, pieces),
        (exit) =>
          Exit.isSuccess(exit)
            ? Effect.void
            : Effect.forkIn(Effect.interruptible(Effect.ignoreLogged(discard(session.id))), scope)
      )
    })

  /** What a process left that died in the middle. */
  const sweep = (ids: ReadonlyArray<SessionId>) => Effect.forEach(ids, discard, { discard: true })

  return { create, sweep }
}

/** Sessions that were never shown. */
export const unfinished = (sql: SqlClient.SqlClient) =>
  Effect.map(
    Storage.reader(sql)(
      "unfinishedImports",
      (db) => Rows.sessionIdRows(db, sql`SELECT id FROM sessions WHERE ord < 0`)
    ),
    (rows) => rows.map(({ id }) => id)
  )

/** It is there no more: somebody deleted it between its commit and the answer. */
export const vanished = () =>
  new JournalFailure({ operation: "createSession", retryable: false, reason: "deleted while it was created" })
