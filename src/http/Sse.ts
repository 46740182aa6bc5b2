/**
 * Server-sent events: the encoder, the slots that bound how many streams are open, and the watch over one socket.
 *
 * A page of journaled events is one string and one write: `id`, `event` and `data` lines and a blank one each. Ids, types
 * and JSON hold no line break, so nothing is escaped. The body starts with a comment, so that the headers go out at
 * once. A stream that breaks off ends with an `error` event without an id: a client that reconnects keeps its place.
 *
 * The watch wakes a few times per heartbeat and looks at the socket; nothing is done per event. An idle stream gets a
 * comment; a reader that takes nothing for `writeStallMs` is dropped, and so is one whose machine acknowledges nothing
 * for that long. Frames are whole writes, so a comment never falls inside one.
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
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
import type { FollowEnded, JournaledEvent } from "../journal/Journal.ts"
import * as HttpMetrics from "./HttpMetrics.ts"
import * as Unacknowledged from "./Unacknowledged.ts"

/** Told to a client that finds every slot taken. */
const retryAfterMs = 1_000

/** The open streams of this server, at most `limits.eventStreams`. */
export class EventStreams extends Context.Tag("turnstream/http/EventStreams")<EventStreams, {
  /** Takes a slot until the scope (the request) closes; `Overloaded` where none is free. */
  readonly open: Effect.Effect<void, Overloaded, Scope.Scope>
}>() {}

export const layerEventStreams = Layer.effect(
  EventStreams,
  Effect.gen(function*() {
    const limit = (yield* Settings).limits.eventStreams
    let open = 0
    const take = Effect.suspend(() => {
      if (open >= limit) return Effect.fail(new Overloaded({ what: "eventStreams", limit, retryAfterMs }))
      HttpMetrics.eventStreams(++open)
      return Effect.void
    })
    const release = Effect.sync(() => HttpMetrics.eventStreams(--open))
    return { open: Effect.acquireRelease(take, () => release) }
  })
)

const opening = Buffer.from(": turnstream\n\n")
const heartbeat = ": heartbeat\n\n"

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

/** A page of events as the bytes of one write. */
export const encode = (page: Chunk.Chunk<JournaledEvent>, idOf: IdOf): Buffer => {
  const events = Chunk.toReadonlyArray(page)
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

/** Looks at the socket this often per heartbeat or stall limit, whichever is shorter. */
const looksPerLimit = 8

/** Of the clock that nobody sets. */
const steadyMillis = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos / 1_000_000n))

const watch = (response: ServerResponse, limits: { readonly heartbeatMs: number; readonly writeStallMs: number }) =>
  Effect.gen(function*() {
    const everyMs = Math.max(1, Math.floor(Math.min(limits.heartbeatMs, limits.writeStallMs) / looksPerLimit))
    let since = yield* steadyMillis
    let written: number | undefined
    let pending = -1
    let reached = -1
    const isSilent = Unacknowledged.silence(limits.writeStallMs)
    let askedAt = since
    let lookedAt = since
    while (!response.writableEnded && !response.destroyed) {
      yield* Effect.sleep(everyMs)
      const now = yield* steadyMillis
      // while this process was held up nobody could take anything: that is no reader's silence
      since += Math.max(0, now - lookedAt - 2 * everyMs)
      lookedAt = now
      const total = response.socket?.bytesWritten
      if (response.socket !== null && now - askedAt >= limits.heartbeatMs) {
        askedAt = now
        const queued = yield* Unacknowledged.of(response.socket)
        if (isSilent(queued, total ?? 0, now)) {
          HttpMetrics.dropped.vanished(1)
          response.destroy()
          return
        }
      }
      if (response.writableNeedDrain) {
        // pages are often of one size, and the kernel asks for more only when a third of its megabytes is gone: what
        // waits may look the same though its reader is at work
        const taken = (total ?? 0) - (response.socket === null ? 0 : yield* Unacknowledged.of(response.socket))
        if (pending !== response.writableLength || taken !== reached) since = now
        pending = response.writableLength
        reached = taken
        written = total
        if (now - since >= limits.writeStallMs) {
          HttpMetrics.dropped.unread(1)
          response.destroy()
        }
      } else if (pending !== -1 || written !== total) {
        pending = -1
        written = total
        since = now
      } else if (now - since >= limits.heartbeatMs && response.headersSent && !response.writableEnded) {
        response.write(heartbeat)
        written = response.socket?.bytesWritten
        since = now
      }
    }
  })

/**
 * Answers with `events` as a stream of server-sent events. The caller has taken a slot. The watch ends with the request.
 */
export const respond = Effect.fnUntraced(function*(
  request: HttpServerRequest,
  events: Stream.Stream<JournaledEvent, FollowError>,
  options: {
    readonly idOf: (event: JournaledEvent) => string | number
    readonly limits: { readonly heartbeatMs: number; readonly writeStallMs: number }
    readonly status?: number
    readonly headers?: Readonly<Record<string, string>>
  }
): Effect.fn.Return<HttpServerResponse.HttpServerResponse, never, Scope.Scope> {
  yield* Effect.forkScoped(watch(NodeHttpServerRequest.toServerResponse(request), options.limits))
  const body = events.pipe(
    Stream.mapChunks((page) => Chunk.of(encode(page, options.idOf))),
    Stream.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause) ? Stream.failCause(cause) : Stream.make(lastWords(Cause.failureOption(cause)))
    ),
    (frames) => Stream.concat(Stream.make(opening), frames)
  )
  return HttpServerResponse.stream(body, {
    status: options.status ?? 200,
    contentType: "text/event-stream; charset=utf-8",
    headers: { ...options.headers, "x-accel-buffering": "no" }
  })
})
