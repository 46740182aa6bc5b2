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
import * as Chunk from "effect/Chunk"
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
  /** Deltas and calls pushed in this attempt. */
  readonly said: () => number
  /** UTF-8 bytes said in this attempt, for an estimate where nobody counts. */
  readonly bytes: () => number
  /** UTF-8 bytes of this attempt that the output cap counts: also names and ids. */
  readonly charged: () => number
  /** The last usage the provider reported. */
  readonly reported: () => Reported | undefined
  /** True once the provider said how the answer ended. */
  readonly finished: () => boolean
  readonly run: Effect.Effect<Finish, ProviderFailure>
}

/** Usage in the normal form, and as the provider's wire had it. */
export interface Reported {
  readonly usage: Usage.Usage
  readonly raw: unknown
}

/** How an answer ended, in the normal form and in the provider's own word. */
export interface Finish {
  readonly reason: FinishReason
  readonly raw: string | undefined
}

export interface AttemptOptions {
  readonly provider: Provider
  readonly request: ProviderRequest
  readonly limits: Pick<TurnLimits, "firstTokenMs" | "idleMs" | "outputBytesPerTurn">
  readonly log: TurnLog
  /** What the output cap counted in earlier attempts. */
  readonly chargedBefore: number
}

/** A call is charged this much beside its text: a model that calls without end is cut off after some 16,000. */
const callCharge = 64

/**
 * Characters of one event. A longer delta becomes several events, so that nothing beside what the adapter itself holds
 * grows with it. Not less than the default output cap: with the defaults a delta is an event.
 */
const eventCharsMax = 1_048_576

/** Characters that are kept of what a wire says in its own form: of a finish reason, and of a usage object as JSON. */
const rawReasonMax = 128
const requestIdMax = 256
const rawUsageMax = 4_096

/** JSON of what an adapter gave, or undefined where it has none: a cycle, or deeper than anybody can follow. */
const jsonOf = (value: unknown): string | undefined => {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

const keptUsage = (raw: unknown): unknown => {
  const json = jsonOf(raw)
  return json !== undefined && json.length <= rawUsageMax ? raw : undefined
}

/** The text in events' worth; both halves of a character stay together. */
const piecesOf = (text: string): ReadonlyArray<string> => {
  if (text.length <= eventCharsMax) return [text]
  const pieces: Array<string> = []
  let from = 0
  while (from < text.length) {
    const code = text.charCodeAt(from + eventCharsMax - 1)
    const isFirstHalf = code >= 0xd800 && code < 0xdc00
    const to = from + eventCharsMax - (isFirstHalf ? 1 : 0)
    pieces.push(text.slice(from, to))
    from = to
  }
  return pieces
}

const bytesOf = (...texts: ReadonlyArray<string | undefined>): number => {
  let bytes = 0
  for (const text of texts) if (text !== undefined) bytes += Buffer.byteLength(text)
  return bytes
}

/** Takes a provider's events one by one; each answers with the fault it commits. */
const makeIntake = ({ chargedBefore, limits, log, provider, request }: AttemptOptions) => {
  const seen = { said: 0, bytes: 0, charged: 0, open: true }
  let reported: Reported | undefined
  let finish: Finish | undefined
  let toolInput: string | undefined

  let requestId: string | undefined

  /** A failure that the engine itself tells of this call. */
  const failure = (kind: ProviderFailure["kind"], detail: string) =>
    providerFailure(provider.id, kind, { detail, ...(requestId === undefined ? {} : { requestId }) })
  const fault = (detail: string) => failure("protocol", detail)

  const say = (bodies: ReadonlyArray<EventBody>, bytes: number, charge: number): ProviderFailure | undefined => {
    seen.charged += charge
    if (chargedBefore + seen.charged > limits.outputBytesPerTurn) {
      return fault(`more than ${limits.outputBytesPerTurn} bytes of output`)
    }
    seen.said += 1
    seen.bytes += bytes
    for (const body of bodies) log.push(body)
    return undefined
  }

  const take = (event: ProviderEvent): ProviderFailure | undefined => {
    if (finish !== undefined && event._tag !== "Usage") {
      return fault(event._tag === "Finish" ? "it ended twice" : "it went on after its end")
    }
    switch (event._tag) {
      case "Accepted":
        requestId = event.requestId.slice(0, requestIdMax)
        return undefined
      case "Delta": {
        const { _tag: _, ...data } = event
        // nothing said, but for a tool's name the first time
        if (data.text === "" && (data.toolCallId === undefined || data.toolCallId === toolInput)) return undefined
        toolInput = data.toolCallId
        const bytes = bytesOf(data.text)
        const bodies = piecesOf(data.text).map((text): EventBody => ({
          type: "model.delta",
          attempt: request.attempt,
          data: { ...data, text }
        }))
        return say(bodies, bytes, bytes + bytesOf(data.toolCallId, data.toolName))
      }
      case "ToolCall": {
        const { _tag: _, ...data } = event
        const json = jsonOf(data.arguments)
        if (json === undefined) return fault("a tool call without arguments that JSON can hold")
        const bytes = bytesOf(json)
        const body: EventBody = { type: "model.tool-call", attempt: request.attempt, data }
        return say([body], bytes, bytes + bytesOf(data.toolCallId, data.toolName) + callCharge)
      }
      case "Usage": {
        const usage = Usage.make(event.usage)
        if (!Usage.isPlausible(usage)) return fault("its usage is not in whole, sensible numbers of tokens")
        reported = { usage, raw: keptUsage(event.raw) }
        return undefined
      }
      case "Finish":
        finish = { reason: event.reason, raw: event.raw?.slice(0, rawReasonMax) }
        return undefined
    }
  }

  const takeAll = (events: Chunk.Chunk<ProviderEvent>): ProviderFailure | undefined => {
    // what an adapter still says once its call is over is not heard
    if (!seen.open) return undefined
    for (const event of events) {
      const found = take(event)
      if (found !== undefined) return found
    }
    return undefined
  }

  return {
    seen,
    takeAll,
    failure,
    reported: () => reported,
    finish: () => finish
  }
}

/** An adapter that crashes or interrupts itself is a failure of the provider, and an entry for whoever mends it. */
const adapterFault = (providerId: string, cause: Cause.Cause<ProviderFailure>) =>
  Effect.zipRight(
    Effect.logError(`The adapter of provider "${providerId}" crashed`, cause),
    Effect.fail(providerFailure(providerId, "protocol", { detail: "its adapter crashed", retryable: false }))
  )

export const make = (options: AttemptOptions): Attempt => {
  const { limits, log, provider, request } = options
  const intake = makeIntake(options)
  let heard = false
  /** Nanoseconds of the clock that nobody sets. */
  let lastActivity = 0n

  const fail = intake.failure

  const consume = Effect.gen(function*() {
    const clock = yield* Effect.clock
    /** Usage alone is no first token, and being accepted is none. */
    const isToken = (event: ProviderEvent) => event._tag !== "Usage" && event._tag !== "Accepted"
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
        const fault = intake.takeAll(events)
        // a disk that lags is not the provider's silence
        return fault === undefined ? Effect.map(log.room, alive) : Effect.fail(fault)
      })
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
  const run = Effect.raceFirst(Effect.disconnect(consume), watch).pipe(
    Effect.ensuring(Effect.sync(() => {
      intake.seen.open = false
    }))
  )

  return {
    said: () => intake.seen.said,
    bytes: () => intake.seen.bytes,
    charged: () => intake.seen.charged,
    reported: intake.reported,
    finished: () => intake.finish() !== undefined,
    run
  }
}
