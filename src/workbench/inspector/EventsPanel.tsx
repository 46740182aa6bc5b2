/**
 * The events of a turn by seq: filters, the slider that shows the turn as it was at a seq, and the rows. What is drawn is
 * the window that is seen; the rows grow with the events (`EventRows`).
 */
import { type Signal, useSignal } from "@preact/signals"
import { useEffect, useMemo, useRef } from "preact/hooks"
import type { TurnEvent } from "../../domain/Protocol.ts"
import { CopyButton } from "../kit/CopyButton.tsx"
import { type Handle, VirtualList } from "../kit/VirtualList.tsx"
import * as Words from "../kit/Words.ts"
import type { Looking } from "../session/Looking.ts"
import type { TurnLog } from "../session/TurnEntry.ts"
import * as EventRows from "./EventRows.ts"
import * as EventText from "./EventText.ts"
import * as InspectorText from "./InspectorText.ts"

/** Height of a closed row in px, before it is measured. */
const rowEstimate = 53

/** Rows that are seen before the one that the slider has come to. */
const rowsBefore = 3

interface RowProps {
  readonly row: EventRows.EventRow
  readonly events: ReadonlyArray<TurnEvent>
  readonly totalMs: number
  readonly isOpen: boolean
  /** After the seq at which the turn is shown. */
  readonly isLater: boolean
  readonly toggle: () => void
}

const Detail = ({ events, row }: RowProps) => {
  const count = row.toSeq - row.fromSeq + 1
  const what = count === 1 ? `event ${row.fromSeq}` : `${count} deltas`
  const content = EventText.contentOf(events, row.fromSeq, row.toSeq)
  return (
    <div class="event-detail">
      <pre class="json" tabIndex={0} role="group" aria-label={`Content of ${what}`}>
        {EventText.shownJson(content)}
      </pre>
      <CopyButton what={what} text={() => EventText.json(content)} />
    </div>
  )
}

const Row = (props: RowProps) => {
  const { events, isLater, isOpen, row, toggle, totalMs } = props
  const first = events[row.fromSeq - 1]
  if (first === undefined) return null
  const bar = EventRows.barOf(row, totalMs)
  const count = row.toSeq - row.fromSeq + 1
  return (
    <div class={isLater ? "event later" : "event"} data-group={row.group} data-type={row.type}>
      <button type="button" class="event-line" aria-expanded={isOpen} onClick={toggle}>
        <span class="number quiet">{EventText.span(row.fromSeq, row.toSeq)}</span>
        <span class="event-type">
          {row.type}
          {count > 1 && <b class="number">{` ×${Words.number(count)}`}</b>}
        </span>
        <span class="number quiet">+{Words.milliseconds(row.fromMs)}</span>
        <span class="event-text quiet">{EventText.detailOf(first, row.chars)}</span>
        <span class="time-bar" aria-hidden="true">
          <i style={{ left: `min(${bar.left}%, 100% - 3px)`, width: `${bar.width}%` }} />
        </span>
      </button>
      {isOpen && <Detail {...props} />}
    </div>
  )
}

interface ToolsProps {
  readonly choice: Signal<EventRows.Choice>
  readonly counts: EventRows.Shown["counts"]
}

const Tools = ({ choice, counts }: ToolsProps) => {
  const { group, isEach } = choice.value
  return (
    <>
      <div class="row filters" role="group" aria-label="Filter events">
        {(["all", ...EventRows.groups] as const).map((name) => (
          <button
            key={name}
            type="button"
            class="small"
            aria-pressed={group === name}
            onClick={() => choice.value = { ...choice.peek(), group: name }}
          >
            {Words.capital(name)} <span class="number">{Words.number(counts[name])}</span>
          </button>
        ))}
        <button
          type="button"
          class="small"
          aria-pressed={isEach}
          title="One row for each delta, not for each run"
          onClick={() => choice.value = { ...choice.peek(), isEach: !isEach }}
        >
          Each delta
        </button>
      </div>
    </>
  )
}

const Slider = ({ last, looking }: { readonly last: number; readonly looking: Looking }) => {
  const at = looking.at.value
  const place = InspectorText.placeText(at, last)
  const move = (seq: number) => looking.rewind(seq >= last ? undefined : seq)
  return (
    <>
      <label class="slider">
        <span>Seq</span>
        <input
          type="range"
          min={1}
          max={last}
          value={at ?? last}
          aria-valuetext={place}
          onInput={({ currentTarget }) => move(currentTarget.valueAsNumber)}
        />
        <span class="number quiet" aria-hidden="true">{place}</span>
      </label>
      {at !== undefined && (
        <p class="row rewound">
          <span class="grow">
            Showing seq <span class="number">{place}</span>
          </span>
          <button type="button" class="small" onClick={() => looking.rewind(undefined)}>Back to now</button>
        </p>
      )}
    </>
  )
}

export interface Props {
  readonly looking: Looking
  readonly log: TurnLog
  readonly isRunning: boolean
  /** Kept outside, so that it outlives the panel. */
  readonly choice: Signal<EventRows.Choice>
}

export const EventsPanel = ({ choice, isRunning, log, looking }: Props) => {
  const chosen = choice.value
  const at = looking.at.value
  const { events } = log
  const model = useMemo(() => EventRows.make(chosen), [chosen])
  const { counts, rows, totalMs } = model.take(events)
  const opened = useSignal<ReadonlySet<string>>(new Set())
  const list = useRef<Handle | undefined>(undefined)

  // the row that the slider has come to is seen, and some before it
  useEffect(() => {
    const row = at === undefined ? undefined : rows[Math.max(0, EventRows.indexAt(rows, at) - rowsBefore)]
    if (row !== undefined) list.current?.scrollToKey(row.key)
  }, [at])

  const toggle = (key: string) => {
    const next = new Set(opened.peek())
    if (!next.delete(key)) next.add(key)
    opened.value = next
  }
  const isOpen = opened.value

  if (events.length === 0) return null
  return (
    <>
      <div class="event-tools">
        <Tools choice={choice} counts={counts} />
        {events.length > 1 && <Slider last={events.length} looking={looking} />}
      </div>
      {rows.length === 0
        ? (
          <p class="none">
            No event matches.{" "}
            <button type="button" class="small" onClick={() => choice.value = EventRows.everything}>Show all</button>
          </p>
        )
        : (
          <VirtualList
            class="events"
            label="Events"
            items={rows}
            keyOf={(row) => row.key}
            estimate={rowEstimate}
            stickToEnd={isRunning && at === undefined}
            handle={(handle) => list.current = handle}
            render={(row) => (
              <Row
                row={row}
                events={events}
                totalMs={totalMs}
                isOpen={isOpen.has(row.key)}
                isLater={at !== undefined && row.fromSeq > at}
                toggle={() => toggle(row.key)}
              />
            )}
          />
        )}
    </>
  )
}
