/**
 * Who may write a database: the holder of the newest epoch in its one-row table `owner`.
 *
 * Taking ownership raises the epoch in one transaction; it is refused while the present owner is alive, that is, has
 * beaten its heart lately *and* its process lives. So a restart after kill -9 never waits, and a process that hangs is
 * not protected for ever. An owner that lost its row (it was stopped, another started, it woke up) learns so from its
 * next heartbeat; before that, the epoch check in every write transaction keeps its writes out.
 *
 * Limits: on another host only the heartbeat speaks, so clocks that differ by more than `freshMs` mislead it. Two
 * containers with one host name and separate process tables do not see each other's process. Both end in fencing, never
 * in two writers. A second thread of this process counts as another instance of it that is not alive.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { globalValue } from "effect/GlobalValue"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Fenced } from "../domain/TurnError.ts"
import { DatabaseError } from "./Database.ts"
import { fromFailure, immediate, rows, run, whileLocked } from "./DatabaseConnection.ts"
import * as OwnerProcess from "./OwnerProcess.ts"

/** Three missed beats: one lost to a slow disk, one to a long pause, and one more. */
export const freshMs = 15_000
export const heartbeatMs = 5_000

export interface Ownership {
  readonly epoch: number
  readonly fenced: Effect.Effect<Fenced>
}

const createTable = `CREATE TABLE IF NOT EXISTS owner (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  epoch INTEGER NOT NULL,
  instance TEXT,
  pid INTEGER,
  pid_start TEXT,
  host TEXT,
  started_at TEXT,
  heartbeat_at TEXT
) STRICT`

const Row = Schema.Struct({
  epoch: Schema.Int,
  instance: Schema.NullOr(Schema.String),
  pid: Schema.NullOr(Schema.Int),
  pid_start: Schema.NullOr(Schema.String),
  host: Schema.NullOr(Schema.String),
  started_at: Schema.NullOr(Schema.String),
  heartbeat_at: Schema.NullOr(Schema.String)
})
type Row = typeof Row.Type

/** Instances that own a database in this very process: the process table cannot tell those that are gone. */
const instances = globalValue("turnstream/journal/Owner/instances", () => ({ made: 0, live: new Set<string>() }))

const isAlive = (row: Row, self: OwnerProcess.Identity, nowMs: number): boolean => {
  if (row.pid === null || row.heartbeat_at === null) return false
  // A heartbeat from the future (a clock that was set back) counts as fresh: refusing is the safe mistake.
  const beatAt = Option.map(DateTime.make(row.heartbeat_at), DateTime.toEpochMillis)
  if (Option.isNone(beatAt) || nowMs - beatAt.value >= freshMs) return false
  if (row.host !== self.host) return true
  if (row.pid === self.pid && row.pid_start === self.pidStart) {
    return row.instance !== null && instances.live.has(row.instance)
  }
  return OwnerProcess.lives(row.pid, row.pid_start)
}

const nameOf = (row: Row) => `process ${row.pid} on host ${row.host}, since ${row.started_at}`

const now = Effect.map(Clock.currentTimeMillis, (ms) => ({ ms, at: DateTime.formatIso(DateTime.unsafeMake(ms)) }))

const claim = (
  sql: SqlClient.SqlClient,
  path: string,
  instance: string,
  self: OwnerProcess.Identity,
  takeOver: boolean
): Effect.Effect<number, DatabaseError> =>
  immediate(sql)(Effect.gen(function*() {
    const { at, ms } = yield* now
    yield* run(sql, createTable)
    const [row] = yield* rows(Row)(sql, "SELECT * FROM owner WHERE id = 1")
    if (row !== undefined && !takeOver && isAlive(row, self, ms)) {
      return yield* new DatabaseError({ kind: "owned", path, detail: nameOf(row) })
    }
    const epoch = (row?.epoch ?? 0) + 1
    yield* run(
      sql,
      "INSERT OR REPLACE INTO owner (id, epoch, instance, pid, pid_start, host, started_at, heartbeat_at) VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
      [epoch, instance, self.pid, self.pidStart, self.host, at, at]
    )
    return epoch
  })).pipe(Effect.mapError(fromFailure(path)), whileLocked, Effect.catchAll(namingOwner(sql)))

/** An owner that was stopped in the middle of a write keeps SQLite's lock: whoever meets it is told which process that is. */
const namingOwner = (sql: SqlClient.SqlClient) => (error: DatabaseError): Effect.Effect<never, DatabaseError> =>
  error.kind !== "locked" ? Effect.fail(error) : Effect.flatMap(
    // a reader needs no lock; a database that never had an owner has no such table
    Effect.orElseSucceed(rows(Row)(sql, "SELECT * FROM owner WHERE id = 1"), () => []),
    ([row]) =>
      row === undefined || row.pid === null
        ? error
        : new DatabaseError({ ...error, detail: `${error.detail}; its owner is ${nameOf(row)}` })
  )

const Epoch = Schema.Struct({ epoch: Schema.Int })

/** One beat; `Fenced` where the row is another's. */
const beat = (sql: SqlClient.SqlClient, epoch: number): Effect.Effect<Fenced | undefined, SqlError> =>
  Effect.gen(function*() {
    const { at } = yield* now
    const ours = yield* rows(Epoch)(
      sql,
      "UPDATE owner SET heartbeat_at = ? WHERE id = 1 AND epoch = ? RETURNING epoch",
      [at, epoch]
    )
    if (ours.length > 0) return undefined
    const [present] = yield* rows(Epoch)(sql, "SELECT epoch FROM owner WHERE id = 1")
    return new Fenced({ ownerEpoch: present?.epoch ?? 0 })
  })

/** 10 tries within one interval; the next beat tries again anyway. */
const beatRetry = Schedule.intersect(Schedule.spaced("100 millis"), Schedule.recurs(10))

const heart = (sql: SqlClient.SqlClient, path: string, epoch: number, fenced: Deferred.Deferred<Fenced>) =>
  beat(sql, epoch).pipe(
    Effect.mapError(fromFailure(path)),
    Effect.retry({ schedule: beatRetry, while: (error) => error.kind === "locked" }),
    Effect.catchAll((error) =>
      Effect.as(Effect.logWarning("The heartbeat of the database's owner was not written", error.message), undefined)
    ),
    Effect.tap((lost) => lost === undefined ? Effect.void : Deferred.succeed(fenced, lost)),
    Effect.delay(heartbeatMs),
    Effect.repeat({ until: (lost) => lost !== undefined })
  )

/** At a clean end: the next start need not ask, and the log is empty, so that the one file holds everything. */
const release = (sql: SqlClient.SqlClient, epoch: number) =>
  rows(Epoch)(
    sql,
    "UPDATE owner SET pid = NULL, pid_start = NULL, heartbeat_at = NULL WHERE id = 1 AND epoch = ? RETURNING epoch",
    [epoch]
  ).pipe(
    Effect.retry(Schedule.intersect(Schedule.spaced("25 millis"), Schedule.recurs(10))),
    Effect.tap((ours) => ours.length > 0 ? run(sql, "PRAGMA wal_checkpoint(TRUNCATE)") : Effect.void),
    // The process ends either way, and a dead owner stands in nobody's way.
    Effect.ignoreLogged
  )

/** Takes the database for the life of the scope. Readers in that scope are to be opened after this, so they close before. */
export const take = Effect.fn("Owner.take")(function*(
  sql: SqlClient.SqlClient,
  path: string,
  takeOver: boolean
): Effect.fn.Return<Ownership, DatabaseError, Scope.Scope> {
  const self = yield* OwnerProcess.self
  const chance = yield* Random.nextIntBetween(0, 0x7fffffff)
  // The count keeps two instances apart where a test seeds chance.
  const instance = `${self.pid}-${instances.made++}-${chance.toString(36)}`
  yield* Effect.acquireRelease(
    Effect.sync(() => instances.live.add(instance)),
    () => Effect.sync(() => instances.live.delete(instance))
  )
  // Interrupted between claim and finalizer, the row names an instance that is not live: nobody waits for it.
  const epoch = yield* claim(sql, path, instance, self, takeOver)
  yield* Effect.addFinalizer(() => release(sql, epoch))
  const fenced = yield* Deferred.make<Fenced>()
  yield* Effect.forkScoped(heart(sql, path, epoch, fenced))
  return { epoch, fenced: Deferred.await(fenced) }
})
