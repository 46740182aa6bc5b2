/**
 * History as later contexts see it, read page by page from messages and turns. Which of them count is decided by
 * `Exchanges`; here are the queries.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { HistoryReader } from "../domain/History.ts"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import * as Exchanges from "./Exchanges.ts"
import type { Journal } from "./Journal.ts"
import * as Rows from "./Rows.ts"
import type * as SqlAnswers from "./SqlAnswers.ts"
import type { Reader } from "./Storage.ts"
import type { StoredEvents } from "./StoredEvents.ts"

export interface Options {
  readonly sql: SqlClient.SqlClient
  readonly stored: StoredEvents
  readonly read: Reader
  readonly answer: ReturnType<typeof SqlAnswers.make>
}

type Query = Parameters<Journal["Type"]["history"]>[0]

/** Every stored pos is below it. */
const unbounded = Number.MAX_SAFE_INTEGER

export const make = ({ answer, read, sql, stored }: Options): (query: Query) => HistoryReader<JournalFailure> => {
  const selectMessage = sql.literal(Rows.selectMessage)

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

  const historyPage = (
    db: Connection,
    query: { readonly sessionId: SessionId; readonly below: number; readonly asOf: number }
  ) =>
    Effect.gen(function*() {
      const newest = yield* Rows.messageRows(
        db,
        sql`${selectMessage} WHERE session_id = ${query.sessionId} AND position < ${query.below} AND (role = 'user' OR turn_id IS NULL) ORDER BY position DESC LIMIT ${
          Exchanges.pageMax + 1
        }`
      )
      const page = Exchanges.taken(newest)
      const questions = page.rows.filter((row) => row.turnId !== null).map((row) => row.id)
      const answers = questions.length === 0 ? [] : yield* Rows.answerRows(
        db,
        sql`SELECT id, user_message_id AS "userMessageId", status, error ->> '_tag' AS "errorTag", message_id AS "messageId", resumed_from AS "resumedFrom", start_pos AS "startPos", end_pos AS "endPos" FROM turns WHERE ${
          sql.in("user_message_id", questions)
        }`
      )
      const chosen = new Map(questions.map((id) => [
        id,
        Exchanges.choose(answers.filter((row) => row.userMessageId === id), query.asOf)
      ]))
      const wanted = [...chosen.values()].flatMap((one) => one?.messages ?? [])
      const found = wanted.length === 0
        ? []
        : yield* Rows.partsRows(
          db,
          sql`SELECT id, turn_id AS "turnId", parts, chars FROM messages WHERE ${sql.in("id", wanted)}`
        )
      return { rows: page.rows, chosen, found, cursor: page.cursor }
    })

  /** A long answer is read from where it is, unless no context could hold it. */
  const readAnswer = ({ chars, parts, turnId }: Rows.PartsRow, charsMax: number) => {
    if (chars === null || turnId === null) return Effect.succeed({ parts, unreadChars: 0 })
    if (chars > charsMax) return Effect.succeed({ parts: [], unreadChars: chars })
    const kinds = ["text", "tool-call"] as const // reasoning is never sent again
    return Stream.runCollect(Stream.flatMap(Stream.fromIterable(kinds), (kind) => answer(turnId, kind))).pipe(
      Effect.map((pieces) => ({ parts: Exchanges.merged(pieces), unreadChars: 0 })),
      Effect.catchTag("TurnNotFound", () => Effect.succeed({ parts: [], unreadChars: 0 }))
    )
  }

  const start = (db: Connection, { before, sessionId }: Query) =>
    before === undefined ? Effect.succeed(unbounded) : Effect.flatMap(
      Rows.positionRows(
        db,
        sql`SELECT position, role, turn_id AS "turnId" FROM messages WHERE id = ${before} AND session_id = ${sessionId}`
      ),
      ([message]) =>
        message === undefined
          ? new JournalFailure({ operation: "history", retryable: false, reason: `no message ${before}` })
          : Effect.succeed(message.position)
    )

  return (query) => (cursor, charsMax) =>
    Effect.gen(function*() {
      const page = yield* read("history", (db) =>
        Effect.gen(function*() {
          const asOf = query.asOfTurn === undefined ? unbounded : yield* contextPos(db, query.asOfTurn)
          const below = cursor ?? (yield* start(db, query))
          return yield* historyPage(db, { sessionId: query.sessionId, below, asOf })
        }))
      const answers = yield* Effect.forEach(
        page.found,
        (row) => Effect.map(readAnswer(row, charsMax), (one) => [row.id, one] as const)
      )
      return { exchanges: Exchanges.pair(page.rows, page.chosen, new Map(answers)), cursor: page.cursor }
    })
}
