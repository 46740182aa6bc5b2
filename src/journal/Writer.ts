/**
 * The one writer of a database: a bounded queue that is committed as one transaction (`Transaction`).
 *
 * - Group commit: what arrived since the last commit is the next one. The driver blocks the event loop while it commits,
 *   so one turn of the loop passes first: the appends of that tick share one fsync. A fiber is there for what has to wait
 *   (a lock), to read or to be told; nothing else is committed meanwhile.
 * - Order after COMMIT: publish, then complete the callers. Nothing is published before.
 * - A caller may stop waiting; what it enqueued is carried out regardless.
 * - Faults: a refused constraint, or a defect, runs each command alone, so that only the guilty one fails; any other
 *   fault fails the group.
 */
import type { Connection } from "@effect/sql/SqlConnection"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import type * as Scope from "effect/Scope"
import { type Fenced, JournalFailure } from "../domain/TurnError.ts"
import * as TurnEvent from "../domain/TurnEvent.ts"
import * as CommitWatch from "./CommitWatch.ts"
import { onTick } from "./EventLoop.ts"
import type { Append, AppendSource, WriteError } from "./Journal.ts"
import * as Statements from "./Statements.ts"
import * as Storage from "./Storage.ts"
import * as Transaction from "./Transaction.ts"
import {
  type Committed,
  type Entry,
  type Failed,
  isFailed,
  type Settled,
  type Span,
  turnsOf,
  type Written
} from "./Transaction.ts"

/**
 * Commands that may wait. 64 running turns have one append each in flight; the rest is room for a burst of submits and
 * for a recovery that closes thousands of turns. Beyond it callers wait for room.
 */
export const queueMax = 4096

/** A turn that is in line with whatever it has gathered when its transaction begins. */
interface Enlisted {
  readonly _tag: "Enlisted"
  readonly source: AppendSource
}

/** Each rewrites the file: more than a few that wait are a mistake of whoever asks. */
const upkeepMax = 4

/** Work that SQLite does outside any transaction, alone. */
interface Upkeep {
  readonly run: (connection: Connection) => Effect.Effect<void, Fenced | Storage.StorageFault>
  readonly fail: (cause: Cause.Cause<WriteError>) => Effect.Effect<unknown>
  readonly operation: string
}

const currentSpan = Effect.withFiberRuntime<Span>((fiber) => Effect.succeed(fiber.currentSpan))

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

export const make = <Known>(options: Transaction.Options<Known>): Effect.Effect<Writer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const db = yield* Statements.of(options.sql)
    const fenced = yield* Deferred.make<Fenced>()
    const room = Effect.unsafeMakeLatch(true)
    let pending: Array<Entry | Enlisted> = []
    let upkeep: Array<Upkeep> = []
    let closed = false
    const { attempt, checkEpoch, isReady, transact } = Transaction.make(db, options)
    const watch = CommitWatch.make(yield* FiberRef.get(FiberRef.currentTracerEnabled))
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
      if (!isReady(group)) return goOn(undefined)
      let committed: Committed
      try {
        committed = transact(group)
      } catch (error) {
        return isFailed(error) ? goOn(error) : refused(group, Cause.die(error))
      }
      return finish(group, committed, begun)
    }

    const commitGroup = (group: ReadonlyArray<Entry>) => Effect.suspend(() => commitNow(group) ?? Effect.void)

    const keepUp = ({ fail, operation, run }: Upkeep) =>
      Effect.scoped(Effect.flatMap(Effect.mapError(options.sql.reserve, Storage.faultOf), run)).pipe(
        Effect.retry({
          schedule: Transaction.busySchedule,
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
