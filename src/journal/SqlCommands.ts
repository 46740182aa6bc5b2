/**
 * The journal's commands as rows, in the writer's transaction: admit, and what is done to sessions. Whether a turn may
 * begin is decided by `Admission`. A refusal comes before the first write; a command that runs again after a COMMIT of
 * unknown outcome finds what it wrote and answers the same.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Effect from "effect/Effect"
import type { SessionId } from "../domain/Ids.ts"
import { SessionNotFound } from "../domain/RequestError.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import type { TurnState } from "../domain/TurnState.ts"
import * as Admission from "./Admission.ts"
import type * as Journal from "./Journal.ts"
import type * as Live from "./Live.ts"
import * as Projection from "./Projection.ts"
import * as Rows from "./Rows.ts"
import type { SqlWrites } from "./SqlWrites.ts"
import * as Storage from "./Storage.ts"

export interface Options {
  readonly sql: SqlClient.SqlClient
  readonly live: Live.Live
  readonly writes: SqlWrites
}

export const make = ({ live, sql, writes }: Options) => {
  const facts = (db: Connection, admission: Journal.Admission) =>
    Effect.gen(function*() {
      const { idempotency, sessionId, turnId } = admission
      const [session] = yield* Rows.countRows(db, sql`SELECT 1 AS n FROM sessions WHERE id = ${sessionId}`)
      const [self] = yield* Rows.countRows(
        db,
        sql`SELECT 1 AS n FROM turns WHERE id = ${turnId} AND session_id = ${sessionId}`
      )
      const [keyed] = idempotency === undefined ? [] : yield* Rows.keyedRows(
        db,
        sql`SELECT id AS "turnId", body_hash AS "bodyHash" FROM turns WHERE session_id = ${sessionId} AND idempotency_key = ${idempotency.key}`
      )
      const of = Admission.parentOf(admission.events)
      const [parent] = of === undefined ? [] : yield* Rows.parentRows(
        db,
        sql`SELECT status, (SELECT c.id FROM turns c WHERE ${
          sql.literal(of.kind === "resume" ? "c.resumed_from" : "c.retry_of")
        } = p.id) AS child FROM turns p WHERE p.id = ${of.turnId} AND p.session_id = ${sessionId}`
      )
      const running = yield* Rows.idRows(
        db,
        sql`SELECT id FROM turns WHERE session_id = ${sessionId} AND status = 'running' ORDER BY ord`
      )
      return {
        sessionExists: session !== undefined,
        turnExists: self !== undefined,
        keyed,
        parent: parent === undefined ? undefined : { status: parent.status, child: parent.child ?? undefined },
        running: running.map((row) => row.id)
      } satisfies Admission.AdmissionFacts
    })

  const insertTurn = (
    db: Connection,
    { idempotency, options, sessionId, trace, turnId }: Journal.Admission,
    state: TurnState
  ) =>
    Storage.run(
      db,
      sql`INSERT INTO turns ${
        sql.insert({
          id: turnId,
          session_id: sessionId,
          status: "running",
          phase: "accepted",
          provider: state.provider,
          model: state.model,
          options: JSON.stringify(options),
          user_message_id: state.userMessageId,
          retry_of: state.retryOf ?? null,
          resumed_from: state.resumedFrom ?? null,
          idempotency_key: idempotency?.key ?? null,
          body_hash: idempotency?.bodyHash ?? null,
          trace: trace === undefined ? null : Rows.traceText(trace),
          started_at: state.startedAt
        })
      }`
    )

  const admit = (db: Connection, admission: Journal.Admission) =>
    Effect.gen(function*() {
      const { events, message, sessionId, turnId } = admission
      const decision = Admission.decide(admission, yield* facts(db, admission))
      if (decision._tag === "Refuse") return yield* Effect.fail(decision.error)
      if (decision._tag === "Answer") return { value: decision.answer, publish: () => undefined }
      const projected = Projection.project(undefined, events)
      if (typeof projected === "string") {
        return yield* new JournalFailure({ operation: "admit", retryable: false, reason: projected })
      }
      const { state } = projected
      if (message !== undefined) {
        yield* Storage.run(
          db,
          sql`INSERT INTO messages ${
            sql.insert({
              id: message.id,
              session_id: sessionId,
              turn_id: turnId,
              position: yield* writes.endPosition(db, sessionId),
              role: "user",
              parts: JSON.stringify(message.parts),
              state: "complete",
              created_at: state.startedAt
            })
          }`
        )
      }
      yield* insertTurn(db, admission, state)
      yield* Storage.run(
        db,
        sql`UPDATE sessions SET turn_count = turn_count + 1, updated_at = ${state.startedAt} WHERE id = ${sessionId}`
      )
      const commits = yield* writes.write(db, [{ projected, contents: [] }])
      const started: Journal.Admitted = { _tag: "Started", turnId, ahead: decision.ahead }
      return {
        value: started,
        publish: () => live.publish(commits)
      }
    })

  /** A session that is there already was made by a commit that was reported as failed. */
  const createSession = (
    db: Connection,
    session: Journal.NewSession,
    messages: ReadonlyArray<Journal.ImportedMessage>
  ) =>
    Effect.gen(function*() {
      const [present] = yield* Rows.countRows(db, sql`SELECT 1 AS n FROM sessions WHERE id = ${session.id}`)
      if (present !== undefined) return
      yield* Storage.run(
        db,
        sql`INSERT INTO sessions ${
          sql.insert({
            id: session.id,
            title: session.title ?? null,
            provider: session.provider ?? null,
            model: session.model ?? null,
            system: session.system ?? null,
            created_at: session.at,
            updated_at: session.at
          })
        }`
      )
      yield* writes.insertAll(
        db,
        "messages",
        messages.map((message, index) => ({
          id: message.id,
          session_id: session.id,
          turn_id: null,
          position: index + 1,
          role: message.role,
          parts: JSON.stringify(message.parts),
          state: "complete",
          created_at: session.at
        }))
      )
    })

  const updateSession = (db: Connection, id: SessionId, patch: Journal.SessionPatch, at: string) =>
    Effect.gen(function*() {
      const [present] = yield* Rows.countRows(db, sql`SELECT 1 AS n FROM sessions WHERE id = ${id}`)
      if (present === undefined) return yield* new SessionNotFound({ sessionId: id })
      yield* Storage.run(db, sql`UPDATE sessions SET ${sql.update({ ...patch, updated_at: at })} WHERE id = ${id}`)
    })

  /** Rows of the other tables go with the session's, by their foreign keys. */
  const deleteSession = (db: Connection, id: SessionId) =>
    Effect.gen(function*() {
      const turns = yield* Rows.idRows(db, sql`SELECT id FROM turns WHERE session_id = ${id}`)
      const [present] = yield* Rows.countRows(db, sql`SELECT 1 AS n FROM sessions WHERE id = ${id}`)
      if (present === undefined) return yield* new SessionNotFound({ sessionId: id })
      yield* Storage.run(db, sql`DELETE FROM sessions WHERE id = ${id}`)
      return turns.map((row) => row.id)
    })

  const readEpoch = (db: Connection) =>
    Effect.map(Rows.epochRows(db, sql`SELECT epoch FROM owner WHERE id = 1`), ([owner]) => owner?.epoch ?? 0)

  /** A write that changes nothing. */
  const touchOwner = (db: Connection) => Storage.run(db, sql`UPDATE owner SET heartbeat_at = heartbeat_at WHERE id = 1`)

  return { admit, createSession, updateSession, deleteSession, readEpoch, touchOwner }
}
