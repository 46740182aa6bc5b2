/**
 * The watch over the sockets of event streams: one fiber for all of them, which wakes a few times per heartbeat and looks.
 * Nothing is done per event, and nothing while no stream is open.
 *
 * An idle stream gets a comment; a reader that takes nothing for `writeStallMs` is dropped, and so is one whose machine
 * acknowledges nothing for that long. Frames are whole writes, so a comment never falls inside one.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ServerResponse } from "node:http"
import * as HttpMetrics from "./HttpMetrics.ts"
import * as Unacknowledged from "./Unacknowledged.ts"

export interface WatchLimits {
  readonly heartbeatMs: number
  readonly writeStallMs: number
}

export interface SseWatch {
  /** Answers with how to end the watch. Synchronous. */
  readonly begin: (response: ServerResponse) => () => void
}

const heartbeat = ": heartbeat\n\n"

/** Looks this often per heartbeat or stall limit, whichever is shorter. */
const looksPerLimit = 8

/** Looks at once: each may read a table of the kernel. */
const looksAtOnce = 8

/** Of the clock that nobody sets. */
const steadyMillis = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos / 1_000_000n))

/** How one stream looked before. */
interface Watched {
  readonly response: ServerResponse
  readonly isSilent: ReturnType<typeof Unacknowledged.silence>
  /** Undefined until it was looked at. */
  since: number | undefined
  askedAt: number
  written: number | undefined
  pending: number
  reached: number
}

/** Of one that waits behind another on its connection the response has no socket yet; its request has. */
const destroy = (response: ServerResponse, counted: (by: number) => void): void => {
  counted(1)
  response.req.socket.destroy()
}

/** One look. `heldUpMs`: how long this process took nothing from anybody. */
const look = (watched: Watched, now: number, heldUpMs: number, limits: WatchLimits) =>
  Effect.gen(function*() {
    const { isSilent, response } = watched
    if (response.writableEnded || response.req.socket.destroyed) return
    if (watched.since === undefined) {
      watched.since = now
      watched.askedAt = now
    }
    // while this process was held up nobody could take anything: that is no reader's silence
    watched.since += heldUpMs
    const total = response.socket?.bytesWritten
    if (response.socket !== null && now - watched.askedAt >= limits.heartbeatMs) {
      watched.askedAt = now
      const queued = yield* Unacknowledged.of(response.socket)
      if (isSilent(queued, total ?? 0, now)) return destroy(response, HttpMetrics.dropped.vanished)
    }
    if (response.writableNeedDrain) {
      // pages are often of one size, and the kernel asks for more only when a third of its megabytes is gone: what
      // waits may look the same though its reader is at work
      const taken = (total ?? 0) - (response.socket === null ? 0 : yield* Unacknowledged.of(response.socket))
      if (watched.pending !== response.writableLength || taken !== watched.reached) watched.since = now
      watched.pending = response.writableLength
      watched.reached = taken
      watched.written = total
      if (now - watched.since >= limits.writeStallMs) destroy(response, HttpMetrics.dropped.unread)
    } else if (watched.pending !== -1 || watched.written !== total) {
      watched.pending = -1
      watched.written = total
      watched.since = now
    } else if (
      // one that waits behind another has no connection to keep open, and would only pile up
      response.socket !== null && now - watched.since >= limits.heartbeatMs && response.headersSent &&
      !response.writableEnded
    ) {
      response.write(heartbeat)
      watched.written = response.socket.bytesWritten
      watched.since = now
    }
  })

export const make = (limits: WatchLimits): Effect.Effect<SseWatch, never, Scope.Scope> =>
  Effect.gen(function*() {
    const everyMs = Math.max(1, Math.floor(Math.min(limits.heartbeatMs, limits.writeStallMs) / looksPerLimit))
    const open = new Set<Watched>()
    const some = Effect.unsafeMakeLatch(false)
    let lookedAt: number | undefined
    const pass = Effect.gen(function*() {
      lookedAt ??= yield* steadyMillis
      yield* Effect.sleep(everyMs)
      const now = yield* steadyMillis
      const heldUpMs = Math.max(0, now - lookedAt - 2 * everyMs)
      lookedAt = now
      yield* Effect.forEach(open, (one) => look(one, now, heldUpMs, limits), {
        concurrency: looksAtOnce,
        discard: true
      })
      if (open.size > 0) return
      lookedAt = undefined
      some.unsafeClose()
    })
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(some.await, pass)))
    return {
      begin: (response) => {
        const watched: Watched = {
          response,
          isSilent: Unacknowledged.silence(limits.writeStallMs),
          since: undefined,
          askedAt: 0,
          written: undefined,
          pending: -1,
          reached: -1
        }
        open.add(watched)
        some.unsafeOpen()
        return () => {
          open.delete(watched)
        }
      }
    }
  })
