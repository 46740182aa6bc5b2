/** What a turn was sent, as facts: ordered slots, token counts and the hash that a rebuild must give again. */
import * as Schema from "effect/Schema"

/** The order in which slots reach the model. */
export const SlotName = Schema.Literal(
  "instructions",
  "memory",
  "skills",
  "team",
  "history",
  "attachments",
  "message"
)
export type SlotName = typeof SlotName.Type

export const Slot = Schema.Struct({
  slot: SlotName,
  /** Who supplied it, for example `session.system` or `journal`. */
  source: Schema.String,
  tokens: Schema.Int,
  /** SHA-256 (hex) of the slot's canonical JSON. */
  hash: Schema.String,
  action: Schema.Literal("included", "clipped", "omitted"),
  reason: Schema.optional(Schema.String)
}).annotations({ identifier: "ContextSlot" })
export type Slot = typeof Slot.Type

export const ContextManifest = Schema.Struct({
  slots: Schema.Array(Slot),
  /** Tokens the context may use: window - reserve. */
  budget: Schema.Int,
  /** Tokens kept free for the answer. */
  reserve: Schema.Int,
  window: Schema.Int,
  /** Tokens of all that is included. */
  total: Schema.Int,
  /** SHA-256 (hex) over the hashes of the included slots, in order. */
  hash: Schema.String,
  /** True where `total` passes 0.7 of the window: where compaction would start. */
  compaction: Schema.Boolean
}).annotations({ identifier: "ContextManifest" })
export type ContextManifest = typeof ContextManifest.Type
