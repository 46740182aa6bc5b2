/**
 * One turn as the page holds it: first the server's summary, then the fold of its events, as far as they are here.
 *
 * Events are taken in the order of their seqs, each once: one that was here before is dropped, one that comes too early
 * is laid aside until those before it are read (`missing`). `publish` shows what was taken; until then no signal
 * changes, so that a hundred events between two frames cost one drawing.
 */
import { type ReadonlySignal, signal } from "@preact/signals"
import type { Turn } from "../../client/Resources.ts"
import type { TurnEvent } from "../../domain/Protocol.ts"
import { type Fold, makeReaderFold, type TurnState } from "../../domain/TurnState.ts"
import * as TurnFacts from "./TurnFacts.ts"

/** Characters of an answer that the page holds and draws: what the server holds as one. */
export const heldCharsMax = 1_048_576

/**
 * - `summary`: no events are here, nobody asked for them
 * - `reading`: earlier events are being read
 * - `whole`: seq 1 to the last that the page knows of are here
 * - `folded`: retention removed the model events, there is nothing more to read
 * - `broken`: the events could not be read, or do not fold; `fault` says why
 */
export type LogState = "summary" | "reading" | "whole" | "folded" | "broken"

export interface TurnLog {
  readonly state: LogState
  readonly fault: string | undefined
  /** From seq 1, without a gap. The array grows in place: what was derived from it is derived again with each new log. */
  readonly events: ReadonlyArray<TurnEvent>
  /** The fold of `events`; undefined while there are none. Changes in place as well. */
  readonly folded: TurnState | undefined
  /** Seqs that are known to exist and are not here: what is shown is not complete. */
  readonly missing: { readonly from: number; readonly to: number } | undefined
}

export interface TurnEntry {
  readonly id: string
  /** 1, 2, 3 ... within the session. */
  readonly number: number
  readonly facts: ReadonlySignal<TurnFacts.TurnFacts>
  readonly log: ReadonlySignal<TurnLog>
  /** Numbers of the turns that came of this one. */
  readonly retriedIn: ReadonlySignal<number | undefined>
  readonly resumedIn: ReadonlySignal<number | undefined>
  /** Takes an event; false where earlier ones have to be read first. */
  readonly take: (event: TurnEvent) => boolean
  /** The last seq up to which all events are here. */
  readonly heldSeq: () => number
  /** Whether there are events that are not here, and that could be. */
  readonly isBehind: () => boolean
  /** The server says again how the turn stands. */
  readonly summarize: (turn: Turn) => void
  readonly setReading: () => void
  readonly setBroken: (fault: string) => void
  /** Lets go of the events of a turn that ended; its card keeps what it shows. */
  readonly release: () => void
  readonly child: (kind: "retry" | "resume", number: number) => void
  readonly publish: () => void
}

export const make = (id: string, number: number, first: Turn | undefined): TurnEntry => {
  let summary = first
  let events: Array<TurnEvent> = []
  let fold: Fold = makeReaderFold(undefined, heldCharsMax)
  let failures: ReadonlyArray<TurnFacts.AttemptFailure> = []
  const ahead = new Map<number, TurnEvent>()
  let lastKnown = 0
  let state: LogState = "summary"
  let fault: string | undefined
  /** An event came that the protocol does not allow here: nothing after it can be folded. */
  let isWrong = false

  const clear = (next: LogState): void => {
    events = []
    fold = makeReaderFold(undefined, heldCharsMax)
    failures = []
    ahead.clear()
    isWrong = false
    state = next
    fault = undefined
  }

  const summarize = (turn: Turn): void => {
    summary = turn
    lastKnown = Math.max(lastKnown, turn.lastSeq)
    if (turn.foldedAt !== undefined) clear("folded")
  }

  const put = (event: TurnEvent): void => {
    const wrong = fold.add(event)
    if (wrong !== undefined) {
      isWrong = true
      state = "broken"
      fault = wrong
      return
    }
    events.push(event)
    if (event.type === "attempt.failed") failures = [...failures, event]
  }

  const isBehind = (): boolean => events.length < lastKnown && state !== "folded" && !isWrong

  const missingNow = (): TurnLog["missing"] => {
    if (!isBehind()) return undefined
    let to = lastKnown
    for (const seq of ahead.keys()) to = Math.min(to, seq - 1)
    return { from: events.length + 1, to }
  }

  const logNow = (): TurnLog => ({ state, fault, events, folded: fold.state(), missing: missingNow() })

  /** Whichever knows more of the fold, the summary and what was shown before; where they know the same, the fold. */
  const factsNow = (before: TurnFacts.TurnFacts | undefined): TurnFacts.TurnFacts | undefined => {
    const folded = fold.state()
    const isNews = summary !== undefined &&
      (before === undefined || summary.lastSeq > before.lastSeq || summary.foldedAt !== before.foldedAt)
    const shown = isNews && summary !== undefined ? TurnFacts.ofTurn(summary) : before
    return folded !== undefined && folded.lastSeq >= (shown?.lastSeq ?? 0)
      ? TurnFacts.ofState(folded, failures)
      : shown
  }

  if (first !== undefined) summarize(first)
  const facts = signal(factsNow(undefined))
  const log = signal(logNow())
  const retriedIn = signal<number | undefined>(undefined)
  const resumedIn = signal<number | undefined>(undefined)

  return {
    id,
    number,
    // set by the first `publish`, which `SessionModel` calls before anyone sees the entry
    facts: facts as ReadonlySignal<TurnFacts.TurnFacts>,
    log,
    retriedIn,
    resumedIn,
    heldSeq: () => events.length,
    isBehind,
    summarize,
    take: (event) => {
      lastKnown = Math.max(lastKnown, event.seq)
      if (event.seq <= events.length || isWrong || state === "folded") return true
      if (event.seq > events.length + 1) {
        ahead.set(event.seq, event)
        // where reading failed it is tried again with the next connection, not with each event
        return state === "broken"
      }
      put(event)
      for (let next = ahead.get(events.length + 1); next !== undefined; next = ahead.get(events.length + 1)) {
        ahead.delete(next.seq)
        put(next)
        if (isWrong) break
      }
      if (!isWrong && !isBehind()) {
        state = "whole"
        fault = undefined
      }
      return true
    },
    setReading: () => {
      state = "reading"
      fault = undefined
    },
    setBroken: (reason) => {
      state = "broken"
      fault = reason
    },
    release: () => clear("summary"),
    child: (kind, number) => {
      if (kind === "retry") retriedIn.value = number
      else resumedIn.value = number
    },
    publish: () => {
      facts.value = factsNow(facts.peek())
      log.value = logNow()
    }
  }
}
