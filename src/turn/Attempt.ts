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
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type ProviderFailure, providerFailure } from "../domain/TurnError.ts"
import type { Provider, ProviderEvent, ProviderRequest } from "../provider/Provider.ts"
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

export const make = ({ chargedBefore, limits, log, provider, request, telemetry }: AttemptOptions): Attempt => {
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

  const consume = Effect.gen(function*() {
    const clock = yield* Effect.clock
    const alive = () => {
      lastActivity = clock.unsafeCurrentTimeNanos()
    }
    yield* provider.stream(request).pipe(
      Stream.catchAllCause((cause) =>
        Cause.failureOption(cause)._tag === "Some" && !Cause.isDie(cause)
          ? Stream.failCause(cause)
          : Stream.fromEffect(adapterFault(provider.id, cause))
      ),
      Stream.runForEachChunk((events) => {
        heard ||= Chunk.some(events, isToken)
        alive()
        if (heard) telemetry.chunk(lastActivity)
        const fault = intake.takeAll(events)
        // a disk that lags is not the provider's silence
        return fault === undefined ? Effect.map(log.room, alive) : Effect.fail(fault)
      }),
      Effect.ensuring(Effect.sync(() => telemetry.closed(clock.unsafeCurrentTimeNanos())))
    )
    return intake.finish() ?? (yield* fail("incomplete_stream", "the stream ended without a finish"))
  })

  /** Looks only when the time could be up, so a delta costs it nothing. */
  const watch = Effect.gen(function*() {
    const start = yield* Clock.currentTimeNanos
    while (true) {
      const quietMs = Number((yield* Clock.currentTimeNanos) - (heard ? lastActivity : start)) / 1e6
      const limit = heard ? limits.idleMs : limits.firstTokenMs
      if (quietMs >= limit) {
        return yield* heard
          ? fail("stalled", `nothing came for ${limits.idleMs} ms`)
          : fail("timeout", `nothing came within ${limits.firstTokenMs} ms`)
      }
      // before the first event: look again no later than the idle time that begins with it
      yield* Effect.sleep(Duration.millis(Math.ceil(Math.min(limit - quietMs, limits.idleMs))))
    }
  })

  // an adapter that is slow to let go must not hold up the end: it is left to finish on its own, unheard
  const run = Effect.raceFirst(Effect.disconnect(consume), watch).pipe(Effect.ensuring(Effect.sync(intake.close)))

  return { ...intake, request, run: telemetry.traced(run, intake) }
}
