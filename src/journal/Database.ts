/**
 * An open database: one writing connection, one reading connection, and the epoch under which this process owns it.
 * `DatabaseSqlite.ts` opens it; `JournalSql.ts` is its only user.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Fenced } from "../domain/TurnError.ts"

export interface DatabaseShape {
  readonly kind: "sqlite"
  /** The file, absolute. */
  readonly path: string
  readonly durability: "full" | "relaxed"
  readonly schemaVersion: number
  /** Writes; undefined for a database opened for reading only. */
  readonly writer: SqlClient.SqlClient | undefined
  /** A second connection that never writes: it sees the last commit and never waits for an open transaction. */
  readonly reader: SqlClient.SqlClient
  /** Stands in `owner.epoch` while this process owns the database; every write checks it. 0 when reading only. */
  readonly epoch: number
  /** Completes when another process took over. */
  readonly fenced: Effect.Effect<Fenced>
}

export class Database extends Context.Tag("turnstream/journal/Database")<Database, DatabaseShape>() {}

/** Why a database could not be opened. `detail` is the storage's own word. */
export class DatabaseError extends Schema.TaggedError<DatabaseError>("turnstream/DatabaseError")("DatabaseError", {
  kind: Schema.Literal("missing", "unwritable", "corrupt", "newer", "owned", "locked", "migration", "io"),
  path: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    switch (this.kind) {
      case "missing":
        return `No database at ${this.path}. Start the service once to create it, or set TURNSTREAM_DATA_DIR.`
      case "unwritable":
        return `Cannot write to ${this.path} (${this.detail}). Give this user write access or set TURNSTREAM_DATA_DIR.`
      case "corrupt":
        return `${this.path} is not a valid database (${this.detail}). Move it away, with its -wal and -shm files, and restore a backup: docs/operations.md, "Backup and restore".`
      case "newer":
        return `${this.path} was written by a newer version (${this.detail}). Upgrade turnstream, or restore the copy that was kept before the upgrade.`
      case "owned":
        return `${this.path} is owned by a running process (${this.detail}). Stop it, talk to it with --url, or take over with --take-over.`
      case "locked":
        return `${this.path} is locked by another process (${this.detail}). Close it, or continue or end it if it was stopped in the middle of a write, and start again.`
      case "migration":
        return `The schema of ${this.path} does not fit (${this.detail}). Start the service to migrate it; if that fails, the copy kept beside it is unchanged: please report this.`
      case "io":
        return `${this.path} could not be used (${this.detail}). Check the disk and the installation.`
    }
  }
}
