/** An import in pieces on SQLite: what faults, an end in the middle and a restart leave of it. */
import type * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { JournalFailure } from "../../src/domain/TurnError.ts"
import { Database } from "../../src/journal/Database.ts"
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as JournalSql from "../../src/journal/JournalSql.ts"
import * as SqlFaults from "../faults/SqlFaults.ts"
import { freshFolder } from "./databaseFixture.ts"
import { answered, at, createSession, imported, sessionId } from "./fixtures.ts"
import { layerIn } from "./sqlFixture.ts"

const messages = 3_000

const importIt = (id = "big", told?: (n: number) => void) =>
  Effect.flatMap(Journal, (journal) =>
    journal.createSession(
      { id: sessionId(id), title: undefined, provider: undefined, model: undefined, system: undefined, at },
      imported(id, messages, told)
    ))

const rowsOf = (sql: SqlClient.SqlClient) =>
  Effect.all({
    sessions: Effect.map(sql`SELECT id FROM sessions ORDER BY ord`, (rows) => rows.map((row) => row["id"])),
    messages: Effect.map(sql`SELECT count(*) AS n FROM messages`, ([row]) => row?.["n"])
  })

const rows = Effect.flatMap(Database, ({ reader }) => rowsOf(reader))

const faulty = (dataDir: string, faults: SqlFaults.SqlFaults) =>
  Layer.provideMerge(
    JournalSql.layer,
    faults.wrap(DatabaseSqlite.layer({ dataDir, durability: "relaxed", takeOver: false }))
  )

const whole = { sessions: ["big"], messages }
const none = { sessions: [], messages: 0 }

/** What is removed is removed in the background: another write of this many pieces comes after it. */
const settled = Effect.gen(function*() {
  const journal = yield* Journal
  for (let n = 0; n < 40; n++) {
    yield* createSession(`x${n}`)
    yield* journal.deleteSession(sessionId(`x${n}`))
  }
})

const writesOf = (dataDir: string) =>
  Effect.gen(function*() {
    const faults = SqlFaults.make()
    return yield* Effect.provide(
      Effect.suspend(() => {
        faults.set({})
        return Effect.map(importIt(), () => faults.writes())
      }),
      faulty(dataDir, faults)
    )
  })

describe("an import in pieces", () => {
  it.scoped("is more than one transaction, each of bounded size", () =>
    Effect.gen(function*() {
      const faults = SqlFaults.make()
      let inserted = 0
      let most = 0
      let commits = 0
      faults.set({
        writer: ({ text }) => {
          if (text.startsWith("INSERT INTO messages")) inserted += text.split("(?,").length - 1
          if (text === "COMMIT") {
            most = Math.max(most, inserted)
            if (inserted > 0) commits++
            inserted = 0
          }
          return "runs"
        }
      })
      yield* Effect.provide(importIt(), faulty(yield* freshFolder, faults))
      assert.isAbove(commits, 4)
      assert.isAtMost(most, 512)
      assert.isAtLeast(most * commits, messages)
    }))

  it.scoped("is written once, however often a commit that succeeded is reported as failed", () =>
    Effect.gen(function*() {
      const faults = SqlFaults.make()
      let commits = 0
      yield* Effect.gen(function*() {
        faults.set({
          writer: ({ text }) =>
            text === "COMMIT" && ++commits % 2 === 1 ? { refused: "after", code: "SQLITE_IOERR" } : "runs"
        })
        yield* importIt()
        faults.set({})
        assert.isAbove(commits, 10)
        assert.deepStrictEqual(yield* rows, whole)
      }).pipe(Effect.provide(faulty(yield* freshFolder, faults)))
    }))

  it.scoped("leaves no row where any one of its writes is refused", () =>
    Effect.gen(function*() {
      const writes = yield* writesOf(yield* freshFolder)
      assert.isAbove(writes, 20)
      for (let refused = 1; refused <= writes; refused += 3) {
        const faults = SqlFaults.make()
        yield* Effect.gen(function*() {
          faults.set({
            writer: ({ isWrite, write }) =>
              isWrite && write === refused ? { refused: "before", code: "SQLITE_FULL" } : "runs"
          })
          const exit = yield* Effect.exit(importIt())
          assert.isTrue(faults.struck(), `write ${refused}`)
          yield* settled
          // a COMMIT that was refused is tried once more
          assert.deepStrictEqual(yield* rows, exit._tag === "Success" ? whole : none, `write ${refused}`)
        }).pipe(Effect.provide(faulty(yield* freshFolder, faults)))
      }
    }), 60_000)

  it.scoped("leaves rows that nobody sees where nothing can be written any more, and the next start removes them", () =>
    Effect.gen(function*() {
      const dataDir = yield* freshFolder
      const faults = SqlFaults.make()
      yield* Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("kept")
        yield* answered("t", "kept", ["x"])
        let full = false
        faults.set({ writer: () => full ? { refused: "before", code: "SQLITE_FULL" } : "runs" })
        const failed = yield* Effect.flip(importIt("big", (n) => {
          full = n > 2_000
        }))
        assert.strictEqual((failed as JournalFailure)._tag, "JournalFailure")
        assert.deepStrictEqual(yield* Effect.map(rows, ({ sessions }) => sessions), ["big", "kept"])
        const { items } = yield* journal.sessions({ cursor: undefined, limit: 10 })
        assert.deepStrictEqual(items.map(({ id }) => id), [sessionId("kept")])
        assert.strictEqual((yield* Effect.flip(journal.session(sessionId("big"))))._tag, "SessionNotFound")
      }).pipe(Effect.provide(faulty(dataDir, faults)))
      const after = yield* Effect.provide(rows, layerIn(dataDir))
      assert.deepStrictEqual(after, { sessions: ["kept"], messages: 2 })
    }))

  it.scoped("ended with its process: the next start removes what was written, and the same import is whole then", () =>
    Effect.gen(function*() {
      const dataDir = yield* freshFolder
      const faults = SqlFaults.make()
      yield* Effect.gen(function*() {
        let dead = false
        faults.set({ writer: () => dead ? { dies: "before" } : "runs" })
        yield* Effect.exit(importIt("big", (n) => {
          dead = n > 2_500
        }))
      }).pipe(Effect.provide(faulty(dataDir, faults)))
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* rows, none)
        yield* importIt()
        assert.deepStrictEqual(yield* rows, whole)
      }).pipe(Effect.provide(layerIn(dataDir)))
    }))

  it.scoped("does not take the place of a session that was deleted", () =>
    Effect.gen(function*() {
      const journal = yield* Journal
      yield* importIt("a")
      const page = yield* journal.sessions({ cursor: undefined, limit: 1 })
      const { reader } = yield* Database
      const ordOf = (id: string) =>
        Effect.map(reader`SELECT ord FROM sessions WHERE id = ${id}`, ([row]) => row?.["ord"])
      const first = yield* ordOf("a")
      yield* journal.deleteSession(sessionId("a"))
      yield* importIt("b")
      assert.isAbove(Number(yield* ordOf("b")), Number(first))
      assert.isUndefined(page.nextCursor)
    }).pipe(Effect.provide(Layer.unwrapScoped(Effect.map(freshFolder, (dataDir) => layerIn(dataDir))))))
})
