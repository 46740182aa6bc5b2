/**
 * Followers: a cursor, a look, a wait, again. A follower looks into the live feed first and reads a page of rows where
 * the feed does not reach back to its cursor; it waits only when it has taken everything that is committed. So a late
 * join misses nothing, a slow reader holds one page, and nobody who reads can delay a writer.
 *
 * A broken-off journal (`endFollowers`) is told to a follower only after it has taken what is committed.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import type { Gone, SessionNotFound, TurnNotFound } from "../domain/RequestError.ts"
import type { JournalFailure } from "../domain/TurnError.ts"
import { type EventSink, FollowEnded, type JournaledEvent, type SessionCursor } from "./Journal.ts"
import * as JournalMetrics from "./JournalMetrics.ts"
import * as Live from "./Live.ts"

/** A page of one turn. `ended`: the turn has its terminal event, in this page or before. */
export interface TurnPage {
  readonly events: ReadonlyArray<JournaledEvent>
  readonly ended: boolean
}

/** A page of a session: whole commits; `pos` is the last one's. */
export interface SessionPage {
  readonly events: ReadonlyArray<JournaledEvent>
  readonly pos: number
}

/** Committed rows, in pages of bounded size. */
export interface Pages {
  readonly turnPage: (id: TurnId, seq: number) => Effect.Effect<TurnPage, TurnNotFound | Gone | JournalFailure>
  readonly sessionPage: (id: SessionId, pos: number) => Effect.Effect<SessionPage, SessionNotFound | JournalFailure>
  /** The rest of the commit that holds the cursor's event, and its pos. */
  readonly sessionStart: (
    id: SessionId,
    cursor: SessionCursor
  ) => Effect.Effect<SessionPage, SessionNotFound | TurnNotFound | Gone | JournalFailure>
}

/**
 * Characters of JSON that a follower is given at once from memory, if more than one commit waits: what a reader that then
 * takes nothing holds. One commit is given as it is: all followers share it, and what is made of it (`Sse.encode`).
 */
const givenCharsMax = 64 * 1024

/** How many of these chunks are given at once: at least one. */
const given = (chunks: ReadonlyArray<Live.FeedChunk> | undefined): ReadonlyArray<Live.FeedChunk> | undefined => {
  if (chunks === undefined) return undefined
  let size = 0
  let count = 0
  for (const chunk of chunks) {
    size += chunk.size
    if (count > 0 && size > givenCharsMax) break
    count++
  }
  return count === chunks.length ? chunks : chunks.slice(0, count)
}

type Step<S> = readonly [Chunk.Chunk<JournaledEvent>, Option.Option<S>]

const emit = <S>(events: ReadonlyArray<JournaledEvent>, next: S | undefined): Step<S> => [
  Chunk.unsafeFromArray(events),
  Option.fromNullable(next)
]
const end: Step<never> = [Chunk.empty(), Option.none()]

/** A follower that has joined is told of a deletion; one that joins finds nothing. */
const gone = <E>(joined: boolean, error: E): Effect.Effect<never, E | FollowEnded> =>
  Effect.fail(joined ? new FollowEnded({ reason: "deleted" }) : error)

/** Followers that are there now, of all journals of the process. */
const present = { turn: 0, session: 0 }

const count = (of: keyof typeof present, by: 1 | -1) =>
  Effect.sync(() => {
    present[of] += by
    JournalMetrics.followers[of](present[of])
  })

const join = (of: keyof typeof present, resumed: boolean) =>
  Effect.zipRight(count(of, 1), Effect.sync(() => JournalMetrics.joins[resumed ? "resumed" : "start"](1)))

interface TurnCursor {
  readonly seq: number
  /** The turn as it was when this follower last looked: holds the end of a turn that is no longer live. */
  readonly seen: Live.LiveTurn | undefined
  readonly joined: boolean
}

type FollowError = TurnNotFound | Gone | JournalFailure | FollowEnded

type TurnStep = Effect.Effect<Step<TurnCursor>, FollowError>

/** How a follower goes on from a cursor. `wait` is asked once everything that is committed was taken. */
const stepsOf = (
  live: Live.Live,
  pages: Pages,
  id: TurnId,
  wait: (cursor: TurnCursor, version: number) => TurnStep
) => {
  const taken = (events: ReadonlyArray<JournaledEvent>, seen: Live.LiveTurn | undefined): Step<TurnCursor> => {
    const last = events.at(-1)
    const head = seen ?? live.turn(id)
    if (last !== undefined && head !== undefined) JournalMetrics.followerLag(head.state.lastSeq - last.seq)
    return last === undefined || Live.ends(events)
      ? emit<TurnCursor>(events, undefined)
      : emit(events, { seq: last.seq, seen, joined: true })
  }
  const waitAndStep = (cursor: TurnCursor, version: number): TurnStep => {
    const reason = live.closed(id)
    return reason === undefined ? wait(cursor, version) : Effect.fail(new FollowEnded({ reason }))
  }
  return (cursor: TurnCursor): TurnStep =>
    Effect.suspend(() => {
      const version = live.version()
      const now = live.turn(id) ?? (cursor.seen?.state.status === "running" ? undefined : cursor.seen)
      const ready = now === undefined ? undefined : given(Live.chunksAfter(now.feed, cursor.seq))
      if (now !== undefined && ready !== undefined) {
        const events = ready.length === 1 && ready[0]?.events[0]?.seq === cursor.seq + 1
          ? ready[0].events
          : ready.flatMap((chunk) => chunk.events).filter((event) => event.seq > cursor.seq)
        if (events.length > 0) return Effect.succeed(taken(events, now))
        return now.state.status === "running"
          ? waitAndStep({ ...cursor, seen: now, joined: true }, version)
          : Effect.succeed(end)
      }
      return pages.turnPage(id, cursor.seq).pipe(
        Effect.catchTag("TurnNotFound", (error) => gone(cursor.joined, error)),
        Effect.flatMap((page): TurnStep =>
          page.events.length > 0
            ? Effect.succeed(taken(page.events, undefined))
            : page.ended
            ? Effect.succeed(end)
            : waitAndStep({ ...cursor, seen: live.turn(id), joined: true }, version)
        )
      )
    })
}

const startAt = (after: number): TurnCursor => ({ seq: after, seen: undefined, joined: false })

export const follow = (
  live: Live.Live,
  pages: Pages,
  id: TurnId,
  after: number
): Stream.Stream<JournaledEvent, FollowError> => {
  const step = stepsOf(
    live,
    pages,
    id,
    (cursor, version) => Effect.zipRight(live.wait(id, version), Effect.suspend(() => step(cursor)))
  )
  const events = Stream.paginateChunkEffect<TurnCursor, JournaledEvent, FollowError, never>(startAt(after), step)
  return Stream.unwrapScoped(Effect.as(Effect.acquireRelease(join("turn", after > 0), () => count("turn", -1)), events))
}

/**
 * The same events, given to `sink` where they are committed: while it keeps up, neither a fiber nor a step of a stream is
 * needed for a delta. Whoever does not keep up goes on by its cursor, like any follower.
 */
export const followInto = (
  live: Live.Live,
  pages: Pages,
  id: TurnId,
  after: number,
  sink: EventSink
): Effect.Effect<void, FollowError> => {
  /** Gives on what is committed from here on; answers with the place from which to look again. */
  const attached = (cursor: TurnCursor, version: number): TurnStep =>
    Effect.async((resume) => {
      let seq = cursor.seq
      const lookAgain = () => emit<TurnCursor>([], { ...cursor, seq })
      const detach = (next: TurnStep): false => {
        resume(next)
        return false
      }
      const stop = live.listen(id, version, (committed) => {
        if (committed?.events[0]?.seq !== seq + 1) return detach(Effect.succeed(lookAgain()))
        JournalMetrics.followerLag(0)
        seq = committed.key
        const held = sink.write(committed.events)
        if (Live.ends(committed.events)) return detach(Effect.as(held ?? Effect.void, end))
        return held === undefined ? true : detach(Effect.map(held, lookAgain))
      })
      return stop === undefined ? resume(Effect.succeed(lookAgain())) : Effect.sync(stop)
    })
  const step = stepsOf(live, pages, id, attached)
  const pump = (cursor: TurnCursor): Effect.Effect<void, FollowError> =>
    Effect.flatMap(step(cursor), ([events, next]) => {
      const held = Chunk.isEmpty(events) ? undefined : sink.write(Chunk.toReadonlyArray(events))
      const rest = Option.isNone(next) ? Effect.void : pump(next.value)
      return held === undefined ? rest : Effect.zipRight(held, rest)
    })
  return Effect.acquireUseRelease(
    join("turn", after > 0),
    () => pump(startAt(after)),
    () => count("turn", -1)
  )
}

type SessionFollowError = SessionNotFound | TurnNotFound | Gone | JournalFailure | FollowEnded

type Place = { readonly pos: number; readonly joined: boolean } | { readonly cursor: SessionCursor }

export const followSession = (
  live: Live.Live,
  pages: Pages,
  id: SessionId,
  after: SessionCursor | undefined,
  open: boolean
): Stream.Stream<JournaledEvent, SessionFollowError> => {
  const step = (place: Place): Effect.Effect<Step<Place>, SessionFollowError> =>
    Effect.suspend(() => {
      if ("cursor" in place) {
        return Effect.map(
          pages.sessionStart(id, place.cursor),
          (page) => emit<Place>(page.events, { pos: page.pos, joined: true })
        )
      }
      const version = live.version()
      const feed = open ? live.sessionFeed(id) : undefined
      const ready = feed === undefined ? undefined : given(Live.chunksAfter(feed, place.pos))
      const last = ready?.at(-1)
      if (ready !== undefined && last !== undefined) {
        const events = ready.length === 1 ? last.events : ready.flatMap((chunk) => chunk.events)
        return Effect.succeed(emit<Place>(events, { pos: last.key, joined: true }))
      }
      const wait = (): Effect.Effect<Step<Place>, SessionFollowError> => {
        const reason = live.closed()
        if (reason !== undefined) return Effect.fail(new FollowEnded({ reason }))
        return Effect.zipRight(live.wait(id, version), Effect.suspend(() => step({ pos: place.pos, joined: true })))
      }
      if (ready !== undefined) return wait()
      return pages.sessionPage(id, place.pos).pipe(
        Effect.catchTag("SessionNotFound", (error) => gone(place.joined, error)),
        Effect.flatMap((page): Effect.Effect<Step<Place>, SessionFollowError> =>
          page.events.length > 0
            ? Effect.succeed(emit<Place>(page.events, { pos: page.pos, joined: true }))
            : open
            ? wait()
            : Effect.succeed<Step<Place>>(end)
        )
      )
    })
  const start: Place = after === undefined ? { pos: 0, joined: false } : { cursor: after }
  const events = Stream.paginateChunkEffect<Place, JournaledEvent, SessionFollowError, never>(start, step)
  const held = open
    ? Stream.acquireRelease(live.retainSession(id), () => live.releaseSession(id)).pipe(
      Stream.flatMap(() => events)
    )
    : events
  const joined = Effect.acquireRelease(join("session", after !== undefined), () => count("session", -1))
  return Stream.unwrapScoped(Effect.as(joined, held))
}
