/**
 * Facts about a database file for `doctor`, whoever owns it and whatever version it has: nothing is written, nothing is
 * migrated, no ownership is taken. `PRAGMA quick_check` reads every page and holds this process up meanwhile (seconds
 * for a big journal), so this is for a command, not for a process that serves.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { fromFailure, openReader, rows } from "./DatabaseConnection.ts"
import * as DatabaseFile from "./DatabaseFile.ts"
import { newestOf, versionOf } from "./Migrations.ts"
import { migrations } from "./migrations/index.ts"
import { freshMs } from "./Owner.ts"
import * as OwnerProcess from "./OwnerProcess.ts"

export interface RecordedOwner {
  readonly pid: number
  readonly host: string
  /** When it took the database. */
  readonly since: string
  readonly heartbeatAt: string
  /** It has beaten its heart lately and, on this host, its process lives: a start is refused. */
  readonly alive: boolean
}

export interface Inspection {
  readonly path: string
  readonly schemaVersion: number
  readonly newestVersion: number
  /** Absent after a clean end. */
  readonly owner: RecordedOwner | undefined
  /** What the quick check found, its first 100 faults at most; empty where all is well. */
  readonly faults: ReadonlyArray<string>
}

const Present = Schema.Struct({ present: Schema.Int })
const OwnerRow = Schema.Struct({
  pid: Schema.NullOr(Schema.Int),
  pid_start: Schema.NullOr(Schema.String),
  host: Schema.NullOr(Schema.String),
  started_at: Schema.NullOr(Schema.String),
  heartbeat_at: Schema.NullOr(Schema.String)
})
const Check = Schema.Struct({ quick_check: Schema.String })

const ownerOf = (row: typeof OwnerRow.Type, thisHost: string, nowMs: number): RecordedOwner | undefined => {
  const { heartbeat_at: heartbeatAt, host, pid, pid_start: pidStart, started_at: since } = row
  if (pid === null || heartbeatAt === null || host === null || since === null) return undefined
  const fresh = nowMs - Date.parse(heartbeatAt) < freshMs
  return { pid, host, since, heartbeatAt, alive: fresh && (host !== thisHost || OwnerProcess.lives(pid, pidStart)) }
}

export const inspect = Effect.fn("DatabaseInspection.inspect")(
  function*(dataDir: string) {
    const path = DatabaseFile.pathIn(dataDir)
    yield* DatabaseFile.checkReadable(path)
    const sql = yield* openReader(path)
    const newestVersion = newestOf(migrations)
    const schemaVersion = yield* versionOf(sql, path, newestVersion)
    const self = yield* OwnerProcess.self
    const nowMs = yield* Clock.currentTimeMillis
    return yield* Effect.gen(function*() {
      const [table] = yield* rows(Present)(
        sql,
        "SELECT count(*) AS present FROM sqlite_schema WHERE type = 'table' AND name = 'owner'"
      )
      const [row] = table !== undefined && table.present > 0
        ? yield* rows(OwnerRow)(sql, "SELECT pid, pid_start, host, started_at, heartbeat_at FROM owner WHERE id = 1")
        : []
      const found = yield* rows(Check)(sql, "PRAGMA quick_check")
      const faults = found.map((check) => check.quick_check).filter((text) => text !== "ok")
      const owner = row === undefined ? undefined : ownerOf(row, self.host, nowMs)
      return { path, schemaVersion, newestVersion, owner, faults } satisfies Inspection
    }).pipe(Effect.mapError(fromFailure(path)))
  },
  Effect.scoped
)
