/**
 * The files of a database on disk: that they can be used is checked before SQLite sees them, because its own words for
 * a wrong path are few, and they are private (folder 0700, files 0600).
 *
 * Synchronous on purpose: a handful of calls at a start or a backup, next to a driver that is synchronous anyway.
 * An existing folder keeps its mode: it may be one that others share, and the files in it are private by themselves.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { DatabaseError } from "./Database.ts"
import { fromFailure, run } from "./DatabaseConnection.ts"

const fileName = "turnstream.db"

export const pathIn = (dataDir: string): string => Path.resolve(dataDir, fileName)

/** Node's words for a refusal begin with its code, which a `DatabaseError` names already. */
const refusalOf = (path: string) => (failure: unknown): DatabaseError => {
  const error = fromFailure(path)(failure)
  const detail = error.detail.replace(/^([A-Z]+): \1: /, "$1: ")
  return detail === error.detail ? error : new DatabaseError({ kind: error.kind, path: error.path, detail })
}

/** Runs file system calls; a refusal names `path`. */
export const attempt = <A>(path: string, body: () => A): Effect.Effect<A, DatabaseError> =>
  Effect.try({ try: body, catch: refusalOf(path) })

const privateFile = 0o600
/** The file format's header (sqlite.org/fileformat.html): its length, first words, and offsets of big-endian numbers. */
const header = { bytes: 100, magic: "SQLite format 3\0", pageBytes: 16, changes: 24, pages: 28, pagesSetAt: 92 }

const sizeOf = (path: string): number => Fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0

/** Why an existing file cannot be a database, as far as its first bytes tell. */
const fault = (path: string): string | undefined => {
  const size = sizeOf(path)
  if (size === 0) {
    // SQLite deletes the log of an empty database: what it holds would be lost.
    return sizeOf(`${path}-wal`) > 0 ? "empty, but its -wal file holds transactions" : undefined
  }
  const head = Buffer.alloc(header.bytes)
  const file = Fs.openSync(path, "r")
  try {
    Fs.readSync(file, head, 0, head.length, 0)
  } finally {
    Fs.closeSync(file)
  }
  if (head.toString("latin1", 0, header.magic.length) !== header.magic) return "not a SQLite file"
  // 65,536 does not fit and is written as 1.
  const pageBytes = head.readUInt16BE(header.pageBytes) === 1 ? 65_536 : head.readUInt16BE(header.pageBytes)
  // With a log beside it the missing pages may be there. The count holds only if the last writer set it.
  const counted = sizeOf(`${path}-wal`) === 0 &&
    head.readUInt32BE(header.changes) === head.readUInt32BE(header.pagesSetAt)
  const bytes = pageBytes * (counted ? head.readUInt32BE(header.pages) : 1)
  return size < bytes ? `cut off at ${size} of ${bytes} bytes` : undefined
}

const refuseFault = (path: string) =>
  Effect.flatMap(
    attempt(path, () => fault(path)),
    (detail) => detail === undefined ? Effect.void : new DatabaseError({ kind: "corrupt", path, detail })
  )

/**
 * Not `recursive: true`: Node 20 never returns from that below a folder that cannot hold folders, such as /proc. SQLite
 * syncs the folder its files are in; the names of new folders are synced here, or a power loss takes the whole journal.
 */
const makeFolder = (folder: string): void => {
  if (Fs.existsSync(folder)) return
  const parent = Path.dirname(folder)
  makeFolder(parent)
  try {
    Fs.mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    // Another start may have made it meanwhile.
    if (!Fs.existsSync(folder)) throw error
  }
  sync(parent)
}

/** A file where a folder of the path should be, or undefined. */
const fileAbove = (path: string): string | undefined => {
  const folder = Path.dirname(path)
  const above = folder === path ? undefined : fileAbove(folder)
  return above ?? (Fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === false ? path : undefined)
}

/** A setting that names a file is told as that: the system's words for it, ENOTDIR, say little. */
const refuseFileAsFolder = (path: string) =>
  Effect.flatMap(
    // what cannot be looked at is told by what is tried next
    Effect.orElseSucceed(attempt(path, () => fileAbove(Path.dirname(path))), () => undefined),
    (file) =>
      file === undefined
        ? Effect.void
        : new DatabaseError({ kind: "unwritable", path: file, detail: "it is a file, not a folder" })
  )

/** Makes the folder and an empty private file where they are missing, and checks what is there. */
export const prepare = Effect.fn("DatabaseFile.prepare")(function*(path: string) {
  yield* refuseFileAsFolder(path)
  const found = yield* attempt(path, () => {
    const folder = Path.dirname(path)
    makeFolder(folder)
    Fs.accessSync(folder, Fs.constants.R_OK | Fs.constants.W_OK | Fs.constants.X_OK)
    return Fs.statSync(path, { throwIfNoEntry: false })
  })
  if (found !== undefined && !found.isFile()) {
    return yield* new DatabaseError({ kind: "unwritable", path, detail: "it is not a regular file" })
  }
  yield* refuseFault(path)
  yield* attempt(path, () => {
    if (found === undefined) Fs.closeSync(Fs.openSync(path, "a", privateFile))
    else Fs.accessSync(path, Fs.constants.R_OK | Fs.constants.W_OK)
    // SQLite gives -wal and -shm the mode of the database.
    for (const file of [path, `${path}-wal`, `${path}-shm`]) {
      const mode = Fs.statSync(file, { throwIfNoEntry: false })?.mode
      if (mode !== undefined && (mode & 0o777) !== privateFile) Fs.chmodSync(file, privateFile)
    }
  })
})

/** Checks a database that will only be read. */
export const checkReadable = Effect.fn("DatabaseFile.checkReadable")(function*(path: string) {
  yield* refuseFileAsFolder(path)
  const found = yield* attempt(path, () => {
    const stat = Fs.statSync(path)
    Fs.accessSync(path, Fs.constants.R_OK)
    return stat
  }).pipe(
    Effect.mapError(({ detail }) =>
      new DatabaseError({ kind: /^(ENOENT|ENOTDIR):/.test(detail) ? "missing" : "io", path, detail })
    )
  )
  if (!found.isFile()) return yield* new DatabaseError({ kind: "io", path, detail: "it is not a regular file" })
  yield* refuseFault(path)
})

/** Writes the database's last commit to `target`, replacing it; private, and on the disk when this completes. */
export const copyInto = (sql: SqlClient.SqlClient, target: string): Effect.Effect<void, DatabaseError> =>
  attempt(target, () => {
    Fs.rmSync(target, { force: true })
    // VACUUM INTO takes an empty file; made here it is private from its first byte.
    Fs.closeSync(Fs.openSync(target, "wx", privateFile))
  }).pipe(
    Effect.zipRight(Effect.mapError(run(sql, "VACUUM INTO ?", [target]), fromFailure(target))),
    Effect.zipRight(attempt(target, () => sync(target)))
  )

/** Gives a finished file its name, replacing what had it. */
export const replaceFile = (from: string, to: string): Effect.Effect<void, DatabaseError> =>
  attempt(to, () => {
    Fs.renameSync(from, to)
    sync(Path.dirname(to))
  })

/** For what a failed copy leaves: it would fill the disk that it failed on. */
export const removeFile = (path: string): Effect.Effect<void> =>
  Effect.ignoreLogged(attempt(path, () => Fs.rmSync(path, { force: true })))

/** A file's content, or the names in a folder. */
const sync = (path: string): void => {
  const file = Fs.openSync(path, "r")
  try {
    Fs.fsyncSync(file)
  } finally {
    Fs.closeSync(file)
  }
}
