/**
 * The one writer of a database: a bounded queue that is committed as one transaction.
 *
 * - Group commit: what arrived since the last commit is the next one. The driver blocks the event loop while it commits,
 *   so one turn of the loop passes first: the appends of that tick share one fsync. A fiber is there for what has to wait
 *   (a lock), to read or to be told; nothing else is committed meanwhile.
 * - A transaction is one synchronous step: BEGIN IMMEDIATE, the owner's epoch, the work, COMMIT. Nothing of this process
 *   comes in between, and no effect is needed for a delta. (The client's `withTransaction` begins deferred, and its failed
 *   COMMIT is a defect.)
 * - Order after COMMIT: publish, then complete the callers. Nothing is published before.
 * - A caller may stop waiting; what it enqueued is carried out regardless.
 * - Faults: a lock is waited out (`busySchedule`); a refused constraint, or a defect, runs each command alone, so that
 *   only the guilty one fails; any other fault fails the group. A failed COMMIT may have succeeded: the group runs once
 *   more, which every command must bear (what is there already is not written again).
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import type { TurnId } from "../domain/Ids.ts"
import { Fenced, JournalFailure } from "../domain/TurnError.ts"
import * as TurnEvent from "../domain/TurnEvent.ts"
import * as CommitWatch from "./CommitWatch.ts"
import { onTick } from "./EventLoop.ts"
import type { Append, AppendSource, WriteError } from "./Journal.ts"
import * as Statements from "./Statements.ts"
import * as Storage from "./Storage.ts"

/**
 * Commands that may wait. 64 running turns have one append each in flight; the rest is room for a burst of submits and
 * for a recovery that closes thousands of turns. Beyond it callers wait for room.
 */
export const queueMax = 4096

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
interface Settled {
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

/** A turn that is in line with whatever it has gathered when its transaction begins. */
interface Enlisted {
  readonly _tag: "Enlisted"
  readonly source: AppendSource
}

type Entry =
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

/** Each rewrites the file: more than a few that wait are a mistake of whoever asks. */
const upkeepMax = 4

/** Work that SQLite does outside any transaction, alone. */
interface Upkeep {
  readonly run: (connection: Connection) => Effect.Effect<void, Fenced | Storage.StorageFault>
  readonly fail: (cause: Cause.Cause<WriteError>) => Effect.Effect<unknown>
  readonly operation: string
}

/** Of whoever asked for the write. */
type Span = Tracer.AnySpan | undefined
const currentSpan = Effect.withFiberRuntime<Span>((fiber) => Effect.succeed(fiber.currentSpan))

/** COMMIT failed: what became of the transaction is not known. */
class CommitFault extends Data.TaggedError("CommitFault")<{ readonly fault: Storage.StorageFault }> {}

export interface Writer {
  readonly append: (append: Append) => Effect.Effect<void, WriteError>
  /** Never refused for want of room: a turn stands in line once. */
  readonly enlist: (source: AppendSource) => void
  /** Appends of different turns, in one group where there is room: what each came to. Fails where none was taken. */
  readonly appendAll: (
    appends: ReadonlyArray<Append>
  ) => Effect.Effect<ReadonlyArray<Exit.Exit<void, WriteError>>, WriteError>
  /** Runs in the next group's transaction. A refusal of its own comes before it has written anything. */
  readonly submit: <A, E = never>(
    operation: string,
    run: (db: Statements.Statements) => Either.Either<Written<A>, E>
  ) => Effect.Effect<A, E | WriteError>
  /** Runs between two groups, outside any transaction: what SQLite refuses inside one. Only for the owner. */
  readonly maintain: <A>(
    operation: string,
    run: (connection: Connection) => Effect.Effect<A, Storage.StorageFault>
  ) => Effect.Effect<A, WriteError>
  /** Completes when a transaction found another owner's epoch. */
  readonly fenced: Effect.Effect<Fenced>
  /** Why the last transaction failed where storage itself was at fault; undefined since one succeeded. */
  readonly trouble: () => JournalFailure | undefined
}

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

const turnsOf = (group: ReadonlyArray<Entry>): ReadonlyArray<TurnId> =>
  group.flatMap((entry) => entry._tag === "Append" ? [entry.append.turnId] : [])

const isClosed = (operation: string) =>
  new JournalFailure({ operation, retryable: false, reason: "the journal is closed" })

const failEntry = (entry: Entry, cause: Cause.Cause<WriteError>): void =>
  entry._tag === "Append" ? entry.settle(Exit.failCause(cause)) : entry.fail(cause)

const failWith = (group: ReadonlyArray<Entry>, fault: Storage.StorageFault): void => {
  for (const entry of group) {
    const operation = entry._tag === "Append" ? "append" : entry.operation
    failEntry(entry, Cause.fail(Storage.failure(operation, fault)))
  }
}

/** What is committed is told to everybody, whatever one of them makes of it. */
const tell = (one: () => void, faults: Array<unknown>): void => {
  try {
    one()
  } catch (fault) {
    faults.push(fault)
  }
}

const defectMet = "The journal's writer met a defect"

/** What a committed transaction was. */
interface Committed {
  readonly settled: ReadonlyArray<Settled>
  readonly events: number
}

/** Why there was none. Anything else that is thrown is a defect. */
type Failed = CommitFault | Fenced | Storage.StorageFault

const isFailed = (error: unknown): error is Failed =>
  error instanceof CommitFault || error instanceof Fenced || error instanceof Storage.StorageFault

/** The command that only asks whether storage takes a write. */
export const probe = "probe"

/** What was enlisted gives what it has. */
const taken = (entry: Entry | Enlisted): ReadonlyArray<Entry> => {
  if (entry._tag !== "Enlisted") return [entry]
  const { settle, span, take } = entry.source
  const append = take()
  return append === undefined ? [] : [{ _tag: "Append", append, span, settle }]
}

/** Worth a span: a turn, or what else was commanded, begins or ends with it. What lies between opens none. */
const isTold = (entry: Entry) =>
  entry._tag === "Command" || entry.append.events.some(({ type }) => TurnEvent.isTerminalType(type))

export const make = <Known>(options: Options<Known>): Effect.Effect<Writer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const db = yield* Statements.of(options.sql)
    const fenced = yield* Deferred.make<Fenced>()
    const room = Effect.unsafeMakeLatch(true)
    let pending: Array<Entry | Enlisted> = []
    let upkeep: Array<Upkeep> = []
    let closed = false
    const watch = CommitWatch.make(yield* FiberRef.get(FiberRef.currentTracerEnabled))
    const checkEpoch = (): void => {
      const epoch = options.readEpoch(db)
      if (epoch !== options.epoch) throw new Fenced({ ownerEpoch: epoch })
    }

    /** Where a full disk has rolled back already there is nothing to undo. */
    const rollback = (): void => {
      try {
        db.all("ROLLBACK", [])
      } catch {
        // the next BEGIN meets what is left, and tries again
      }
    }

    /** A transaction that an earlier fault left open (its ROLLBACK was refused too) would refuse every BEGIN for ever. */
    const begin = (): void => {
      try {
        db.all("BEGIN IMMEDIATE", [])
      } catch (error) {
        const fault = Statements.faultOf(error)
        if (fault === undefined || Storage.isBusy(fault)) throw error
        rollback()
        db.all("BEGIN IMMEDIATE", [])
      }
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
        begin()
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
          rollback()
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

    const refused = (
      group: ReadonlyArray<Entry>,
      cause: Cause.Cause<Fenced | Storage.StorageFault>
    ): Effect.Effect<void> => {
      const failure = Cause.failureOption(cause)
      const error = failure._tag === "Some" ? failure.value : undefined
      if (error?._tag === "Fenced") {
        watch.fenced(group.length)
        Deferred.unsafeDone(fenced, Exit.succeed(error))
        for (const entry of group) failEntry(entry, Cause.fail(error))
        return Effect.void
      }
      const ownFault = error === undefined || Storage.isOwn(error)
      if (ownFault && group.length > 1) return Effect.forEach(group, (entry) => commitGroup([entry]), { discard: true })
      if (ownFault) options.forget(turnsOf(group))
      if (error !== undefined) {
        failWith(group, error)
        return ownFault ? Effect.void : watch.refused(error)
      }
      const defect = Cause.die(Cause.squash(cause))
      for (const entry of group) failEntry(entry, defect)
      return Effect.void
    }

    /** Tells everybody; answers with what is left to be told. */
    const finish = (
      group: ReadonlyArray<Entry>,
      { events, settled }: Committed,
      begun: bigint
    ): Effect.Effect<void> | undefined => {
      const faults: Array<unknown> = []
      for (const { publish } of settled) tell(publish, faults)
      for (const { complete } of settled) tell(complete, faults)
      const told = watch.committed({
        begun,
        ended: clock.unsafeCurrentTimeNanos(),
        events,
        writes: group.length,
        isTold: group.some(isTold),
        isWritten: events > 0 || group.some((entry) => entry._tag === "Command" && entry.operation === probe),
        spans: () => group.map(({ span }) => span)
      })
      return faults.length === 0
        ? told
        : Effect.zipRight(Effect.logError(defectMet, Cause.die(faults[0])), told ?? Effect.void)
    }

    /** The common case is one step, and nothing is left to do; what has to wait, to read or to tell goes on as an effect. */
    const commitNow = (group: ReadonlyArray<Entry>): Effect.Effect<void> | undefined => {
      const begun = clock.unsafeCurrentTimeNanos()
      const goOn = (met: Failed | undefined) =>
        Effect.matchCauseEffect(attempt(group, met), {
          onFailure: (cause) => refused(group, cause),
          onSuccess: (committed) => finish(group, committed, begun) ?? Effect.void
        })
      if (options.look(group.flatMap(appendOf)) !== undefined) return goOn(undefined)
      let committed: Committed
      try {
        committed = transact(group, undefined)
      } catch (error) {
        return isFailed(error) ? goOn(error) : refused(group, Cause.die(error))
      }
      return finish(group, committed, begun)
    }

    const commitGroup = (group: ReadonlyArray<Entry>) => Effect.suspend(() => commitNow(group) ?? Effect.void)

    const keepUp = ({ fail, operation, run }: Upkeep) =>
      Effect.scoped(Effect.flatMap(Effect.mapError(options.sql.reserve, Storage.faultOf), run)).pipe(
        Effect.retry({
          schedule: busySchedule,
          while: (error) => error._tag === "StorageFault" && Storage.isBusy(error)
        }),
        Effect.catchAllCause((cause) =>
          fail(Cause.map(cause, (error) => error._tag === "Fenced" ? error : Storage.failure(operation, error)))
        )
      )

    /** Commits what is waiting; answers with what is left to do. */
    const drainNow = (): Effect.Effect<void> | undefined => {
      const group = pending.flatMap(taken)
      const jobs = upkeep
      watch.taken(group.length)
      pending = []
      upkeep = []
      room.unsafeOpen()
      const rest = group.length === 0 ? undefined : commitNow(group)
      return jobs.length === 0
        ? rest
        : Effect.zipRight(rest ?? Effect.void, Effect.forEach(jobs, keepUp, { discard: true }))
    }

    /** What the fiber has to do before anything else is committed. */
    let left: Effect.Effect<void> | undefined
    const some = Effect.unsafeMakeLatch(false)
    let callOff: (() => void) | undefined

    const schedule = (): void => {
      if (callOff !== undefined || left !== undefined) return
      callOff = onTick(() => {
        callOff = undefined
        // asked for before there was something left to do: the fiber asks again
        if (left !== undefined) return
        left = drainNow()
        if (left !== undefined) some.unsafeOpen()
      })
    }

    const workOff = Effect.uninterruptible(Effect.suspend(() => {
      some.unsafeClose()
      return Effect.map(
        Effect.catchAllCause(left ?? Effect.void, (cause) => Effect.logError(defectMet, cause)),
        () => {
          left = undefined
          if (pending.length + upkeep.length > 0) schedule()
        }
      )
    }))

    const enqueue = (operation: string, entries: ReadonlyArray<Entry>): Effect.Effect<void, WriteError> =>
      Effect.suspend(() => {
        if (closed) return isClosed(operation)
        if (pending.length >= queueMax) {
          room.unsafeClose()
          return Effect.zipRight(room.await, enqueue(operation, entries))
        }
        pending.push(...entries)
        watch.queued(pending.length)
        schedule()
        return Effect.void
      })

    // Finalizers run last first: the fiber stops, then what is still queued is carried out.
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        closed = true
        callOff?.()
        return Effect.zipRight(left ?? Effect.void, Effect.suspend(() => drainNow() ?? Effect.void))
      })
    )
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(some.await, workOff)))

    return {
      maintain: <A>(operation: string, run: (connection: Connection) => Effect.Effect<A, Storage.StorageFault>) =>
        Effect.suspend((): Effect.Effect<A, WriteError> => {
          if (closed) return isClosed(operation)
          if (upkeep.length >= upkeepMax) {
            return new JournalFailure({ operation, retryable: true, reason: `${upkeepMax} of its kind wait already` })
          }
          const done = Deferred.unsafeMake<A, WriteError>(FiberId.none)
          upkeep.push({
            operation,
            run: (connection) =>
              Effect.zipRight(
                Statements.atOnce(connection, () => Effect.sync(checkEpoch)),
                Effect.flatMap(run(connection), (value) => Effect.asVoid(Deferred.succeed(done, value)))
              ),
            fail: (cause) => Deferred.failCause(done, cause)
          })
          schedule()
          return Deferred.await(done)
        }),
      fenced: Deferred.await(fenced),
      trouble: watch.trouble,
      enlist: (source) => {
        if (closed) {
          if (source.take() !== undefined) source.settle(Exit.fail(isClosed("append")))
          return
        }
        pending.push({ _tag: "Enlisted", source })
        watch.queued(pending.length)
        schedule()
      },
      append: (append) =>
        Effect.flatMap(currentSpan, (span) => {
          const done = Deferred.unsafeMake<void, WriteError>(FiberId.none)
          const settle = (exit: Exit.Exit<void, WriteError>) => Deferred.unsafeDone(done, exit)
          return Effect.zipRight(enqueue("append", [{ _tag: "Append", append, span, settle }]), Deferred.await(done))
        }),
      appendAll: (appends) =>
        Effect.flatMap(currentSpan, (span) => {
          const done = Deferred.unsafeMake<ReadonlyArray<Exit.Exit<void, WriteError>>, WriteError>(FiberId.none)
          const exits = appends.map((): Exit.Exit<void, WriteError> => Exit.void)
          let left = appends.length
          if (left === 0) return Effect.succeed(exits)
          const entries = appends.map((append, index): Entry => ({
            _tag: "Append",
            append,
            span,
            settle: (exit) => {
              exits[index] = exit
              if (--left === 0) Deferred.unsafeDone(done, Exit.succeed(exits))
            }
          }))
          return Effect.zipRight(enqueue("append", entries), Deferred.await(done))
        }),
      submit: <A, E = never>(
        operation: string,
        run: (db: Statements.Statements) => Either.Either<Written<A>, E>
      ) =>
        Effect.flatMap(currentSpan, (span) => {
          const done = Deferred.unsafeMake<A, E | WriteError>(FiberId.none)
          const entry: Entry = {
            _tag: "Command",
            span,
            operation,
            fail: (cause) => Deferred.unsafeDone(done, Exit.failCause(cause)),
            run: (db) =>
              Either.match(run(db), {
                onLeft: (error): Settled => ({
                  publish: () => undefined,
                  complete: () => Deferred.unsafeDone(done, Exit.fail(error))
                }),
                onRight: ({ publish, value }): Settled => ({
                  publish,
                  complete: () => Deferred.unsafeDone(done, Exit.succeed(value))
                })
              })
          }
          return Effect.zipRight(enqueue(operation, [entry]), Deferred.await(done))
        })
    }
  })
