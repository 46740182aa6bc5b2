/**
 * One call of a provider: its stream is read, checked against the adapter contract (`Intake`), and pushed to the turn's log.
 *
 * A provider that misbehaves becomes one typed failure: silence (`timeout` before the first event, `stalled` after
 * it), output beyond the cap, anything but usage after the finish, a second finish, an end without a finish
 * (`incomplete_stream`), a crash of the adapter. What came before the fault is kept.
 *
 * Per event: one push, no effect. Per chunk: one clock reading and, only where the disk lags, one wait.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Stream from "effect/Stream"
import { type ProviderFailure, providerFailure } from "../domain/TurnError.ts"
import type { Alarms, CallOff } from "../provider/Alarms.ts"
import type { AnswerSink, Provider, ProviderEvent, ProviderRequest } from "../provider/Provider.ts"
import type { CallTelemetry } from "./CallTelemetry.ts"
import * as Intake from "./Intake.ts"
import type { TurnLog } from "./TurnLog.ts"
import type { TurnLimits } from "./TurnSettings.ts"

export interface Attempt extends Intake.Heard {
  readonly request: ProviderRequest
  readonly run: Effect.Effect<Intake.Finish, ProviderFailure>
}

export interface AttemptOptions {
  readonly provider: Provider
  readonly request: ProviderRequest
  readonly limits: Pick<TurnLimits, "firstTokenMs" | "idleMs" | "outputBytesPerTurn">
  readonly alarms: Alarms
  readonly clock: Clock.Clock
  readonly log: TurnLog
  /** What the output cap counted in earlier attempts. */
  readonly chargedBefore: number
  readonly telemetry: CallTelemetry
}

/** An adapter that crashes or interrupts itself is a failure of the provider, and an entry for whoever mends it. */
const adapterFault = (providerId: string, cause: Cause.Cause<ProviderFailure>) =>
  Effect.zipRight(
    Effect.logError(`The adapter of provider "${providerId}" crashed`, cause),
    Effect.fail(providerFailure(providerId, "protocol", { detail: "its adapter crashed", retryable: false }))
  )

/** Usage alone is no first token, and being accepted is none. */
const isToken = (event: ProviderEvent) => event._tag !== "Usage" && event._tag !== "Accepted"

export const make = (
  { alarms, chargedBefore, clock, limits, log, provider, request, telemetry }: AttemptOptions
): Attempt => {
  const { said } = telemetry
  const intake = Intake.make({
    providerId: provider.id,
    attempt: request.attempt,
    outputBytesMax: limits.outputBytesPerTurn,
    chargedBefore,
    log: said === undefined ? log : {
      push: (body) => {
        log.push(body)
        said(body)
      }
    }
  })
  let heard = false
  /** Nanoseconds of the clock that nobody sets. */
  let lastActivity = 0n

  const fail = intake.failure

  const alive = () => {
    lastActivity = clock.unsafeCurrentTimeNanos()
  }
  const afterRoom = Effect.suspend(() => Effect.map(log.room, alive))

  const sink: AnswerSink = {
    take: (events) => {
      heard ||= events.some(isToken)
      alive()
      if (heard) telemetry.chunk(lastActivity)
      const fault = intake.takeAll(events)
      if (fault !== undefined) return Effect.fail(fault)
      // a disk that lags is not the provider's silence
      return log.hasRoom() ? undefined : afterRoom
    }
  }

  const answer = Effect.suspend(() =>
    provider.pump === undefined
      ? Stream.runForEachChunk(
        provider.stream(request),
        (events) => sink.take(Chunk.toReadonlyArray(events)) ?? Effect.void
      )
      : provider.pump(request, sink)
  )

  const consume = answer.pipe(
    Effect.catchAllCause((cause) =>
      Cause.failureOption(cause)._tag === "Some" && !Cause.isDie(cause)
        ? Effect.failCause(cause)
        : adapterFault(provider.id, cause)
    ),
    Effect.ensuring(Effect.sync(() => telemetry.closed(clock.unsafeCurrentTimeNanos()))),
    Effect.flatMap(() => {
      const finish = intake.finish()
      return finish === undefined
        ? fail("incomplete_stream", "the stream ended without a finish")
        : Effect.succeed(finish)
    })
  )

  /** Calls `silent` once nothing came for too long. Looks only when the time could be up, so a delta costs it nothing. */
  const watch = (silent: (failure: ProviderFailure) => void): CallOff => {
    const start = clock.unsafeCurrentTimeNanos()
    const look = (): CallOff | undefined => {
      const quietMs = Number(clock.unsafeCurrentTimeNanos() - (heard ? lastActivity : start)) / 1e6
      const limit = heard ? limits.idleMs : limits.firstTokenMs
      if (quietMs < limit) {
        // before the first event: look again no later than the idle time that begins with it
        return alarms.after(Math.ceil(Math.min(limit - quietMs, limits.idleMs)), () => {
          callOff = look()
        })
      }
      silent(
        heard
          ? fail("stalled", `nothing came for ${limits.idleMs} ms`)
          : fail("timeout", `nothing came within ${limits.firstTokenMs} ms`)
      )
      return undefined
    }
    let callOff = look()
    return () => callOff?.()
  }

  // an adapter that is slow to let go must not hold up the end: it is left to finish on its own, unheard
  const run = Effect.flatMap(
    // oxlint-disable-next-line no-restricted-properties -- no scope may wait for it: it is interrupted below, however this ends
    Effect.forkDaemon(Effect.interruptible(consume)),
    (fiber) =>
      Effect.async<Intake.Finish, ProviderFailure>((resume) => {
        const letGo = () => fiber.unsafeInterruptAsFork(FiberId.none)
        fiber.addObserver(resume)
        const callOff = watch((failure) => {
          resume(Effect.fail(failure))
          letGo()
        })
        fiber.addObserver(callOff)
        return Effect.sync(() => {
          callOff()
          letGo()
        })
      })
  ).pipe(Effect.ensuring(Effect.sync(intake.close)))

  return { ...intake, request, run: telemetry.traced(run, intake) }
}
