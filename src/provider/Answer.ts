/**
 * The bytes of an answer as provider events, given to a sink in the callback in which they come: a read costs neither an
 * effect nor a fiber. The same for a socket and for a recording.
 *
 * The answer ends where its decoder says so. Behind a finish that was seen, a body that breaks off or falls silent no
 * longer matters: the answer is whole.
 */
import type * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { ProviderFailure } from "../domain/TurnError.ts"
import type { AnswerSink, ProviderEvent } from "./Provider.ts"
import type { Decoder } from "./wire/Decoder.ts"
import { type Fault, protocol } from "./wire/Fault.ts"

/** Behind the last event the body ends at once, and its socket can be used again; else it is closed. */
const endWait = Duration.millis(50)

/** Bytes that no decoder could read. */
export const encodingFault = (headers: Readonly<Record<string, string | undefined>>): Fault | undefined =>
  /^(identity)?$/i.test(headers["content-encoding"]?.trim() ?? "")
    ? undefined
    : protocol("the answer is compressed, which was not asked for")

export interface Body {
  /**
   * Gives its reads to `push` as they come, until it answers false; completes then. Fails with `None` at the body's end,
   * with a fault where it breaks off.
   */
  readonly read: (push: (bytes: Uint8Array) => boolean) => Effect.Effect<void, Option.Option<Fault>>
  /** Completes when the body is over, however; what comes until then belongs to nobody. */
  readonly over: Effect.Effect<void>
  /** Whether its last byte is here, so that no clock need watch over `over`. */
  readonly isComplete: () => boolean
}

/** A body that is asked for each read. */
export const pulled = (pull: Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<Fault>>): Body => {
  /** Read, and not given yet. */
  let pieces: ReadonlyArray<Uint8Array> = []
  return {
    read: (push) => {
      /** Whether all was wanted. */
      const give = () => {
        const stop = pieces.findIndex((bytes) => !push(bytes))
        pieces = stop < 0 ? [] : pieces.slice(stop + 1)
        return stop < 0
      }
      return Effect.suspend(() =>
        give()
          ? Effect.map(pull, (chunk) => {
            pieces = Array.from(chunk)
            give()
          })
          : Effect.void
      )
    },
    over: Effect.ignore(Effect.forever(pull)),
    isComplete: () => false
  }
}

export interface AnswerOptions {
  readonly decoder: (emit: (event: ProviderEvent) => void) => Decoder
  readonly body: Body
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

/** Reads the answer to its end, and gives what it says to `sink`. */
export const make =
  ({ accepted, afterFinishMs, body, decoder: makeDecoder, fail }: AnswerOptions) =>
  (sink: AnswerSink): Effect.Effect<void, ProviderFailure> => {
    // told before anything that is awaited: the engine's own clock may be what ends the answer
    let events: Array<ProviderEvent> = accepted === undefined ? [] : [{ _tag: "Accepted", ...accepted }]
    const decoder = makeDecoder((event) => events.push(event))
    let ended: { readonly fault: Fault | undefined } | undefined
    let finishedMs: number | undefined
    /** What must be done before anything more is read. */
    let held: Effect.Effect<void, ProviderFailure> | undefined

    /** A decoder that throws has met what nobody thought of: that is the wire's fault, and the turn ends. */
    const guarded = (step: () => Fault | undefined): Fault | undefined => {
      try {
        return step()
      } catch (error) {
        const name = error instanceof Error ? error.name : "unknown"
        return protocol(`the answer holds what its decoder cannot read (${name})`)
      }
    }

    const give = (): void => {
      if (events.length === 0) return
      const given = events
      events = []
      held = sink.take(given)
    }

    /** Whether to read on. */
    const push = (bytes: Uint8Array): boolean => {
      const fault = guarded(() => decoder.push(bytes))
      if (fault !== undefined) ended = { fault }
      give()
      return held === undefined && fault === undefined && decoder.progress() === "open"
    }

    /** A broken connection is the fault only where the decoder knows nothing but that the end is missing. */
    const end = (broken: Fault | undefined): void => {
      const fault = guarded(decoder.end)
      ended = { fault: fault?.kind === "incomplete_stream" ? broken ?? fault : fault }
      give()
    }

    const read = body.read(push)
    const readBehindFinish = Effect.flatMap(Clock.currentTimeNanos, (nowNanos) => {
      const nowMs = Number(nowNanos / 1_000_000n)
      finishedMs ??= nowMs
      return Effect.timeoutFail(read, {
        duration: Duration.millis(Math.max(0, finishedMs + afterFinishMs - nowMs)),
        onTimeout: () => Option.none<Fault>()
      })
    })

    /** Lets the body end by itself, so that its socket can be used again. */
    const letEnd = Effect.suspend(() =>
      body.isComplete() ? body.over : Effect.asVoid(Effect.timeoutOption(body.over, endWait))
    )

    const finish = Effect.suspend(() => {
      if (ended?.fault !== undefined) return Effect.fail(fail(ended.fault))
      return ended === undefined ? letEnd : Effect.void
    })

    const next: Effect.Effect<void, ProviderFailure> = Effect.suspend(() => {
      if (held !== undefined) {
        const first = held
        held = undefined
        return Effect.zipRight(first, next)
      }
      if (ended !== undefined || decoder.progress() === "closed") return finish
      return Effect.zipRight(
        Effect.catchAll(
          decoder.progress() === "finished" ? readBehindFinish : read,
          (error) => Effect.sync(() => end(Option.getOrUndefined(error)))
        ),
        next
      )
    })

    return Effect.suspend(() => {
      give()
      return next
    })
  }
