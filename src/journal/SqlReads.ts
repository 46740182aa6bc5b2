/**
 * Everything the journal reads, on the connection that never writes: it sees the last commit and waits for nobody.
 * Turns that run in this process are shown from their committed live state, ended ones from their row and message.
 * Lists page by position; a cursor is the position of the last item, in digits.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Effect from "effect/Effect"
import type { MessageId, SessionId, TurnId } from "../domain/Ids.ts"
import type { Message } from "../domain/Message.ts"
import { SessionNotFound, TurnNotFound } from "../domain/RequestError.ts"
import type { Checkpoint, Page, Session, Turn } from "../domain/Resources.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import type { TurnState } from "../domain/TurnState.ts"
import * as Answers from "./Answers.ts"
import type { HistoryCache } from "./HistoryCache.ts"
import type * as Journal from "./Journal.ts"
import type * as Live from "./Live.ts"
import type { PageCache } from "./PageCache.ts"
import { cursorOf, cutPage, fitting, pageOf } from "./Paging.ts"
import * as Projection from "./Projection.ts"
import * as Rows from "./Rows.ts"
import * as SqlAnswers from "./SqlAnswers.ts"
import * as SqlHistory from "./SqlHistory.ts"
import * as SqlPages from "./SqlPages.ts"
import * as SqlUsage from "./SqlUsage.ts"
import * as Storage from "./Storage.ts"
import { foldEvents, type StoredEvents } from "./StoredEvents.ts"

export interface Options {
  readonly sql: SqlClient.SqlClient
  readonly live: Live.Live
  readonly stored: StoredEvents
  readonly pages: PageCache
  /** Whether this process is the one that writes: only then does memory know of every commit. */
  readonly owned: boolean
  /** Undefined where it is not. */
  readonly history: HistoryCache | undefined
}

const sessionOf = (row: Rows.SessionRow): Session => ({
  id: row.id,
  ...(row.title === null ? {} : { title: row.title }),
  ...(row.provider === null ? {} : { provider: row.provider }),
  ...(row.model === null ? {} : { model: row.model }),
  ...(row.system === null ? {} : { system: row.system }),
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
  turnCount: row.turnCount,
  running: row.running
})

const messageOf = ({ answerAfter, createdAt, id, parts, role, state, turnId }: Rows.MessageRow): Message => ({
  id,
  turnId,
  role,
  parts,
  ...(answerAfter === null ? {} : { whole: false }),
  state,
  createdAt
})

/** Characters of JSON after which a read of events ends, whatever its limit. */
const readCharsMax = 1_048_576

export const make = ({ history, live, owned, pages, sql, stored }: Options) => {
  const read = Storage.reader(sql)

  const answer = SqlAnswers.make({ sql, live, stored, read })

  const selectSession = sql.literal(`SELECT ord, id, title, provider, model, system, created_at AS "createdAt",
    updated_at AS "updatedAt", turn_count AS "turnCount",
    (SELECT t.id FROM turns t WHERE t.session_id = sessions.id AND t.end_pos IS NULL ORDER BY t.ord LIMIT 1) AS running
    FROM sessions`)

  const selectTurn = sql.literal(
    `SELECT t.ord, t.id, t.session_id AS "sessionId", t.status, t.phase, t.provider, t.model,
    t.user_message_id AS "userMessageId", t.message_id AS "messageId", t.retry_of AS "retryOf",
    t.resumed_from AS "resumedFrom", t.attempts, ${Rows.lastSeqOfT}, t.checkpoint,
    t.finish_reason AS "finishReason", t.error, t.usage, t.started_at AS "startedAt", t.ended_at AS "endedAt", t.options,
    CASE WHEN t.end_pos IS NULL THEN (SELECT count(*) FROM turns r
      WHERE r.session_id = t.session_id AND r.end_pos IS NULL AND r.ord < t.ord) ELSE 0 END AS place,
    m.parts, m.answer_after AS "answerAfter", t.folded_at AS "foldedAt", t.trace,
    (SELECT c.id FROM turns c WHERE c.resumed_from = t.id) AS "resumedBy",
    (SELECT c.id FROM turns c WHERE c.retry_of = t.id) AS "retriedBy"
    FROM turns t LEFT JOIN messages m ON m.id = t.message_id`
  )

  const selectMessage = sql.literal(Rows.selectMessage)
  const lastSeq = sql.literal(Rows.lastSeqOfT)

  const requireSession = (db: Connection, id: SessionId) =>
    Effect.flatMap(
      Rows.countRows(db, sql`SELECT 1 AS n FROM sessions WHERE id = ${id} AND ord > 0`),
      ([found]) => found === undefined ? new SessionNotFound({ sessionId: id }) : Effect.void
    )

  /** How far a turn is, without its answer. */
  const standing = (db: Connection, id: TurnId) =>
    Effect.flatMap(
      Rows.standingRows(
        db,
        sql`SELECT t.status, ${lastSeq}, t.session_id AS "sessionId", t.message_id AS "messageId", t.folded_at AS "foldedAt", t.end_pos AS "endPos" FROM turns t WHERE t.id = ${id}`
      ),
      ([row]) => row === undefined ? Effect.fail(new TurnNotFound({ turnId: id })) : Effect.succeed(row)
    )

  const requireTurn = (db: Connection, id: TurnId) =>
    Effect.flatMap(
      Rows.turnRows(db, sql`${selectTurn} WHERE t.id = ${id}`),
      ([row]) => row === undefined ? Effect.fail(new TurnNotFound({ turnId: id })) : Effect.succeed(row)
    )

  /** Its lifecycle events, as if nothing had been between them, with the last seq that it really has. */
  const foldedState = (db: Connection, id: TurnId) =>
    Effect.gen(function*() {
      const { lastSeq } = yield* standing(db, id)
      const events = yield* stored.foldedAfter(db, id, 0, Number.MAX_SAFE_INTEGER)
      const state = yield* foldEvents(events.map(Answers.closedUp), undefined)
      return state === undefined ? undefined : { ...state, lastSeq }
    })

  /** The state of a turn whose row or message does not tell: running, or failed without a message. */
  const folded = (db: Connection, id: TurnId) =>
    Effect.gen(function*() {
      const state = (yield* stored.fold(db, id)) ?? (yield* foldedState(db, id))
      return state ?? (yield* new TurnNotFound({ turnId: id }))
    })

  const fromState = (state: TurnState, place: number): Turn =>
    Projection.turnOf(Projection.summary(state), Answers.saidBy(state), { place })

  /** The row may be older or newer than the live state; each branch shows one committed moment. */
  const turnOf = (db: Connection, row: Rows.TurnRow): Effect.Effect<Turn, TurnNotFound | Storage.StorageFault> => {
    if (row.status === "running") {
      const now = live.turn(row.id)?.state
      return now === undefined
        ? Effect.map(folded(db, row.id), (state) => fromState(state, row.place))
        : Effect.succeed(fromState(now, row.place))
    }
    if (row.parts !== null) {
      const said = row.answerAfter === null ? Answers.saidIn(row.parts) : Answers.saidElsewhere
      return Effect.succeed(Projection.turnOf(row, said, row))
    }
    return row.attempts === 0 || row.foldedAt !== null
      ? Effect.succeed(Projection.turnOf(row, Answers.saidNothing, row))
      : Effect.map(folded(db, row.id), (state) => fromState(state, row.place))
  }

  const session = (id: SessionId) =>
    read("session", (db) =>
      Effect.flatMap(
        Rows.sessionRows(db, sql`${selectSession} WHERE id = ${id} AND ord > 0`),
        ([row]) =>
          row === undefined ? Effect.fail(new SessionNotFound({ sessionId: id })) : Effect.succeed(sessionOf(row))
      ))

  const sessions = Effect.fnUntraced(function*(page: Journal.PageRequest) {
    const after = yield* cursorOf(page)
    const rows = yield* read(
      "sessions",
      (db) => Rows.sessionRows(db, sql`${selectSession} WHERE ord > ${after} ORDER BY ord LIMIT ${page.limit + 1}`)
    )
    return cutPage(rows, page.limit, (row) => row.ord, sessionOf)
  })

  const messages = Effect.fnUntraced(function*(id: SessionId, page: Journal.PageRequest) {
    const after = yield* cursorOf(page)
    return yield* read("messages", (db) =>
      Effect.gen(function*() {
        yield* requireSession(db, id)
        const places = yield* Rows.placeRows(
          db,
          sql`SELECT position AS place, octet_length(parts) AS size FROM messages WHERE session_id = ${id} AND position > ${after} ORDER BY position LIMIT ${
            page.limit + 1
          }`
        )
        const limit = fitting(places, page.limit)
        const rows = yield* Rows.messageRows(
          db,
          sql`${selectMessage} WHERE session_id = ${id} AND position > ${after} ORDER BY position LIMIT ${limit}`
        )
        return pageOf(rows, places.length > limit, (row) => row.position, messageOf)
      }))
  })

  const turns = Effect.fnUntraced(function*(id: SessionId, page: Journal.PageRequest) {
    const after = yield* cursorOf(page)
    return yield* read("turns", (db) =>
      Effect.gen(function*() {
        yield* requireSession(db, id)
        const places = yield* Rows.placeRows(
          db,
          sql`SELECT t.ord AS place, coalesce(octet_length(m.parts), 0) AS size FROM turns t LEFT JOIN messages m ON m.id = t.message_id WHERE t.session_id = ${id} AND t.ord > ${after} ORDER BY t.ord LIMIT ${
            page.limit + 1
          }`
        )
        const limit = fitting(places, page.limit)
        const rows = yield* Rows.turnRows(
          db,
          sql`${selectTurn} WHERE t.session_id = ${id} AND t.ord > ${after} ORDER BY t.ord LIMIT ${limit}`
        )
        const cut = pageOf(rows, places.length > limit, (row) => row.ord, (row) => row)
        // A session that is deleted between the two reads has no turns any more.
        const items = yield* Effect.forEach(cut.items, (row) => turnOf(db, row)).pipe(
          Effect.catchTag("TurnNotFound", () => new SessionNotFound({ sessionId: id }))
        )
        return { ...cut, items } satisfies Page<Turn>
      }))
  })

  const message = (sessionId: SessionId, id: MessageId) =>
    read("message", (db) =>
      Effect.flatMap(
        Rows.messageRows(db, sql`${selectMessage} WHERE id = ${id} AND session_id = ${sessionId}`),
        ([row]) =>
          row === undefined
            ? Effect.fail(new JournalFailure({ operation: "message", retryable: false, reason: `no message ${id}` }))
            : Effect.succeed(messageOf(row))
      ))

  const turn = (id: TurnId) =>
    read("turn", (db) =>
      Effect.gen(function*() {
        const row = yield* requireTurn(db, id)
        return {
          turn: yield* turnOf(db, row),
          options: row.options,
          resumedBy: row.resumedBy ?? undefined,
          retriedBy: row.retriedBy ?? undefined,
          trace: Rows.traceOf(row.trace)
        } satisfies Journal.TurnRecord
      }))

  /** What a restart reads it appends to next: the owner keeps it, so that the append does not fold it again. */
  const state = (id: TurnId) => {
    const now = live.turn(id)?.state
    if (now !== undefined) return Effect.succeed(now)
    const seen = live.version()
    return Effect.tap(
      read("state", (db) => folded(db, id)),
      (found) => owned ? Effect.sync(() => live.adopt(found, seen)) : Effect.void
    )
  }

  const states = (ids: ReadonlyArray<TurnId>) => {
    const seen = live.version()
    return Effect.tap(
      read("states", (db) => stored.foldMany(db, ids)),
      (found) =>
        owned
          ? Effect.sync(() => {
            for (const state of found.values()) live.adopt(state, seen)
          })
          : Effect.void
    )
  }

  const readAfter = (id: TurnId, seq: number, limit: number) =>
    read("readAfter", (db) =>
      Effect.gen(function*() {
        const { foldedAt } = yield* standing(db, id)
        if (foldedAt !== null) return yield* stored.foldedAfter(db, id, seq, limit)
        const events: Array<Journal.JournaledEvent> = []
        let chars = 0
        while (events.length < limit && chars < readCharsMax) {
          const page = yield* stored.turnPage(db, id, events.at(-1)?.seq ?? seq)
          if (page.events.length === 0) break
          for (const event of page.events) {
            events.push(event)
            chars += event.json.length
          }
        }
        return events.slice(0, limit)
      }))

  const byKey = (sessionId: SessionId, key: string) =>
    read("byKey", (db) =>
      Effect.map(
        Rows.keyedRows(
          db,
          sql`SELECT id AS "turnId", body_hash AS "bodyHash" FROM turns WHERE session_id = ${sessionId} AND idempotency_key = ${key}`
        ),
        ([row]) => row
      ))

  /** The last checkpoint of a folded turn says what its message says. */
  const foldedCheckpoint = (db: Connection, id: TurnId, rows: ReadonlyArray<Omit<Checkpoint, "text" | "reasoning">>) =>
    Effect.map(requireTurn(db, id), (row) => {
      const said = row.answerAfter === null ? Answers.saidIn(row.parts ?? []) : Answers.saidElsewhere
      return rows.map((checkpoint): Checkpoint => ({ ...checkpoint, ...Answers.shown(said) }))
    })

  /** The texts come from the events: one pass, page by page, with the state kept at each checkpoint's seq. */
  const checkpoints = (id: TurnId) =>
    read("checkpoints", (db) =>
      Effect.gen(function*() {
        const { foldedAt } = yield* standing(db, id)
        const rows = yield* Rows.checkpointRows(
          db,
          sql`SELECT n AS checkpoint, turn_id AS "turnId", phase, seq, usage, context_hash AS "contextHash" FROM checkpoints WHERE turn_id = ${id} ORDER BY n`
        )
        if (foldedAt !== null) return yield* foldedCheckpoint(db, id, rows)
        const items: Array<Checkpoint> = []
        let state: TurnState | undefined
        for (const row of rows) {
          while ((state?.lastSeq ?? 0) < row.seq) {
            const page = yield* stored.turnPage(db, id, state?.lastSeq ?? 0)
            const upTo = page.events.filter((event) => event.seq <= row.seq)
            if (upTo.length === 0) break
            state = yield* foldEvents(upTo, state)
          }
          const said = state === undefined ? Answers.saidNothing : Answers.saidBy(state)
          items.push({ ...row, ...Answers.shown(said) })
        }
        return items
      }))

  const runningTurns = read("runningTurns", (db) =>
    Effect.map(
      // its index has them by session; they are few, but after a crash
      Rows.openRows(db, sql`SELECT id, ord FROM turns WHERE end_pos IS NULL`),
      (rows) => rows.toSorted((a, b) => a.ord - b.ord).map((row) => row.id)
    ))

  const traces = (ids: ReadonlyArray<TurnId>) =>
    ids.length === 0 ? Effect.succeed(new Map<TurnId, Journal.Trace>()) : read("traces", (db) =>
      Effect.map(
        Rows.traceRows(db, sql`SELECT id, trace FROM turns WHERE trace IS NOT NULL AND ${sql.in("id", ids)}`),
        (rows) => {
          const found = new Map<TurnId, Journal.Trace>()
          for (const row of rows) {
            const trace = Rows.traceOf(row.trace)
            if (trace !== undefined) found.set(row.id, trace)
          }
          return found
        }
      ))

  const commits = (id: TurnId, afterSeq: number, limit: number) =>
    read("commits", (db) =>
      Effect.zipRight(
        standing(db, id),
        Rows.commitRows(
          db,
          sql`SELECT first_seq AS "firstSeq", last_seq AS "lastSeq", length(tails) AS chars FROM batches WHERE turn_id = ${id} AND first_seq > ${afterSeq} ORDER BY first_seq LIMIT ${limit}`
        )
      ))

  const answers = read("health", (db) => Effect.asVoid(Rows.epochRows(db, sql`SELECT epoch FROM owner WHERE id = 1`)))

  const contents = (sessionId: SessionId, hashes: ReadonlyArray<string>) =>
    hashes.length === 0 ? Effect.succeed(new Map<string, string>()) : read("contents", (db) =>
      Effect.map(
        Rows.contentRows(
          db,
          sql`SELECT hash, content FROM context_contents WHERE session_id = ${sessionId} AND ${sql.in("hash", hashes)}`
        ),
        (rows) => new Map(rows.map((row) => [row.hash, row.content]))
      ))

  return {
    read,
    session,
    sessions,
    messages,
    turns,
    message,
    turn,
    byKey,
    state,
    states,
    readAfter,
    answer,
    checkpoints,
    runningTurns,
    history: SqlHistory.make({ sql, stored, read, answer, cache: history }),
    contents,
    traces,
    commits,
    answers,
    ...SqlUsage.make(sql, read),
    pages: SqlPages.make({ read, stored, pages, requireSession, standing })
  }
}
