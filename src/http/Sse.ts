/**
 * Server-sent events: the encoder, the slots that bound how many streams are open, and the answer itself.
 *
 * Events that come together are one string and one write: `id`, `event` and `data` lines and a blank one each. Ids, types
 * and JSON hold no line break, so nothing is escaped. The body starts with a comment, so that the headers go out at
 * once. A stream that breaks off ends with an `error` event without an id: a client that reconnects keeps its place.
 * `SseWatch` looks after the sockets.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ServerResponse } from "node:http"
import { Settings } from "../config/Settings.ts"
import { type Gone, Overloaded, type SessionNotFound, type TurnNotFound } from "../domain/RequestError.ts"
import type { JournalFailure } from "../domain/TurnError.ts"
import { isTerminalType } from "../domain/TurnEvent.ts"
import type { EventSink, FollowEnded, JournaledEvent } from "../journal/Journal.ts"
import * as Answer from "./Answer.ts"
import type { Exchange } from "./Exchange.ts"
import * as HttpMetrics from "./HttpMetrics.ts"
import { securityHeaders } from "./SecurityHeaders.ts"
import * as SseWatch from "./SseWatch.ts"

/** Told to a client that finds every slot taken. */
const retryAfterMs = 1_000

/** The open streams of this server, at most `limits.eventStreams`. */
export class EventStreams extends Context.Tag("turnstream/http/EventStreams")<EventStreams, {
  /** Takes a slot for as long as `use` takes; `Overloaded` where none is free. */
  readonly within: <A, E>(use: Effect.Effect<A, E>) => Effect.Effect<A, E | Overloaded>
  /** Watches the stream's socket until the answer is called. */
  readonly watch: SseWatch.SseWatch["begin"]
}>() {}

export const layerEventStreams = Layer.scoped(
  EventStreams,
  Effect.gen(function*() {
    const { limits } = yield* Settings
    const limit = limits.eventStreams
    const watch = yield* SseWatch.make(limits)
    let open = 0
    const release = Effect.sync(() => HttpMetrics.eventStreams(--open))
    return {
      within: <A, E>(use: Effect.Effect<A, E>) =>
        Effect.suspend((): Effect.Effect<A, E | Overloaded> => {
          if (open >= limit) return Effect.fail(new Overloaded({ what: "eventStreams", limit, retryAfterMs }))
          HttpMetrics.eventStreams(++open)
          return Effect.ensuring(use, release)
        }),
      watch: watch.begin
    }
  })
)

const opening = Buffer.from(": turnstream\n\n")

/** One event. `id` differs by stream: the seq, or `<turnId>.<seq>`. */
const frame = (id: string | number, event: JournaledEvent): string =>
  `id: ${id}\nevent: ${event.type}\ndata: ${event.json}\n\n`

type IdOf = (event: JournaledEvent) => string | number

export const sessionIdOf = (event: JournaledEvent): string => `${event.turnId}.${event.seq}`

/** What is followed: how its events are named, and which of them is the last. */
export interface Followed {
  readonly idOf: IdOf
  readonly isLast: (event: JournaledEvent) => boolean
}

export const ofTurn: Followed = { idOf: ({ seq }) => seq, isLast: ({ type }) => isTerminalType(type) }
export const ofSession: Followed = {
  idOf: sessionIdOf,
  // a session has no last event: its stream ends with the session, or with its reader
  isLast: () => false
}

/**
 * What was encoded last, by the journal's own arrays: one commit, or one page, is encoded once for all who follow. A
 * `WeakMap` would do so without a bound of its own, and keeps what it holds until a full collection: 30 MB a stream of 30 MB.
 * Who follow one turn are woken together, so a few are enough; with 8, events lived until they left the nursery, which
 * cost more than what it saved: a tenth of the CPU of 20 readers of a finished turn.
 */
const recent: Array<{ readonly events: ReadonlyArray<JournaledEvent>; readonly idOf: IdOf; readonly bytes: Buffer }> =
  []
const recentMax = 4
let oldest = 0

/** Events as the bytes of one write. */
export const encode = (events: ReadonlyArray<JournaledEvent>, idOf: IdOf): Buffer => {
  const known = recent.find((one) => one.events === events && one.idOf === idOf)
  if (known !== undefined) return known.bytes
  let text = ""
  for (const event of events) text += frame(idOf(event), event)
  const bytes = Buffer.from(text)
  recent[oldest] = { events, idOf, bytes }
  oldest = (oldest + 1) % recentMax
  return bytes
}

export type FollowError = JournalFailure | FollowEnded | TurnNotFound | SessionNotFound | Gone

const followEndedCodes: Readonly<Record<FollowEnded["reason"], string>> = {
  deleted: "SessionNotFound",
  storage: "StorageUnavailable",
  fenced: "Fenced",
  shutdown: "Draining"
}

const errorFrame = (code: string, message: string): Buffer =>
  Buffer.from(`event: error\ndata: ${JSON.stringify({ code, message })}\n\n`)

/** What a reader is told when a stream breaks off. Nothing of a defect is shown. */
const lastWords = (error: Option.Option<FollowError>): Buffer => {
  if (Option.isNone(error)) return errorFrame("InternalError", "Something went wrong here. Reconnect from the last id.")
  switch (error.value._tag) {
    case "FollowEnded":
      return errorFrame(followEndedCodes[error.value.reason], error.value.message)
    case "JournalFailure":
      return errorFrame("StorageUnavailable", error.value.message)
    default:
      return errorFrame(error.value._tag, error.value.message)
  }
}

/** Whether a write of this would leave room for another. */
const hasRoom = (response: ServerResponse, { length }: Buffer): boolean =>
  response.writableLength + length < response.writableHighWaterMark

/** What gives a follower's events to a sink until they end. */
export type Follower = (sink: EventSink) => Effect.Effect<void, FollowError>

/** A follower that is a stream. */
export const streaming = (events: Stream.Stream<JournaledEvent, FollowError>): Follower => (sink) =>
  Stream.runForEachChunk(events, (chunk) => sink.write(Chunk.toReadonlyArray(chunk)) ?? Effect.void)

/**
 * Answers with what `follower` gives as server-sent events, written to the socket where they are given. The caller has
 * taken a slot.
 */
export const respond = (
  { request, response }: Exchange<unknown, unknown>,
  followed: Followed,
  follower: Follower,
  streams: EventStreams["Type"],
  headers: Readonly<Record<string, string>> = {}
): Effect.Effect<Answer.Answer> =>
  Effect.suspend(() => {
    const head = { ...headers, "content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no" }
    if (request.method === "HEAD") return Effect.succeed(Answer.empty(200, head))
    // the head, and what is committed already, in one write
    response.cork()
    process.nextTick(() => response.uncork())
    response.writeHead(200, { ...head, ...securityHeaders })
    response.write(opening)
    const unwatch = streams.watch(response)
    const more = Answer.drained(response)
    const sink: EventSink = {
      write: (events) => {
        const bytes = encode(events, followed.idOf)
        const last = events.at(-1)
        // the end of a reader that keeps up goes out with what it is the end of
        if (last !== undefined && followed.isLast(last) && hasRoom(response, bytes)) return void response.end(bytes)
        return response.write(bytes) ? undefined : more
      }
    }
    return follower(sink).pipe(
      Effect.catchAllCause((cause) =>
        Effect.sync(() => response.writableEnded || response.write(lastWords(Cause.failureOption(cause))))
      ),
      Effect.ensuring(Effect.sync(() => {
        unwatch()
        response.end()
      })),
      Effect.as(Answer.written)
    )
  })
