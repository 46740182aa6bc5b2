/**
 * Statements of a transaction's body, run at once: within one step of a fiber, so that nothing of this process comes between
 * them, and for a fifth of what an effect for each costs. What storage refuses is thrown: `faultOf` tells it from a
 * mistake of ours.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Storage from "./Storage.ts"

export type Value = string | number | null

/** Rows are untrusted input: read them with `textOf` and its like. */
export type Row = { readonly [column: string]: unknown }

export interface Statements {
  /** The rows that it returns; none for one that returns none. Throws the driver's `SqlError`. */
  readonly all: (text: string, params: ReadonlyArray<Value>) => ReadonlyArray<unknown>
}

/** A connection whose statements may also be run at once. */
export interface PromptConnection extends Connection {
  readonly atOnce: Statements
}

const isPrompt = (connection: Connection): connection is PromptConnection => "atOnce" in connection

/** What storage refused; undefined for a mistake of ours. */
export const faultOf = (error: unknown): Storage.StorageFault | undefined =>
  error instanceof SqlError ? Storage.faultOf(error) : error instanceof Storage.StorageFault ? error : undefined

const notPrompt = Effect.dieMessage("this SQL client runs no statement at once")

/** The statements of a client that has one connection. Whoever uses them runs whole transactions at once. */
export const of = (sql: SqlClient.SqlClient): Effect.Effect<Statements> =>
  Effect.scoped(
    Effect.flatMap(
      Effect.orDie(sql.reserve),
      (connection) => isPrompt(connection) ? Effect.succeed(connection.atOnce) : notPrompt
    )
  )

/** Runs `body` as one step; its own refusals are what its effect fails with. */
export const atOnce = <A, E>(
  connection: Connection,
  body: (db: Statements) => Effect.Effect<A, E>
): Effect.Effect<A, E | Storage.StorageFault> =>
  Effect.suspend((): Effect.Effect<A, E | Storage.StorageFault> => {
    if (!isPrompt(connection)) return notPrompt
    try {
      return body(connection.atOnce)
    } catch (error) {
      const fault = faultOf(error)
      if (fault === undefined) throw error
      return Effect.fail(fault)
    }
  })

/** Where SQLite has ended the transaction by itself, as on a full disk, there is nothing to undo. */
export const rollback = (db: Statements): void => {
  try {
    db.all("ROLLBACK", [])
  } catch {
    // the next BEGIN meets what is left, and tries again
  }
}

/** A transaction that an earlier fault left open (its ROLLBACK was refused too) would refuse every BEGIN for ever. */
export const begin = (db: Statements, text: "BEGIN" | "BEGIN IMMEDIATE"): void => {
  try {
    db.all(text, [])
  } catch (error) {
    const fault = faultOf(error)
    if (fault === undefined || Storage.isBusy(fault)) throw error
    rollback(db)
    db.all(text, [])
  }
}

/** For a connection that stands before another one: what becomes of statements that run at once. */
export const changed = (
  connection: Connection,
  change: (statements: Statements) => Statements
): { readonly atOnce?: Statements } => isPrompt(connection) ? { atOnce: change(connection.atOnce) } : {}

const unreadable = (): Storage.StorageFault => Storage.unreadableRow

const columnOf = (row: unknown, column: string): unknown =>
  typeof row === "object" && row !== null ? (row as Row)[column] : undefined

export const textOf = (row: unknown, column: string): string => {
  const value = columnOf(row, column)
  if (typeof value !== "string") throw unreadable()
  return value
}

export const textOrNull = (row: unknown, column: string): string | null =>
  columnOf(row, column) === null ? null : textOf(row, column)

export const integerOf = (row: unknown, column: string): number => {
  const value = columnOf(row, column)
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw unreadable()
  return value
}

/** One of a closed set of texts. */
export const oneOf = <A extends string>(row: unknown, column: string, set: ReadonlyArray<A>): A => {
  const value = textOf(row, column)
  const found = set.find((one) => one === value)
  if (found === undefined) throw unreadable()
  return found
}

/** `INSERT INTO table (columns) VALUES (?, ...), ...` for so many rows. */
const insertText = (table: string, columns: ReadonlyArray<string>, count: number): string => {
  const marks = `(${columns.map(() => "?").join(", ")})`
  return `INSERT INTO ${table} (${columns.join(", ")}) VALUES ${Array.from({ length: count }, () => marks).join(", ")}`
}

/** Rows that a multi-row INSERT puts down at once: as many as there are turns that may run at once by default. */
const insertRowsMax = 64

export interface InsertOptions {
  /** What follows the values. */
  readonly suffix?: string
  /** One statement for up to `insertRowsMax` rows: for the hot table, where it is worth so many prepared texts. */
  readonly exact?: boolean
}

/** Writes rows of one table, several a statement, whose texts are made once. */
export const inserter = (
  table: string,
  columns: ReadonlyArray<string>,
  { exact = false, suffix = "" }: InsertOptions = {}
) => {
  const texts = new Map<number, string>()
  const textFor = (count: number): string => {
    const known = texts.get(count)
    if (known !== undefined) return known
    const text = suffix === "" ? insertText(table, columns, count) : `${insertText(table, columns, count)} ${suffix}`
    texts.set(count, text)
    return text
  }
  return (db: Statements, rows: ReadonlyArray<ReadonlyArray<Value>>): ReadonlyArray<unknown> => {
    const [only] = rows
    if (only === undefined) return []
    if (rows.length === 1) return db.all(textFor(1), only)
    const found: Array<unknown> = []
    // groups of powers of two: seven statement texts a table are prepared, and no more
    for (let at = 0, size = insertRowsMax; at < rows.length; at += size) {
      while (size > rows.length - at) size = exact ? rows.length - at : size / 2
      for (const row of db.all(textFor(size), rows.slice(at, at + size).flat())) found.push(row)
    }
    return found
  }
}
