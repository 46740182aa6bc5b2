/**
 * A copy of a database while its owner writes, from any process: the last commit, in one private file that has passed
 * SQLite's whole integrity check and belongs to nobody, so that a start on it is never refused as owned.
 *
 * The copy grows under `<destination>.partial` and takes its name only when it is complete and on the disk. Copying holds
 * up this process (the driver is synchronous), so it is for commands, not for a process that serves. It never holds up
 * the owner's writes; the owner's log cannot shrink until the copy is done.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { DatabaseError } from "./Database.ts"
import { fromFailure, openCopy, openReader, rows, run } from "./DatabaseConnection.ts"
import * as DatabaseFile from "./DatabaseFile.ts"

export class BackupError extends Schema.TaggedError<BackupError>("turnstream/BackupError")("BackupError", {
  kind: Schema.Literal("exists", "unwritable", "invalid"),
  destination: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    switch (this.kind) {
      case "exists":
        return `${this.destination} is there already. Name a new file; a backup never replaces anything.`
      case "unwritable":
        return `The backup could not be written to ${this.destination} (${this.detail}). Choose a folder with space that this user may write to.`
      case "invalid":
        return `The copy failed its integrity check and was removed (${this.detail}). The database itself may be damaged: check it with turnstream doctor.`
    }
  }
}

export interface Backup {
  /** Absolute. */
  readonly destination: string
  readonly bytes: number
}

const Check = Schema.Struct({ integrity_check: Schema.String })
const Present = Schema.Struct({ present: Schema.Int })

const ownerPresent = "SELECT count(*) AS present FROM sqlite_schema WHERE type = 'table' AND name = 'owner'"

/** The copy's owner would be the process that wrote the original. */
const disown = (path: string) =>
  Effect.gen(function*() {
    const sql = yield* openCopy(path)
    const [table] = yield* rows(Present)(sql, ownerPresent)
    if (table !== undefined && table.present > 0) {
      yield* run(sql, "UPDATE owner SET instance = NULL, pid = NULL, pid_start = NULL, heartbeat_at = NULL")
    }
    return yield* rows(Check)(sql, "PRAGMA integrity_check")
  }).pipe(Effect.mapError(fromFailure(path)))

/** `source` is the database file. Fails with `DatabaseError` for the source and `BackupError` for the destination. */
export const backup = Effect.fn("DatabaseBackup.backup")(
  function*(source: string, target: string) {
    const destination = Path.resolve(target)
    const partial = `${destination}.partial`
    const unwritable = ({ detail }: DatabaseError) => new BackupError({ kind: "unwritable", destination, detail })
    yield* DatabaseFile.checkReadable(source)
    const sql = yield* openReader(source)
    // VACUUM INTO counts as a write to it; the connection itself still opened the source read-only.
    yield* Effect.mapError(run(sql, "PRAGMA query_only = OFF"), fromFailure(source))
    yield* refuseExisting(destination)
    yield* Effect.addFinalizer(() => DatabaseFile.removeFile(partial))
    // A fault of the source shows here first, under the name of the file it is in.
    yield* DatabaseFile.copyInto(sql, partial).pipe(
      Effect.mapError((error) => error.kind === "corrupt" ? fromFailure(source)(error) : unwritable(error))
    )
    const found = yield* Effect.scoped(disown(partial)).pipe(
      Effect.mapError(({ detail }) => new BackupError({ kind: "invalid", destination, detail }))
    )
    if (found.length !== 1 || found[0]?.integrity_check !== "ok") {
      const detail = found.slice(0, 3).map((row) => row.integrity_check).join("; ")
      return yield* new BackupError({ kind: "invalid", destination, detail })
    }
    // Again: a copy takes a while, and somebody may have used the name.
    yield* refuseExisting(destination)
    yield* DatabaseFile.replaceFile(partial, destination).pipe(Effect.mapError(unwritable))
    const bytes = yield* DatabaseFile.attempt(destination, () => Fs.statSync(destination).size).pipe(
      Effect.mapError(unwritable)
    )
    return { destination, bytes } satisfies Backup
  },
  Effect.scoped
)

const refuseExisting = (destination: string) =>
  Effect.suspend(() =>
    Fs.existsSync(destination)
      ? Effect.fail(new BackupError({ kind: "exists", destination, detail: "the file exists" }))
      : Effect.void
  )
