/**
 * A group of writes as one transaction, which is one synchronous step: BEGIN IMMEDIATE, the owner's epoch, the work, COMMIT.
 * Nothing of this process comes in between, and no effect is needed for a delta. (The client's `withTransaction` begins
 * deferred, and its failed COMMIT is a defect.)
 *
 * What memory does not hold is read before it begins. A failed COMMIT may have succeeded: the group runs once more, which
 * every command must bear (what is there already is not written again). A lock is waited out.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type * as Tracer from "effect/Tracer"
import type { TurnId } from "../domain/Ids.ts"
import { Fenced, type JournalFailure } from "../domain/TurnError.ts"
import type { Append, WriteError } from "./Journal.ts"
import * as Statements from "./Statements.ts"
import * as Storage from "./Storage.ts"

/**
 * 1 ms doubling to 100 ms, for about 5 s: longer than another program's honest transaction. Counted in tries (7 up to
 * 64 ms, 48 of 100 ms), because `Schedule.upTo` reads the wall clock, which somebody may set.
 */
export const busySchedule = Schedule.exponential("1 millis").pipe(
  Schedule.union(Schedule.spaced("100 millis")),
  Schedule.intersect(Schedule.recurs(55))
)

/** What a command answers with, and what makes it visible to followers once it is committed. Synchronous. */
export interface Written<A> {
  readonly value: A
  readonly publish: () => void
}

/** What is done once a transaction is committed. */
export interface Settled {
  readonly publish: () => void
  readonly complete: () => void
}

/** What the appends of a group came to. */
export interface Appended {
  readonly publish: () => void
  readonly events: number
  /** By place in the group: why an append was refused; absent where it is committed. */
  readonly refused: ReadonlyMap<number, JournalFailure>
}

/** Of whoever asked for the write. */
export type Span = Tracer.AnySpan | undefined

export type Entry =
  | {
    readonly _tag: "Append"
    readonly append: Append
    readonly span: Span
    /** Told once. Synchronous. */
    readonly settle: (exit: Exit.Exit<void, WriteError>) => void
  }
  | {
    readonly _tag: "Command"
    readonly span: Span
    readonly operation: string
    readonly run: (db: Statements.Statements) => Settled
    readonly fail: (cause: Cause.Cause<WriteError>) => void
  }

/** COMMIT failed: what became of the transaction is not known. */
class CommitFault extends Data.TaggedError("CommitFault")<{ readonly fault: Storage.StorageFault }> {}

/** What a committed transaction was. */
export interface Committed {
  readonly settled: ReadonlyArray<Settled>
  readonly events: number
}

/** Why there was none. Anything else that is thrown is a defect. */
export type Failed = CommitFault | Fenced | Storage.StorageFault

export const isFailed = (error: unknown): error is Failed =>
  error instanceof CommitFault || error instanceof Fenced || error instanceof Storage.StorageFault

export interface Options<Known> {
  readonly sql: SqlClient.SqlClient
  readonly epoch: number
  /** What memory does not hold of the turns of these appends, and `append` needs; undefined where it holds enough. */
  readonly look: (appends: ReadonlyArray<Append>) => Effect.Effect<Known, Storage.StorageFault> | undefined
  readonly appendAll: (
    db: Statements.Statements,
    appends: ReadonlyArray<Append>,
    known: Known | undefined
  ) => Appended
  /** After a COMMIT of unknown outcome, or a refused constraint: what memory holds of these turns may be wrong. */
  readonly forget: (turns: ReadonlyArray<TurnId>) => void
  readonly readEpoch: (db: Statements.Statements) => number
}

const appendOf = (entry: Entry): ReadonlyArray<Append> => entry._tag === "Append" ? [entry.append] : []

export const turnsOf = (group: ReadonlyArray<Entry>): ReadonlyArray<TurnId> =>
  group.flatMap((entry) => entry._tag === "Append" ? [entry.append.turnId] : [])

export const make = <Known>(db: Statements.Statements, options: Options<Known>) => {
  const checkEpoch = (): void => {
    const epoch = options.readEpoch(db)
    if (epoch !== options.epoch) throw new Fenced({ ownerEpoch: epoch })
  }

  const work = (group: ReadonlyArray<Entry>, known: Known | undefined): Committed => {
    checkEpoch()
    const settled: Array<Settled> = []
    const appends = group.filter((entry) => entry._tag === "Append")
    let events = 0
    if (appends.length > 0) {
      const appended = options.appendAll(db, appends.map((entry) => entry.append), known)
      events = appended.events
      settled.push({
        publish: appended.publish,
        complete: () =>
          appends.forEach((entry, index) => {
            const error = appended.refused.get(index)
            entry.settle(error === undefined ? Exit.void : Exit.fail(error))
          })
      })
    }
    for (const entry of group) if (entry._tag === "Command") settled.push(entry.run(db))
    return { settled, events }
  }

  /** One transaction, at once. Throws a `Failed`, or a defect. */
  const transact = (group: ReadonlyArray<Entry>, known: Known | undefined): Committed => {
    try {
      Statements.begin(db, "BEGIN IMMEDIATE")
      try {
        const committed = work(group, known)
        try {
          db.all("COMMIT", [])
        } catch (error) {
          options.forget(turnsOf(group))
          const fault = Statements.faultOf(error)
          throw fault === undefined ? error : new CommitFault({ fault })
        }
        return committed
      } catch (error) {
        Statements.rollback(db)
        throw error
      }
    } catch (error) {
      throw Statements.faultOf(error) ?? error
    }
  }

  const transaction = (group: ReadonlyArray<Entry>): Effect.Effect<Committed, Failed> =>
    Effect.flatMap(
      options.look(group.flatMap(appendOf)) ?? Effect.succeed(undefined),
      (known) =>
        Effect.suspend(() => {
          try {
            return Effect.succeed(transact(group, known))
          } catch (error) {
            if (isFailed(error)) return Effect.fail(error)
            throw error
          }
        })
    )

  /** `met`: how a first try has failed already. */
  const attempt = (group: ReadonlyArray<Entry>, met: Failed | undefined) => {
    let before = met
    const once = Effect.suspend(() => {
      const failed = before
      before = undefined
      return failed === undefined ? transaction(group) : Effect.fail(failed)
    })
    return once.pipe(
      Effect.catchTag("CommitFault", () => transaction(group)),
      Effect.catchTag("CommitFault", ({ fault }) => Effect.fail(fault)),
      Effect.retry({
        schedule: busySchedule,
        while: (error) => error._tag === "StorageFault" && Storage.isBusy(error)
      })
    )
  }

  return {
    checkEpoch,
    /** Whether memory holds what these writes need, so that they can be written at once. */
    isReady: (group: ReadonlyArray<Entry>): boolean => options.look(group.flatMap(appendOf)) === undefined,
    /** At once. Throws a `Failed`, or a defect. */
    transact: (group: ReadonlyArray<Entry>): Committed => transact(group, undefined),
    attempt
  }
}
