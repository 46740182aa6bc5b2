import type { SqlClient } from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { gunzipSync } from "node:zlib"
import type { Migration } from "../../src/journal/Migrations.ts"
import { migrations as released } from "../../src/journal/migrations/index.ts"
import { firstMigration, freshFolder, modeOf, open, raw, secondMigration, writerOf } from "./databaseFixture.ts"

const both = [firstMigration, secondMigration]

/** A database of version 1 with two rows in it, closed. */
const versionOne = Effect.gen(function*() {
  const folder = yield* freshFolder
  const { close, database } = yield* open(folder)
  yield* writerOf(database)`INSERT INTO note (text) VALUES ('one'), ('three')`
  yield* close
  return folder
})

const copyIn = (folder: string) => Path.join(folder, "turnstream.db.v1.bak")

describe("migrations", () => {
  it("the released list counts from 1 without a gap, with names of their own", () => {
    assert.deepStrictEqual(released.map(({ version }) => version), released.map((_, index) => index + 1))
    assert.strictEqual(new Set(released.map(({ name }) => name)).size, released.length)
  })

  it.scoped("a new database runs all of them in order and keeps no copy", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const { database } = yield* open(folder, { migrations: both })
      assert.strictEqual(database.schemaVersion, 2)
      assert.deepStrictEqual(yield* database.reader`SELECT version, name, applied_at FROM schema_version`, [
        { version: 1, name: "notes", applied_at: "1970-01-01T00:00:00.000Z" },
        { version: 2, name: "note length", applied_at: "1970-01-01T00:00:00.000Z" }
      ])
      assert.deepStrictEqual(Fs.readdirSync(folder).filter((name) => name.includes(".bak")), [])
    }))

  it.scoped("P30: the rows of the version before are carried over, each migration once", () =>
    Effect.gen(function*() {
      const folder = yield* versionOne
      for (const _ of [1, 2]) {
        const { close, database } = yield* open(folder, { migrations: both })
        assert.strictEqual(database.schemaVersion, 2)
        assert.deepStrictEqual(yield* database.reader`SELECT text, chars FROM note`, [
          { text: "one", chars: 3 },
          { text: "three", chars: 5 }
        ])
        yield* close
      }
    }))

  it.scoped("P31: a private copy of the version before is kept, replacing an older one, and opens as that version", () =>
    Effect.gen(function*() {
      const folder = yield* versionOne
      Fs.writeFileSync(copyIn(folder), "an older copy")
      yield* open(folder, { migrations: both })
      assert.strictEqual(modeOf(copyIn(folder)), 0o600)
      assert.isFalse(Fs.existsSync(`${copyIn(folder)}.partial`))
      const copy = yield* raw(copyIn(folder))
      assert.deepStrictEqual(yield* copy`PRAGMA integrity_check`, [{ integrity_check: "ok" }])
      assert.deepStrictEqual(yield* copy`SELECT * FROM note`, [{ id: 1, text: "one" }, { id: 2, text: "three" }])
      assert.deepStrictEqual(yield* copy`SELECT max(version) AS version FROM schema_version`, [{ version: 1 }])
    }))

  it.scoped("a copy that cannot be kept stops the migration before any change", () =>
    Effect.gen(function*() {
      const folder = yield* versionOne
      Fs.mkdirSync(copyIn(folder))
      const error = yield* Effect.flip(open(folder, { migrations: both }))
      assert.strictEqual(error.kind, "migration")
      assert.include(error.detail, copyIn(folder))
      assert.strictEqual((yield* open(folder)).database.schemaVersion, 1)
    }))

  it.scoped("a database of a newer version is refused, naming both versions, and nothing in it changes", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      yield* Effect.flatMap(open(folder, { migrations: both }), ({ close }) => close)
      const before = Fs.readFileSync(Path.join(folder, "turnstream.db"))
      const error = yield* Effect.flip(open(folder))
      assert.strictEqual(error.kind, "newer")
      assert.match(error.detail, /version 2\b.*\b1\b/)
      assert.isTrue(before.equals(Fs.readFileSync(Path.join(folder, "turnstream.db"))))
    }))

  for (
    const [how, failing] of [
      ["fails", (sql) => Effect.asVoid(sql`INSERT INTO none VALUES (1)`)],
      ["crashes", () => Effect.die(new Error("a fault in the migration"))]
    ] satisfies ReadonlyArray<readonly [string, Migration["up"]]>
  ) {
    it.scoped(`a migration that ${how} half-way is undone whole, the ones before it stay, and a mended one runs`, () =>
      Effect.gen(function*() {
        const folder = yield* versionOne
        const third: Migration = {
          version: 3,
          name: "half",
          up: (sql) => Effect.zipRight(sql`DELETE FROM note`, failing(sql))
        }
        const exit = yield* Effect.exit(open(folder, { migrations: [...both, third] }))
        assert.strictEqual(exit._tag, "Failure")
        if (how === "fails") {
          const error = yield* Effect.flip(Effect.asVoid(open(folder, { migrations: [...both, third] })))
          assert.strictEqual(error.kind, "migration")
          assert.match(error.detail, /^3 half: /)
        }
        const { close, database } = yield* open(folder, { migrations: both })
        assert.deepStrictEqual(yield* database.reader`SELECT count(*) AS notes FROM note`, [{ notes: 2 }])
        yield* close
        const mended: Migration = { ...third, up: (sql) => Effect.asVoid(sql`DELETE FROM note WHERE chars = 3`) }
        const { database: after } = yield* open(folder, { migrations: [...both, mended] })
        assert.strictEqual(after.schemaVersion, 3)
        assert.deepStrictEqual(yield* after.reader`SELECT text FROM note`, [{ text: "three" }])
      }))
  }

  it.scoped("P7: an owner that was fenced while it migrates stops without a change", () =>
    Effect.gen(function*() {
      const folder = yield* versionOne
      // The first of two migrations stands for the time in which another process takes over.
      const takenOver: Migration = {
        version: 2,
        name: "taken over",
        up: (sql) => Effect.asVoid(sql`UPDATE owner SET epoch = epoch + 1`)
      }
      const error = yield* Effect.flip(
        open(folder, { migrations: [firstMigration, takenOver, { ...secondMigration, version: 3 }] })
      )
      assert.strictEqual(error.kind, "owned")
      const sql = yield* raw(Path.join(folder, "turnstream.db"))
      assert.deepStrictEqual(yield* sql`SELECT max(version) AS version FROM schema_version`, [{ version: 2 }])
    }))
})

describe("migration 4, spending", () => {
  it.scoped("P30: counts the ledger that is there into its sessions and days, and what comes after too", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const golden = new URL("../golden/v3/turnstream.db.gz", import.meta.url)
      Fs.writeFileSync(Path.join(folder, "turnstream.db"), gunzipSync(Fs.readFileSync(golden)), { mode: 0o600 })
      const { database } = yield* open(folder, { migrations: released })
      const sql = database.reader
      const sum = "sum(coalesce(total_tokens, coalesce(input_tokens, 0) + coalesce(output_tokens, 0)))"
      const check = Effect.gen(function*() {
        const sessions = yield* sql.unsafe<{ readonly counted: number; readonly told: number }>(
          `SELECT s.tokens AS counted, coalesce((SELECT ${sum} FROM usage WHERE session_id = s.id), 0) AS told FROM sessions s`
        )
        assert.isAbove(sessions.length, 0)
        for (const { counted, told } of sessions) assert.strictEqual(counted, told)
        const days = yield* sql.unsafe("SELECT day, tokens FROM usage_days ORDER BY day")
        assert.deepStrictEqual(
          days,
          yield* sql.unsafe(`SELECT day, ${sum} AS tokens FROM usage GROUP BY day ORDER BY day`)
        )
        return sessions.reduce((all, { counted }) => all + counted, 0)
      })
      const before = yield* check
      assert.isAbove(before, 0)
      yield* writerOf(database).unsafe(
        `INSERT INTO usage (turn_id, attempt, session_id, provider, model, day, source, input_tokens, output_tokens)
          SELECT id, 99, session_id, provider, model, '2026-01-01', 'estimated', 3, 4 FROM turns LIMIT 1`
      )
      assert.strictEqual(yield* check, before + 7)
    }))
})

describe("migration 5, packed", () => {
  const tables = {
    usage: "SELECT * FROM usage ORDER BY turn_id, attempt",
    checkpoints: "SELECT * FROM checkpoints ORDER BY turn_id, n",
    sessions: "SELECT id, tokens FROM sessions ORDER BY id",
    days: "SELECT * FROM usage_days ORDER BY day",
    batches: "SELECT * FROM batches ORDER BY pos"
  }
  const read = (sql: SqlClient) => Effect.all(Record.map(tables, (text) => sql.unsafe<object>(text)))

  it.scoped("P30: carries the ledger and the checkpoints over, counts nothing twice, and leaves events as they are", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const golden = new URL("../golden/v4/turnstream.db.gz", import.meta.url)
      Fs.writeFileSync(Path.join(folder, "turnstream.db"), gunzipSync(Fs.readFileSync(golden)), { mode: 0o600 })
      const { close, database } = yield* open(folder, { migrations: released.slice(0, 4) })
      const before = yield* read(database.reader)
      yield* close
      for (const rows of Object.values(before)) assert.isAbove(rows.length, 0)
      const after = yield* open(folder, { migrations: released.slice(0, 5) })
      assert.deepStrictEqual(yield* read(after.database.reader), before)
      yield* after.close
      const error = yield* Effect.flip(open(folder, { migrations: released.slice(0, 4) }))
      assert.strictEqual(error.kind, "newer")
    }))

  it.scoped("keeps what the tables refuse, what goes with a turn, and what a row of the ledger adds", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const golden = new URL("../golden/v4/turnstream.db.gz", import.meta.url)
      Fs.writeFileSync(Path.join(folder, "turnstream.db"), gunzipSync(Fs.readFileSync(golden)), { mode: 0o600 })
      const { database } = yield* open(folder, { migrations: released })
      const sql = writerOf(database)
      const [turn] = yield* sql.unsafe<{ readonly id: string; readonly session: string }>(
        "SELECT turn_id AS id, session_id AS session FROM usage LIMIT 1"
      )
      if (turn === undefined) throw new Error("no usage")
      const add = (values: string) =>
        sql.unsafe(
          `INSERT INTO usage (turn_id, attempt, session_id, provider, model, day, source, input_tokens) VALUES (${values})`
        )
      const row = (attempt: number, id: string, source: string, tokens: number) =>
        add(`'${id}', ${attempt}, '${turn.session}', 'p', 'm', '2026-01-01', '${source}', ${tokens}`)
      for (
        const refused of [
          row(1, turn.id, "estimated", 1),
          row(9, "nobody", "estimated", 1),
          row(9, turn.id, "guessed", 1),
          row(9, turn.id, "estimated", -1),
          sql.unsafe(
            `INSERT INTO checkpoints (turn_id, n, seq, phase) SELECT turn_id, n, 1, 'x' FROM checkpoints LIMIT 1`
          )
        ]
      ) assert.strictEqual((yield* Effect.exit(refused))._tag, "Failure")
      const tokens = Effect.map(
        sql.unsafe<{ readonly tokens: number }>(`SELECT tokens FROM sessions WHERE id = '${turn.session}'`),
        ([found]) => found?.tokens ?? 0
      )
      const before = yield* tokens
      yield* row(9, turn.id, "estimated", 7)
      assert.strictEqual(yield* tokens, before + 7)
      yield* sql.unsafe(`DELETE FROM sessions WHERE id = '${turn.session}'`)
      assert.deepStrictEqual(yield* sql.unsafe(`SELECT turn_id FROM usage WHERE turn_id = '${turn.id}'`), [])
      assert.deepStrictEqual(yield* sql.unsafe(`SELECT turn_id FROM checkpoints WHERE turn_id = '${turn.id}'`), [])
    }))
})

describe("migration 7, pages", () => {
  const golden = new URL("../golden/v6/turnstream.db.gz", import.meta.url)
  const six = released.slice(0, 6)
  const seven = released.slice(0, 7)

  const versionSix = Effect.gen(function*() {
    const folder = yield* freshFolder
    Fs.writeFileSync(Path.join(folder, "turnstream.db"), gunzipSync(Fs.readFileSync(golden)), { mode: 0o600 })
    return folder
  })

  /** What must be there before and after, in words that both schemas know. */
  const kept = (placeOf: "start_pos" | "ord") => ({
    sessions:
      "SELECT id, title, provider, model, system, created_at, updated_at, turn_count, tokens FROM sessions ORDER BY ord",
    turns: `SELECT ${placeOf} AS place, id, session_id, status, provider, model, options, user_message_id, message_id,
      retry_of, resumed_from, idempotency_key, body_hash, checkpoint, finish_reason, error, usage, started_at, ended_at,
      end_pos, folded_at, trace FROM turns ORDER BY ord`,
    messages: `SELECT id, session_id, turn_id, position, role, state, created_at, answer_after, chars, parts
      FROM messages ORDER BY session_id, position`,
    batches: `SELECT b.pos, b.turn_id, t.session_id, b.first_seq, b.last_seq, b.epoch, b.terminal, b.tails
      FROM batches b JOIN turns t ON t.id = b.turn_id ORDER BY b.pos`,
    contents: "SELECT session_id, hash, content FROM context_contents ORDER BY session_id, hash",
    usage: "SELECT * FROM usage ORDER BY turn_id, attempt",
    days: "SELECT * FROM usage_days ORDER BY day",
    checkpoints: "SELECT * FROM checkpoints ORDER BY turn_id, n",
    folded: "SELECT * FROM folded_events ORDER BY turn_id, seq",
    pieces: "SELECT * FROM message_pieces ORDER BY message_id, n"
  })
  const read = (sql: SqlClient, placeOf: "start_pos" | "ord") =>
    Effect.all(Record.map(kept(placeOf), (text) => sql.unsafe<object>(text)))

  it.scoped("P30: carries every row over, in its order, and takes none along with the tables that it replaces", () =>
    Effect.gen(function*() {
      const folder = yield* versionSix
      const { close, database } = yield* open(folder, { migrations: six })
      const before = yield* read(database.reader, "start_pos")
      yield* close
      for (const name of ["sessions", "turns", "messages", "batches", "contents", "usage", "folded"] as const) {
        assert.isAbove(before[name].length, 0, name)
      }
      const after = yield* open(folder, { migrations: seven })
      const sql = writerOf(after.database)
      assert.deepStrictEqual(yield* read(sql, "ord"), before)
      assert.deepStrictEqual(yield* sql`PRAGMA integrity_check`, [{ integrity_check: "ok" }])
      assert.deepStrictEqual(yield* sql`PRAGMA foreign_key_check`, [])
      assert.deepStrictEqual(yield* sql`PRAGMA foreign_keys`, [{ foreign_keys: 1 }])
      const places = yield* sql<{ readonly last: number; readonly reserved: number }>`SELECT max(pos) AS last,
        (SELECT reserved FROM positions) AS reserved FROM batches`
      assert.isAtLeast(places[0]?.reserved ?? 0, places[0]?.last ?? Infinity)
      yield* sql`DELETE FROM sessions`
      const left = yield* read(sql, "ord")
      for (const name of ["turns", "messages", "batches", "contents", "usage", "checkpoints", "folded"] as const) {
        assert.deepStrictEqual(left[name], [], name)
      }
    }))

  it.scoped("what a kill in the middle of it leaves is version 6, and is carried over by the next start", () =>
    Effect.gen(function*() {
      const folder = yield* versionSix
      const left = yield* freshFolder
      const [pages] = released.slice(6, 7)
      if (pages === undefined) throw new Error("there is no migration 7")
      const { close, database } = yield* open(folder, { migrations: six })
      const before = yield* read(database.reader, "start_pos")
      yield* close
      /** All is done but the commit, and written to the log as far as it does not fit memory. */
      const killed: Migration = {
        ...pages,
        up: (sql) =>
          Effect.gen(function*() {
            yield* sql`PRAGMA cache_size = 1`
            yield* pages.up(sql)
            for (const name of Fs.readdirSync(folder)) {
              Fs.cpSync(Path.join(folder, name), Path.join(left, name))
            }
          })
      }
      yield* Effect.flatMap(open(folder, { migrations: [...six, killed] }), ({ close }) => close)
      assert.isAbove(Fs.statSync(Path.join(left, "turnstream.db-wal")).size, 0)
      const found = yield* open(left, { migrations: six, takeOver: true })
      assert.deepStrictEqual(yield* read(found.database.reader, "start_pos"), before)
      yield* found.close
      const { database: after } = yield* open(left, { migrations: seven })
      assert.deepStrictEqual(yield* read(after.reader, "ord"), before)
    }))

  it.scoped("a row that refers to none stops it, names its table, and leaves the database as it was", () =>
    Effect.gen(function*() {
      const folder = yield* versionSix
      const sql = yield* raw(Path.join(folder, "turnstream.db"))
      yield* sql`PRAGMA foreign_keys = OFF`
      yield* sql`INSERT INTO context_contents (session_id, hash, content) VALUES ('nobody', 'h', 'c')`
      const error = yield* Effect.flip(open(folder, { migrations: seven }))
      assert.strictEqual(error.kind, "migration")
      assert.match(error.detail, /^7 pages: a row of context_contents refers to none of sessions/)
      assert.deepStrictEqual(yield* sql`SELECT max(version) AS version FROM schema_version`, [{ version: 6 }])
      assert.strictEqual((yield* sql`SELECT 1 FROM batches WHERE session_id = 'nobody'`).length, 0)
    }))

  it.scoped("tells apart the turns that had commits between their first and their last", () =>
    Effect.gen(function*() {
      const folder = yield* versionSix
      const { database } = yield* open(folder, { migrations: seven })
      const turns = yield* database.reader<{ readonly brief: number; readonly isBrief: number }>`SELECT t.brief,
        count(b.pos) = 0 AS "isBrief" FROM turns t LEFT JOIN batches b
          ON b.turn_id = t.id AND b.first_seq > 1 AND b.terminal = 0 WHERE t.end_pos IS NOT NULL GROUP BY t.id`
      assert.strictEqual(new Set(turns.map(({ brief }) => brief)).size, 2)
      for (const { brief, isBrief } of turns) assert.strictEqual(brief, isBrief)
    }))
})
