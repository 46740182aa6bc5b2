/**
 * One running turn's pen: gives each event its seq and time, folds it, and hands what has gathered to the journal.
 *
 * `push` is synchronous, and so is the journal's asking for what gathered (`AppendSource`): a delta costs no fiber and no
 * effect. Batches grow under load, one event alone goes at once. Appends never overlap. What the journal refused stays
 * here, in its order, and is written again by `flush`.
 *
 * Bound: a turn that runs ahead of the disk waits (`room`) at `pendingMax` events or `pendingCharsMax` characters.
 */
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import type { EventBody, TurnEvent } from "../domain/TurnEvent.ts"
import * as TurnState from "../domain/TurnState.ts"
import type { Append, AppendSource, Journal, WriteError } from "../journal/Journal.ts"

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
  /** Whether there is room for more events. */
  readonly hasRoom: () => boolean
  /** Completes once there is. */
  readonly room: Effect.Effect<void>
  /** Completes when everything pushed before is committed. Never after the journal refused something. */
  readonly committed: Effect.Effect<void>
  /** Writes what is left, after an append that is under way. Not interruptible. */
  readonly flush: Effect.Effect<void, WriteError>
}

const shown = { millis: Number.NaN, text: "" }

/** UTC with milliseconds. Events of one millisecond share the text, of whatever turns. */
export const isoTime = (millis: number): string => {
  if (millis !== shown.millis) {
    shown.millis = millis
    shown.text = DateTime.formatIso(DateTime.unsafeMake(millis))
  }
  return shown.text
}

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

  const write: Pen["write"] = (body) => {
    // a body carries the data of its own type: the spread keeps that pairing, which the checker cannot follow
    const event = {
      v: 1,
      turnId: ids.turnId,
      sessionId: ids.sessionId,
      seq: state().lastSeq + 1,
      at: isoTime(clock.unsafeCurrentTimeMillis()),
      ...body
    } as TurnEvent
    const wrong = folding.add(event)
    if (wrong !== undefined) throw new RangeError(wrong)
    return event
  }

  return { state, write }
}

export interface LogOptions {
  readonly journal: Pick<Journal["Type"], "enlist">
  readonly clock: Clock.Clock
  readonly ids: TurnIds
  readonly initial: TurnState.TurnState
  readonly span: AppendSource["span"]
  /** Told when the journal refuses what was pushed; nothing more is written then but by `flush`. */
  readonly onRefused: (cause: Cause.Cause<WriteError>) => void
}

export const make = ({ clock, ids, initial, journal, onRefused, span }: LogOptions): TurnLog => {
  const pen = makePen(clock, ids, initial)
  let pending: ReadonlyArray<TurnEvent> = []
  let gathering: Array<TurnEvent> = []
  let pendingChars = 0
  let contents: ReadonlyArray<NonNullable<Append["contents"]>[number]> = []
  /** What the journal has under way. */
  let given: Append | undefined
  let inLine = false
  let refused = false
  let charsMax = pendingCharsMax
  /** Who waits for the end of the append that is under way or in line. */
  let waiting: Array<(exit: Exit.Exit<void, WriteError>) => void> = []
  const none = Effect.unsafeMakeLatch(true)
  const roomLeft = Effect.unsafeMakeLatch(true)

  const count = () => pending.length + gathering.length
  const isFull = () => count() >= pendingMax || pendingChars >= pendingCharsMax

  const enlist = () => {
    if (inLine || given !== undefined) return
    inLine = true
    journal.enlist(source)
  }

  /** The oldest events, of `charsMax` characters and one event at most. */
  const next = (): ReadonlyArray<TurnEvent> => {
    const all = pending.length === 0 ? gathering : [...pending, ...gathering]
    gathering = []
    if (pendingChars <= charsMax) {
      pending = []
      pendingChars = 0
      return all
    }
    let size = 0
    let chars = 0
    while (size < all.length && chars < charsMax) chars += charsOf(all[size++])
    pending = all.slice(size)
    pendingChars -= chars
    return all.slice(0, size)
  }

  const source: AppendSource = {
    span,
    take: () => {
      inLine = false
      if (count() === 0) return undefined
      given = { turnId: ids.turnId, events: next(), contents }
      contents = []
      if (!isFull()) roomLeft.unsafeOpen()
      return given
    },
    settle: (exit) => {
      const back = given
      given = undefined
      if (Exit.isFailure(exit) && back !== undefined) {
        // in its place, for whoever writes next
        pending = [...back.events, ...pending]
        for (const event of back.events) pendingChars += charsOf(event)
        contents = [...back.contents ?? [], ...contents]
        if (!refused) {
          refused = true
          onRefused(exit.cause)
        }
      } else if (count() === 0) none.unsafeOpen()
      else if (!refused) enlist()
      const told = waiting
      waiting = []
      for (const tell of told) tell(exit)
    }
  }

  /** Completes with the end of the append that is under way; with `begin`, of one that takes all there is. */
  const settled = (begin: boolean) =>
    Effect.async<Exit.Exit<void, WriteError>>((resume) => {
      waiting.push((exit) => resume(Effect.succeed(exit)))
      if (begin) enlist()
    })

  const writeAll: Effect.Effect<void, WriteError> = Effect.suspend(() =>
    count() === 0 ? Effect.void : Effect.flatMap(settled(true), (exit) => Exit.isFailure(exit) ? exit : writeAll)
  )

  return {
    state: pen.state,
    push: (body, slotContents) => {
      const event = pen.write(body)
      gathering.push(event)
      pendingChars += charsOf(event)
      if (slotContents !== undefined && slotContents.length > 0) contents = [...contents, ...slotContents]
      none.unsafeClose()
      if (!refused) enlist()
      if (isFull()) roomLeft.unsafeClose()
    },
    hasRoom: () => !isFull(),
    room: roomLeft.await,
    committed: none.await,
    flush: Effect.uninterruptible(Effect.suspend(() => {
      charsMax = Number.POSITIVE_INFINITY
      refused = true
      return given === undefined ? writeAll : Effect.zipRight(settled(false), writeAll)
    }))
  }
}
