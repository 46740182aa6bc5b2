/**
 * What is in memory of committed events: the state and newest events of each running turn, and who waits for more.
 *
 * - Only committed events enter. The journal's rows stay the truth: everything here may be dropped at any time
 *   (`forget`), and a follower whose cursor is not covered reads the rows.
 * - A wake-up says only "look again". `wait` compares `version` and registers in one synchronous step, so nothing
 *   committed between a follower's look and its wait can be missed.
 * - Bounded: `feedBytesMax` per running turn and per followed session, one waiter a follower. Ended turns are dropped; a
 *   follower that waited keeps its turn's last feed until it has taken the end from it.
 */
import * as Effect from "effect/Effect"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import { isTerminalType } from "../domain/TurnEvent.ts"
import type { TurnState } from "../domain/TurnState.ts"
import type { FollowEnded, JournaledEvent } from "./Journal.ts"

/**
 * UTF-16 units of JSON kept per feed. About 1,500 deltas of 170 bytes: several seconds of the fastest model, so that a
 * reader must fall that far behind before it costs a query.
 */
export const feedBytesMax = 256 * 1024

export interface FeedChunk {
  /** A turn's last seq, or the commit's pos in a session's feed. */
  readonly key: number
  readonly events: ReadonlyArray<JournaledEvent>
  readonly size: number
}

/** The newest events, in chunks as committed: all with a key above `floor`. */
export interface Feed {
  floor: number
  size: number
  readonly chunks: Array<FeedChunk>
}

export interface LiveTurn {
  state: TurnState
  readonly feed: Feed
}

/** One turn's part of a commit. */
export interface Published {
  readonly state: TurnState
  readonly events: ReadonlyArray<JournaledEvent>
  readonly pos: number
}

const makeFeed = (): Feed => ({ floor: Number.POSITIVE_INFINITY, size: 0, chunks: [] })

/** `from`: the key just before this chunk's events. */
const push = (feed: Feed, from: number, key: number, events: ReadonlyArray<JournaledEvent>): void => {
  let size = 0
  for (const event of events) size += event.json.length
  if (feed.chunks.length === 0) feed.floor = from
  feed.chunks.push({ key, events, size })
  feed.size += size
  while (feed.size > feedBytesMax) {
    const dropped = feed.chunks.shift()
    if (dropped === undefined) break
    feed.size -= dropped.size
    feed.floor = dropped.key
  }
}

/** The chunks after `cursor`, oldest first; undefined where the feed does not reach back so far. */
export const chunksAfter = (feed: Feed, cursor: number): ReadonlyArray<FeedChunk> | undefined => {
  if (cursor < feed.floor) return undefined
  let index = feed.chunks.length
  while (index > 0 && (feed.chunks[index - 1]?.key ?? 0) > cursor) index--
  return feed.chunks.slice(index)
}

type Reason = FollowEnded["reason"]

export interface Live {
  /** Counts publications; `wait` needs the value seen before looking. */
  readonly version: () => number
  readonly turn: (id: TurnId) => LiveTurn | undefined
  readonly sessionFeed: (id: SessionId) => Feed | undefined
  /** After the commit, before its callers are told. */
  readonly publish: (commits: ReadonlyArray<Published>) => void
  /** Keeps the state of a running turn that was read from its rows, unless anything was published since `seen`. */
  readonly adopt: (state: TurnState, seen: number) => void
  /** Drops what is known of these turns, after a commit whose outcome is not known; followers read the rows. */
  readonly forget: (turns: Iterable<TurnId>) => void
  readonly deleted: (session: SessionId, turns: ReadonlyArray<TurnId>) => void
  /**
   * Calls `hear` at each publication for the turn, with what was committed, or without where there is another reason to look
   * again; until it answers false. Undefined, and no call, where there was a publication since `seen`. Answers with how to
   * stop. Synchronous: no fiber wakes for a delta.
   */
  readonly listen: (
    turn: TurnId,
    seen: number,
    hear: (committed: FeedChunk | undefined) => boolean
  ) => (() => void) | undefined
  /** Completes at the next publication for the key, at once where there was one since `seen`. */
  readonly wait: (key: TurnId | SessionId, seen: number) => Effect.Effect<void>
  /** Keeps the session's newest events while its followers are there. */
  readonly retainSession: (id: SessionId) => Effect.Effect<void>
  readonly releaseSession: (id: SessionId) => Effect.Effect<void>
  readonly close: (reason: Reason, turn?: TurnId) => void
  /** Why no more events will come: for all, or for this turn. */
  readonly closed: (turn?: TurnId) => Reason | undefined
  /** Followers that wait, for tests and gauges. */
  readonly waiting: () => number
}

export const make = (): Live => {
  const turns = new Map<TurnId, LiveTurn>()
  const sessions = new Map<SessionId, { followers: number; feed: Feed }>()
  const waiters = new Map<string, Set<(committed: FeedChunk | undefined) => boolean>>()
  const broken = new Map<TurnId, Reason>()
  let closedBy: Reason | undefined
  let version = 0

  /** What those threw who were told; whoever tells goes on with the others, and throws the first of it in the end. */
  const faults: Array<unknown> = []
  const throwFirst = (): void => {
    if (faults.length > 0) throw faults.splice(0)[0]
  }

  /** Tells who waits, and keeps those who want to hear more. */
  const wake = (key: string, committed?: FeedChunk): void => {
    const set = waiters.get(key)
    if (set === undefined) return
    for (const tell of set) {
      try {
        if (!tell(committed)) set.delete(tell)
      } catch (error) {
        set.delete(tell)
        faults.push(error)
      }
    }
    if (set.size === 0) waiters.delete(key)
  }
  const register = (key: string, tell: (committed: FeedChunk | undefined) => boolean): () => void => {
    const set = waiters.get(key) ?? new Set()
    waiters.set(key, set.add(tell))
    return () => {
      set.delete(tell)
      if (set.size === 0 && waiters.get(key) === set) waiters.delete(key)
    }
  }
  const wakeAll = (): void => {
    for (const key of [...waiters.keys()]) wake(key)
  }

  const publishOne = ({ events, pos, state }: Published): void => {
    const turnId = state.turnId as TurnId // checked where the event was decoded
    const sessionId = state.sessionId as SessionId
    const live = turns.get(turnId) ?? { state, feed: makeFeed() }
    const first = events[0]
    if (first !== undefined) {
      push(live.feed, first.seq - 1, state.lastSeq, events)
      const session = sessions.get(sessionId)
      if (session !== undefined) push(session.feed, pos - 1, pos, events)
    }
    live.state = state
    broken.delete(turnId)
    if (state.status === "running") turns.set(turnId, live)
    else turns.delete(turnId)
    wake(turnId, live.feed.chunks.at(-1))
    wake(sessionId)
  }

  return {
    version: () => version,
    turn: (id) => turns.get(id),
    sessionFeed: (id) => sessions.get(id)?.feed,
    publish: (commits) => {
      version++
      for (const commit of commits) publishOne(commit)
      throwFirst()
    },
    adopt: (state, seen) => {
      const id = state.turnId as TurnId // from its rows, checked there
      if (version === seen && state.status === "running" && !turns.has(id)) turns.set(id, { state, feed: makeFeed() })
    },
    forget: (ids) => {
      version++
      for (const id of ids) turns.delete(id)
      for (const session of sessions.values()) session.feed = makeFeed()
      wakeAll()
      throwFirst()
    },
    deleted: (session, ids) => {
      version++
      for (const id of ids) {
        turns.delete(id)
        broken.delete(id)
        wake(id)
      }
      const entry = sessions.get(session)
      if (entry !== undefined) entry.feed = makeFeed()
      wake(session)
      throwFirst()
    },
    listen: (turn, seen, hear) => version === seen ? register(turn, hear) : undefined,
    wait: (key, seen) =>
      Effect.async<void>((resume) => {
        if (version !== seen) return resume(Effect.void)
        return Effect.sync(register(key, () => {
          resume(Effect.void)
          return false
        }))
      }),
    retainSession: (id) =>
      Effect.sync(() => {
        const entry = sessions.get(id) ?? { followers: 0, feed: makeFeed() }
        entry.followers++
        sessions.set(id, entry)
      }),
    releaseSession: (id) =>
      Effect.sync(() => {
        const entry = sessions.get(id)
        if (entry !== undefined && --entry.followers === 0) sessions.delete(id)
      }),
    close: (reason, turn) => {
      version++
      if (turn === undefined) {
        closedBy ??= reason
        wakeAll()
      } else {
        broken.set(turn, reason)
        wake(turn)
      }
      throwFirst()
    },
    closed: (turn) => closedBy ?? (turn === undefined ? undefined : broken.get(turn)),
    waiting: () => {
      let count = 0
      for (const set of waiters.values()) count += set.size
      return count
    }
  }
}

/** Whether these events hold the end of their turn. */
export const ends = (events: ReadonlyArray<JournaledEvent>): boolean => {
  const last = events.at(-1)
  return last !== undefined && isTerminalType(last.type)
}
