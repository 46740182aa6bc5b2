/**
 * Connections to one SQLite file, and the few ways to talk to them that the driver lacks.
 *
 * The driver opens with a busy timeout of 5 s, which blocks the event loop, and throws defects for a bad path, a corrupt
 * file or an unprepared statement that does not parse. Here a lock is answered after 1 ms and retried on `Clock`, and
 * every failure is a `SqlError` or, once, a `DatabaseError`.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { DatabaseError } from "./Database.ts"
import * as SqliteClient from "./SqliteClient.ts"

/** The storage's code (`SQLITE_BUSY`, `ENOSPC`, ...) and words, found below the wrappers. */
export const causeOf = (failure: unknown): { readonly code: string | undefined; readonly message: string } => {
  // an object may have no way to be a string, and what is thrown may be any object
  let message = typeof failure === "object" && failure !== null ? "an unknown failure" : String(failure)
  // Wrappers here are two deep; 8 also ends a cause that contains itself.
  for (let depth = 0, at: unknown = failure; depth < 8 && typeof at === "object" && at !== null; depth++) {
    if ("message" in at && typeof at.message === "string" && at.message !== "") message = at.message
    if ("code" in at && typeof at.code === "string") return { code: at.code, message }
    at = "cause" in at ? at.cause : undefined
  }
  return { code: undefined, message }
}

const kinds: ReadonlyArray<readonly [prefix: string, kind: DatabaseError["kind"]]> = [
  ["SQLITE_BUSY", "locked"],
  ["SQLITE_LOCKED", "locked"],
  ["SQLITE_NOTADB", "corrupt"],
  ["SQLITE_CORRUPT", "corrupt"],
  ["SQLITE_READONLY", "unwritable"],
  ["SQLITE_CANTOPEN", "unwritable"],
  ["SQLITE_PERM", "unwritable"],
  ["SQLITE_AUTH", "unwritable"],
  ["EACCES", "unwritable"],
  ["EPERM", "unwritable"],
  ["EROFS", "unwritable"],
  ["ENOTDIR", "unwritable"],
  ["EISDIR", "unwritable"],
  ["EEXIST", "unwritable"],
  ["ENOENT", "unwritable"]
]

/** Wraps a foreign failure, once. What has no kind of its own is `io`. */
export const fromFailure = (path: string) => (failure: unknown): DatabaseError => {
  if (failure instanceof DatabaseError) return failure
  const { code, message } = causeOf(failure)
  const kind = kinds.find(([prefix]) => code?.startsWith(prefix))?.[1] ?? "io"
  return new DatabaseError({ kind, path, detail: code === undefined ? message : `${code}: ${message}` })
}

/** 80 tries 25 ms apart, 2 s together: longer than any transaction of ours, short enough for a start to say why. */
const lockSchedule = Schedule.intersect(Schedule.spaced("25 millis"), Schedule.recurs(80))

export const whileLocked = <A, R>(effect: Effect.Effect<A, DatabaseError, R>): Effect.Effect<A, DatabaseError, R> =>
  Effect.retry(effect, { schedule: lockSchedule, while: (error) => error.kind === "locked" })

/** What throws where it cannot prepare, and on a closed connection. */
const typed = <A>(statement: () => Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
  Effect.catchAllDefect(
    Effect.suspend(statement),
    (cause) => new SqlError({ cause, message: "Failed to prepare statement" })
  )

/** A statement outside the driver's cache, for what is said once: the cache would keep a failed prepare. */
export const run = (
  sql: SqlClient.SqlClient,
  text: string,
  params: ReadonlyArray<string | number | null> = []
): Effect.Effect<ReadonlyArray<unknown>, SqlError> => typed(() => sql.unsafe(text, params).unprepared)

/** `run`, with rows decoded. A row of another shape is a `SqlError` with the code of a corrupt file. */
export const rows = <A, I>(schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknown(Schema.Array(schema))
  return (
    sql: SqlClient.SqlClient,
    text: string,
    params?: ReadonlyArray<string | number | null>
  ): Effect.Effect<ReadonlyArray<A>, SqlError> =>
    run(sql, text, params).pipe(
      Effect.flatMap(decode),
      Effect.catchTag("ParseError", (error) =>
        new SqlError({ cause: { code: "SQLITE_CORRUPT", message: error.message }, message: "Unexpected row" }))
    )
}

/**
 * A transaction that takes the write lock at its start, so that what it reads stays true until it commits, and whose
 * failed COMMIT is a typed failure (the driver's own dies). Not to be nested.
 */
export const immediate = (sql: SqlClient.SqlClient) =>
<A, E, R>(
  body: Effect.Effect<A, E, R>
): Effect.Effect<A, E | SqlError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Scope.make(), (scope) =>
      restore(Scope.extend(sql.reserve, scope)).pipe(
        Effect.flatMap((connection) => {
          const say = (text: string) => typed(() => connection.executeUnprepared(text, [], undefined))
          // A full disk or a lost file may have rolled back already; then there is nothing to undo.
          const rollback = Effect.ignore(say("ROLLBACK"))
          return say("BEGIN IMMEDIATE").pipe(
            Effect.zipRight(
              restore(body).pipe(
                Effect.provideService(SqlClient.TransactionConnection, [connection, 0]),
                Effect.tap(() => say("COMMIT")),
                Effect.onError(() => rollback)
              )
            )
          )
        }),
        Effect.onExit((exit) => Scope.close(scope, Exit.asVoid(exit)))
      ))
  )

/**
 * KiB of pages that a connection keeps; the system keeps them too. SQLite's own 2,000 pages cost 15 MB of memory that comes
 * in pieces between others and stays, measured on a 24 MB answer; with a quarter of this, 100 sessions at work no longer
 * fit, and a delta cost a tenth more.
 */
const cacheKib = 2_048

const open = (path: string, options: { readonly readonly: boolean }) =>
  SqliteClient.make({ filename: path, readonly: options.readonly }).pipe(
    Effect.catchAllDefect((defect) => fromFailure(path)(defect)),
    Effect.tap((sql) =>
      Effect.mapError(
        Effect.zipRight(run(sql, "PRAGMA busy_timeout = 1"), run(sql, `PRAGMA cache_size = -${cacheKib}`)),
        fromFailure(path)
      )
    )
  )

type Opened = Effect.Effect<SqlClient.SqlClient, DatabaseError, Scope.Scope>

const JournalMode = Schema.Struct({ journal_mode: Schema.String })
const Synchronous = Schema.Struct({ synchronous: Schema.Int })

/** The connection that writes, in WAL mode. Its file exists; an empty one is a new database. */
export const openWriter = (path: string, durability: "full" | "relaxed"): Opened =>
  Effect.gen(function*() {
    const sql = yield* open(path, { readonly: false })
    yield* Effect.gen(function*() {
      yield* readSchema(sql)
      const [mode] = yield* rows(JournalMode)(sql, "PRAGMA journal_mode = WAL")
      if (mode?.journal_mode !== "wal") {
        return yield* new DatabaseError({ kind: "io", path, detail: "this file system does not support WAL" })
      }
      // After the switch: entering WAL mode resets what was never set, a level set here is kept.
      yield* run(sql, `PRAGMA synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`)
      yield* run(sql, "PRAGMA foreign_keys = ON")
      yield* run(sql, "PRAGMA trusted_schema = OFF")
      // what is deleted is overwritten, so that its text is not in the file until the page is used again
      yield* run(sql, "PRAGMA secure_delete = ON")
    }).pipe(Effect.mapError(fromFailure(path)), whileLocked)
    return sql
  })

/** A connection that cannot write: it sees the last commit and never waits for an open transaction. */
export const openReader = (path: string): Opened =>
  Effect.gen(function*() {
    const sql = yield* open(path, { readonly: true })
    yield* run(sql, "PRAGMA query_only = ON").pipe(
      Effect.zipRight(run(sql, "PRAGMA trusted_schema = OFF")),
      Effect.zipRight(readSchema(sql)),
      Effect.mapError(fromFailure(path)),
      whileLocked
    )
    return sql
  })

/** A connection to a copy that nobody else has open, in one file: no log beside it. */
export const openCopy = (path: string): Opened => open(path, { readonly: false })

/**
 * Reads the header page and every schema row: enough to tell a foreign, cut or overwritten file. `PRAGMA quick_check`
 * reads every page, seconds for a big journal, and so belongs to `doctor` and backups, not to each start.
 */
const readSchema = (sql: SqlClient.SqlClient) => run(sql, "SELECT count(*), max(length(sql)) FROM sqlite_schema")

/** The level in force; it is only true after a first write. FULL is 2, NORMAL 1. */
export const synchronousOf = (sql: SqlClient.SqlClient): Effect.Effect<number, SqlError> =>
  Effect.map(rows(Synchronous)(sql, "PRAGMA synchronous"), ([row]) => row?.synchronous ?? -1)
