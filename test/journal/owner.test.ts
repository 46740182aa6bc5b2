import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import type { DatabaseShape } from "../../src/journal/Database.ts"
import * as Owner from "../../src/journal/Owner.ts"
import * as OwnerProcess from "../../src/journal/OwnerProcess.ts"
import { freshFolder, open, raw, writerOf } from "./databaseFixture.ts"

interface Forged {
  readonly pid: number
  readonly pidStart?: string | null
  readonly host?: string
  readonly heartbeatAgeMs?: number
}

/** Writes the row that another process would have left. */
const forge = (database: DatabaseShape, owner: Forged) =>
  Effect.gen(function*() {
    const sql = writerOf(database)
    const at = DateTime.formatIso(DateTime.unsafeMake((yield* Clock.currentTimeMillis) - (owner.heartbeatAgeMs ?? 0)))
    yield* sql`UPDATE owner SET epoch = 7, instance = 'other', pid = ${owner.pid}, pid_start = ${
      owner.pidStart ?? null
    },
      host = ${owner.host ?? Os.hostname()}, started_at = ${at}, heartbeat_at = ${at}`
  })

/** A folder whose database was last owned as forged. */
const ownedBy = (owner: Forged) =>
  Effect.gen(function*() {
    const folder = yield* freshFolder
    const { close, database } = yield* open(folder)
    yield* forge(database, owner)
    yield* close
    return folder
  })

/** A process that does nothing until it is killed. */
const sleeper = Effect.acquireRelease(
  Effect.sync(() => ChildProcess.spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" })),
  (child) => Effect.sync(() => child.kill("SIGKILL"))
)

const spawned = (child: ChildProcess.ChildProcess) =>
  Effect.async<number>((resume) => {
    child.once("spawn", () => resume(Effect.succeed(child.pid ?? 0)))
  })

const killed = (child: ChildProcess.ChildProcess) =>
  Effect.async<void>((resume) => {
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

const startOf = (pid: number) => OwnerProcess.parseStat(Fs.readFileSync(`/proc/${pid}/stat`, "latin1"))?.start ?? "none"

const linux = process.platform === "linux"

describe("ownership", () => {
  it.scoped("each owner has an epoch of its own, one higher than the last", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      for (const epoch of [1, 2, 3]) {
        const { close, database } = yield* open(folder)
        assert.strictEqual(database.epoch, epoch)
        yield* close
      }
    }))

  it.scoped("a second start in the same process is refused while the first lives, naming it", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const { close, database } = yield* open(folder)
      const error = yield* Effect.flip(open(folder))
      assert.strictEqual(error.kind, "owned")
      assert.include(error.detail, String(process.pid))
      assert.include(error.detail, Os.hostname())
      assert.include(error.detail, "1970-01-01T00:00:00.000Z")
      assert.deepStrictEqual(yield* database.reader`SELECT epoch FROM owner`, [{ epoch: 1 }])
      yield* close
      yield* open(folder)
    }))

  it.scoped.skipIf(!linux)(
    "a process that lives and beats is the owner; killed, the next start takes over at once",
    () =>
      Effect.gen(function*() {
        const child = yield* sleeper
        const pid = yield* spawned(child)
        const folder = yield* ownedBy({ pid, pidStart: startOf(pid) })
        const error = yield* Effect.flip(open(folder))
        assert.strictEqual(error.kind, "owned")
        assert.include(error.message, String(pid))
        yield* killed(child)
        const { database } = yield* open(folder)
        assert.strictEqual(database.epoch, 8)
      })
  )

  it.scoped.skipIf(!linux)("a process id that is used again is not the owner", () =>
    Effect.gen(function*() {
      const pid = yield* spawned(yield* sleeper)
      const folder = yield* ownedBy({ pid, pidStart: `${startOf(pid)}0` })
      assert.strictEqual((yield* open(folder)).database.epoch, 8)
    }))

  it.scoped.skipIf(!linux)("a killed process that nobody waited for is not the owner", () =>
    Effect.gen(function*() {
      // The shell becomes a program that never waits for its child, so the child stays in the table as a zombie.
      const shell = yield* Effect.acquireRelease(
        Effect.sync(() =>
          ChildProcess.spawn("sh", ["-c", "sleep 1000 & echo $!; exec sleep 1000"], {
            stdio: ["ignore", "pipe", "ignore"]
          })
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const pid = yield* Effect.async<number>((resume) => {
        shell.stdout.once("data", (line: Buffer) => resume(Effect.succeed(Number(line.toString()))))
      })
      const folder = yield* ownedBy({ pid, pidStart: startOf(pid) })
      process.kill(pid, "SIGKILL")
      // The signal is delivered when the process is next scheduled.
      yield* Effect.repeat(Effect.yieldNow(), { until: () => OwnerProcess.lives(pid, null) === false })
      assert.doesNotThrow(() => process.kill(pid, 0))
      assert.strictEqual((yield* open(folder)).database.epoch, 8)
    }))

  it.scoped("a process that lives and no longer beats is not protected", () =>
    Effect.gen(function*() {
      const pid = yield* spawned(yield* sleeper)
      const fresh = yield* ownedBy({ pid, heartbeatAgeMs: Owner.freshMs - 1 })
      assert.strictEqual((yield* Effect.flip(open(fresh))).kind, "owned")
      const stale = yield* ownedBy({ pid, heartbeatAgeMs: Owner.freshMs })
      assert.strictEqual((yield* open(stale)).database.epoch, 8)
    }))

  it.scoped("on another host the heartbeat alone decides", () =>
    Effect.gen(function*() {
      // No process here has this id.
      const far = { pid: 4_194_305, host: `${Os.hostname()}-other` }
      const error = yield* Effect.flip(open(yield* ownedBy(far)))
      assert.strictEqual(error.kind, "owned")
      assert.include(error.detail, far.host)
      yield* open(yield* ownedBy({ ...far, heartbeatAgeMs: Owner.freshMs }))
    }))

  it.scoped("an owner of this process that ended without a word is not the owner", () =>
    Effect.gen(function*() {
      const folder = yield* ownedBy({ pid: process.pid, pidStart: (yield* OwnerProcess.self).pidStart })
      assert.strictEqual((yield* open(folder)).database.epoch, 8)
    }))

  it.scoped("P7: after a take-over the old owner is fenced at its next heartbeat, and leaves the row alone when it closes", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const old = yield* open(folder)
      const next = yield* open(folder, { takeOver: true })
      assert.strictEqual(next.database.epoch, 2)
      const fenced = yield* Effect.fork(old.database.fenced)
      yield* TestClock.adjust(Owner.heartbeatMs - 1)
      assert.isNull(fenced.unsafePoll())
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Fiber.join(fenced)).ownerEpoch, 2)
      yield* old.close
      assert.deepStrictEqual(yield* next.database.reader`SELECT epoch, pid FROM owner`, [{
        epoch: 2,
        pid: process.pid
      }])
      const still = yield* Effect.fork(next.database.fenced)
      yield* TestClock.adjust(Owner.freshMs)
      assert.isNull(still.unsafePoll())
    }))

  it.scoped("an owner stays fresh as long as it runs, and is nobody's after a clean close", () =>
    Effect.gen(function*() {
      const folder = yield* freshFolder
      const { close, database } = yield* open(folder)
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(yield* database.reader`SELECT heartbeat_at FROM owner`, [
        { heartbeat_at: "1970-01-01T00:01:00.000Z" }
      ])
      assert.strictEqual((yield* Effect.flip(open(folder))).kind, "owned")
      yield* close
      const sql = yield* raw(database.path)
      assert.deepStrictEqual(yield* sql`SELECT epoch, pid, heartbeat_at FROM owner`, [
        { epoch: 1, pid: null, heartbeat_at: null }
      ])
    }))

  it.scoped("a heartbeat that meets a lock or a failing storage is tried again, and the heart goes on", () =>
    Effect.gen(function*() {
      const { database } = yield* open(yield* freshFolder)
      const beats = Effect.map(
        database.reader<{ heartbeat_at: string }>`SELECT heartbeat_at FROM owner`,
        (rows) => Date.parse(rows[0]?.heartbeat_at ?? "")
      )
      const other = yield* raw(database.path)
      yield* other`BEGIN IMMEDIATE`
      yield* TestClock.adjust("5300 millis")
      assert.strictEqual(yield* beats, 0)
      yield* other`ROLLBACK`
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* beats, 5_400)
      // No table is the most thorough failure of a storage that can be made and undone.
      yield* other`ALTER TABLE owner RENAME TO away`
      yield* TestClock.adjust("30 seconds")
      yield* other`ALTER TABLE away RENAME TO owner`
      yield* TestClock.adjust("5 seconds")
      assert.isAbove(yield* beats, 35_000)
      const fenced = yield* Effect.fork(database.fenced)
      yield* TestClock.adjust("5 seconds")
      assert.isNull(fenced.unsafePoll())
    }))

  it("the start time is found behind any process name", () => {
    const fields = "S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 424242 1 1"
    for (const name of ["node", "a b", "x) S 9 (y", "))"]) {
      assert.deepStrictEqual(OwnerProcess.parseStat(`12 (${name}) ${fields}`), { state: "S", start: "424242" })
    }
    assert.isUndefined(OwnerProcess.parseStat(""))
  })

  it("this process lives; no process group and no unused id does", () => {
    assert.isTrue(OwnerProcess.lives(process.pid, null))
    for (const pid of [0, -1, 4_194_305]) assert.isFalse(OwnerProcess.lives(pid, null), String(pid))
  })
})
