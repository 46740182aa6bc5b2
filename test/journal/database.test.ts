import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { DatabaseError } from "../../src/journal/Database.ts"
import { fromFailure } from "../../src/journal/DatabaseConnection.ts"
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"
import {
  firstMigration,
  freshFolder,
  modeOf,
  open,
  openReadOnly,
  raw,
  secondMigration,
  writerOf
} from "./databaseFixture.ts"

const fileIn = (folder: string) => Path.join(folder, "turnstream.db")

const refused = <A, R>(effect: Effect.Effect<A, DatabaseError, R>, kind: DatabaseError["kind"]) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, DatabaseError)
    assert.strictEqual(error.kind, kind, error.message)
    return error
  })

/** A closed database with rows in it. */
const written = (folder: string, notes: number) =>
  Effect.gen(function*() {
    const { close, database } = yield* open(folder)
    const sql = writerOf(database)
    yield* sql`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${notes})
      INSERT INTO note (text) SELECT printf('%0400d', i) FROM n`
    yield* close
  })

describe("opening a database", () => {
  it.scoped("a missing folder is made: folder 0700, database, log and index 0600", () =>
    Effect.gen(function*() {
      const folder = Path.join(yield* freshFolder, "a", "b")
      const { database } = yield* open(folder)
      assert.strictEqual(database.path, fileIn(folder))
      assert.strictEqual(database.schemaVersion, 1)
      assert.strictEqual(modeOf(folder), 0o700)
      assert.deepStrictEqual(Fs.readdirSync(folder).sort(), ["turnstream.db", "turnstream.db-shm", "turnstream.db-wal"])
      for (const file of Fs.readdirSync(folder)) assert.strictEqual(modeOf(Path.join(folder, file)), 0o600, file)
    }))

  it.scoped("a database that others could read becomes private", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      yield* written(folder, 1)
      Fs.chmodSync(fileIn(folder), 0o644)
      yield* open(folder)
      assert.strictEqual(modeOf(fileIn(folder)), 0o600)
      assert.strictEqual(modeOf(`${fileIn(folder)}-wal`), 0o600)
    }))

  it.scoped("P20: synchronous is FULL after a write, and the other pragmas are as promised", () =>
    Effect.gen(function*() {
      const { database } = yield* open(yield* freshFolder)
      const sql = writerOf(database)
      yield* sql`INSERT INTO note (text) VALUES ('a')`
      assert.deepStrictEqual(yield* sql`PRAGMA synchronous`, [{ synchronous: 2 }])
      assert.deepStrictEqual(yield* sql`PRAGMA journal_mode`, [{ journal_mode: "wal" }])
      assert.deepStrictEqual(yield* sql`PRAGMA busy_timeout`, [{ timeout: 1 }])
      assert.deepStrictEqual(yield* sql`PRAGMA foreign_keys`, [{ foreign_keys: 1 }])
      assert.deepStrictEqual(yield* sql`PRAGMA trusted_schema`, [{ trusted_schema: 0 }])
      assert.deepStrictEqual(yield* database.reader`PRAGMA busy_timeout`, [{ timeout: 1 }])
      assert.deepStrictEqual(yield* database.reader`PRAGMA query_only`, [{ query_only: 1 }])
    }))

  it.scoped("P20: relaxed durability is NORMAL", () =>
    Effect.gen(function*() {
      const { database } = yield* open(yield* freshFolder, { durability: "relaxed" })
      assert.strictEqual(database.durability, "relaxed")
      assert.deepStrictEqual(yield* writerOf(database)`PRAGMA synchronous`, [{ synchronous: 1 }])
    }))

  it.scoped("the reader cannot write, sees commits, and does not wait for an open transaction", () =>
    Effect.gen(function*() {
      const { database } = yield* open(yield* freshFolder)
      const sql = writerOf(database)
      yield* sql`INSERT INTO note (text) VALUES ('a')`
      // Forked outside: within a transaction every client of @effect/sql answers on that transaction's connection.
      const written = yield* Deferred.make<void>()
      const reading = yield* Effect.fork(
        Effect.zipRight(Deferred.await(written), database.reader`SELECT text FROM note`)
      )
      const inside = yield* sql.withTransaction(
        sql`INSERT INTO note (text) VALUES ('b')`.pipe(
          Effect.zipRight(Deferred.succeed(written, undefined)),
          Effect.zipRight(Fiber.join(reading))
        )
      )
      assert.deepStrictEqual(inside, [{ text: "a" }])
      const write = yield* Effect.flip(database.reader`INSERT INTO note (text) VALUES ('c')`)
      assert.strictEqual(write._tag, "SqlError")
      assert.deepStrictEqual(yield* database.reader`SELECT text FROM note`, [{ text: "a" }, { text: "b" }])
    }))

  it.scoped("a clean close leaves one file that holds everything", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      yield* written(folder, 3)
      assert.deepStrictEqual(Fs.readdirSync(folder), ["turnstream.db"])
      const file = yield* raw(fileIn(folder))
      assert.deepStrictEqual(yield* file`SELECT count(*) AS n FROM note`, [{ n: 3 }])
    }))

  it("a SQLite with the WAL fault is refused, a later one is not", () => {
    for (const version of ["3.51.2", "3.50.9", "2.99.99", "unknown"]) {
      assert.isFalse(DatabaseSqlite.isSafeVersion(version), version)
    }
    for (const version of ["3.51.3", "3.51.10", "3.52.0", "4.0"]) {
      assert.isTrue(DatabaseSqlite.isSafeVersion(version), version)
    }
  })
})

describe("P19: what stands in the way is one typed error", () => {
  it.scoped("unwritable: the folder lies below a file", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      Fs.writeFileSync(Path.join(folder, "file"), "")
      yield* refused(open(Path.join(folder, "file", "data")), "unwritable")
    }))

  it.scoped("unwritable: the folder is a file", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      Fs.writeFileSync(Path.join(folder, "file"), "")
      yield* refused(open(Path.join(folder, "file")), "unwritable")
    }))

  it.scoped("unwritable: a directory stands in the place of the file", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      Fs.mkdirSync(fileIn(folder))
      yield* refused(open(folder), "unwritable")
    }))

  it.scoped.skipIf(process.platform !== "linux")(
    "unwritable: a folder nobody can write to",
    () => refused(open("/proc/turnstream"), "unwritable")
  )

  it.scoped("corrupt: not a database, and it is left as it is", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      Fs.writeFileSync(fileIn(folder), "hello, world ".repeat(100))
      yield* refused(open(folder), "corrupt")
      assert.deepStrictEqual(Fs.readdirSync(folder), ["turnstream.db"])
      assert.strictEqual(Fs.readFileSync(fileIn(folder), "utf8"), "hello, world ".repeat(100))
      yield* refused(openReadOnly(folder), "corrupt")
    }))

  it.scoped("corrupt: cut off, wherever the cut is", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      yield* written(folder, 200)
      const whole = Fs.readFileSync(fileIn(folder))
      for (const bytes of [1, 99, 511, 512, 4_096, Math.floor(whole.length / 2), whole.length - 1]) {
        Fs.writeFileSync(fileIn(folder), whole.subarray(0, bytes))
        yield* refused(open(folder), "corrupt")
        yield* refused(openReadOnly(folder), "corrupt")
      }
    }))

  it.scoped("corrupt: an overwritten first page", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      yield* written(folder, 200)
      const whole = Fs.readFileSync(fileIn(folder))
      whole.fill(0xa5, 100, 4_096)
      Fs.writeFileSync(fileIn(folder), whole)
      yield* refused(open(folder), "corrupt")
    }))

  it.scoped("corrupt: an empty file beside a log that holds transactions, which stays", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      Fs.writeFileSync(fileIn(folder), "")
      Fs.writeFileSync(`${fileIn(folder)}-wal`, "frames")
      yield* refused(open(folder), "corrupt")
      assert.strictEqual(Fs.readFileSync(`${fileIn(folder)}-wal`, "utf8"), "frames")
    }))

  it.scoped("corrupt: a missing file beside a log that holds transactions, which stays", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      Fs.writeFileSync(`${fileIn(folder)}-wal`, "frames")
      yield* refused(open(folder), "corrupt")
      assert.strictEqual(Fs.readFileSync(`${fileIn(folder)}-wal`, "utf8"), "frames")
    }))

  it.scoped("locked: another program holds the file, said after 2 s of retries and not before", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      yield* written(folder, 1)
      const other = yield* raw(fileIn(folder))
      yield* other`BEGIN EXCLUSIVE`
      const opening = yield* Effect.fork(Effect.exit(refused(open(folder), "locked")))
      yield* TestClock.adjust("1900 millis")
      assert.isNull(opening.unsafePoll())
      yield* TestClock.adjust("200 millis")
      yield* Effect.flatten(Fiber.join(opening))
    }))

  it.scoped("a lock that goes away in time is no failure", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      yield* written(folder, 1)
      const other = yield* raw(fileIn(folder))
      yield* other`BEGIN EXCLUSIVE`
      const opening = yield* Effect.fork(open(folder))
      yield* TestClock.adjust("1 seconds")
      yield* other`COMMIT`
      yield* TestClock.adjust("1 seconds")
      const { database } = yield* Fiber.join(opening)
      assert.strictEqual(database.epoch, 2)
    }))

  it("io: what has no kind of its own keeps the storage's code", () => {
    const error = fromFailure("/data/turnstream.db")({
      cause: Object.assign(new Error("disk I/O error"), { code: "SQLITE_IOERR_READ" })
    })
    assert.strictEqual(error.kind, "io")
    assert.strictEqual(error.detail, "SQLITE_IOERR_READ: disk I/O error")
    assert.include(error.message, "/data/turnstream.db")
  })

  it("every failure becomes a DatabaseError, and wrapping twice changes nothing", () => {
    FastCheck.assert(FastCheck.property(FastCheck.anything(), (failure) => {
      const error = fromFailure("p")(failure)
      assert.instanceOf(error, DatabaseError)
      assert.strictEqual(fromFailure("q")(error), error)
    }))
    assert.instanceOf(fromFailure("p")(Object.create(null)), DatabaseError)
  })

  it("every message says what to do next", () => {
    const kinds = ["missing", "unwritable", "corrupt", "newer", "owned", "locked", "migration", "io"] as const
    for (const kind of kinds) {
      const { message } = new DatabaseError({ kind, path: "/p/turnstream.db", detail: "why" })
      assert.include(message, "/p/turnstream.db")
      assert.match(message, /Start|Give|Move|Upgrade|Stop|Close|Check/)
    }
  })
})

describe("a database that is only read", () => {
  it.scoped("missing: no folder, no file; nothing is made", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      yield* refused(openReadOnly(folder), "missing")
      yield* refused(openReadOnly(Path.join(folder, "none")), "missing")
      assert.deepStrictEqual(Fs.readdirSync(folder), [])
    }))

  it.scoped("takes no ownership and works beside the owner", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const { database: owner } = yield* open(folder)
      yield* writerOf(owner)`INSERT INTO note (text) VALUES ('a')`
      const { close, database } = yield* openReadOnly(folder)
      assert.isUndefined(database.writer)
      assert.strictEqual(database.epoch, 0)
      assert.deepStrictEqual(yield* database.reader`SELECT text FROM note`, [{ text: "a" }])
      yield* close
      assert.deepStrictEqual(yield* owner.reader`SELECT epoch FROM owner`, [{ epoch: 1 }])
    }))

  it.scoped("reads a closed database, and says when its schema is older or newer", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      yield* written(folder, 2)
      const { database } = yield* openReadOnly(folder)
      assert.deepStrictEqual(yield* database.reader`SELECT count(*) AS notes FROM note`, [{ notes: 2 }])
      const older = yield* refused(openReadOnly(folder, [firstMigration, secondMigration]), "migration")
      assert.include(older.message, "schema version 1, this version reads 2")
      assert.include(older.message, "Start the service")
      yield* refused(openReadOnly(folder, []), "newer")
    }))
})
