/**
 * What the reader looks at: which turn, at which seq, in which pane and panel. The newest turn is looked at until
 * another one is chosen.
 */
import { computed, type ReadonlySignal, signal } from "@preact/signals"
import type { ContextManifest } from "../../domain/Protocol.ts"
import { makeReaderFold } from "../../domain/TurnState.ts"
import type { TurnState } from "../../domain/TurnState.ts"
import type { OpenSession } from "./OpenSession.ts"
import { heldCharsMax, type TurnEntry } from "./TurnEntry.ts"
import * as TurnFacts from "./TurnFacts.ts"

export const panels = ["events", "context", "checkpoint", "usage"] as const
export type Panel = typeof panels[number]

/** What the next message would be sent with. */
export type Preview =
  | { readonly state: "asking" }
  | { readonly state: "known"; readonly manifest: ContextManifest }

export interface Looking {
  readonly session: ReadonlySignal<OpenSession | undefined>
  /** The turn that the inspector shows. */
  readonly turn: ReadonlySignal<TurnEntry | undefined>
  /** The seq up to which that turn is shown; undefined for all of it. */
  readonly at: ReadonlySignal<number | undefined>
  /** The fold of that turn's events as far as `at`; undefined where no events are here. */
  readonly folded: ReadonlySignal<TurnState | undefined>
  readonly panel: ReadonlySignal<Panel>
  /** On a phone one of the two is seen. */
  readonly pane: ReadonlySignal<"chat" | "inspector">
  readonly preview: ReadonlySignal<Preview | undefined>
  /** Undefined follows the newest turn again. */
  readonly chooseTurn: (entry: TurnEntry | undefined) => void
  readonly isChosen: ReadonlySignal<boolean>
  readonly rewind: (seq: number | undefined) => void
  readonly showPanel: (panel: Panel) => void
  readonly showPane: (pane: "chat" | "inspector") => void
  readonly showPreview: (preview: Preview | undefined) => void
  /** What the card of a turn shows: earlier where the reader has gone back in it. */
  readonly factsOf: (entry: TurnEntry) => TurnFacts.TurnFacts
}

const foldTo = (entry: TurnEntry, seq: number): TurnState | undefined => {
  const fold = makeReaderFold(undefined, heldCharsMax)
  for (const event of entry.log.value.events) {
    if (event.seq > seq) break
    fold.add(event)
  }
  return fold.state()
}

export const make = (session: ReadonlySignal<OpenSession | undefined>): Looking => {
  const chosen = signal<string | undefined>(undefined)
  const at = signal<number | undefined>(undefined)
  const panel = signal<Panel>("events")
  const pane = signal<"chat" | "inspector">("chat")
  const preview = signal<Preview | undefined>(undefined)

  const turn = computed(() => {
    const open = session.value
    const turns = open?.turns.value ?? []
    return (chosen.value === undefined ? undefined : open?.turn(chosen.value)) ?? turns.at(-1)
  })
  const folded = computed(() => {
    const entry = turn.value
    return entry === undefined || at.value === undefined ? entry?.log.value.folded : foldTo(entry, at.value)
  })

  /** Made once for all that show it. */
  const earlier = computed(() => {
    const state = folded.value
    const failures = turn.value?.facts.value.failures ?? []
    return state && TurnFacts.ofState(state, failures.filter(({ seq }) => seq <= state.lastSeq))
  })

  return {
    session,
    turn,
    at,
    folded,
    panel,
    pane,
    preview,
    isChosen: computed(() => chosen.value !== undefined),
    chooseTurn: (entry) => {
      if (entry?.id !== turn.peek()?.id) at.value = undefined
      chosen.value = entry?.id
    },
    rewind: (seq) => {
      // what is looked at must not change under the reader
      if (seq !== undefined) chosen.value = turn.peek()?.id
      at.value = seq
    },
    showPanel: (next) => {
      panel.value = next
    },
    showPane: (next) => {
      pane.value = next
    },
    showPreview: (next) => {
      preview.value = next
    },
    factsOf: (entry) =>
      (at.value !== undefined && turn.value === entry ? earlier.value : undefined) ?? entry.facts.value
  }
}
