/**
 * Family `replay`: plays a recording with its pace, so that a bug report is a file and a test. The bytes go through the
 * decoder of the family that was recorded; every call gets the same answer, whatever it asks.
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { readFile, stat } from "node:fs/promises"
import type { Family } from "../config/Settings.ts"
import { type ProviderFailure, providerFailure } from "../domain/TurnError.ts"
import * as Answer from "./Answer.ts"
import type { WireFamily } from "./Family.ts"
import { type Provider, type ProviderRequest, streamOf } from "./Provider.ts"
import type { ProviderFacts } from "./ProviderFacts.ts"
import * as ProviderFault from "./ProviderFault.ts"
import * as Recording from "./Recording.ts"
import type { Fault } from "./wire/Fault.ts"
import * as HttpFault from "./wire/HttpFault.ts"

/** Twice what a recorder writes: bytes that are no text take more room. */
const fileBytesMax = 128 * 1024 * 1024

const broken: Fault = { kind: "incomplete_stream", detail: "the recorded connection broke before the answer ended" }

const read = (providerId: string, path: string): Effect.Effect<Recording.Recording, ProviderFailure> =>
  Effect.tryPromise({
    try: async (signal) => {
      if ((await stat(path)).size > fileBytesMax) throw new Error("too large")
      return await readFile(path, { encoding: "utf8", signal })
    },
    catch: () =>
      providerFailure(providerId, "not_found", {
        detail: `its recording ${path} cannot be read, or is larger than ${fileBytesMax} bytes`
      })
  }).pipe(
    Effect.flatMap((text) =>
      Either.mapLeft(
        Recording.parse(text),
        (reason) => providerFailure(providerId, "invalid_request", { detail: `${path} is not a recording: ${reason}` })
      )
    )
  )

/** Milliseconds of the clock that nobody sets. */
const steadyMs = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos / 1_000_000n))

/** The recorded reads, each at its time after the first pull. */
const bodyOf = ({ end, pieces }: Recording.Recording): Effect.Effect<Answer.Body> =>
  Effect.map(steadyMs, (startMs) => {
    let index = 0
    return Answer.pulled(Effect.suspend(() => {
      const piece = pieces[index++]
      if (piece === undefined) return Effect.fail(end === "broken" ? Option.some(broken) : Option.none())
      return Effect.flatMap(
        steadyMs,
        (nowMs) =>
          Effect.as(Effect.sleep(Duration.millis(Math.max(0, startMs + piece.ms - nowMs))), Chunk.of(piece.bytes))
      )
    }))
  })

export const make = (
  facts: ProviderFacts,
  families: ReadonlyMap<Family, WireFamily>,
  afterFinishMs: number
): Provider => {
  const play = Effect.fnUntraced(function*(request: ProviderRequest) {
    const recording = yield* read(facts.id, facts.recording ?? "")
    const { family, headers, status } = recording.head
    const hidden = ProviderFault.hiddenIn(new Map(), request)
    const requestId = HttpFault.requestIdIn(headers)
    const fail = (fault: Fault) => ProviderFault.toFailure(facts, fault, hidden, requestId)
    if (status < 200 || status > 299) {
      const body = Buffer.concat(recording.pieces.map(({ bytes }) => bytes)).toString("utf8")
      return yield* fail(HttpFault.fromAnswer({ status, headers, body }, yield* Clock.currentTimeMillis))
    }
    const encoding = Answer.encodingFault(headers)
    if (encoding !== undefined) return yield* fail(encoding)
    const decoder = families.get(family)?.decoder
    if (decoder === undefined) {
      return yield* fail({ kind: "invalid_request", detail: `nothing decodes a recording of family "${family}"` })
    }
    const callId = yield* Answer.callIds
    return Answer.make({
      decoder: (emit) => decoder({ emit, callId, answeredBy: Answer.answeredBy(emit) }),
      body: yield* bodyOf(recording),
      fail,
      afterFinishMs,
      accepted: requestId === undefined ? {} : { requestId: ProviderFault.shownOf(requestId, hidden) }
    })
  })

  const pump: NonNullable<Provider["pump"]> = (request, sink) => Effect.flatMap(play(request), (answer) => answer(sink))
  return { id: facts.id, usageSource: "reported", stream: (request) => streamOf((sink) => pump(request, sink)), pump }
}
