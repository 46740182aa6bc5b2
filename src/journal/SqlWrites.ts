/**
 * Appends as rows, in the writer's transaction, grouped by table. What follows from an event is decided by `Projection`;
 * an append that it refuses is left out before anything is written. A commit of deltas alone is one INSERT.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Effect from "effect/Effect"
import type { TurnId } from "../domain/Ids.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import type { TurnEvent } from "../domain/TurnEvent.ts"
import type { TurnState } from "../domain/TurnState.ts"
import * as Batch from "./Batch.ts"
import type { Append, JournaledEvent } from "./Journal.ts"
import type * as Live from "./Live.ts"
import * as Projection from "./Projection.ts"
import * as Rows from "./Rows.ts"
import * as Storage from "./Storage.ts"
import type { StoredEvents } from "./StoredEvents.ts"
import type { Appended } from "./Writer.ts"

/** What one turn gets in one transaction. */
interface Pending {
  readonly projected: Projection.Projected
  readonly contents: ReadonlyArray<{ readonly hash: string; readonly content: string }>
}

const refused = (reason: string): JournalFailure =>
  new JournalFailure({ operation: "append", retryable: false, reason })

const jsonOrNull = (value: unknown): string | null =>
  value === null || value === undefined ? null : JSON.stringify(value)

/** The columns that events decide, for an UPDATE. `last_seq` and the positions are set by the schema. */
const turnColumns = (state: TurnState) => {
  const row = Projection.summary(state)
  return {
    status: row.status,
    phase: row.phase,
    attempts: row.attempts,
    checkpoint: row.checkpoint,
    finish_reason: row.finishReason,
    error: jsonOrNull(row.error),
    usage: jsonOrNull(row.usage),
    message_id: row.messageId,
    ended_at: row.endedAt
  }
}

const usageColumns = (row: Projection.UsageRow) => ({
  turn_id: row.turnId,
  attempt: row.attempt,
  session_id: row.sessionId,
  provider: row.provider,
  model: row.model,
  day: row.day,
  source: row.source,
  input_tokens: row.usage.inputTokens,
  output_tokens: row.usage.outputTokens,
  cache_read_tokens: row.usage.cacheReadTokens,
  cache_write_tokens: row.usage.cacheWriteTokens,
  reasoning_tokens: row.usage.reasoningTokens,
  total_tokens: row.usage.totalTokens,
  context_percent: row.contextPercent,
  cost_nanos: row.costNanos
})

const checkpointColumns = (row: Projection.CheckpointRow) => ({
  turn_id: row.turnId,
  n: row.checkpoint,
  seq: row.seq,
  phase: row.phase,
  usage: jsonOrNull(row.usage),
  context_hash: row.contextHash
})

export interface Options {
  readonly sql: SqlClient.SqlClient
  readonly epoch: number
  readonly live: Live.Live
  readonly stored: StoredEvents
}

export const make = ({ epoch, live, sql, stored }: Options) => {
  const insertAll = (db: Connection, table: string, rows: ReadonlyArray<Record<string, unknown>>) =>
    Effect.forEach(
      Storage.bucketed(rows),
      (chunk) => Storage.run(db, sql`INSERT INTO ${sql(table)} ${sql.insert(chunk)}`),
      { discard: true }
    )

  /** Where a new message goes: behind the last, past the place that an unanswered question keeps for its answer. */
  const endPosition = (db: Connection, sessionId: string) =>
    Effect.map(
      Rows.positionRows(
        db,
        sql`SELECT position, role, turn_id AS "turnId" FROM messages WHERE session_id = ${sessionId} ORDER BY position DESC LIMIT 1`
      ),
      ([last]) => last === undefined ? 1 : last.position + (last.role === "user" && last.turnId !== null ? 2 : 1)
    )

  /** After the turn's own question; behind everything where the question was asked by an earlier turn. */
  const answerPosition = (db: Connection, state: TurnState) =>
    Effect.flatMap(
      Rows.positionRows(
        db,
        sql`SELECT position, role, turn_id AS "turnId" FROM messages WHERE id = ${state.userMessageId}`
      ),
      ([question]) =>
        question?.turnId === state.turnId
          ? Effect.succeed(question.position + 1)
          : endPosition(db, state.sessionId)
    )

  const writeBatches = (db: Connection, pending: ReadonlyArray<Pending>) =>
    Effect.gen(function*() {
      const positions = new Map<string, number>()
      for (const chunk of Storage.chunked(pending)) {
        const values = chunk.map(({ projected: { before, state, tails } }) => ({
          turn_id: state.turnId,
          session_id: state.sessionId,
          first_seq: (before?.lastSeq ?? 0) + 1,
          last_seq: state.lastSeq,
          epoch,
          terminal: state.status === "running" ? 0 : 1,
          tails: Batch.pack(tails)
        }))
        const written = yield* Rows.committedRows(
          db,
          sql`INSERT INTO batches ${sql.insert(values)} RETURNING pos, turn_id AS "turnId"`
        )
        for (const { pos, turnId } of written) positions.set(turnId, pos)
      }
      return positions
    })

  const writeEnd = (db: Connection, { message, state }: Projection.Projected) =>
    Effect.gen(function*() {
      if (message !== undefined) {
        yield* Storage.run(
          db,
          sql`INSERT INTO messages ${
            sql.insert({
              id: message.id,
              session_id: state.sessionId,
              turn_id: state.turnId,
              position: yield* answerPosition(db, state),
              role: "assistant",
              parts: JSON.stringify(message.parts),
              answer_after: message.inEvents?.answerAfter ?? null,
              chars: message.inEvents?.chars ?? null,
              state: message.state,
              created_at: message.createdAt
            })
          }`
        )
      }
      yield* Storage.run(
        db,
        sql`UPDATE sessions SET updated_at = ${state.endedAt ?? state.startedAt} WHERE id = ${state.sessionId}`
      )
    })

  const writeProjections = (db: Connection, pending: ReadonlyArray<Pending>) =>
    Effect.gen(function*() {
      for (const { projected } of pending) {
        const { before, state } = projected
        // The row of a turn that begins here is as it should be, unless it ends here too.
        if (Projection.rowChanged(projected) && (before !== undefined || state.phase !== "accepted")) {
          yield* Storage.run(db, sql`UPDATE turns SET ${sql.update(turnColumns(state))} WHERE id = ${state.turnId}`)
        }
        if (state.status !== "running") yield* writeEnd(db, projected)
      }
      yield* insertAll(db, "usage", pending.flatMap(({ projected }) => projected.usages.map(usageColumns)))
      yield* insertAll(
        db,
        "checkpoints",
        pending.flatMap(({ projected }) => projected.checkpoints.map(checkpointColumns))
      )
      for (const { contents, projected } of pending) {
        const rows = contents.map(({ content, hash }) => ({ session_id: projected.state.sessionId, hash, content }))
        for (const chunk of Storage.bucketed(rows)) {
          yield* Storage.run(
            db,
            sql`INSERT INTO context_contents ${sql.insert(chunk)} ON CONFLICT (session_id, hash) DO NOTHING`
          )
        }
      }
    })

  /** Writes, and answers with what followers get to see once it is committed. */
  const write = (db: Connection, pending: ReadonlyArray<Pending>) =>
    Effect.gen(function*() {
      const positions = yield* writeBatches(db, pending)
      yield* writeProjections(db, pending)
      return pending
        .map(({ projected: { events, state } }) => ({ state, events, pos: positions.get(state.turnId) ?? 0 }))
        .sort((a, b) => a.pos - b.pos)
    })

  /** Committed events that these repeat: stored ones, and those that this very transaction writes. */
  const committed = (
    db: Connection,
    repeated: ReadonlyArray<TurnEvent>,
    waiting: Pending | undefined
  ): Effect.Effect<ReadonlyArray<JournaledEvent>, Storage.StorageFault> =>
    Effect.gen(function*() {
      const known: Array<JournaledEvent> = [...(waiting?.projected.events ?? [])]
      const first = repeated[0]
      let cursor = (first?.seq ?? 1) - 1
      const upTo = Math.min(repeated.at(-1)?.seq ?? 0, (known[0]?.seq ?? Number.MAX_SAFE_INTEGER) - 1)
      while (first !== undefined && cursor < upTo) {
        const page = yield* stored.turnPage(db, first.turnId, cursor)
        const last = page.events.at(-1)
        if (last === undefined) break
        for (const event of page.events) known.push(event)
        cursor = last.seq
      }
      return known
    })

  const appendAll = (
    db: Connection,
    appends: ReadonlyArray<Append>
  ): Effect.Effect<Appended, Storage.StorageFault> =>
    Effect.gen(function*() {
      const pending = new Map<TurnId, Pending>()
      const loaded: Array<TurnState> = []
      const refusals = new Map<number, JournalFailure>()
      let count = 0
      for (const [index, { contents = [], events, turnId }] of appends.entries()) {
        const waiting = pending.get(turnId)
        let before = waiting?.projected.state ?? live.turn(turnId)?.state
        if (before === undefined) {
          before = yield* stored.fold(db, turnId)
          if (before === undefined) {
            refusals.set(index, refused(`no turn ${turnId}`))
            continue
          }
          loaded.push(before)
        }
        const { repeated, rest } = Projection.split(before, events)
        if (repeated.length > 0 && !Projection.isRepeat(repeated, yield* committed(db, repeated, waiting))) {
          refusals.set(index, refused(Projection.otherContent(repeated)))
          continue
        }
        if (rest.length === 0) continue
        const projected = Projection.project(before, rest)
        if (typeof projected === "string") {
          refusals.set(index, refused(projected))
          continue
        }
        count += rest.length
        pending.set(
          turnId,
          waiting === undefined
            ? { projected, contents }
            : {
              projected: Projection.join(waiting.projected, projected),
              contents: [...waiting.contents, ...contents]
            }
        )
      }
      const commits = pending.size === 0 ? [] : yield* write(db, [...pending.values()])
      return {
        // A turn that was loaded is told of too: its followers may wait for a commit that was reported as failed.
        publish: () => {
          live.publish(
            loaded.filter((state) => !pending.has(state.turnId as TurnId)).map((state) => ({
              state,
              events: [],
              pos: 0
            }))
          )
          live.publish(commits)
        },
        events: count,
        refused: refusals
      }
    })

  return { appendAll, write, endPosition, insertAll }
}

export type SqlWrites = ReturnType<typeof make>
