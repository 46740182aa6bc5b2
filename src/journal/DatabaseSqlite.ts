/**
 * Opens a SQLite database: checks its files, takes ownership, migrates, and gives one writing and one reading
 * connection. Whatever stands in the way is one `DatabaseError`, before anything is served.
 *
 * Order matters: a newer schema is refused before anything is written; ownership comes before migration, so that a
 * refused start changes nothing and two starts do not migrate at once; the reader comes last, so that it prepares
 * against the final schema and is closed before the owner empties the log.
 *
 * `synchronous=FULL` is asserted after a first write, because in WAL mode SQLite reports a level before that which is
 * not the one it uses; an acknowledged commit survives power loss only with it. `relaxed` may lose the commits since
 * the last checkpoint then, and never the file.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Database, DatabaseError } from "./Database.ts"
import { fromFailure, openReader, openWriter, rows, synchronousOf, whileLocked } from "./DatabaseConnection.ts"
import * as DatabaseFile from "./DatabaseFile.ts"
import { migrate, type Migration, newestOf, versionOf } from "./Migrations.ts"
import { migrations as released } from "./migrations/index.ts"
import * as Owner from "./Owner.ts"

/** Before it, a rare race between writers and checkpoints could corrupt a WAL database (sqlite.org/wal.html). */
const sqliteMin = [3, 51, 3] as const

/** Compares a dotted version with the oldest that is safe. */
export const isSafeVersion = (version: string): boolean => {
  const parts = version.split(".").map(Number)
  for (const [index, min] of sqliteMin.entries()) {
    const part = parts[index] ?? 0
    if (part !== min) return part > min
  }
  return true
}

const Version = Schema.Struct({ version: Schema.String })

const checkVersion = (sql: SqlClient.SqlClient, path: string) =>
  rows(Version)(sql, "SELECT sqlite_version() AS version").pipe(
    Effect.mapError(fromFailure(path)),
    Effect.flatMap(([row]) => {
      const version = row?.version ?? "unknown"
      return isSafeVersion(version) ? Effect.void : new DatabaseError({
        kind: "io",
        path,
        detail: `SQLite ${version} is installed, ${sqliteMin.join(".")} or later is needed: reinstall better-sqlite3`
      })
    })
  )

const assertSynchronous = (sql: SqlClient.SqlClient, path: string, durability: "full" | "relaxed") =>
  synchronousOf(sql).pipe(
    Effect.mapError(fromFailure(path)),
    Effect.flatMap((level) =>
      level === (durability === "full" ? 2 : 1)
        ? Effect.void
        : new DatabaseError({ kind: "io", path, detail: `synchronous is ${level}, not as asked (${durability})` })
    )
  )

export interface Options {
  /** Folder of the database; made where it is missing. */
  readonly dataDir: string
  readonly durability: "full" | "relaxed"
  /** Take the database from an owner that is alive; it will be fenced. */
  readonly takeOver: boolean
  readonly migrations?: ReadonlyArray<Migration>
}

const open = Effect.fn("DatabaseSqlite.open")(function*(options: Options) {
  const migrations = options.migrations ?? released
  const path = DatabaseFile.pathIn(options.dataDir)
  yield* DatabaseFile.prepare(path)
  const writer = yield* openWriter(path, options.durability)
  yield* checkVersion(writer, path)
  yield* versionOf(writer, path, newestOf(migrations)).pipe(whileLocked)
  const owner = yield* Owner.take(writer, path, options.takeOver)
  yield* assertSynchronous(writer, path, options.durability)
  const schemaVersion = yield* migrate({ sql: writer, path, epoch: owner.epoch, migrations })
  const reader = yield* openReader(path)
  return Database.of({
    kind: "sqlite",
    path,
    durability: options.durability,
    schemaVersion,
    writer,
    reader,
    epoch: owner.epoch,
    fenced: owner.fenced
  })
})

/** Call once and name the result: two calls are two instances, and the second is refused as owned. */
export const layer = (options: Options): Layer.Layer<Database, DatabaseError> => Layer.scoped(Database, open(options))

export interface ReadOnlyOptions {
  readonly dataDir: string
  readonly migrations?: ReadonlyArray<Migration>
}

const openReadOnly = Effect.fn("DatabaseSqlite.openReadOnly")(function*(options: ReadOnlyOptions) {
  const newest = newestOf(options.migrations ?? released)
  const path = DatabaseFile.pathIn(options.dataDir)
  yield* DatabaseFile.checkReadable(path)
  const reader = yield* openReader(path)
  yield* checkVersion(reader, path)
  const schemaVersion = yield* versionOf(reader, path, newest).pipe(whileLocked)
  if (schemaVersion < newest) {
    return yield* new DatabaseError({
      kind: "migration",
      path,
      detail: `schema version ${schemaVersion}, this version reads ${newest}`
    })
  }
  return Database.of({
    kind: "sqlite",
    path,
    // What a reader would lose: nothing.
    durability: "full",
    schemaVersion,
    writer: undefined,
    reader,
    epoch: 0,
    fenced: Effect.never
  })
})

/** For commands that only read: no ownership, no migration, and works beside a running owner. */
export const layerReadOnly = (options: ReadOnlyOptions): Layer.Layer<Database, DatabaseError> =>
  Layer.scoped(Database, openReadOnly(options))
