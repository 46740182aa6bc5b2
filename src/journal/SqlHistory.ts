/**
 * History as later contexts see it, read page by page from messages and turns. Which of them count is decided by
 * `Exchanges`; here are the queries.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { HistoryReader } from "../domain/History.ts"
import type { MessageId, SessionId, TurnId } from "../domain/Ids.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import * as Exchanges from "./Exchanges.ts"
import { endless, type HistoryCache } from "./HistoryCache.ts"
import * as HistoryPages from "./HistoryPages.ts"
import * as HistoryRows from "./HistoryRows.ts"
import type { Journal } from "./Journal.ts"
import * as Rows from "./Rows.ts"
import type * as SqlAnswers from "./SqlAnswers.ts"
import type { Reader, StorageFault } from "./Storage.ts"
import type { StoredEvents } from "./StoredEvents.ts"

export interface Options {
  readonly sql: SqlClient.SqlClient
  readonly stored: StoredEvents
  readonly read: Reader
  readonly answer: ReturnType<typeof SqlAnswers.make>
  /** Undefined where another process may write. */
  readonly cache: HistoryCache | undefined
}

type Query = Parameters<Journal["Type"]["history"]>[0]

/** Every stored pos is below it. */
const unbounded = Number.MAX_SAFE_INTEGER

export const make = (
  { answer, cache, read, sql, stored }: Options
): (query: Query) => HistoryReader<JournalFailure> => {
  const answerColumns = sql.literal(
    `id, user_message_id AS "userMessageId", status, error ->> '_tag' AS "errorTag", message_id AS "messageId", resumed_from AS "resumedFrom", ord AS "startPos", end_pos AS "endPos"`
  )

  /** Before this pos a turn's context was read: the pos of its `context.built`. Unbounded where it was not built yet. */
  const contextPos = (db: Connection, id: TurnId) =>
    Effect.gen(function*() {
      const folded = yield* stored.foldedAfter(db, id, 0, Number.MAX_SAFE_INTEGER)
      if (folded.length > 0) return folded.find((event) => event.type === "context.built")?.pos ?? unbounded
      let seq = 0
      while (true) {
        const { events } = yield* stored.turnPage(db, id, seq)
        const built = events.find((event) => event.type === "context.built")
        const last = events.at(-1)
        if (built !== undefined) return (yield* stored.batchOf(db, id, built.seq))?.pos ?? unbounded
        // It comes before the first attempt, or never.
        if (last === undefined || events.some((event) => event.type === "attempt.started")) return unbounded
        seq = last.seq
      }
    })

  /** Up to a page of rows from `from` to below a position. */
  const historyPage = (
    db: Connection,
    { asOf, below, from = 0, sessionId }: {
      readonly sessionId: SessionId
      readonly below: number
      readonly asOf: number
      readonly from: number | undefined
    }
  ) =>
    Effect.gen(function*() {
      const newest = yield* HistoryRows.questionRows(
        db,
        sql`SELECT id, turn_id AS "turnId", position, role, parts FROM messages WHERE session_id = ${sessionId} AND position < ${below} AND position >= ${from} AND (role = 'user' OR turn_id IS NULL) ORDER BY position DESC LIMIT ${
          Exchanges.pageMax + 1
        }`
      )
      const page = Exchanges.taken(newest)
      const asked = page.rows.flatMap(({ id, turnId }) => turnId === null ? [] : [{ id, turnId }])
      const questions = asked.map(({ id }) => id)
      const askers = asked.map(({ turnId }) => turnId)
      const answers = questions.length === 0 ? [] : yield* HistoryRows.answerRows(
        db,
        sql`SELECT ${answerColumns} FROM turns WHERE ${
          sql.in("id", askers)
        } UNION ALL SELECT ${answerColumns} FROM turns
          WHERE ${sql.in("user_message_id", questions)} AND (retry_of IS NOT NULL OR resumed_from IS NOT NULL)`
      )
      const byQuestion = new Map(questions.map((id): [MessageId, Array<Rows.AnswerRow>] => [id, []]))
      for (const row of answers) byQuestion.get(row.userMessageId)?.push(row)
      const chosen = new Map(Array.from(byQuestion, ([id, rows]) => [id, Exchanges.choose(rows, asOf)]))
      const wanted = [...chosen.values()].flatMap((one) => one?.messages ?? [])
      const found = wanted.length === 0
        ? []
        : yield* HistoryRows.partsRows(
          db,
          sql`SELECT id, turn_id AS "turnId", parts, chars FROM messages WHERE ${sql.in("id", wanted)}`
        )
      return { rows: page.rows, chosen, found, cursor: page.cursor }
    })
  type Found = Effect.Effect.Success<ReturnType<typeof historyPage>>

  /** A long answer is read from where it is, unless no context could hold it. */
  const readAnswer = (
    { chars, parts, turnId }: Rows.PartsRow,
    charsMax: number
  ): Effect.Effect<Exchanges.AnswerRead, JournalFailure> => {
    if (chars === null || turnId === null) return Effect.succeed({ parts, unreadChars: 0 })
    if (chars > charsMax) return Effect.succeed({ parts: [], unreadChars: chars, isLong: true })
    const kinds = ["text", "tool-call"] as const // reasoning is never sent again
    return Stream.runCollect(Stream.flatMap(Stream.fromIterable(kinds), (kind) => answer(turnId, kind))).pipe(
      Effect.map((pieces) => ({ parts: Exchanges.merged(pieces), unreadChars: 0, isLong: true })),
      Effect.catchTag("TurnNotFound", () => Effect.succeed({ parts: [], unreadChars: 0, isLong: true }))
    )
  }

  const unitsOf = (page: Found, charsMax: number) =>
    Effect.map(
      Effect.forEach(
        page.found,
        (row) => Effect.map(readAnswer(row, charsMax), (one) => [row.id, one] as const)
      ),
      (answers) => Exchanges.units(page.rows, page.chosen, new Map(answers))
    )

  /** Where a history begins: below its message. The epoch is the database's, as its row is read. */
  const start = (
    db: Connection,
    { before, sessionId }: Query
  ): Effect.Effect<HistoryPages.Start, JournalFailure | StorageFault> =>
    before === undefined
      ? Effect.map(
        Rows.epochRows(db, sql`SELECT epoch FROM owner WHERE id = 1`),
        ([owner]) => ({ position: endless, isOfTurn: true, epoch: owner?.epoch ?? null })
      )
      : Effect.flatMap(
        HistoryRows.startRows(
          db,
          sql`SELECT position, turn_id AS "turnId", (SELECT epoch FROM owner WHERE id = 1) AS epoch FROM messages WHERE id = ${before} AND session_id = ${sessionId}`
        ),
        ([message]) =>
          message === undefined
            ? new JournalFailure({ operation: "history", retryable: false, reason: `no message ${before}` })
            : Effect.succeed({ position: message.position, isOfTurn: message.turnId !== null, epoch: message.epoch })
      )

  return (query) => {
    const { asOfTurn, sessionId } = query
    const asOf = Effect.suspend(() =>
      asOfTurn === undefined ? Effect.succeed(unbounded) : read("history", (db) => contextPos(db, asOfTurn))
    )
    const source: HistoryPages.Source<JournalFailure> = {
      start: read("history", (db) => start(db, query)),
      page: (below, charsMax, from) =>
        Effect.gen(function*() {
          const place = { sessionId, below, from, asOf: yield* asOf }
          const found = yield* read("history", (db) => historyPage(db, place))
          return { units: yield* unitsOf(found, charsMax), cursor: found.cursor }
        })
    }
    return cache === undefined || asOfTurn !== undefined
      ? HistoryPages.plain(source)
      : HistoryPages.kept(cache, sessionId, source)
  }
}
