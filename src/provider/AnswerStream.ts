/**
 * The bytes of an answer as provider events: one step of the stream per read that said something, so that an effect
 * costs once per read and never per delta. The same for a socket and for a recording.
 *
 * The answer ends where its decoder says so. Behind a finish that was seen, a body that breaks off or falls silent no
 * longer matters: the answer is whole.
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import type { ProviderFailure } from "../domain/TurnError.ts"
import type { ProviderEvent } from "./Provider.ts"
import type { Decoder } from "./wire/Decoder.ts"
import { type Fault, protocol } from "./wire/Fault.ts"

/** Behind the last event the body ends at once, and its socket can be used again; else it is closed. */
const drainWait = Duration.millis(50)

/** Bytes that no decoder could read. */
export const encodingFault = (headers: Readonly<Record<string, string | undefined>>): Fault | undefined =>
  /^(identity)?$/i.test(headers["content-encoding"]?.trim() ?? "")
    ? undefined
    : protocol("the answer is compressed, which was not asked for")

/** Reads of a body: some bytes, `None` at its end, a fault where it breaks off. */
export type Pull = Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<Fault>>

export interface AnswerOptions {
  readonly decoder: (emit: (event: ProviderEvent) => void) => Decoder
  readonly pull: Pull
  readonly fail: (fault: Fault) => ProviderFailure
  /** Behind a finish, usage follows in this time or not at all, whatever else keeps the body open. */
  readonly afterFinishMs: number
  /** What is known of the answer before its body, as it may be shown; undefined where there is nothing to tell. */
  readonly accepted: { readonly requestId?: string } | undefined
}

/** Time enough for a vendor to count, and less than the idle time with which the engine would end the answer. */
export const afterFinishMs = (idleMs: number): number => Math.min(5_000, Math.floor(idleMs / 2))

/** Ids for tool calls that come without one: no two calls of a session may share one. */
export const callIds = Effect.map(Random.nextIntBetween(0, 2 ** 31), (chance) => {
  let count = 0
  return () => `call_${chance.toString(36)}_${++count}`
})

/** Tells the model once, the first time: a wire may name it in every frame. */
export const answeredBy = (emit: (event: ProviderEvent) => void) => {
  let told = false
  return (model: string): void => {
    if (told) return
    told = true
    emit({ _tag: "Accepted", model })
  }
}

export const make = (
  { accepted, afterFinishMs, decoder: makeDecoder, fail, pull }: AnswerOptions
): Stream.Stream<ProviderEvent, ProviderFailure> => {
  // told before anything that is awaited: the engine's own clock may be what ends the answer
  let events: Array<ProviderEvent> = accepted === undefined ? [] : [{ _tag: "Accepted", ...accepted }]
  const decoder = makeDecoder((event) => events.push(event))
  let ended: { readonly fault: Fault | undefined } | undefined
  let finishedMs: number | undefined

  /** A decoder that throws has met what nobody thought of: that is the wire's fault, and the turn ends. */
  const guarded = (step: () => Fault | undefined): Fault | undefined => {
    try {
      return step()
    } catch (error) {
      const name = error instanceof Error ? error.name : "unknown"
      return protocol(`the answer holds what its decoder cannot read (${name})`)
    }
  }

  const push = (chunk: Chunk.Chunk<Uint8Array>): void => {
    for (const bytes of chunk) {
      const fault = guarded(() => decoder.push(bytes))
      if (fault !== undefined) ended = { fault }
      if (fault !== undefined || decoder.progress() === "closed") return
    }
  }

  /** A broken connection is the fault only where the decoder knows nothing but that the end is missing. */
  const end = (broken: Fault | undefined): void => {
    const fault = guarded(decoder.end)
    ended = { fault: fault?.kind === "incomplete_stream" ? broken ?? fault : fault }
  }

  const pullBehindFinish = Effect.flatMap(Clock.currentTimeNanos, (nowNanos) => {
    const nowMs = Number(nowNanos / 1_000_000n)
    finishedMs ??= nowMs
    return Effect.timeoutFail(pull, {
      duration: Duration.millis(Math.max(0, finishedMs + afterFinishMs - nowMs)),
      onTimeout: () => Option.none<Fault>()
    })
  })

  const read = Effect.suspend(() => decoder.progress() === "finished" ? pullBehindFinish : pull).pipe(
    Effect.match({
      onSuccess: push,
      onFailure: (error) => end(Option.getOrUndefined(error))
    })
  )

  /** Lets the body end by itself, so that its socket can be used again. */
  const drain = Effect.ignore(Effect.timeoutOption(Effect.forever(pull), drainWait))

  const finish: Effect.Effect<never, Option.Option<ProviderFailure>> = Effect.suspend(() =>
    ended?.fault === undefined
      ? Effect.zipRight(ended === undefined ? drain : Effect.void, Effect.fail(Option.none()))
      : Effect.fail(Option.some(fail(ended.fault)))
  )

  const next: Effect.Effect<Chunk.Chunk<ProviderEvent>, Option.Option<ProviderFailure>> = Effect.suspend(() => {
    if (events.length > 0) {
      const given = events
      events = []
      return Effect.succeed(Chunk.unsafeFromArray(given))
    }
    return ended !== undefined || decoder.progress() === "closed" ? finish : Effect.zipRight(read, next)
  })

  return Stream.repeatEffectChunkOption(next)
}
