/**
 * Who runs when: one fiber a turn, one running turn a session, the others of the session in line behind it, and a cap
 * on how many sessions run at once.
 *
 * All bookkeeping is synchronous, so no interruption can leave it half done; between `takePlace` and `register` or
 * `giveBack` the caller is uninterruptible. `register` must be called in the order in which a session's turns were
 * admitted. A fiber is forked uninterruptible and opens only its body: also a turn that is
 * cancelled before its first step commits its ending.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import type { WriteError } from "../journal/Journal.ts"
import type { StopCause } from "./Outcome.ts"
import * as TurnMetrics from "./TurnMetrics.ts"
import * as TurnRun from "./TurnRun.ts"

interface Entry {
  readonly turnId: TurnId
  readonly control: TurnRun.TurnControl
  /** Undefined for the moment between its place in line and its start. */
  fiber: Fiber.RuntimeFiber<void> | undefined
}

export interface Supervisor {
  /**
   * False where as many sessions run as may; a turn that will stand in line needs no place of its own. A place taken is
   * given back by `register` or `giveBack`.
   */
  readonly takePlace: (sessionId: SessionId) => boolean
  readonly giveBack: () => void
  /** Puts an admitted turn in its session's line and starts it when its turn comes. Uses up one place taken. */
  readonly register: (job: TurnRun.TurnJob) => Effect.Effect<TurnRun.TurnControl>
  /** The watch of a turn that runs or waits here. */
  readonly control: (turnId: TurnId) => TurnRun.TurnControl | undefined
  /** Whether it runs or waits here, and its end is not committed. */
  readonly isRunning: (turnId: TurnId) => Effect.Effect<boolean>
  /** Interrupts the turn's fiber and waits for its terminal event to commit. Nothing to do for a turn not here. */
  readonly stop: (turnId: TurnId, cause: StopCause) => Effect.Effect<void, WriteError>
  /** Turns of a session that run or wait, in line. */
  readonly line: (sessionId: SessionId) => ReadonlyArray<TurnId>
  /** Turns that run or wait. */
  readonly size: () => number
  /** Completes when no turn is left and none is being admitted. */
  readonly idle: Effect.Effect<void>
  /** Interrupts every turn as a shutdown and waits for the endings. */
  readonly stopAll: Effect.Effect<void>
}

export const make = (
  engine: TurnRun.TurnEngine,
  placesMax: number,
  scope: Scope.Scope
): Supervisor => {
  const lines = new Map<SessionId, Array<Entry>>()
  const entries = new Map<TurnId, Entry>()
  const empty = Effect.unsafeMakeLatch(true)
  let promised = 0
  let stopping = false

  /** The first cause stands. */
  const stopNow = (control: TurnRun.TurnControl, cause: StopCause): void => {
    control.stopped ??= { cause, atNanos: engine.clock.unsafeCurrentTimeNanos() }
  }

  const measure = (): void => {
    TurnMetrics.running(lines.size)
    TurnMetrics.queued(entries.size - lines.size)
  }

  const isEmpty = () => entries.size === 0 && promised === 0

  /** The first in line has the slot. */
  const advance = (sessionId: SessionId) => lines.get(sessionId)?.[0]?.control.slot.unsafeOpen()

  const leave = (job: TurnRun.TurnJob) => {
    entries.delete(job.turnId)
    const rest = (lines.get(job.sessionId) ?? []).filter((entry) => entry.turnId !== job.turnId)
    if (rest.length === 0) lines.delete(job.sessionId)
    else lines.set(job.sessionId, rest)
    measure()
    advance(job.sessionId)
    if (isEmpty()) empty.unsafeOpen()
  }

  const interrupt = (entry: Entry, cause: StopCause) =>
    Effect.suspend(() => {
      stopNow(entry.control, cause)
      return entry.fiber === undefined ? Effect.void : Fiber.interruptFork(entry.fiber)
    })

  const register: Supervisor["register"] = (job) =>
    Effect.gen(function*() {
      const control = yield* TurnRun.control
      const entry: Entry = { turnId: job.turnId, control, fiber: undefined }
      promised -= 1
      TurnMetrics.started(job.admitted)
      entries.set(job.turnId, entry)
      empty.unsafeClose()
      lines.set(job.sessionId, [...(lines.get(job.sessionId) ?? []), entry])
      measure()
      entry.fiber = yield* TurnRun.run(engine, job, control).pipe(
        Effect.ensuring(Effect.sync(() => leave(job))),
        Effect.forkIn(scope)
      )
      // an admission that was under way when everything was stopped
      if (stopping) stopNow(control, "shutdown")
      if (control.stopped !== undefined) yield* Fiber.interruptFork(entry.fiber)
      advance(job.sessionId)
      return control
    }).pipe(Effect.uninterruptible)

  return {
    takePlace: (sessionId) => {
      if (!lines.has(sessionId) && lines.size + promised >= placesMax) return false
      promised += 1
      empty.unsafeClose()
      return true
    },
    giveBack: () => {
      promised -= 1
      if (isEmpty()) empty.unsafeOpen()
    },
    register,
    control: (turnId) => entries.get(turnId)?.control,
    isRunning: (turnId) =>
      Effect.suspend(() => {
        const entry = entries.get(turnId)
        return entry === undefined
          ? Effect.succeed(false)
          : Effect.map(Deferred.isDone(entry.control.ended), (done) => !done)
      }),
    stop: (turnId, cause) =>
      Effect.suspend(() => {
        const entry = entries.get(turnId)
        return entry === undefined
          ? Effect.void
          : Effect.zipRight(
            interrupt(entry, cause),
            Effect.suspend(() => Deferred.await(entry.control.ended))
          )
      }),
    line: (sessionId) => (lines.get(sessionId) ?? []).map((entry) => entry.turnId),
    size: () => entries.size,
    idle: empty.await,
    stopAll: Effect.suspend(() => {
      stopping = true
      return Effect.zipRight(
        Effect.forEach([...entries.values()], (entry) => interrupt(entry, "shutdown"), { discard: true }),
        empty.await
      )
    })
  }
}
