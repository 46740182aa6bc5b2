/** A fresh folder per test, and raw connections that stand for "another program". */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Database, type DatabaseError, type DatabaseShape } from "../../src/journal/Database.ts"
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"
import type { Migration } from "../../src/journal/Migrations.ts"
import * as SqliteClient from "../../src/journal/SqliteClient.ts"

export const freshFolder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "turnstream-"))),
  (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
)

export const firstMigration: Migration = {
  version: 1,
  name: "notes",
  up: (sql) => Effect.asVoid(sql`CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT`)
}

export const secondMigration: Migration = {
  version: 2,
  name: "note length",
  up: (sql) =>
    Effect.zipRight(
      sql`ALTER TABLE note ADD COLUMN chars INTEGER NOT NULL DEFAULT 0`,
      Effect.asVoid(sql`UPDATE note SET chars = length(text)`)
    )
}

export interface Opened {
  readonly database: DatabaseShape
  readonly close: Effect.Effect<void>
}

/** Builds a layer in a scope of its own, so that a test says when it closes; the test's scope closes it at the latest. */
export const build = (
  layer: Layer.Layer<Database, DatabaseError>
): Effect.Effect<Opened, DatabaseError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const context = yield* Layer.buildWithScope(layer, scope)
    return { database: Context.get(context, Database), close: Scope.close(scope, Exit.void) }
  })

export const open = (dataDir: string, options: Partial<DatabaseSqlite.Options> = {}) =>
  build(
    DatabaseSqlite.layer({ dataDir, durability: "full", takeOver: false, migrations: [firstMigration], ...options })
  )

export const openReadOnly = (dataDir: string, migrations: ReadonlyArray<Migration> = [firstMigration]) =>
  build(DatabaseSqlite.layerReadOnly({ dataDir, migrations }))

/** A plain connection to a file, for the length of the scope. */
export const raw = (path: string) => SqliteClient.make({ filename: path, readonly: false })

/** The writer of a database that was opened for writing. */
export const writerOf = (database: DatabaseShape) => {
  if (database.writer === undefined) throw new Error("opened for reading only")
  return database.writer
}

export const modeOf = (path: string): number => Fs.statSync(path).mode & 0o777
