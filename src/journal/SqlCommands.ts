/**
 * The journal's commands as rows, in the writer's transaction: admit, and what is done to sessions. Whether a turn may
 * begin is decided by `Admission`. A refusal comes before the first write; a command that runs again after a COMMIT of
 * unknown outcome finds what it wrote and answers the same.
 */
import * as Either from "effect/Either"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import { SessionNotFound } from "../domain/RequestError.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import type { TurnState } from "../domain/TurnState.ts"
import * as Admission from "./Admission.ts"
import type * as Journal from "./Journal.ts"
import type * as Live from "./Live.ts"
import type { Positions } from "./Positions.ts"
import * as Projection from "./Projection.ts"
import * as Rows from "./Rows.ts"
import * as SqlWrites from "./SqlWrites.ts"
import * as Statements from "./Statements.ts"
import type { Written } from "./Transaction.ts"

export interface Options {
  readonly epoch: number
  readonly positions: Positions
  readonly live: Live.Live
}

type Db = Statements.Statements

const standings = ["running", "completed", "failed"] as const

/** Not while its import is under way (`SqlImports.ts`). */
const sessionExists = (db: Db, id: SessionId): boolean =>
  db.all("SELECT 1 FROM sessions WHERE id = ? AND ord > 0", [id]).length > 0

const runningIn = (db: Db, id: SessionId): ReadonlyArray<TurnId> =>
  db.all("SELECT id FROM turns WHERE session_id = ? AND end_pos IS NULL ORDER BY ord", [id])
    .map((row) => Statements.textOf(row, "id") as TurnId) // written by `admit`, from a TurnId

const childColumns = { resume: "resumed_from", retry: "retry_of" } as const

const parentIn = (db: Db, sessionId: SessionId, parent: Admission.Parent): Admission.AdmissionFacts["parent"] => {
  const [row] = db.all(
    `SELECT status, (SELECT c.id FROM turns c WHERE c.${
      childColumns[parent.kind]
    } = p.id) AS child FROM turns p WHERE p.id = ? AND p.session_id = ?`,
    [parent.turnId, sessionId]
  )
  if (row === undefined) return undefined
  const child = Statements.textOrNull(row, "child") as TurnId | null // written by `admit`, from a TurnId
  return { status: Statements.oneOf(row, "status", standings), child: child ?? undefined }
}

const keyedIn = (db: Db, sessionId: SessionId, key: string): Admission.AdmissionFacts["keyed"] => {
  const [row] = db.all(
    `SELECT id, body_hash AS "bodyHash" FROM turns WHERE session_id = ? AND idempotency_key = ?`,
    [sessionId, key]
  )
  return row === undefined
    ? undefined
    // written by `admit`, from a TurnId
    : { turnId: Statements.textOf(row, "id") as TurnId, bodyHash: Statements.textOf(row, "bodyHash") }
}

const factsOf = (db: Db, { events, idempotency, sessionId, turnId }: Journal.Admission): Admission.AdmissionFacts => {
  const parent = Admission.parentOf(events)
  return {
    sessionExists: sessionExists(db, sessionId),
    turnExists: db.all("SELECT 1 FROM turns WHERE id = ? AND session_id = ?", [turnId, sessionId]).length > 0,
    keyed: idempotency === undefined ? undefined : keyedIn(db, sessionId, idempotency.key),
    parent: parent === undefined ? undefined : parentIn(db, sessionId, parent),
    running: runningIn(db, sessionId)
  }
}

const insertTurn = Statements.inserter("turns", [
  "ord",
  "id",
  "session_id",
  "status",
  "phase",
  "provider",
  "model",
  "options",
  "user_message_id",
  "retry_of",
  "resumed_from",
  "idempotency_key",
  "body_hash",
  "trace",
  "started_at"
])

const turnRow = (
  { idempotency, options, sessionId, trace, turnId }: Journal.Admission,
  state: TurnState,
  pos: number
): ReadonlyArray<Statements.Value> => [
  pos,
  turnId,
  sessionId,
  "running",
  "accepted",
  state.provider,
  state.model,
  JSON.stringify(options),
  state.userMessageId,
  state.retryOf ?? null,
  state.resumedFrom ?? null,
  idempotency?.key ?? null,
  idempotency?.bodyHash ?? null,
  trace === undefined ? null : Rows.traceText(trace),
  state.startedAt
]

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

/** Columns of a session that a patch may set. */
const patchable = ["title", "provider", "model", "system"] as const

type AdmitError = Extract<Admission.Decision, { readonly _tag: "Refuse" }>["error"] | JournalFailure

export const make = ({ epoch, live, positions }: Options) => {
  const admit = (db: Db, admission: Journal.Admission): Either.Either<Written<Journal.Admitted>, AdmitError> => {
    const { contents = [], events, message, sessionId, turnId } = admission
    const decision = Admission.decide(admission, factsOf(db, admission))
    if (decision._tag === "Refuse") return Either.left(decision.error)
    if (decision._tag === "Answer") return Either.right({ value: decision.answer, publish: () => undefined })
    const projected = Projection.project(undefined, events)
    if (typeof projected === "string") {
      return Either.left(new JournalFailure({ operation: "admit", retryable: false, reason: projected }))
    }
    const { state } = projected
    if (message !== undefined) {
      const position = SqlWrites.endPosition(db, sessionId)
      const parts = JSON.stringify(message.parts)
      insertMessages(db, [[message.id, sessionId, turnId, position, "user", parts, "complete", state.startedAt]])
    }
    const pos = positions.take(db, 1)
    insertTurn(db, [turnRow(admission, state, pos)])
    db.all("UPDATE sessions SET turn_count = turn_count + 1, updated_at = ? WHERE id = ?", [
      state.startedAt,
      sessionId
    ])
    const commits = SqlWrites.write(db, { epoch, first: pos, pending: [{ projected, contents }] })
    return Either.right({
      value: { _tag: "Started", turnId, ahead: decision.ahead },
      publish: () => {
        positions.committed()
        live.publish(commits)
      }
    })
  }

  return { admit }
}

const done: Either.Either<Written<void>> = Either.right({ value: undefined, publish: () => undefined })

export const updateSession = (
  db: Db,
  id: SessionId,
  patch: Journal.SessionPatch,
  at: string
): Either.Either<Written<void>, SessionNotFound> => {
  if (!sessionExists(db, id)) return Either.left(new SessionNotFound({ sessionId: id }))
  const given = patchable.flatMap((column) => {
    const value = patch[column]
    return value === undefined ? [] : [[column, value] as const]
  })
  const columns = [...given.map(([column]) => column), "updated_at"]
  db.all(`UPDATE sessions SET ${columns.map((column) => `${column} = ?`).join(", ")} WHERE id = ?`, [
    ...given.map(([, value]) => value),
    at,
    id
  ])
  return done
}

/** Answers with its turns. Rows of the other tables go with the session's, by their foreign keys. */
export const deleteSession = (db: Db, id: SessionId): ReadonlyArray<TurnId> | SessionNotFound => {
  if (!sessionExists(db, id)) return new SessionNotFound({ sessionId: id })
  const turns = db.all("SELECT id FROM turns WHERE session_id = ?", [id])
  db.all("DELETE FROM sessions WHERE id = ?", [id])
  // written by `admit`, from a TurnId
  return turns.map((row) => Statements.textOf(row, "id") as TurnId)
}

export const readEpoch = (db: Db): number => {
  const [owner] = db.all("SELECT epoch FROM owner WHERE id = 1", [])
  return owner === undefined ? 0 : Statements.integerOf(owner, "epoch")
}

/** A write that changes nothing. */
export const touchOwner = (db: Db): Either.Either<Written<void>> => {
  db.all("UPDATE owner SET heartbeat_at = heartbeat_at WHERE id = 1", [])
  return done
}
