/** What SQLite does for each statement of the journal: nothing that is done while turns run reads a whole table. */
import type * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { TurnId } from "../../src/domain/Ids.ts"
import { Database } from "../../src/journal/Database.ts"
import { rows } from "../../src/journal/DatabaseConnection.ts"
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as JournalSql from "../../src/journal/JournalSql.ts"
import * as Statements from "../../src/journal/Statements.ts"
import { freshFolder } from "./databaseFixture.ts"
import {
  admit,
  answered,
  answering,
  append,
  at,
  attempt,
  built,
  createSession,
  cutting,
  delta,
  imported,
  messageId,
  sessionId,
  turnId
} from "./fixtures.ts"

interface Asked {
  readonly text: string
  readonly params: ReadonlyArray<unknown>
}

/** Statements by the operation that ran them. */
class Heard {
  readonly statements = new Map<string, Map<string, Asked>>()
  operation = "opening"

  add(text: string, params: ReadonlyArray<unknown>): void {
    const own = this.statements.get(this.operation) ?? new Map<string, Asked>()
    this.statements.set(this.operation, own.set(text, { text, params }))
  }
}

const listening = (heard: Heard, sql: SqlClient.SqlClient): SqlClient.SqlClient => {
  const reserve = Effect.map(sql.reserve, (connection) => ({
    ...connection,
    ...Statements.changed(connection, (statements) => ({
      all: (text, params) => {
        heard.add(text, params)
        return statements.all(text, params)
      }
    })),
    execute: (text: string, params: ReadonlyArray<unknown>, transform: Parameters<typeof connection.execute>[2]) => {
      heard.add(text, params)
      return connection.execute(text, params, transform)
    }
  }))
  return new Proxy(sql, {
    get: (target, key, receiver): unknown => key === "reserve" ? reserve : Reflect.get(target, key, receiver)
  })
}

const layerHeard = (heard: Heard, dataDir: string) =>
  Layer.provideMerge(
    JournalSql.layer,
    Layer.provide(
      Layer.effect(
        Database,
        Effect.map(Database, (opened) => ({
          ...opened,
          reader: listening(heard, opened.reader),
          writer: opened.writer === undefined ? undefined : listening(heard, opened.writer)
        }))
      ),
      DatabaseSqlite.layer({ dataDir, durability: "relaxed", takeOver: false })
    )
  )

const everything = { cursor: undefined, limit: 10 }
const drained = <A, E>(stream: Stream.Stream<A, E>) => Stream.runDrain(stream)

/** A session with ended turns, a failed one, an import, and a turn that runs. */
const filled = Effect.gen(function*() {
  const journal = yield* Journal
  yield* createSession("s")
  for (let index = 0; index < 3; index++) yield* answered(`t${index}`, "s", ["some", "words"])
  yield* admit("cut", "s")
  yield* append("cut", "s", 2, cutting("cut", ["a", "b"]))
  yield* journal.createSession(
    { id: sessionId("imported"), title: undefined, provider: undefined, model: undefined, system: undefined, at },
    [{ id: messageId("m"), role: "user", parts: [{ type: "text", text: "hello" }] }]
  )
  yield* createSession("running")
  yield* admit("runs", "running")
  yield* append("runs", "running", 2, [built, attempt(), delta("x")])
})

const imports = (id: string) =>
  ({ id: sessionId(id), title: undefined, provider: undefined, model: undefined, system: undefined, at }) as const

/** What happens for each turn, for each reader of one, and at each start. */
const hot: { readonly [operation: string]: Effect.Effect<unknown, unknown, Journal> } = {
  "submit": answered("new", "s", ["one"], {
    idempotency: { key: "key", bodyHash: "hash" },
    trace: { traceId: "0".repeat(32), spanId: "0".repeat(16) }
  }),
  "submit in line, and what ends before it": Effect.gen(function*() {
    yield* admit("queued", "running", { onBusy: "queue" })
    yield* append("runs", "running", 5, answering("runs", []).slice(2))
  }),
  "retry": answered("again", "s", ["other"], { link: { retryOf: "t0", question: "t0-question" } }),
  "resume": answered("on", "s", ["more"], { link: { resumedFrom: "cut", question: "cut-question" } }),
  "append": append("queued", "running", 2, [built, attempt(), delta("x")]),
  "append that is repeated": append("queued", "running", 2, [built, attempt(), delta("x")]),
  "append with contents": Effect.flatMap(
    Journal,
    (journal) => journal.append({ turnId: turnId("queued"), events: [], contents: [{ hash: "h", content: "c" }] })
  ),
  "appends of many turns": Effect.flatMap(
    Journal,
    (journal) => journal.appendAll([{ turnId: turnId("queued"), events: [] }, { turnId: turnId("nobody"), events: [] }])
  ),
  "cancel": append("queued", "running", 5, cutting("queued", []).slice(2)),
  "read of a turn": Effect.flatMap(Journal, (journal) => journal.turn(turnId("t1"))),
  "state of a turn": Effect.flatMap(Journal, (journal) => journal.state(turnId("t1"))),
  "lookup of an idempotency key": Effect.flatMap(Journal, (journal) => journal.byKey(sessionId("s"), "key")),
  "readAfter": Effect.flatMap(Journal, (journal) => journal.readAfter(turnId("t1"), 0, 100)),
  "answer": Effect.flatMap(Journal, (journal) => drained(journal.answer(turnId("t1"), "text"))),
  "follow from rows": Effect.flatMap(Journal, (journal) => drained(journal.follow(turnId("t1"), 0))),
  "follow a session from rows": Effect.flatMap(Journal, (journal) =>
    Effect.zipRight(
      drained(journal.followSession(sessionId("s"), undefined, false)),
      drained(journal.followSession(sessionId("s"), { turnId: turnId("t1"), seq: 2 }, false))
    )),
  "history": Effect.flatMap(Journal, (journal) => {
    const read = (before: string | undefined, asOfTurn: TurnId | undefined) =>
      journal.history({
        sessionId: sessionId("s"),
        before: before === undefined ? undefined : messageId(before),
        asOfTurn
      })(undefined, 1_000)
    return Effect.all([
      read("t1-question", undefined),
      read("new-question", undefined),
      read(undefined, undefined),
      read("t1-question", turnId("t1"))
    ])
  }),
  "contents of a context": Effect.flatMap(Journal, (journal) => journal.contents(sessionId("s"), ["a", "b"])),
  "one message": Effect.flatMap(Journal, (journal) => journal.message(sessionId("s"), messageId("t1-question"))),
  "a page of messages": Effect.flatMap(Journal, (journal) => journal.messages(sessionId("s"), everything)),
  "a page of turns": Effect.flatMap(Journal, (journal) => journal.turns(sessionId("s"), everything)),
  "a session": Effect.flatMap(Journal, (journal) => journal.session(sessionId("s"))),
  "a page of sessions": Effect.flatMap(Journal, (journal) => journal.sessions(everything)),
  "a change of a session": Effect.flatMap(
    Journal,
    (journal) => journal.updateSession(sessionId("s"), { title: "x" }, at)
  ),
  "usage of a turn": Effect.flatMap(Journal, (journal) => journal.usage({ by: ["turn"], where: { turn: "t1" } })),
  "usage of a session": Effect.flatMap(Journal, (journal) => journal.usage({ by: [], where: { session: "s" } })),
  "usage of a session, by itself and by turn": Effect.flatMap(Journal, (journal) =>
    Effect.zipRight(
      journal.usage({ by: ["session"], where: { session: "s" } }),
      journal.usage({ by: ["turn"], where: { session: "s", turn: "t1" } })
    )),
  "what a session and a day spent": Effect.flatMap(
    Journal,
    (journal) => journal.spent({ session: sessionId("s"), fullest: false, day: "2026-01-02" })
  ),
  "what the fullest session spent": Effect.flatMap(
    Journal,
    (journal) => journal.spent({ session: undefined, fullest: true, day: "2026-01-02" })
  ),
  "checkpoints": Effect.flatMap(Journal, (journal) => journal.checkpoints(turnId("t1"))),
  "commits of a turn": Effect.flatMap(Journal, (journal) => journal.commits(turnId("t1"), 0, 10)),
  "traces": Effect.flatMap(Journal, (journal) => journal.traces([turnId("new"), turnId("t1")])),
  "recovery's read of running turns": Effect.flatMap(Journal, (journal) => journal.runningTurns),
  "recovery's read of their states": Effect.flatMap(Journal, (journal) => journal.states([turnId("t1"), turnId("t2")])),
  "health": Effect.flatMap(Journal, (journal) => journal.health),
  "an import": Effect.flatMap(Journal, (journal) =>
    journal.createSession(
      { id: sessionId("again"), title: undefined, provider: undefined, model: undefined, system: undefined, at },
      [{ id: messageId("again-m"), role: "user", parts: [{ type: "text", text: "hello" }] }]
    )),
  "an import in pieces": Effect.flatMap(
    Journal,
    (journal) => journal.createSession(imports("pieces"), imported("pieces", 2_000))
  ),
  "an import that is given up": Effect.gen(function*() {
    const journal = yield* Journal
    const broken = imported("broken", 2_000, (n) => {
      if (n === 1_500) throw new Error("no more of it")
    })
    yield* Effect.exit(journal.createSession(imports("broken"), broken))
    // it is removed in the background: these come after
    for (let n = 0; n < 10; n++) yield* createSession(`after-${n}`)
  }),
  "folding": Effect.flatMap(Journal, (journal) => journal.foldTurns("2027-01-01T00:00:00.000Z", at, 1)),
  "a folded turn": Effect.flatMap(
    Journal,
    (journal) => Effect.all([journal.state(turnId("t0")), journal.readAfter(turnId("t0"), 0, 10)], { discard: true })
  ),
  "a deletion": Effect.flatMap(Journal, (journal) => journal.deleteSession(sessionId("imported")))
}

/** What may read all there is, because a person asks for it now and then. */
const cold: {
  readonly [operation: string]: { readonly why: string; readonly run: Effect.Effect<unknown, unknown, Journal> }
} = {
  "a report of the whole ledger": {
    why: "a sum over everything reads everything",
    run: Effect.flatMap(Journal, (journal) => journal.usage({ by: ["day", "model"] }))
  }
}

/** What may sort, because it sorts no more than a few rows that it found by an index. */
const sorting: { readonly [operation: string]: string } = {
  "usage of a turn": "the attempts of one turn, told apart for a count",
  "usage of a session": "the attempts of one session, told apart for a count",
  "usage of a session, by itself and by turn": "the attempts of one session"
}

/** Rows of a statement's own, SQLite's row a table, and an index of the running turns alone, are no table that grows. */
const scans = /^SCAN (?!CONSTANT ROW|pragma_|sqlite_sequence|\d+-ROW VALUES)(?!.*USING (COVERING )?INDEX turns_running)/
const sorts = /USE TEMP B-TREE/

const planned = /^(SELECT|INSERT|UPDATE|DELETE|WITH)\b/i
const planRows = rows(Schema.Struct({ detail: Schema.String }))

const plansOf = (heard: Heard, operation: string) =>
  Effect.gen(function*() {
    const { reader } = yield* Database
    const asked = [...heard.statements.get(operation)?.values() ?? []].filter(({ text }) => planned.test(text))
    return yield* Effect.forEach(asked, ({ params, text }) =>
      Effect.map(
        planRows(reader, `EXPLAIN QUERY PLAN ${text}`, params as ReadonlyArray<string>),
        (plan) => ({ text, details: plan.map(({ detail }) => detail) })
      ))
  })

const faultsOf = (
  plans: Effect.Effect.Success<ReturnType<typeof plansOf>>,
  maySort: boolean
): ReadonlyArray<string> =>
  plans.flatMap(({ details, text }) =>
    details.filter((detail) => scans.test(detail) || (!maySort && sorts.test(detail)))
      .map((detail) => `${detail} <- ${text.replace(/\s+/g, " ")}`)
  )

describe("P33: query plans", () => {
  it.scoped("nothing that is done while turns run reads a whole table, or sorts what it read", () =>
    Effect.gen(function*() {
      const heard = new Heard()
      yield* Effect.gen(function*() {
        yield* filled
        for (const [operation, run] of Object.entries(hot)) {
          heard.operation = operation
          yield* run
        }
        heard.operation = "explaining"
        const found: Record<string, ReadonlyArray<string>> = {}
        for (const operation of Object.keys(hot)) {
          const plans = yield* plansOf(heard, operation)
          const faults = faultsOf(plans, operation in sorting)
          if (faults.length > 0) found[operation] = faults
        }
        assert.deepStrictEqual(found, {})
      }).pipe(Effect.provide(layerHeard(heard, yield* freshFolder)))
    }))

  it.scoped("each of them was heard: an operation that runs no statement is none of the list", () =>
    Effect.gen(function*() {
      const heard = new Heard()
      yield* Effect.gen(function*() {
        yield* filled
        for (const [operation, run] of Object.entries(hot)) {
          heard.operation = operation
          yield* run
          assert.isAbove(heard.statements.get(operation)?.size ?? 0, 0, operation)
        }
      }).pipe(Effect.provide(layerHeard(heard, yield* freshFolder)))
    }))

  it.scoped("what may read a whole table does: the list of exceptions holds no more than it must", () =>
    Effect.gen(function*() {
      const heard = new Heard()
      yield* Effect.gen(function*() {
        yield* filled
        for (const [operation, { run, why }] of Object.entries(cold)) {
          heard.operation = operation
          yield* run
          heard.operation = "explaining"
          assert.isAbove(faultsOf(yield* plansOf(heard, operation), true).length, 0, `${operation} (${why})`)
        }
      }).pipe(Effect.provide(layerHeard(heard, yield* freshFolder)))
    }))
})
