/**
 * Timers of an engine's turns, all of them served by one fiber: a turn has three limits of time, and a fiber that sleeps for
 * each costs more than all else that a short turn does.
 *
 * The fiber sleeps until the earliest alarm that it knew of. An alarm that is called off is only forgotten: the fiber wakes
 * in vain at most once for it, so turns that come and go do not wake it. Times are of `Clock`, so tests move them.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

interface Alarm {
  readonly atNanos: bigint
  readonly ring: () => void
}

export interface Alarms {
  /** Calls `ring` once, `ms` from now, unless it is called off before. Synchronous. */
  readonly after: (ms: number, ring: () => void) => CallOff
}

export type CallOff = () => void

const never = 2n ** 62n

/** Nanoseconds of one millisecond: a sleep is no finer, and one that is cut short would wake in vain. */
const milli = 1_000_000n

export const make = (clock: Clock.Clock): Effect.Effect<Alarms, never, Scope.Scope> =>
  Effect.gen(function*() {
    const alarms = new Set<Alarm>()
    const sooner = Effect.unsafeMakeLatch(false)
    /** When the fiber wakes by itself. */
    let wakesAt = never

    /** Each by itself: what one turn trips over must not silence the others. */
    const ringDue = Effect.suspend(() => {
      const now = clock.unsafeCurrentTimeNanos()
      const due = [...alarms].filter(({ atNanos }) => atNanos <= now)
      return Effect.forEach(due, (alarm) =>
        Effect.catchAllDefect(
          Effect.sync(() => alarms.delete(alarm) && alarm.ring()),
          (defect) => Effect.logError("An alarm of a turn met a defect", Cause.die(defect))
        ), { discard: true })
    })

    const sleep = Effect.suspend(() => {
      sooner.unsafeClose()
      wakesAt = never
      for (const { atNanos } of alarms) if (atNanos < wakesAt) wakesAt = atNanos
      if (wakesAt === never) return sooner.await
      const ms = Number((wakesAt - clock.unsafeCurrentTimeNanos() + milli - 1n) / milli)
      return Effect.raceFirst(Effect.sleep(Duration.millis(Math.max(0, ms))), sooner.await)
    })
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(sleep, ringDue)))

    return {
      after: (ms, ring) => {
        const alarm = { atNanos: clock.unsafeCurrentTimeNanos() + BigInt(Math.ceil(ms)) * milli, ring }
        alarms.add(alarm)
        if (alarm.atNanos < wakesAt) {
          wakesAt = alarm.atNanos
          sooner.unsafeOpen()
        }
        return () => {
          alarms.delete(alarm)
        }
      }
    }
  })
