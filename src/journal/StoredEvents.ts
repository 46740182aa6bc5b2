/**
 * Events as rows hold them: from a batch to the bytes that readers get, to values, to a folded state. Reads are paged,
 * so that no turn or session is ever in memory as a whole; the fold alone keeps a turn's text, up to a limit.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Effect from "effect/Effect"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import { heldCharsMax } from "../domain/Message.ts"
import * as TurnEvent from "../domain/TurnEvent.ts"
import * as TurnState from "../domain/TurnState.ts"
import * as Batch from "./Batch.ts"
import { tick } from "./EventLoop.ts"
import type { JournaledEvent } from "./Journal.ts"
import { within } from "./Paging.ts"
import type { BatchRow } from "./Rows.ts"
import * as Rows from "./Rows.ts"
import * as SessionCommits from "./SessionCommits.ts"
import * as Statements from "./Statements.ts"
import { StorageFault } from "./Storage.ts"

/** What a batch named `b` unpacks to: its bytes, and what its events may have left out. */
const unpacked = `(octet_length(b.tails) + ${Batch.leftOutMax} * (b.last_seq - b.first_seq + 1))`
/** A page of batches ends before it passes this many bytes, unpacked: what a follower that fell behind holds. */
export const pageBytesMax = 64 * 1024
/** And at most this many batches, one a commit: 256 commits of a slow stream are a few kilobytes. */
export const pageBatchesMax = 256

const unreadable = new StorageFault({
  code: "UNREADABLE_ROW",
  detail: "a stored event does not have the expected shape"
})

const knownTypes: ReadonlySet<string> = new Set(TurnEvent.eventTypes)
const isType = (type: string): type is TurnEvent.EventType => knownTypes.has(type)

/** The batch's events after `seq`, as every reader gets them; undefined where a row is damaged. */
export const eventsOf = (batch: BatchRow, seq: number): ReadonlyArray<JournaledEvent> | undefined => {
  const head = TurnEvent.head(batch.turnId, batch.sessionId)
  const events: Array<JournaledEvent> = []
  let at = batch.firstSeq
  for (const tail of Batch.unpack(batch.tails)) {
    if (at > seq) {
      const type = TurnEvent.typeOfTail(tail)
      if (!isType(type)) return undefined
      events.push({ turnId: batch.turnId, seq: at, type, json: TurnEvent.json(head, at, tail) })
    }
    at++
  }
  return events
}

/**
 * The value of a stored event. Deltas, which are nearly all of a journal, and what every turn begins with are checked by
 * hand: a schema costs many times the parse, and a restart folds every turn that a crash left.
 */
const valueOf = (json: string): TurnEvent.TurnEvent => {
  const value: unknown = JSON.parse(json)
  return isPlain(value) ? value : TurnEvent.decode(value)
}

type Fields = { readonly [key: string]: unknown }

/** Only members that are there, with the type that the fold reads; anything else is for the schema to judge. */
const plainData: { readonly [type: string]: ((data: Fields) => boolean) | undefined } = {
  "model.delta": ({ kind, text }) => (kind === "text" || kind === "reasoning") && typeof text === "string",
  "attempt.started": ({ attempt }) => Number.isSafeInteger(attempt),
  "turn.started": ({ model, provider, resumedFrom, retryOf, userMessageId }) =>
    typeof model === "string" && typeof provider === "string" && typeof userMessageId === "string" &&
    resumedFrom === undefined && retryOf === undefined
}

const isPlain = (value: unknown): value is TurnEvent.TurnEvent => {
  if (typeof value !== "object" || value === null) return false
  const { at, data, seq, type, v } = value as Fields // an object, read with care below
  if (v !== 1 || typeof type !== "string" || typeof at !== "string" || !Number.isSafeInteger(seq)) return false
  const isPlainData = plainData[type]
  return isPlainData !== undefined && typeof data === "object" && data !== null && isPlainData(data as Fields)
}

/** Turns that `foldMany` reads in one query: 128 short ones are some hundred kilobytes, at most 8 MiB. */
const foldAtOnce = 128

/** Each turn's batches stand together, in order. */
const foldBatches = (batches: ReadonlyArray<BatchRow>): ReadonlyMap<TurnId, TurnState.TurnState> => {
  const states = new Map<TurnId, TurnState.TurnState>()
  const unreadableTurns = new Set<TurnId>()
  for (const batch of batches) {
    if (unreadableTurns.has(batch.turnId)) continue
    try {
      const events = eventsOf(batch, 0)?.map((event) => valueOf(event.json)) ?? []
      const state = TurnState.fold(events, states.get(batch.turnId), heldCharsMax)
      if (events.length === 0 || state === undefined) throw new RangeError("no events in a batch")
      states.set(batch.turnId, state)
    } catch {
      // whatever is wrong with it, `fold` meets it again and says so
      states.delete(batch.turnId)
      unreadableTurns.add(batch.turnId)
    }
  }
  return states
}

/** The state after these events. */
export const foldEvents = (
  events: ReadonlyArray<JournaledEvent>,
  from: TurnState.TurnState | undefined
): Effect.Effect<TurnState.TurnState | undefined, StorageFault> =>
  Effect.try({
    try: () => TurnState.fold(events.map((event) => valueOf(event.json)), from, heldCharsMax),
    catch: () => unreadable
  })

/** Whole commits, or the rest of one. */
export interface CommitPage {
  readonly events: ReadonlyArray<JournaledEvent>
  /** Of the last batch read; the cursor that was given where there is none. */
  readonly pos: number
}

export interface BatchPage extends CommitPage {
  /** Whether there was nothing after it when it was read. */
  readonly last: boolean
}

export interface FoldedEvent extends JournaledEvent {
  readonly pos: number
}

export interface StoredEvents {
  /** Lifecycle events of a folded turn after `seq`, at most `limit`. */
  readonly foldedAfter: (
    db: Connection,
    id: TurnId,
    seq: number,
    limit: number
  ) => Effect.Effect<ReadonlyArray<FoldedEvent>, StorageFault>
  /** Events of a turn after `seq`. */
  readonly turnPage: (db: Connection, id: TurnId, seq: number) => Effect.Effect<BatchPage, StorageFault>
  /** Whole commits of a session after `pos`. */
  readonly sessionPage: (db: Connection, id: SessionId, pos: number) => Effect.Effect<CommitPage, StorageFault>
  /** The batch that holds this event: its pos and its events after it. */
  readonly batchOf: (db: Connection, id: TurnId, seq: number) => Effect.Effect<CommitPage | undefined, StorageFault>
  /** The fold of all events of a turn; undefined where there are none. */
  readonly fold: (db: Connection, id: TurnId) => Effect.Effect<TurnState.TurnState | undefined, StorageFault>
  /** The folds of many turns; without those that are long, not there or unreadable, which `fold` takes one by one. */
  readonly foldMany: (
    db: Connection,
    ids: ReadonlyArray<TurnId>
  ) => Effect.Effect<ReadonlyMap<TurnId, TurnState.TurnState>, StorageFault>
  /** The fold of its events up to `seq`. */
  readonly foldUpTo: (
    db: Connection,
    id: TurnId,
    seq: number
  ) => Effect.Effect<TurnState.TurnState | undefined, StorageFault>
}

export const make = (sql: SqlClient.SqlClient): StoredEvents => {
  // in this order of the tables: batches come by their key, and need no sorting
  const selectBatches = sql.literal(
    `SELECT b.pos, b.turn_id AS "turnId", t.session_id AS "sessionId", b.first_seq AS "firstSeq", b.tails FROM batches b CROSS JOIN turns t ON t.id = b.turn_id`
  )
  const selectSizes = sql.literal(
    `SELECT b.first_seq AS "firstSeq", b.last_seq AS "lastSeq", ${unpacked} AS size FROM batches b`
  )
  const commits = SessionCommits.make({ batchesMax: pageBatchesMax, bytesMax: pageBytesMax, size: unpacked })
  /** The first seq of the batch that holds the event after `seq`, by one index seek. */
  const startOf = (id: TurnId, seq: number) =>
    sql`coalesce((SELECT max(first_seq) FROM batches WHERE turn_id = ${id} AND first_seq <= ${seq + 1}), 1)`

  const pageOf = (
    batches: ReadonlyArray<BatchRow>,
    seq: number,
    pos: number
  ): Effect.Effect<CommitPage, StorageFault> => {
    const events: Array<JournaledEvent> = []
    for (const batch of batches) {
      const found = eventsOf(batch, seq)
      if (found === undefined) return Effect.fail(unreadable)
      for (const event of found) events.push(event)
    }
    return Effect.succeed({ events, pos: batches.at(-1)?.pos ?? pos })
  }

  // Sizes come first, from row headers alone, so that a page of huge batches is never loaded as a whole.
  const turnPage = (db: Connection, id: TurnId, seq: number) =>
    Effect.gen(function*() {
      const sizes = yield* Rows.sizeRows(
        db,
        sql`${selectSizes} WHERE b.turn_id = ${id} AND b.first_seq >= ${
          startOf(id, seq)
        } ORDER BY b.first_seq LIMIT ${pageBatchesMax}`
      )
      const rest = sizes.filter((row) => row.lastSeq > seq)
      const first = rest[0]
      const last = rest[within(rest, pageBytesMax) - 1]
      if (first === undefined || last === undefined) return { events: [], pos: 0, last: true }
      const all = sizes.length < pageBatchesMax && last === rest.at(-1)
      const batches = yield* Rows.batchRows(
        db,
        sql`${selectBatches} WHERE b.turn_id = ${id} AND b.first_seq BETWEEN ${first.firstSeq} AND ${last.firstSeq} ORDER BY b.first_seq`
      )
      return { ...yield* pageOf(batches, seq, 0), last: all }
    })

  const sessionPage = (db: Connection, id: SessionId, pos: number) =>
    Statements.atOnce(db, (statements) => pageOf(commits.after(statements, id, pos), 0, pos))

  const batchOf = (db: Connection, id: TurnId, seq: number) =>
    Effect.gen(function*() {
      const batches = yield* Rows.batchRows(
        db,
        sql`${selectBatches} WHERE b.turn_id = ${id} AND b.first_seq <= ${seq} AND b.last_seq >= ${seq} ORDER BY b.first_seq DESC LIMIT 1`
      )
      return batches.length === 0 ? undefined : yield* pageOf(batches, seq, 0)
    })

  const foldUpTo = (db: Connection, id: TurnId, seq: number) =>
    Effect.gen(function*() {
      let state: TurnState.TurnState | undefined
      while (true) {
        const page = yield* turnPage(db, id, state?.lastSeq ?? 0)
        const events = (page.events.at(-1)?.seq ?? 0) <= seq ? page.events : page.events.filter((one) => one.seq <= seq)
        if (events.length === 0) return state
        state = yield* foldEvents(events, state)
        if (page.last || events.length < page.events.length) return state
        yield* tick
      }
    })

  const foldedAfter = (db: Connection, id: TurnId, seq: number, limit: number) =>
    Effect.gen(function*() {
      const rows = yield* Rows.foldedRows(
        db,
        sql`SELECT f.turn_id AS "turnId", t.session_id AS "sessionId", f.seq, f.pos, f.tail FROM folded_events f JOIN turns t ON t.id = f.turn_id WHERE f.turn_id = ${id} AND f.seq > ${seq} ORDER BY f.seq LIMIT ${limit}`
      )
      const events: Array<FoldedEvent> = []
      for (const { pos, seq, sessionId, tail, turnId } of rows) {
        const [event] = eventsOf({ pos, turnId, sessionId, firstSeq: seq, tails: tail }, 0) ?? []
        if (event === undefined) return yield* unreadable
        events.push({ ...event, pos })
      }
      return events
    })

  const foldMany = (db: Connection, ids: ReadonlyArray<TurnId>) =>
    Effect.gen(function*() {
      const states = new Map<TurnId, TurnState.TurnState>()
      // The same number of marks each time: the driver keeps its statements by their text.
      for (let at = 0; at < ids.length; at += foldAtOnce) {
        const some = ids.slice(at, at + foldAtOnce)
        const marks = Array.from({ length: foldAtOnce }, (_, index) => some[index] ?? "")
        const short = sql`SELECT b.turn_id FROM batches b WHERE ${
          sql.in("b.turn_id", marks)
        } GROUP BY b.turn_id HAVING sum(${sql.literal(unpacked)}) <= ${pageBytesMax}`
        const batches = yield* Rows.batchRows(
          db,
          sql`${selectBatches} WHERE b.turn_id IN (${short}) ORDER BY b.turn_id, b.first_seq`
        )
        for (const [id, state] of foldBatches(batches)) states.set(id, state)
        yield* tick
      }
      return states
    })

  const fold = (db: Connection, id: TurnId) => foldUpTo(db, id, Number.MAX_SAFE_INTEGER)

  return { foldedAfter, turnPage, sessionPage, batchOf, fold, foldMany, foldUpTo }
}
