import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { backup } from "../../src/journal/DatabaseBackup.ts"
import type { Migration } from "../../src/journal/Migrations.ts"
import { freshFolder, modeOf, open, openReadOnly, raw, writerOf } from "./databaseFixture.ts"

/**
 * A program of its own that replaces the two oldest of 1,000 wide rows in one transaction after another until it is
 * killed: whatever commit is copied holds 1,000, and the file stays small however slow the copying is.
 */
const writerProgram = `
const Sqlite = require("better-sqlite3")
const db = new Sqlite(process.argv[1])
db.pragma("synchronous = OFF")
const insert = db.prepare("INSERT INTO note (text) VALUES (?)")
const remove = db.prepare("DELETE FROM note WHERE id = (SELECT min(id) FROM note)")
db.transaction(() => { for (let n = 0; n < 1000; n++) insert.run("x".repeat(2000)) })()
const replace = db.transaction(() => { for (let n = 0; n < 2; n++) { remove.run(); insert.run("y".repeat(2000)) } })
process.stdout.write("writing\\n")
const go = () => { replace(); setImmediate(go) }
go()
`

const writing = (path: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      ChildProcess.spawn(process.execPath, ["-e", writerProgram, path], { stdio: ["ignore", "pipe", "inherit"] })
    ),
    // Waits for its end: a closing owner would meet its lock and retry on a clock that stands still.
    (child) =>
      Effect.async<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
  ).pipe(
    Effect.tap((child) =>
      Effect.async<void>((resume) => {
        child.stdout.once("data", () => resume(Effect.void))
        child.once("exit", (code) => resume(Effect.dieMessage(`the writer ended with ${code}`)))
      })
    )
  )

describe("backup", () => {
  it.scoped("P31: a backup taken while another process writes is whole, private and sound", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const { database } = yield* open(folder)
      const child = yield* writing(database.path)
      const newest: Array<number> = []
      for (const index of [1, 2, 3, 4, 5]) {
        const made = yield* backup(database.path, Path.join(folder, `copy-${index}.db`))
        assert.strictEqual(modeOf(made.destination), 0o600)
        assert.strictEqual(made.bytes, Fs.statSync(made.destination).size)
        const sql = yield* raw(made.destination)
        assert.deepStrictEqual(yield* sql`PRAGMA integrity_check`, [{ integrity_check: "ok" }])
        const [found] = yield* sql<
          { notes: number; newest: number }
        >`SELECT count(*) AS notes, max(id) AS newest FROM note`
        assert.strictEqual(found?.notes, 1_000)
        assert.strictEqual((found?.newest ?? 1) % 2, 0)
        newest.push(found?.newest ?? 0)
      }
      assert.isNull(child.exitCode)
      assert.isAbove(newest[4] ?? 0, newest[0] ?? 0)
      assert.deepStrictEqual(Fs.readdirSync(folder).filter((name) => name.includes(".partial")), [])
    }))

  it.scoped("a backup belongs to nobody: it starts at once beside the living owner, under a higher epoch", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const { database } = yield* open(folder)
      yield* writerOf(database)`INSERT INTO note (text) VALUES ('kept')`
      const restored = yield* freshFolder
      yield* backup(database.path, Path.join(restored, "turnstream.db"))
      assert.deepStrictEqual(Fs.readdirSync(restored), ["turnstream.db"])
      const copy = yield* open(restored)
      assert.strictEqual(copy.database.epoch, database.epoch + 1)
      assert.deepStrictEqual(yield* copy.database.reader`SELECT text FROM note`, [{ text: "kept" }])
    }))

  it.scoped("an existing destination is refused and left as it is", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const { database } = yield* open(folder)
      const destination = Path.join(folder, "mine.txt")
      Fs.writeFileSync(destination, "mine")
      const error = yield* Effect.flip(backup(database.path, destination))
      assert.strictEqual(error._tag, "BackupError")
      assert.strictEqual(error.kind, "exists")
      assert.include(error.message, destination)
      assert.strictEqual(Fs.readFileSync(destination, "utf8"), "mine")
      // The database itself is such a destination.
      assert.strictEqual((yield* Effect.flip(backup(database.path, database.path))).kind, "exists")
      yield* Effect.flatMap(openReadOnly(folder), ({ close }) => close)
    }))

  it.scoped("a destination that cannot be written, and a source that is not there, are named", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const { database } = yield* open(folder)
      const nowhere = yield* Effect.flip(backup(database.path, Path.join(folder, "none", "copy.db")))
      assert.strictEqual(nowhere.kind, "unwritable")
      const nothing = yield* Effect.flip(backup(Path.join(folder, "none.db"), Path.join(folder, "copy.db")))
      assert.strictEqual(nothing._tag, "DatabaseError")
      assert.strictEqual(nothing.kind, "missing")
      assert.isFalse(Fs.existsSync(Path.join(folder, "copy.db")))
    }))

  it.scoped("a damaged page inside the source never becomes a backup", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const { close, database } = yield* open(folder)
      yield* writerOf(database)`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO note (text) SELECT printf('%0400d', i) FROM n`
      yield* close
      const bytes = Fs.readFileSync(database.path)
      bytes.fill(0xa5, bytes.length - 8_192)
      Fs.writeFileSync(database.path, bytes)
      const destination = Path.join(folder, "copy.db")
      const error = yield* Effect.flip(backup(database.path, destination))
      assert.strictEqual(error.kind, "corrupt")
      assert.isFalse(Fs.existsSync(destination))
      assert.isFalse(Fs.existsSync(`${destination}.partial`))
    }))

  it.scoped("a copy that fails the integrity check is removed", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const checked: Migration = {
        version: 1,
        name: "checked",
        up: (sql) => Effect.asVoid(sql`CREATE TABLE note (text TEXT CHECK (text <> 'bad'))`)
      }
      const { database } = yield* open(folder, { migrations: [checked] })
      const sql = writerOf(database)
      // Copying keeps such a row; only the check tells.
      yield* sql`PRAGMA ignore_check_constraints = ON`
      yield* sql`INSERT INTO note (text) VALUES ('bad')`
      const error = yield* Effect.flip(backup(database.path, Path.join(folder, "copy.db")))
      assert.strictEqual(error.kind, "invalid")
      assert.include(error.detail, "CHECK")
      assert.deepStrictEqual(Fs.readdirSync(folder).filter((name) => name.startsWith("copy")), [])
    }))
})
