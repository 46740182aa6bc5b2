/**
 * One call of a provider: its stream is read, checked against the adapter contract, and pushed to the turn's log.
 *
 * A provider that misbehaves becomes one typed failure: silence (`timeout` before the first event, `stalled` after
 * it), output beyond the cap, anything but usage after the finish, a second finish, an end without a finish
 * (`incomplete_stream`), a crash of the adapter. What came before the fault is kept.
 *
 * Per event: one push, no effect. Per chunk: one clock reading and, only where the disk lags, one wait.
 */
import * as Cause from "effect/Cause"
import type * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type ProviderFailure, providerFailure } from "../domain/TurnError.ts"
import type { EventBody, FinishReason } from "../domain/TurnEvent.ts"
import * as Usage from "../domain/Usage.ts"
import type { Provider, ProviderEvent, ProviderRequest } from "../provider/Provider.ts"
import type { TurnLog } from "./TurnLog.ts"
import type { TurnLimits } from "./TurnSettings.ts"

/** What one call has given so far; read after any ending to write its usage. */
export interface Attempt {
  readonly number: number
  /** Deltas and calls pushed in this attempt. */
  readonly said: () => number
  /** UTF-8 bytes said in this attempt, for the output cap and an estimate where nobody counts. */
  readonly bytes: () => number
  /** The last usage the provider reported. */
  readonly reported: () => Usage.Usage | undefined
  /** True once the provider said how the answer ended. */
  readonly finished: () => boolean
  readonly run: Effect.Effect<FinishReason, ProviderFailure>
}

export interface AttemptOptions {
  readonly provider: Provider
  readonly request: ProviderRequest
  readonly limits: Pick<TurnLimits, "firstTokenMs" | "idleMs" | "outputBytesPerTurn">
  readonly log: TurnLog
  /** UTF-8 bytes said in earlier attempts. */
  readonly bytesBefore: number
}

export const make = (options: AttemptOptions): Attempt => {
  const { limits, log, provider, request } = options
  let said = 0
  let bytes = options.bytesBefore
  let heard = false
  let reported: Usage.Usage | undefined
  let finish: FinishReason | undefined
  let lastActivity = 0

  const fail = (kind: ProviderFailure["kind"], detail: string) => providerFailure(provider.id, kind, { detail })

  const say = (body: EventBody, text: string): ProviderFailure | undefined => {
    bytes += Buffer.byteLength(text)
    if (bytes > limits.outputBytesPerTurn) {
      return fail("protocol", `more than ${limits.outputBytesPerTurn} bytes of output`)
    }
    said += 1
    log.push(body)
    return undefined
  }

  /** Takes one event; answers with the fault it commits. */
  const take = (event: ProviderEvent): ProviderFailure | undefined => {
    if (finish !== undefined && event._tag !== "Usage") {
      return fail("protocol", event._tag === "Finish" ? "it ended twice" : "it went on after its end")
    }
    switch (event._tag) {
      case "Delta": {
        if (event.text === "" && event.toolCallId === undefined) return undefined
        const { _tag: _, ...data } = event
        return say({ type: "model.delta", attempt: request.attempt, data }, event.text)
      }
      case "ToolCall": {
        const { _tag: _, ...data } = event
        return say({ type: "model.tool-call", attempt: request.attempt, data }, JSON.stringify(event.arguments) ?? "")
      }
      case "Usage":
        reported = Usage.make(event.usage)
        return undefined
      case "Finish":
        finish = event.reason
        return undefined
    }
  }

  const takeAll = (events: Chunk.Chunk<ProviderEvent>): ProviderFailure | undefined => {
    for (const event of events) {
      const fault = take(event)
      if (fault !== undefined) return fault
    }
    return undefined
  }

  const consume = Effect.gen(function*() {
    const clock = yield* Effect.clock
    yield* provider.stream(request).pipe(
      Stream.runForEachChunk((events) => {
        heard = true
        lastActivity = clock.unsafeCurrentTimeMillis()
        const fault = takeAll(events)
        return fault === undefined ? log.room : Effect.fail(fault)
      }),
      Effect.catchAllDefect((defect) =>
        Effect.zipRight(
          Effect.logError(`The adapter of provider "${provider.id}" crashed`, Cause.die(defect)),
          Effect.fail(providerFailure(provider.id, "protocol", { detail: "its adapter crashed", retryable: false }))
        )
      )
    )
    if (finish === undefined) return yield* fail("incomplete_stream", "the stream ended without a finish")
    return finish
  })

  /** Looks only when the time could be up, so a delta costs it nothing. */
  const watch = Effect.gen(function*() {
    const start = yield* Clock.currentTimeMillis
    while (true) {
      const now = yield* Clock.currentTimeMillis
      const due = heard ? lastActivity + limits.idleMs : start + limits.firstTokenMs
      if (now >= due) {
        return yield* heard
          ? fail("stalled", `nothing came for ${limits.idleMs} ms`)
          : fail("timeout", `nothing came within ${limits.firstTokenMs} ms`)
      }
      // before the first event: look again no later than the idle time that begins with it
      yield* Effect.sleep(Duration.millis(heard ? due - now : Math.min(due - now, limits.idleMs)))
    }
  })

  return {
    number: request.attempt,
    said: () => said,
    bytes: () => bytes - options.bytesBefore,
    reported: () => reported,
    finished: () => finish !== undefined,
    run: Effect.raceFirst(consume, watch)
  }
}
