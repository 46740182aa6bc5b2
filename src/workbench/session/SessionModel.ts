/**
 * One session as the page holds it: its turns in commit order, each the fold of its events, and a short log of them.
 *
 * An event that was seen before is dropped. One that does not follow marks its turn with the reason; its block then says
 * that what it shows is not complete.
 */
import type { TurnEvent } from "../domain/TurnEvent.ts"
import * as TurnState from "../domain/TurnState.ts"
import * as EventLog from "./EventLog.ts"

export interface TurnEntry {
  readonly id: string
  /** 1, 2, 3 ... within the session. */
  readonly number: number
  state: TurnState.TurnState
  readonly rows: Array<EventLog.EventRow>
  /** Numbers of the turns that came of this one. */
  retriedIn: number | undefined
  resumedIn: number | undefined
  /** Why its events could not be folded any further. */
  fault: string | undefined
}

export interface SessionModel {
  readonly turns: ReadonlyArray<TurnEntry>
  readonly turn: (id: string) => TurnEntry | undefined
  /** The turn that holds the session, or undefined. */
  readonly running: () => TurnEntry | undefined
  /** The turns that this event changed. */
  readonly take: (event: TurnEvent) => ReadonlyArray<TurnEntry>
}

export const make = (): SessionModel => {
  const turns: Array<TurnEntry> = []
  const byId = new Map<string, TurnEntry>()

  const begin = (event: TurnEvent): ReadonlyArray<TurnEntry> => {
    const state = TurnState.apply(undefined, event)
    const entry: TurnEntry = {
      id: event.turnId,
      number: turns.length + 1,
      state,
      rows: [],
      retriedIn: undefined,
      resumedIn: undefined,
      fault: undefined
    }
    turns.push(entry)
    byId.set(entry.id, entry)
    EventLog.add(entry.rows, event)
    const parent = byId.get(state.retryOf ?? state.resumedFrom ?? "")
    if (parent === undefined) return [entry]
    if (state.retryOf !== undefined) parent.retriedIn = entry.number
    else parent.resumedIn = entry.number
    return [entry, parent]
  }

  return {
    turns,
    turn: (id) => byId.get(id),
    running: () => turns.find((entry) => entry.state.status === "running" && entry.fault === undefined),
    take: (event) => {
      const entry = byId.get(event.turnId)
      // without its beginning a turn cannot be shown
      if (entry === undefined) return event.type === "turn.started" ? begin(event) : []
      if (event.seq <= entry.state.lastSeq || entry.fault !== undefined) return []
      const wrong = TurnState.violation(entry.state, event)
      if (wrong === undefined) {
        entry.state = TurnState.apply(entry.state, event)
        EventLog.add(entry.rows, event)
      } else entry.fault = wrong
      return [entry]
    }
  }
}
