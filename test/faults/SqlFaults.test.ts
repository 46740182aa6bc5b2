/** The fault layer itself: each fate is what it says, on the real file. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import type { Database } from "../../src/journal/Database.ts"
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as JournalSql from "../../src/journal/JournalSql.ts"
import { freshFolder } from "../journal/databaseFixture.ts"
import { admit, append, attempt, built, createSession, sessionId, turnId } from "../journal/fixtures.ts"
import { layerIn } from "../journal/sqlFixture.ts"
import * as SqlFaults from "./SqlFaults.ts"

const on = (faults: SqlFaults.SqlFaults, dataDir: string) =>
  Layer.provideMerge(
    JournalSql.layer,
    faults.wrap(DatabaseSqlite.layer({ dataDir, durability: "relaxed", takeOver: false }))
  )

const lastSeq = Effect.flatMap(Journal, (journal) => Effect.map(journal.turn(turnId("t")), ({ turn }) => turn.lastSeq))

/** A session and a turn, then `body` under the plan; answers with the last seq that another process finds. */
const left = (plans: SqlFaults.Plans, body: Effect.Effect<unknown, unknown, Journal | Database>) =>
  Effect.gen(function*() {
    const dataDir = yield* freshFolder
    const faults = SqlFaults.make()
    yield* Effect.gen(function*() {
      yield* createSession("s")
      yield* admit("t", "s")
      faults.set(plans)
      yield* body
    }).pipe(Effect.provide(on(faults, dataDir)))
    const seq = yield* Effect.provide(lastSeq, layerIn(dataDir, { takeOver: true }))
    return { seq, faults }
  })

const appended = Effect.exit(append("t", "s", 2, [built, attempt()]))

describe("the fault layer", () => {
  it.scoped("refused before: the statement did not run", () =>
    Effect.gen(function*() {
      const plan = SqlFaults.atWrite(2, { refused: "before", code: "SQLITE_FULL" })
      const { faults, seq } = yield* left(
        { writer: plan },
        Effect.map(appended, (exit) => assert.isTrue(Exit.isFailure(exit)))
      )
      assert.isTrue(faults.struck())
      assert.strictEqual(seq, 1)
    }))

  it.scoped("refused after, at COMMIT: it is committed, and the caller got an error", () =>
    Effect.gen(function*() {
      const gone = SqlFaults.outage(1, { commit: "after", reads: true, code: "SQLITE_IOERR" })
      const { seq } = yield* left(gone, Effect.map(appended, (exit) => assert.isTrue(Exit.isFailure(exit))))
      assert.strictEqual(seq, 3)
    }))

  for (const dies of ["before", "after"] as const) {
    it.scoped(`dies ${dies} its COMMIT: in that instant the test is told, and no later statement reaches the file`, () =>
      Effect.gen(function*() {
        let deaths = 0
        const dataDir = yield* freshFolder
        const faults = SqlFaults.make(() => {
          deaths += 1
        })
        yield* Effect.gen(function*() {
          yield* createSession("s")
          yield* admit("t", "s")
          faults.set({ writer: ({ text }) => text === "COMMIT" ? { dies } : "runs" })
          assert.isTrue(Exit.isFailure(yield* appended))
          assert.isTrue(faults.dead())
          faults.set({})
          assert.isTrue(Exit.isFailure(yield* Effect.exit(createSession("r"))))
          assert.isTrue(Exit.isFailure(yield* Effect.exit(lastSeq.pipe(Effect.zipRight(append("t", "s", 4, []))))))
          assert.strictEqual(deaths, 1)
        }).pipe(Effect.provide(on(faults, dataDir)))
        yield* Effect.gen(function*() {
          const journal = yield* Journal
          assert.strictEqual(yield* lastSeq, dies === "before" ? 1 : 3)
          assert.isTrue(Exit.isFailure(yield* Effect.exit(journal.session(sessionId("r")))))
        }).pipe(Effect.provide(layerIn(dataDir, { takeOver: true })))
      }))
  }

  it.scoped("slow: each transaction waits out a lock on the clock", () =>
    Effect.gen(function*() {
      const body = Effect.gen(function*() {
        const waiting = yield* Effect.fork(appended)
        yield* TestClock.adjust("700 millis")
        assert.isNull(waiting.unsafePoll())
        yield* TestClock.adjust("100 millis")
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(waiting)))
      })
      assert.strictEqual((yield* left({ writer: SqlFaults.slowTransactions(13) }, body)).seq, 3)
    }))

  it.scoped("a reader's fault is a typed failure of the read, and writes go on", () =>
    Effect.gen(function*() {
      const body = Effect.gen(function*() {
        const journal = yield* Journal
        const error = yield* Effect.flip(journal.session(sessionId("s")))
        assert.deepInclude(error, { _tag: "JournalFailure", reason: "SQLITE_CORRUPT" })
        assert.isTrue(Exit.isSuccess(yield* appended))
      })
      const { seq } = yield* left({ reader: () => ({ refused: "before", code: "SQLITE_CORRUPT" }) }, body)
      assert.strictEqual(seq, 3)
    }))
})
