/**
 * One running turn's pen: gives each event its seq and time, folds it, and hands what has gathered to the journal.
 *
 * `push` is synchronous, so a provider's chunk costs one call per event and no fiber. `writer` appends what gathered
 * while the append before it was being committed: batches grow under load, one event alone goes at once. Appends never
 * overlap. What the journal refused stays here, in its order, and is written again with the next append.
 *
 * Bound: a turn that runs ahead of the disk waits (`room`) at `pendingMax` events or `pendingCharsMax` characters.
 */
import type * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import type { EventBody, TurnEvent } from "../domain/TurnEvent.ts"
import * as TurnState from "../domain/TurnState.ts"
import type { Append, Journal, WriteError } from "../journal/Journal.ts"

/** Some 100 kB of small deltas: far above what one commit (0.3 ms) lets gather, small against the output cap. */
const pendingMax = 1_024

/** Characters said in one append, but for a single delta that is larger: a row, and a write to each follower. */
const pendingCharsMax = 65_536

const charsOf = (event: TurnEvent | undefined): number => event?.type === "model.delta" ? event.data.text.length : 0

export interface TurnIds {
  readonly turnId: TurnId
  readonly sessionId: SessionId
}

export interface Pen {
  readonly state: () => TurnState.TurnState
  readonly write: (body: EventBody) => TurnEvent
}

export interface TurnLog {
  /** Everything pushed so far, committed or not. */
  readonly state: () => TurnState.TurnState
  readonly push: (body: EventBody, contents?: Append["contents"]) => void
  /** Completes at once while there is room for more events. */
  readonly room: Effect.Effect<void>
  /** Completes when everything pushed before is committed. Needs `writer` to run. */
  readonly committed: Effect.Effect<void>
  /** Writes until it is interrupted or the journal refuses. An append that has begun is never abandoned. */
  readonly writer: Effect.Effect<never, WriteError>
  /** Writes what is left, after an append that is under way. Not interruptible. */
  readonly flush: Effect.Effect<void, WriteError>
}

/** UTC with milliseconds. */
export const isoTime = (millis: number): string => DateTime.formatIso(DateTime.unsafeMake(millis))

/** The events that open a turn, before there is a log. */
export const firstEvents = (
  ids: TurnIds,
  at: string,
  bodies: ReadonlyArray<EventBody>
): ReadonlyArray<TurnEvent> => bodies.map((body, index) => ({ v: 1, ...ids, seq: index + 1, at, ...body }) as TurnEvent)

/** Gives events their place and time after `initial`, and folds them. A `RangeError` for one that may not come. */
export const makePen = (clock: Clock.Clock, ids: TurnIds, initial: TurnState.TurnState): Pen => {
  // the journal has the words: nothing here needs them
  const folding = TurnState.makeFold(initial, 0)
  // it begins with a state, so it has one
  const state = () => folding.state() as TurnState.TurnState

  // events of one millisecond share their time's text
  let atMillis = -1
  let at = ""
  const time = () => {
    const now = clock.unsafeCurrentTimeMillis()
    if (now !== atMillis) {
      atMillis = now
      at = isoTime(now)
    }
    return at
  }

  const write: Pen["write"] = (body) => {
    // a body carries the data of its own type: the spread keeps that pairing, which the checker cannot follow
    const event = {
      v: 1,
      turnId: ids.turnId,
      sessionId: ids.sessionId,
      seq: state().lastSeq + 1,
      at: time(),
      ...body
    } as TurnEvent
    const wrong = folding.add(event)
    if (wrong !== undefined) throw new RangeError(wrong)
    return event
  }

  return { state, write }
}

export const make = (
  journal: Journal["Type"],
  clock: Clock.Clock,
  ids: TurnIds,
  initial: TurnState.TurnState
): TurnLog => {
  const pen = makePen(clock, ids, initial)
  let pending: Array<TurnEvent> = []
  let pendingChars = 0
  let contents: Array<NonNullable<Append["contents"]>[number]> = []
  const some = Effect.unsafeMakeLatch(false)
  const none = Effect.unsafeMakeLatch(true)
  const roomLeft = Effect.unsafeMakeLatch(true)

  const push: TurnLog["push"] = (body, slotContents) => {
    const event = pen.write(body)
    pending.push(event)
    pendingChars += charsOf(event)
    if (slotContents !== undefined) contents.push(...slotContents)
    if (pending.length === 1) {
      none.unsafeClose()
      some.unsafeOpen()
    }
    if (isFull()) roomLeft.unsafeClose()
  }

  const isFull = () => pending.length >= pendingMax || pendingChars >= pendingCharsMax

  const keep = (events: ReadonlyArray<TurnEvent>, slotContents: typeof contents) =>
    Effect.sync(() => {
      pending = [...events, ...pending]
      for (const event of events) pendingChars += charsOf(event)
      contents = [...slotContents, ...contents]
    })

  /** The oldest pending events, of `charsMax` characters and one event at most. */
  const take = (charsMax: number): ReadonlyArray<TurnEvent> => {
    let count = 0
    for (let chars = 0; count < pending.length && chars < charsMax; count++) chars += charsOf(pending[count])
    const taken = pending.slice(0, count)
    pending = pending.slice(count)
    for (const event of taken) pendingChars -= charsOf(event)
    return taken
  }

  const append = (charsMax: number) =>
    Effect.suspend(() => {
      if (pending.length === 0) return Effect.void
      const events = take(charsMax)
      const slotContents = contents
      contents = []
      if (!isFull()) roomLeft.unsafeOpen()
      if (pending.length === 0) some.unsafeClose()
      return journal.append({ turnId: ids.turnId, events, contents: slotContents }).pipe(
        Effect.onError(() => keep(events, slotContents)),
        Effect.tap(() =>
          Effect.sync(() => {
            if (pending.length === 0) none.unsafeOpen()
          })
        )
      )
    })

  // one at a time: a cancelled turn's ending waits for the append that its writer has under way
  const alone = Effect.unsafeMakeSemaphore(1)
  const write = (charsMax: number) => Effect.uninterruptible(alone.withPermits(1)(append(charsMax)))
  const flush = write(Number.POSITIVE_INFINITY)

  return {
    state: pen.state,
    push,
    room: roomLeft.await,
    committed: none.await,
    writer: Effect.forever(Effect.zipRight(some.await, write(pendingCharsMax))),
    flush
  }
}
