/** A context manifest in words and percents. Pure. */
import type { ContextManifest, Slot, SlotName } from "../../domain/Context.ts"
import type { TurnFacts } from "../session/TurnFacts.ts"

/** Where compaction would start, in percent of the window: what `ContextManifest.compaction` tells of. */
export const compactionPercent = 70

const titles: Readonly<Record<SlotName, string>> = {
  instructions: "Instructions",
  memory: "Memory",
  skills: "Skills",
  team: "Team",
  history: "Earlier messages",
  attachments: "Attachments",
  message: "This message"
}

export const titleOf = (slot: SlotName): string => titles[slot]

const actions = { included: "Included", clipped: "Clipped", omitted: "Omitted" } as const

const number = (value: number): string => value.toLocaleString("en")

/** What became of a slot, and why. */
export const actionText = ({ action, reason }: Pick<Slot, "action" | "reason">): string =>
  reason === undefined ? actions[action] : `${actions[action]}: ${reason}`

export const sumText = ({ budget, total }: ContextManifest): string => `${number(total)} of ${number(budget)} tokens`

export const windowText = ({ reserve, window }: ContextManifest): string =>
  `A window of ${number(window)}, of which ${number(reserve)} are kept free for the answer.`

export const compactionText = ({ compaction, total, window }: ContextManifest): string => {
  const used = window <= 0 ? "" : ` (${Math.round((total / window) * 1000) / 10} % used)`
  return compaction
    ? `Past ${compactionPercent} % of the window${used}: here compaction would start.`
    : `Below ${compactionPercent} % of the window${used}, where compaction would start.`
}

/** The bar for who does not see it. */
export const barText = (manifest: ContextManifest): string => {
  const parts = manifest.slots.filter(({ tokens }) => tokens > 0).map(({ slot, tokens }) =>
    `${titleOf(slot)} ${number(tokens)}`
  )
  return `${sumText(manifest)}, window ${number(manifest.window)}, reserve ${number(manifest.reserve)}: ${
    parts.length === 0 ? "nothing" : parts.join(", ")
  }`
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
export const noContext = (facts: TurnFacts): string => {
  if (facts.foldedAt !== undefined) return "Retention removed the record of what was sent."
  if (facts.status === "running") return "The context is not built yet."
  return facts.attempts === 0
    ? `No context was built: the turn ended before it. ${facts.error?.message ?? ""}`.trim()
    : "What was sent is not known here."
}
