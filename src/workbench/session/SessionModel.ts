/**
 * The turns of one session in the order of their beginnings. What comes from the server goes in by `addSummaries` and
 * `take`; `publish` shows it.
 */
import { type ReadonlySignal, signal } from "@preact/signals"
import type { Turn } from "../../client/Resources.ts"
import type { TurnEvent } from "../../domain/Protocol.ts"
import * as TurnEntry from "./TurnEntry.ts"

export interface SessionModel {
  readonly turns: ReadonlySignal<ReadonlyArray<TurnEntry.TurnEntry>>
  readonly turn: (id: string) => TurnEntry.TurnEntry | undefined
  /** Turns that are not known yet are added; of the others it is heard how they stand. */
  readonly addSummaries: (turns: ReadonlyArray<Turn>) => void
  /** The turn of this event where earlier events of it have to be read; its id alone where the page never saw it begin. */
  readonly take: (event: TurnEvent) => TurnEntry.TurnEntry | string | undefined
  /** To be published with the next frame, for a change that no event made. */
  readonly touch: (entry: TurnEntry.TurnEntry) => void
  /** Shows what was taken since the last time; the turns that changed. */
  readonly publish: () => ReadonlyArray<TurnEntry.TurnEntry>
}

export const make = (): SessionModel => {
  const list: Array<TurnEntry.TurnEntry> = []
  const byId = new Map<string, TurnEntry.TurnEntry>()
  const changed = new Set<TurnEntry.TurnEntry>()
  const turns = signal<ReadonlyArray<TurnEntry.TurnEntry>>([])

  const begin = (
    id: string,
    summary: Turn | undefined,
    parents: { readonly retryOf?: string | undefined; readonly resumedFrom?: string | undefined }
  ): TurnEntry.TurnEntry => {
    const entry = TurnEntry.make(id, list.length + 1, summary)
    list.push(entry)
    byId.set(id, entry)
    changed.add(entry)
    if (parents.retryOf !== undefined) byId.get(parents.retryOf)?.child("retry", entry.number)
    if (parents.resumedFrom !== undefined) byId.get(parents.resumedFrom)?.child("resume", entry.number)
    return entry
  }

  return {
    turns,
    turn: (id) => byId.get(id),
    addSummaries: (summaries) => {
      for (const summary of summaries) {
        const known = byId.get(summary.id)
        if (known === undefined) begin(summary.id, summary, summary)
        else {
          known.summarize(summary)
          changed.add(known)
        }
      }
    },
    take: (event) => {
      const known = byId.get(event.turnId)
      if (known === undefined && event.type !== "turn.started") return event.turnId
      const entry = known ?? begin(event.turnId, undefined, event.type === "turn.started" ? event.data : {})
      changed.add(entry)
      return entry.take(event) ? undefined : entry
    },
    touch: (entry) => changed.add(entry),
    publish: () => {
      const shown = [...changed]
      changed.clear()
      for (const entry of shown) entry.publish()
      if (list.length !== turns.peek().length) turns.value = [...list]
      return shown
    }
  }
}
