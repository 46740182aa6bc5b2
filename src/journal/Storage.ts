/**
 * Statements on a connection, with rows decoded and faults typed once. Statements run on the reserved connection and
 * not through the client, because the client opens a span for each and a commit may hold a single delta.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import type { Statement } from "@effect/sql/Statement"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { ParseError } from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { JournalFailure } from "../domain/TurnError.ts"

/** Storage said no. `code` is its own word (`SQLITE_FULL`), `detail` the rule where a constraint refused. */
export class StorageFault extends Data.TaggedError("StorageFault")<{
  readonly code: string
  readonly detail: string
}> {}

/** What the driver threw, by shape: any SQL driver's error carries a code. */
const Thrown = Schema.Struct({ code: Schema.String, message: Schema.String })
const isThrown = Schema.is(Thrown)

export const faultOf = (error: SqlError): StorageFault =>
  isThrown(error.cause)
    ? new StorageFault({ code: error.cause.code, detail: error.cause.message })
    : new StorageFault({ code: "SQL_ERROR", detail: error.message })

/** A row that this version cannot read. Its content stays out of the error: it may hold prompt text. */
export const unreadableRow = new StorageFault({
  code: "UNREADABLE_ROW",
  detail: "a row does not have the expected shape"
})
const unreadable = (_: ParseError): StorageFault => unreadableRow

export const isBusy = (fault: StorageFault): boolean => /^SQLITE_(BUSY|LOCKED)/.test(fault.code)
export const isConstraint = (fault: StorageFault): boolean => fault.code.startsWith("SQLITE_CONSTRAINT")
/** The command's own fault, not the storage's: a refused row, or one that cannot be read or bound. */
export const isOwn = (fault: StorageFault): boolean => isConstraint(fault) || !fault.code.startsWith("SQLITE_")

/** Codes that pass by themselves: another connection's lock, memory, an interrupted statement. */
const retryable = /^SQLITE_(BUSY|LOCKED|NOMEM|INTERRUPT|PROTOCOL|SCHEMA)/

/** For a metric: SQLite's primary codes are a closed set, what else a driver throws is not. */
export const codeLabel = ({ code }: StorageFault): string => /^SQLITE_[A-Z]+/.exec(code)?.[0] ?? "other"

export const failure = (operation: string, fault: StorageFault): JournalFailure =>
  new JournalFailure({
    operation,
    retryable: retryable.test(fault.code),
    reason: isConstraint(fault) ? `${fault.code}: ${fault.detail}` : fault.code
  })

export const run = (connection: Connection, statement: Statement<unknown>): Effect.Effect<void, StorageFault> => {
  const [text, params] = statement.compile()
  return Effect.mapError(Effect.asVoid(connection.execute(text, params, undefined)), faultOf)
}

/**
 * The rows, decoded. Build it once per schema: compiling a decoder is not free. `plain` is a shorter way for rows of the
 * usual shape, undefined for any other.
 */
export const rows = <A, I>(schema: Schema.Schema<A, I>, plain: (row: unknown) => A | undefined = () => undefined) => {
  const decode = Schema.decodeUnknown(Schema.Array(schema))
  return (connection: Connection, statement: Statement<unknown>): Effect.Effect<ReadonlyArray<A>, StorageFault> => {
    const [text, params] = statement.compile()
    return connection.execute(text, params, undefined).pipe(
      Effect.mapError(faultOf),
      Effect.flatMap((found) => {
        const usual: Array<A> = []
        for (const row of found) {
          const value = plain(row)
          if (value === undefined) return Effect.mapError(decode(found), unreadable)
          usual.push(value)
        }
        return Effect.succeed(usual)
      })
    )
  }
}

/** Runs statements outside a transaction. */
export type Reading = <A, E>(
  body: (connection: Connection) => Effect.Effect<A, E | StorageFault>
) => Effect.Effect<A, E | StorageFault>

/** On a connection that only reads: each statement is alone on it by itself, so it is asked for once and held by nobody. */
export const reading = (sql: SqlClient.SqlClient): Reading => {
  let connection: Connection | undefined
  const open = Effect.map(Effect.scoped(Effect.mapError(sql.reserve, faultOf)), (found) => {
    connection = found
    return found
  })
  return (body) => Effect.suspend(() => connection === undefined ? Effect.flatMap(open, body) : body(connection))
}

/** A read of its own, with faults as the journal's. */
export type Reader = <A, E>(
  operation: string,
  body: (connection: Connection) => Effect.Effect<A, E | StorageFault>
) => Effect.Effect<A, Exclude<E, StorageFault> | JournalFailure>

export const reader = (sql: SqlClient.SqlClient): Reader => {
  const run = reading(sql)
  return <A, E>(operation: string, body: (connection: Connection) => Effect.Effect<A, E | StorageFault>) =>
    Effect.mapError(
      run(body),
      (error) =>
        error instanceof StorageFault
          ? failure(operation, error)
          // What is not a StorageFault is E: TypeScript cannot narrow a type parameter by instanceof.
          : error as Exclude<E, StorageFault>
    )
}
