/**
 * The events of a turn as rows: a run of deltas of one kind is one row, or a row each where that is chosen. The rows that
 * a choice shows cover every seq that it lets pass exactly once, in order.
 *
 * Built to grow: `take` is given the same array again, longer, and looks only at what is new. A row that was given does
 * not change; that of the open run is replaced. Rows hold numbers, their words are made where they are drawn (`EventText`).
 */
import type { EventType, TurnEvent } from "../../domain/Protocol.ts"

export const groups = ["turn", "model", "state"] as const
export type Group = typeof groups[number]

export interface EventRow {
  readonly key: string
  readonly type: EventType
  readonly group: Group
  readonly fromSeq: number
  readonly toSeq: number
  /** Milliseconds since the turn began. */
  readonly fromMs: number
  readonly toMs: number
  /** Of deltas: characters. */
  readonly chars: number
}

/** What the reader wants to see. */
export interface Choice {
  readonly group: Group | "all"
  /** One row a delta, and not one a run. */
  readonly isEach: boolean
}

export const everything: Choice = { group: "all", isEach: false }

export interface Shown {
  readonly rows: ReadonlyArray<EventRow>
  /** Events of each group, whatever the choice. */
  readonly counts: Readonly<Record<Group | "all", number>>
  /** From the turn's begin to its last event. */
  readonly totalMs: number
}

export interface EventRows {
  readonly take: (events: ReadonlyArray<TurnEvent>) => Shown
}

export const groupOf = (type: EventType): Group =>
  type.startsWith("turn.") ? "turn" : type.startsWith("model.") || type.startsWith("attempt.") ? "model" : "state"

/** The deltas that came in a row, of one kind and one tool call. */
interface Run {
  readonly first: TurnEvent
  readonly kind: string
  readonly toolCallId: string | undefined
  last: TurnEvent
  chars: number
  /** Its row's place among the rows; undefined while it has none. */
  place: number | undefined
}

export const make = (choice: Choice): EventRows => {
  let source: ReadonlyArray<TurnEvent> | undefined
  let taken = 0
  let beginMs = 0
  let rows: Array<EventRow> = []
  let counts: Record<Group | "all", number> = { all: 0, turn: 0, model: 0, state: 0 }
  let run: Run | undefined
  let shown: Shown = { rows, counts, totalMs: 0 }

  const msOf = (event: TurnEvent): number => Date.parse(event.at) - beginMs

  const rowOf = (first: TurnEvent, last: TurnEvent, chars: number): EventRow => ({
    key: String(first.seq),
    type: first.type,
    group: groupOf(first.type),
    fromSeq: first.seq,
    toSeq: last.seq,
    fromMs: msOf(first),
    toMs: msOf(last),
    chars
  })

  const isIn = (group: Group): boolean => choice.group === "all" || choice.group === group

  /** The row of the open run, as far as the run has come. */
  const putRun = (): void => {
    if (run === undefined) return
    run.place ??= rows.length
    rows[run.place] = rowOf(run.first, run.last, run.chars)
  }

  const takeDelta = (event: Extract<TurnEvent, { readonly type: "model.delta" }>): void => {
    const { kind, text, toolCallId } = event.data
    if (run === undefined || run.kind !== kind || run.toolCallId !== toolCallId) {
      putRun()
      run = { first: event, last: event, kind, toolCallId, chars: 0, place: undefined }
    }
    run.last = event
    run.chars += text.length
  }

  const takeOne = (event: TurnEvent): void => {
    const group = groupOf(event.type)
    counts.all += 1
    counts[group] += 1
    if (event.type === "model.delta" && !choice.isEach) {
      if (isIn(group)) takeDelta(event)
      return
    }
    putRun()
    run = undefined
    const chars = event.type === "model.delta" ? event.data.text.length : 0
    if (isIn(group)) rows.push(rowOf(event, event, chars))
  }

  return {
    take: (events) => {
      if (events !== source || events.length < taken) {
        source = events
        taken = 0
        rows = []
        counts = { all: 0, turn: 0, model: 0, state: 0 }
        run = undefined
        shown = { rows, counts, totalMs: 0 }
      }
      if (events.length === taken) return shown
      if (taken === 0) beginMs = Date.parse((events[0] as TurnEvent).at)
      for (let index = taken; index < events.length; index++) takeOne(events[index] as TurnEvent)
      taken = events.length
      putRun()
      // a copy of pointers, so that who holds the rows sees that they are others
      shown = { rows: rows.slice(), counts: { ...counts }, totalMs: msOf(events[taken - 1] as TurnEvent) }
      return shown
    }
  }
}

/** The index of the row that shows this seq, or of the last one before it; -1 where all come after it. */
export const indexAt = (rows: ReadonlyArray<EventRow>, seq: number): number => {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((rows[middle] as EventRow).fromSeq <= seq) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** Where a row's time lies in the turn's, in percent. */
export const barOf = (row: EventRow, totalMs: number): { readonly left: number; readonly width: number } => {
  const percent = (ms: number) => totalMs <= 0 ? 0 : Math.min(100, Math.max(0, (ms / totalMs) * 100))
  const left = percent(row.fromMs)
  // clocks may be put back in mid-turn
  return { left, width: Math.max(0, percent(row.toMs) - left) }
}
