import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { fromFailure, immediate } from "../../src/journal/DatabaseConnection.ts"
import { freshFolder, open, raw, writerOf } from "./databaseFixture.ts"

const notes = "SELECT text FROM note"

describe("an immediate transaction", () => {
  it.scoped("holds the write lock from its start, and what it wrote is seen after it", () =>
    Effect.gen(function*() {
      const { database } = yield* open(yield* freshFolder)
      const sql = writerOf(database)
      const other = yield* raw(database.path)
      yield* other`PRAGMA busy_timeout = 1`
      const inside = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const transaction = yield* Effect.fork(
        immediate(sql)(
          Deferred.succeed(inside, undefined).pipe(
            Effect.zipRight(Deferred.await(go)),
            Effect.zipRight(sql`INSERT INTO note (text) VALUES ('a')`)
          )
        )
      )
      yield* Deferred.await(inside)
      const error = yield* Effect.flip(other`INSERT INTO note (text) VALUES ('b')`)
      assert.strictEqual(fromFailure("")(error).kind, "locked")
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(transaction)
      assert.deepStrictEqual(yield* database.reader.unsafe(notes), [{ text: "a" }])
    }))

  it.scoped("a failure, a defect and an interruption each undo it and free the connection", () =>
    Effect.gen(function*() {
      const { database } = yield* open(yield* freshFolder)
      const sql = writerOf(database)
      for (const end of [Effect.fail("no"), Effect.die("no"), Effect.interrupt]) {
        const exit = yield* Effect.exit(immediate(sql)(Effect.zipRight(sql`INSERT INTO note (text) VALUES ('a')`, end)))
        assert.strictEqual(exit._tag, "Failure")
        assert.deepStrictEqual(yield* sql.unsafe(notes), [])
      }
      yield* immediate(sql)(sql`INSERT INTO note (text) VALUES ('b')`)
      assert.deepStrictEqual(yield* sql.unsafe(notes), [{ text: "b" }])
    }))

  it.scoped("a COMMIT that is refused is a typed failure, and the connection serves on", () =>
    Effect.gen(function*() {
      const { database } = yield* open(yield* freshFolder)
      const sql = writerOf(database)
      yield* sql`CREATE TABLE child (note INTEGER REFERENCES note (id) DEFERRABLE INITIALLY DEFERRED)`
      const error = yield* Effect.flip(immediate(sql)(sql`INSERT INTO child (note) VALUES (99)`))
      assert.strictEqual(error._tag, "SqlError")
      assert.match(fromFailure("")(error).detail, /^SQLITE_CONSTRAINT/)
      assert.deepStrictEqual(yield* sql`SELECT * FROM child`, [])
      yield* immediate(sql)(sql`INSERT INTO note (text) VALUES ('a')`)
    }))
})
