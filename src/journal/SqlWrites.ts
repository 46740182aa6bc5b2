/**
 * Appends as rows, in the writer's transaction, grouped by table. What follows from an event is decided by `Projection`;
 * an append that it refuses is left out before anything is written. A commit of deltas alone is one INSERT.
 */
import type { Connection } from "@effect/sql/SqlConnection"
import * as Effect from "effect/Effect"
import type { TurnId } from "../domain/Ids.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import type { TurnEvent } from "../domain/TurnEvent.ts"
import type { TurnState } from "../domain/TurnState.ts"
import * as Batch from "./Batch.ts"
import type { Append, JournaledEvent } from "./Journal.ts"
import type * as Live from "./Live.ts"
import type { Positions } from "./Positions.ts"
import * as Projection from "./Projection.ts"
import * as Statements from "./Statements.ts"
import type { Value } from "./Statements.ts"
import type * as Storage from "./Storage.ts"
import type { StoredEvents } from "./StoredEvents.ts"
import type { Appended } from "./Transaction.ts"

/** What one turn gets in one transaction. */
export interface Pending {
  readonly projected: Projection.Projected
  readonly contents: ReadonlyArray<{ readonly hash: string; readonly content: string }>
}

const refused = (reason: string): JournalFailure =>
  new JournalFailure({ operation: "append", retryable: false, reason })

const jsonOrNull = (value: unknown): string | null =>
  value === null || value === undefined ? null : JSON.stringify(value)

const endText = "UPDATE turns SET status = ?, phase = ?, attempts = ?, checkpoint = ?, finish_reason = ?, error = ?, " +
  "usage = ?, message_id = ?, ended_at = ? WHERE id = ?"

/**
 * A turn's row says how it began and how it ended. What it comes to in between its events say, and no page is written for
 * it. `last_seq` and what places it among the commits of its session are set by the schema.
 */
const endTurn = (db: Statements.Statements, state: TurnState): void => {
  const row = Projection.summary(state)
  db.all(endText, [
    row.status,
    row.phase,
    row.attempts,
    row.checkpoint,
    row.finishReason,
    jsonOrNull(row.error),
    jsonOrNull(row.usage),
    row.messageId,
    row.endedAt,
    row.id
  ])
}

const usageColumns = [
  "turn_id",
  "attempt",
  "session_id",
  "provider",
  "model",
  "day",
  "source",
  "input_tokens",
  "output_tokens",
  "cache_read_tokens",
  "cache_write_tokens",
  "reasoning_tokens",
  "total_tokens",
  "context_percent",
  "cost_nanos"
]
const usageRow = (row: Projection.UsageRow): ReadonlyArray<Value> => [
  row.turnId,
  row.attempt,
  row.sessionId,
  row.provider,
  row.model,
  row.day,
  row.source,
  row.usage.inputTokens,
  row.usage.outputTokens,
  row.usage.cacheReadTokens,
  row.usage.cacheWriteTokens,
  row.usage.reasoningTokens,
  row.usage.totalTokens,
  row.contextPercent,
  row.costNanos
]

const checkpointColumns = ["turn_id", "n", "seq", "phase", "usage", "context_hash"]
const checkpointRow = (row: Projection.CheckpointRow): ReadonlyArray<Value> => [
  row.turnId,
  row.checkpoint,
  row.seq,
  row.phase,
  jsonOrNull(row.usage),
  row.contextHash
]

const batchColumns = ["turn_id", "first_seq", "last_seq", "pos", "epoch", "terminal", "tails"]

const answerColumns = [
  "id",
  "session_id",
  "turn_id",
  "position",
  "role",
  "parts",
  "answer_after",
  "chars",
  "state",
  "created_at"
]

const insertUsage = Statements.inserter("usage", usageColumns)
const insertCheckpoints = Statements.inserter("checkpoints", checkpointColumns)
const insertBatches = Statements.inserter("batches", batchColumns, { exact: true })
const insertAnswers = Statements.inserter("messages", answerColumns)
const insertContents = Statements.inserter(
  "context_contents",
  ["session_id", "hash", "content"],
  { suffix: "ON CONFLICT (session_id, hash) DO NOTHING" }
)

const touchSessionText = "UPDATE sessions SET updated_at = ? WHERE id = ?"
const placeText = `SELECT position, role, turn_id AS "turnId" FROM messages WHERE`

/** Where a new message goes: behind the last, past the place that an unanswered question keeps for its answer. */
export const endPosition = (db: Statements.Statements, sessionId: string): number => {
  const [last] = db.all(`${placeText} session_id = ? ORDER BY position DESC LIMIT 1`, [sessionId])
  if (last === undefined) return 1
  const isOpen = Statements.textOf(last, "role") === "user" && Statements.textOrNull(last, "turnId") !== null
  return Statements.integerOf(last, "position") + (isOpen ? 2 : 1)
}

/** After the turn's own question; behind everything where the question was asked by an earlier turn. */
const answerPosition = (db: Statements.Statements, state: TurnState): number => {
  const [question] = db.all(`${placeText} id = ?`, [state.userMessageId])
  return question !== undefined && Statements.textOrNull(question, "turnId") === state.turnId
    ? Statements.integerOf(question, "position") + 1
    : endPosition(db, state.sessionId)
}

const writeEnd = (db: Statements.Statements, { message, state }: Projection.Projected): void => {
  endTurn(db, state)
  if (message !== undefined) {
    insertAnswers(db, [[
      message.id,
      state.sessionId,
      state.turnId,
      answerPosition(db, state),
      "assistant",
      JSON.stringify(message.parts),
      message.inEvents?.answerAfter ?? null,
      message.inEvents?.chars ?? null,
      message.state,
      message.createdAt
    ]])
  }
  db.all(touchSessionText, [state.endedAt ?? state.startedAt, state.sessionId])
}

const writeProjections = (db: Statements.Statements, pending: ReadonlyArray<Pending>): void => {
  for (const { contents, projected } of pending) {
    const { checkpoints, state, usages } = projected
    if (state.status !== "running") writeEnd(db, projected)
    insertUsage(db, usages.map(usageRow))
    insertCheckpoints(db, checkpoints.map(checkpointRow))
    insertContents(db, contents.map(({ content, hash }) => [state.sessionId, hash, content]))
  }
}

/** Writes at places from `first` on, and answers with what followers get to see once it is committed, in their order. */
export const write = (
  db: Statements.Statements,
  { epoch, first, pending }: {
    readonly epoch: number
    readonly first: number
    readonly pending: ReadonlyArray<Pending>
  }
): ReadonlyArray<Live.Published> => {
  insertBatches(
    db,
    pending.map(({ projected: { before, state, tails } }, index) => [
      state.turnId,
      (before?.lastSeq ?? 0) + 1,
      state.lastSeq,
      first + index,
      epoch,
      state.status === "running" ? 0 : 1,
      Batch.pack(tails)
    ])
  )
  writeProjections(db, pending)
  return pending.map(({ projected: { events, state } }, index) => ({ state, events, pos: first + index }))
}

export interface Options {
  readonly epoch: number
  readonly positions: Positions
  readonly live: Live.Live
  /**
   * Reads on the connection that never writes: what a transaction left behind that could not be rolled back must not be
   * taken for committed.
   */
  readonly read: <A>(
    body: (db: Connection) => Effect.Effect<A, Storage.StorageFault>
  ) => Effect.Effect<A, Storage.StorageFault>
  readonly stored: StoredEvents
}

/** What the appends of a group need to know of turns that are not in memory, or that they repeat. */
interface Known {
  readonly states: ReadonlyMap<TurnId, TurnState>
  /** By place in the group: stored events that the append repeats. */
  readonly repeated: ReadonlyMap<number, ReadonlyArray<JournaledEvent>>
}

const nothingMore: Known = { states: new Map(), repeated: new Map() }

export const make = ({ epoch, live, positions, read, stored }: Options) => {
  const stateOf = (id: TurnId, known: Known) => live.turn(id)?.state ?? known.states.get(id)

  /** Stored events from the first to the last of these. */
  const storedFor = (db: Connection, repeated: ReadonlyArray<TurnEvent>) =>
    Effect.gen(function*() {
      const found: Array<JournaledEvent> = []
      const [first, last] = [repeated[0], repeated.at(-1)]
      let cursor = (first?.seq ?? 1) - 1
      while (first !== undefined && last !== undefined && cursor < last.seq) {
        const page = yield* stored.turnPage(db, first.turnId, cursor)
        const reached = page.events.at(-1)
        if (reached === undefined) break
        for (const event of page.events) found.push(event)
        cursor = reached.seq
      }
      return found
    })

  /** After a start, and after a commit of which nobody knows what became of it. */
  const readKnown = (appends: ReadonlyArray<Append>) =>
    read((db) =>
      Effect.gen(function*() {
        const states = new Map<TurnId, TurnState>()
        const repeated = new Map<number, ReadonlyArray<JournaledEvent>>()
        for (const [index, { events, turnId }] of appends.entries()) {
          const known = live.turn(turnId)?.state ?? states.get(turnId) ?? (yield* stored.fold(db, turnId))
          if (known === undefined) continue
          if (live.turn(turnId) === undefined) states.set(turnId, known)
          const again = Projection.split(known, events).repeated
          if (again.length > 0) repeated.set(index, yield* storedFor(db, again))
        }
        return { states, repeated } satisfies Known
      })
    )

  /** Memory holds enough where each turn is there and nothing is repeated. */
  const look = (appends: ReadonlyArray<Append>): Effect.Effect<Known, Storage.StorageFault> | undefined => {
    const isPlain = appends.every(({ events, turnId }) => {
      const state = live.turn(turnId)?.state
      return state !== undefined && (events[0]?.seq ?? 0) > state.lastSeq
    })
    return isPlain ? undefined : readKnown(appends)
  }

  const appendAll = (
    db: Statements.Statements,
    appends: ReadonlyArray<Append>,
    known: Known = nothingMore
  ): Appended => {
    const pending = new Map<TurnId, Pending>()
    const refusals = new Map<number, JournalFailure>()
    let count = 0
    for (const [index, { contents = [], events, turnId }] of appends.entries()) {
      const waiting = pending.get(turnId)
      const before = waiting?.projected.state ?? stateOf(turnId, known)
      if (before === undefined) {
        refusals.set(index, refused(`no turn ${turnId}`))
        continue
      }
      const { repeated, rest } = Projection.split(before, events)
      const committed = [...known.repeated.get(index) ?? [], ...waiting?.projected.events ?? []]
      if (repeated.length > 0 && !Projection.isRepeat(repeated, committed)) {
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
    const commits = pending.size === 0
      ? []
      : write(db, { epoch, first: positions.take(db, pending.size), pending: [...pending.values()] })
    return {
      // A turn that was loaded is told of too: its followers may wait for a commit that was reported as failed.
      publish: () => {
        const loaded = [...known.states.values()].filter((state) => !pending.has(state.turnId as TurnId))
        if (loaded.length > 0) live.publish(loaded.map((state) => ({ state, events: [], pos: 0 })))
        if (commits.length > 0) positions.committed()
        live.publish(commits)
      },
      events: count,
      refused: refusals
    }
  }

  return { look, appendAll }
}
