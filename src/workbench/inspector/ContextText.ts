/** A context manifest in words and percents. Pure. */
import type { ContextManifest, Slot, SlotName } from "../../domain/Protocol.ts"
import * as Words from "../kit/Words.ts"
import type { TurnFacts } from "../session/TurnFacts.ts"

/** Where compaction would start, in percent of the window: what `ContextManifest.compaction` tells of. */
export const compactionPercent = 70

export const titleOf = (slot: SlotName): string =>
  slot === "history" ? "Earlier messages" : slot === "message" ? "This message" : Words.capital(slot)

/** What became of a slot, and why. */
export const actionText = ({ action, reason }: Pick<Slot, "action" | "reason">): string =>
  Words.capital(action) + (reason === undefined ? "" : `: ${reason}`)

export const sumText = ({ budget, total }: ContextManifest): string =>
  `${Words.number(total)} of ${Words.number(budget)} tokens`

export const windowText = ({ reserve, window }: ContextManifest): string =>
  `A window of ${Words.number(window)}, of which ${Words.number(reserve)} are kept free for the answer.`

export const compactionText = ({ compaction, total, window }: ContextManifest): string => {
  const used = window <= 0 ? "" : ` (${Math.round((total / window) * 1000) / 10} % used)`
  return compaction
    ? `Past ${compactionPercent} % of the window${used}: here compaction would start.`
    : `Below ${compactionPercent} % of the window${used}, where compaction would start.`
}

/** The bar for who does not see it. */
export const barText = (manifest: ContextManifest): string => {
  const parts = manifest.slots.filter(({ tokens }) => tokens > 0).map(({ slot, tokens }) =>
    `${titleOf(slot)} ${Words.number(tokens)}`
  )
  return `${sumText(manifest)}: ${parts.join(", ")}`
}

/** Parts of the window, in percent; together at most 100. */
export const partsOf = ({ slots, window }: ContextManifest): ReadonlyArray<{ slot: Slot; percent: number }> => {
  let left = 100
  return slots.filter(({ tokens }) => tokens > 0).map((slot) => {
    const percent = window <= 0 ? 0 : Math.min(left, (slot.tokens / window) * 100)
    left -= percent
    return { slot, percent }
  })
}

/** Why a turn has no context. */
export const noContext = (facts: TurnFacts): string =>
  facts.status === "running" ? "The context is not built yet." : "No context was built: the turn ended before."
