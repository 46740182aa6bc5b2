/**
 * Who runs when: one fiber a turn, one running turn a session, the others of the session in line behind it, and a cap
 * on how many sessions run at once.
 *
 * All bookkeeping is synchronous, so no interruption can leave it half done; between `takePlace` and `register` or
 * `giveBack` the caller is uninterruptible. `register` must be called in the order in which a session's turns were
 * admitted. A fiber begins uninterruptible and opens only its body: also a turn that is cancelled before its first step
 * commits its ending. It is a child of nobody and knows nothing of the request that began it; who closes the engine waits
 * for all of them (`stopAll`).
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
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
  /**
   * Puts an admitted turn in its session's line and starts it when its turn comes. Uses up one place taken. Synchronous.
   * `stands`: of a turn that may not be there; it keeps its place until that is known, and leaves it where it is not.
   */
  readonly register: (job: TurnRun.TurnJob, stands?: Effect.Effect<boolean>) => TurnRun.TurnControl
  /** The watch of a turn that runs or waits here. */
  readonly control: (turnId: TurnId) => TurnRun.TurnControl | undefined
  /** Whether it runs or waits here, and its end is not committed. */
  readonly isRunning: (turnId: TurnId) => boolean
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

/**
 * In which turns run: as the engine was built, uninterruptible until a turn opens its body. How a call failed is told where
 * its turn ends, without the vendor's words: no fiber's failure is logged by itself.
 */
const runtimeOfTurns = ({ context, fiberRefs, runtimeFlags }: Runtime.Runtime<never>) =>
  Runtime.make({
    context,
    runtimeFlags: RuntimeFlags.disable(runtimeFlags, RuntimeFlags.Interruption),
    fiberRefs: FiberRefs.updateAs(fiberRefs, {
      fiberId: FiberId.unsafeMake(),
      fiberRef: FiberRef.unhandledErrorLogLevel,
      value: Option.none()
    })
  })

export const make = (
  engine: TurnRun.TurnEngine,
  placesMax: number,
  runtime: Runtime.Runtime<never>
): Supervisor => {
  const start = Runtime.runFork(runtimeOfTurns(runtime))
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

  const runIt = (job: TurnRun.TurnJob, control: TurnRun.TurnControl): Effect.Effect<void> => {
    TurnMetrics.started(job.admitted)
    return TurnRun.run(engine, job, control)
  }

  const register: Supervisor["register"] = (job, stands) => {
    const control = TurnRun.control()
    const entry: Entry = { turnId: job.turnId, control, fiber: undefined }
    promised -= 1
    entries.set(job.turnId, entry)
    empty.unsafeClose()
    lines.set(job.sessionId, [...(lines.get(job.sessionId) ?? []), entry])
    measure()
    // an admission that was under way when everything was stopped
    if (stopping) stopNow(control, "shutdown")
    advance(job.sessionId)
    const fiber = start(
      stands === undefined
        ? runIt(job, control)
        : Effect.flatMap(stands, (does) => does ? runIt(job, control) : Effect.sync(() => TurnRun.over(control)))
    )
    entry.fiber = fiber
    fiber.addObserver(() => leave(job))
    if (control.stopped !== undefined) fiber.unsafeInterruptAsFork(FiberId.none)
    return control
  }

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
    isRunning: (turnId) => {
      const entry = entries.get(turnId)
      return entry !== undefined && !entry.control.isOver
    },
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
