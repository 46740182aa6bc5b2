/**
 * Brings a database to the newest schema this version knows, one migration a transaction, in order, each once.
 *
 * Invariants: a database of a newer version is never touched; a database with rows in it is copied beside itself
 * (`turnstream.db.v<old>.bak`) before the first change; a migration that fails leaves the version before it. Every
 * transaction checks the epoch, so two processes never migrate the same file.
 *
 * Not `@effect/sql`'s Migrator: it keeps no copy, has no word for "newer", and is not fenced by an epoch.
 * Runs before any other query, because the driver caches failed prepares.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { DatabaseError } from "./Database.ts"
import { fromFailure, immediate, rows, run, whileLocked } from "./DatabaseConnection.ts"
import { copyInto, removeFile, replaceFile } from "./DatabaseFile.ts"

/** `version` counts from 1 without a gap, in the order of the list. */
export interface Migration {
  readonly version: number
  readonly name: string
  /**
   * It drops tables that others refer to, to put new ones in their place: SQLite would take the rows that refer to them
   * along. It runs with foreign keys off, and is undone where one is broken in the end.
   */
  readonly replacesParents?: boolean
  readonly up: (sql: SqlClient.SqlClient) => Effect.Effect<void, SqlError>
}

const createTable = `CREATE TABLE IF NOT EXISTS schema_version (
  version INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  applied_at TEXT NOT NULL
) STRICT`

const Present = Schema.Struct({ present: Schema.Int })
const Newest = Schema.Struct({ version: Schema.NullOr(Schema.Int) })

/** The newest version a migration list leads to; 0 for an empty list. */
export const newestOf = (migrations: ReadonlyArray<Migration>): number => migrations.at(-1)?.version ?? 0

/** The schema version a database stands at; 0 for one without tables. Fails for a version that is not known. */
export const versionOf = Effect.fn("Migrations.versionOf")(
  function*(sql: SqlClient.SqlClient, path: string, newest: number) {
    const [table] = yield* rows(Present)(
      sql,
      "SELECT count(*) AS present FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'"
    )
    if (table === undefined || table.present === 0) return 0
    const [found] = yield* rows(Newest)(sql, "SELECT max(version) AS version FROM schema_version")
    const version = found?.version ?? 0
    if (version > newest) {
      return yield* new DatabaseError({
        kind: "newer",
        path,
        detail: `schema version ${version}, this version knows ${newest}`
      })
    }
    return version
  },
  (effect, _sql, path) => Effect.catchTag(effect, "SqlError", (error) => fromFailure(path)(error))
)

/** Runs what is missing. The answer is the version reached. */
export const migrate = Effect.fn("Migrations.migrate")(function*(options: {
  readonly sql: SqlClient.SqlClient
  readonly path: string
  readonly epoch: number
  readonly migrations: ReadonlyArray<Migration>
}) {
  const { epoch, migrations, path, sql } = options
  const newest = newestOf(migrations)
  const before = yield* versionOf(sql, path, newest).pipe(whileLocked)
  const missing = migrations.filter((migration) => migration.version > before)
  if (missing.length > 0 && before > 0) yield* keepCopy(sql, path, before)
  for (const migration of missing) {
    const applied = apply(sql, path, epoch, migration).pipe(whileLocked)
    yield* migration.replacesParents === true ? withoutForeignKeys(sql, path, applied) : applied
  }
  return newest
})

/** The copy is complete before it takes the name of an older one. */
const keepCopy = (sql: SqlClient.SqlClient, path: string, version: number) => {
  const copy = `${path}.v${version}.bak`
  return copyInto(sql, `${copy}.partial`).pipe(
    Effect.zipRight(replaceFile(`${copy}.partial`, copy)),
    Effect.onError(() => removeFile(`${copy}.partial`)),
    Effect.mapError(({ detail }) =>
      new DatabaseError({ kind: "migration", path, detail: `no copy could be kept at ${copy}: ${detail}` })
    )
  )
}

/** Around the transaction, because SQLite leaves the setting as it is within one. */
const withoutForeignKeys = <A>(sql: SqlClient.SqlClient, path: string, applied: Effect.Effect<A, DatabaseError>) => {
  const set = (to: "ON" | "OFF") => Effect.mapError(run(sql, `PRAGMA foreign_keys = ${to}`), fromFailure(path))
  return Effect.acquireUseRelease(set("OFF"), () => applied, () => Effect.orDie(set("ON")))
}

const Broken = Schema.Struct({ table: Schema.String, parent: Schema.String })

const checkForeignKeys = (sql: SqlClient.SqlClient, path: string, { name, version }: Migration) =>
  Effect.flatMap(
    rows(Broken)(sql, 'SELECT "table", parent FROM pragma_foreign_key_check LIMIT 1'),
    ([broken]) =>
      broken === undefined ? Effect.void : new DatabaseError({
        kind: "migration",
        path,
        detail: `${version} ${name}: a row of ${broken.table} refers to none of ${broken.parent}`
      })
  )

const Epoch = Schema.Struct({ epoch: Schema.Int })

const apply = (sql: SqlClient.SqlClient, path: string, epoch: number, migration: Migration) =>
  immediate(sql)(Effect.gen(function*() {
    const [owner] = yield* rows(Epoch)(sql, "SELECT epoch FROM owner WHERE id = 1")
    if (owner?.epoch !== epoch) {
      return yield* new DatabaseError({ kind: "owned", path, detail: "another process took over during the migration" })
    }
    yield* run(sql, createTable)
    yield* migration.up(sql)
    if (migration.replacesParents === true) yield* checkForeignKeys(sql, path, migration)
    const at = DateTime.formatIso(DateTime.unsafeMake(yield* Clock.currentTimeMillis))
    yield* run(sql, "INSERT INTO schema_version (version, name, applied_at) VALUES (?, ?, ?)", [
      migration.version,
      migration.name,
      at
    ])
  })).pipe(
    Effect.catchTag("SqlError", (error) => {
      const failure = fromFailure(path)(error)
      // A lock passes and the transaction is gone: worth another try. Anything else is the migration's own fault.
      return failure.kind === "locked"
        ? failure
        : new DatabaseError({
          kind: "migration",
          path,
          detail: `${migration.version} ${migration.name}: ${failure.detail}`
        })
    })
  )
