/**
 * A database whose writer fails as it is told: locked, full, a COMMIT that fails or seems to; and that dies, at once or
 * at the nth statement from now, before it or right after it. A dead one lets no statement through any more.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Database, type DatabaseError } from "../../src/journal/Database.ts"
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"

export interface Faults {
  dead: boolean
  /** BEGINs that find a lock. */
  busy: number
  full: boolean
  /** What comes of COMMITs: refused, or done and reported as failed; for so many of them. */
  commit: "works" | "refused" | "done"
  commits: number
  /** Statements until it dies; 0: it does not. */
  dieIn: number
  dieAfter: boolean
  /** Failures so far that nobody but storage is to blame for. */
  failed: number
  /** Called right after a COMMIT that took place. */
  readonly committed: () => void
}

export const makeFaults = (committed: () => void): Faults => ({
  committed,
  dead: false,
  busy: 0,
  full: false,
  commit: "works",
  commits: 0,
  dieIn: 0,
  dieAfter: false,
  failed: 0
})

const refuse = (faults: Faults, code: string) =>
  Effect.suspend(() => {
    faults.failed++
    return new SqlError({ cause: Object.assign(new Error("injected"), { code }), message: "injected" })
  })

const execute = <A>(
  faults: Faults,
  text: string,
  statement: Effect.Effect<A, SqlError>
): Effect.Effect<A, SqlError> => {
  const run = text === "COMMIT" ? Effect.tap(statement, () => Effect.sync(faults.committed)) : statement
  if (faults.dead) return refuse(faults, "SQLITE_IOERR")
  if (faults.dieIn > 0 && --faults.dieIn === 0) {
    faults.dead = true
    const gone = refuse(faults, "SQLITE_IOERR")
    return faults.dieAfter ? Effect.zipRight(run, gone) : gone
  }
  if (faults.busy > 0 && text.startsWith("BEGIN")) {
    faults.busy--
    return refuse(faults, "SQLITE_BUSY")
  }
  if (faults.full && /^(INSERT|UPDATE|COMMIT)/.test(text)) return refuse(faults, "SQLITE_FULL")
  if (faults.commit !== "works" && text === "COMMIT") {
    const after = faults.commit === "done"
    if (--faults.commits <= 0) faults.commit = "works"
    const failed = refuse(faults, "SQLITE_IOERR")
    return after ? Effect.zipRight(run, failed) : failed
  }
  return run
}

const wrap = (faults: Faults, sql: SqlClient.SqlClient): SqlClient.SqlClient => {
  const wrapped = (connection: Connection): Connection => ({
    ...connection,
    execute: (text, params, transform) =>
      Effect.suspend(() => execute(faults, text, connection.execute(text, params, transform)))
  })
  const reserve = Effect.map(sql.reserve, wrapped)
  return new Proxy(sql, {
    get: (target, key, receiver): unknown => key === "reserve" ? reserve : Reflect.get(target, key, receiver)
  })
}

export const layer = (dataDir: string, faults: Faults): Layer.Layer<Database, DatabaseError> =>
  Layer.provide(
    Layer.effect(
      Database,
      Effect.map(Database, (opened) => ({
        ...opened,
        writer: opened.writer === undefined ? undefined : wrap(faults, opened.writer)
      }))
    ),
    DatabaseSqlite.layer({ dataDir, durability: "relaxed", takeOver: false })
  )
