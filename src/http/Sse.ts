/**
 * Server-sent events: the encoder, the slots that bound how many streams are open, and the answer itself.
 *
 * Events that come together are one string and one write: `id`, `event` and `data` lines and a blank one each. Ids, types
 * and JSON hold no line break, so nothing is escaped. The body starts with a comment, so that the headers go out at
 * once. A stream that breaks off ends with an `error` event without an id: a client that reconnects keeps its place.
 * `SseWatch` looks after the sockets.
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ServerResponse } from "node:http"
import { Settings } from "../config/Settings.ts"
import { type Gone, Overloaded, type SessionNotFound, type TurnNotFound } from "../domain/RequestError.ts"
import type { JournalFailure } from "../domain/TurnError.ts"
import type { EventSink, FollowEnded, JournaledEvent } from "../journal/Journal.ts"
import * as HttpMetrics from "./HttpMetrics.ts"
import { securityHeaders } from "./SecurityHeaders.ts"
import * as SseWatch from "./SseWatch.ts"

/** Told to a client that finds every slot taken. */
const retryAfterMs = 1_000

/** The open streams of this server, at most `limits.eventStreams`. */
export class EventStreams extends Context.Tag("turnstream/http/EventStreams")<EventStreams, {
  /** Takes a slot until the scope (the request) closes; `Overloaded` where none is free. */
  readonly open: Effect.Effect<void, Overloaded, Scope.Scope>
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
    const take = Effect.suspend(() => {
      if (open >= limit) return Effect.fail(new Overloaded({ what: "eventStreams", limit, retryAfterMs }))
      HttpMetrics.eventStreams(++open)
      return Effect.void
    })
    const release = Effect.sync(() => HttpMetrics.eventStreams(--open))
    return { open: Effect.acquireRelease(take, () => release), watch: watch.begin }
  })
)

const opening = Buffer.from(": turnstream\n\n")

/** One event. `id` differs by stream: the seq, or `<turnId>.<seq>`. */
const frame = (id: string | number, event: JournaledEvent): string =>
  `id: ${id}\nevent: ${event.type}\ndata: ${event.json}\n\n`

export const turnIdOf = (event: JournaledEvent): number => event.seq
export const sessionIdOf = (event: JournaledEvent): string => `${event.turnId}.${event.seq}`

type IdOf = (event: JournaledEvent) => string | number

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

/** A reader that takes no more: until its socket has room again. Where it never has, the request ends with the socket. */
const drained = (response: ServerResponse): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (!response.writableNeedDrain) return resume(Effect.void)
    const done = () => resume(Effect.void)
    response.once("drain", done)
    return Effect.sync(() => response.off("drain", done))
  })

export interface StreamOptions {
  readonly idOf: IdOf
  readonly streams: EventStreams["Type"]
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** What gives a follower's events to a sink until they end. */
export type Follower = (sink: EventSink) => Effect.Effect<void, FollowError>

/** A follower that is a stream. */
export const streaming = (events: Stream.Stream<JournaledEvent, FollowError>): Follower => (sink) =>
  Stream.runForEachChunk(events, (chunk) => sink.write(Chunk.toReadonlyArray(chunk)) ?? Effect.void)

/**
 * Answers with what `follower` gives as server-sent events, written to the socket where they are given: what comes back
 * is an answer that is over. The caller has taken a slot.
 */
export const respond = (
  request: HttpServerRequest,
  follower: Follower,
  { headers, idOf, status = 200, streams }: StreamOptions
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.suspend(() => {
    const head = {
      ...headers,
      ...securityHeaders,
      "content-type": "text/event-stream; charset=utf-8",
      "x-accel-buffering": "no"
    }
    if (request.method === "HEAD") return Effect.succeed(HttpServerResponse.empty({ status, headers: head }))
    const response = NodeHttpServerRequest.toServerResponse(request)
    // the head, and what is committed already, in one write
    response.cork()
    process.nextTick(() => response.uncork())
    response.writeHead(status, head)
    response.write(opening)
    const unwatch = streams.watch(response)
    const more = drained(response)
    const sink: EventSink = { write: (events) => response.write(encode(events, idOf)) ? undefined : more }
    return follower(sink).pipe(
      Effect.catchAllCause((cause) => Effect.sync(() => response.write(lastWords(Cause.failureOption(cause))))),
      Effect.ensuring(Effect.sync(() => {
        unwatch()
        response.end()
      })),
      Effect.as(HttpServerResponse.empty({ status }))
    )
  })
