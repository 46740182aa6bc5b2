/**
 * Storage that fails as a test says: a layer around a `Database` that sees every statement of the writer and of the reader,
 * in order, and decides what becomes of it. The real SQLite stands behind it, so what was not refused is really on disk.
 *
 * - refused before it ran, or run and then reported as failed: at COMMIT the second is "committed, but the caller got an error";
 * - the process dies before or after it: `onDeath` runs in that instant (to copy the files as a kill would leave them),
 *   and every later statement fails;
 * A transaction runs at once, so what holds one up is a lock that is found so many times.
 *
 * A write is a statement of a transaction that is no SELECT: BEGIN, INSERT, UPDATE, DELETE, COMMIT. Limits: what the
 * database's owner says for itself (heartbeat, release) does not pass here; a copy made at death does not hold it either.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Database } from "../../src/journal/Database.ts"
import * as Statements from "../../src/journal/Statements.ts"

export interface Statement {
  readonly text: string
  readonly isWrite: boolean
  /** 1, 2, 3 ... among the writes since the plan was set; the number of the last one for a SELECT. */
  readonly write: number
}

export type Fate =
  | "runs"
  | { readonly refused: "before" | "after"; readonly code: string }
  | { readonly dies: "before" | "after" }

export type Plan = (statement: Statement) => Fate

export interface Plans {
  readonly writer?: Plan
  readonly reader?: Plan
}

export interface SqlFaults {
  /** What happens from here on; counting starts anew. Without a plan everything runs. */
  readonly set: (plans: Plans) => void
  /** Writes since the plan was set. */
  readonly writes: () => number
  /** Statements of both connections, ever. */
  readonly statements: () => number
  /** Whether the plan made anything fail or wait. */
  readonly struck: () => boolean
  readonly dead: () => boolean
  readonly wrap: <E, R>(database: Layer.Layer<Database, E, R>) => Layer.Layer<Database, E, R>
}

export const sqlError = (code: string) =>
  new SqlError({ cause: Object.assign(new Error("injected"), { code }), message: "injected" })

const isWrite = (text: string) => !/^\s*(SELECT|PRAGMA|ROLLBACK)/i.test(text)

export const make = (onDeath: () => void = () => undefined): SqlFaults => {
  let plans: Plans = {}
  let writes = 0
  let statements = 0
  let struck = false
  let dead = false

  const die = Effect.suspend(() => {
    if (!dead) onDeath()
    dead = true
    return sqlError("SQLITE_IOERR")
  })

  const follow = <A>(fate: Fate, run: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> => {
    if (fate === "runs") return run
    struck = true
    if ("dies" in fate) return fate.dies === "before" ? die : Effect.zipRight(run, die)
    return fate.refused === "before" ? sqlError(fate.code) : Effect.zipRight(run, sqlError(fate.code))
  }

  const gate = (of: keyof Plans, text: string) => <A>(run: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
    Effect.suspend(() => follow(fateOf(of, text), run))

  /** The same for a statement that runs at once: one that is held up would have to wait. */
  const followNow = <A>(fate: Fate, run: () => A): A => {
    if (fate === "runs") return run()
    struck = true
    if ("dies" in fate) {
      if (fate.dies === "after") run()
      throw Effect.runSync(Effect.flip(die))
    }
    if (fate.refused === "after") run()
    throw sqlError(fate.code)
  }

  const fateOf = (of: keyof Plans, text: string): Fate => {
    statements += 1
    if (dead) return { refused: "before", code: "SQLITE_IOERR" }
    const write = of === "writer" && isWrite(text)
    if (write) writes += 1
    return plans[of]?.({ text, isWrite: write, write: writes }) ?? "runs"
  }

  const through = (of: keyof Plans, client: SqlClient.SqlClient): SqlClient.SqlClient => {
    const reserve = Effect.map(client.reserve, (connection): Connection => ({
      ...connection,
      ...Statements.changed(connection, (statements) => ({
        all: (text, params) => followNow(fateOf(of, text), () => statements.all(text, params))
      })),
      execute: (text, params, transform) => gate(of, text)(connection.execute(text, params, transform)),
      executeRaw: (text, params) => gate(of, text)(connection.executeRaw(text, params)),
      executeValues: (text, params) => gate(of, text)(connection.executeValues(text, params)),
      executeUnprepared: (text, params, transform) =>
        gate(of, text)(Effect.suspend(() => connection.executeUnprepared(text, params, transform)))
    }))
    // a client is a function with properties: everything but `reserve` stays as it is
    return new Proxy(client, {
      get: (target, key, receiver): unknown => key === "reserve" ? reserve : Reflect.get(target, key, receiver)
    })
  }

  return {
    set: (next) => {
      plans = next
      writes = 0
      struck = false
    },
    writes: () => writes,
    statements: () => statements,
    struck: () => struck,
    dead: () => dead,
    wrap: (database) =>
      Layer.provide(
        Layer.effect(
          Database,
          Effect.map(Database, (opened) => ({
            ...opened,
            writer: opened.writer === undefined ? undefined : through("writer", opened.writer),
            reader: through("reader", opened.reader)
          }))
        ),
        database
      )
  }
}

// plans

/** One fate for the nth write, and no other. */
export const atWrite = (n: number, fate: Fate): Plan => ({ isWrite, write }) => isWrite && write === n ? fate : "runs"

/** The nth COMMIT takes effect and is reported as failed: committed, but the caller got an error. */
export const unacknowledged = (n: number, code: string): Plan => {
  let commits = 0
  return ({ text }) => text === "COMMIT" && ++commits === n ? { refused: "after", code } : "runs"
}

/** From the nth COMMIT on storage is gone. That COMMIT still takes effect (`after`), or does not; reads are answered or not. */
export const outage = (
  n: number,
  { code, commit, reads }: { readonly commit: "before" | "after"; readonly reads: boolean; readonly code: string }
): Plans => {
  let commits = 0
  let gone = false
  return {
    writer: ({ text }) => {
      if (gone) return { refused: "before", code }
      if (text !== "COMMIT" || ++commits < n) return "runs"
      gone = true
      return { refused: commit, code }
    },
    reader: () => gone && !reads ? { refused: "before", code } : "runs"
  }
}

/** From the nth begin of a transaction on, the next `times` tries find the database locked. */
export const locked = (n: number, times: number): Plan => {
  let begins = 0
  return ({ text }) => {
    if (!text.startsWith("BEGIN")) return "runs"
    begins += 1
    return begins >= n && begins < n + times ? { refused: "before", code: "SQLITE_BUSY" } : "runs"
  }
}

/** Each transaction has to wait out a lock that it meets so many times: 13 are 727 ms of the writer's schedule. */
export const slowTransactions = (times: number): Plan => {
  let met = 0
  return ({ text }) => {
    if (!text.startsWith("BEGIN")) return "runs"
    met = (met + 1) % (times + 1)
    return met === 0 ? "runs" : { refused: "before", code: "SQLITE_BUSY" }
  }
}
