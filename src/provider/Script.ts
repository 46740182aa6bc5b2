/**
 * What the deterministic provider is to do, as data. Two forms: steps, or the short form of
 * `{"deltas": 200, "delayMs": 20, "bytes": 40, "burst": 1}` whose text a test knows in advance: delta i (from 0) is
 * `String(i).padStart(bytes - 1, "0") + " "`, `delayMs` passes before each burst of `burst` deltas, usage is
 * `outputTokens = deltas`.
 */
import * as Schema from "effect/Schema"
import { ProviderFailureKind } from "../domain/TurnError.ts"
import { FinishReason } from "../domain/TurnEvent.ts"
import { Usage } from "../domain/Usage.ts"

/** Milliseconds on `Clock`; a day at most. */
const Millis = Schema.Int.pipe(Schema.between(0, 86_400_000))

/** Each step is an object with one verb. */
export const Step = Schema.Union(
  /** `text` split into deltas of `bytes` characters (default: one delta), all of it `repeat` times (default 1). */
  Schema.Struct({
    say: Schema.String,
    bytes: Schema.optional(Schema.Int.pipe(Schema.positive())),
    repeat: Schema.optional(Schema.Int.pipe(Schema.between(1, 64 * 1024 * 1024)))
  }),
  Schema.Struct({ reason: Schema.String, bytes: Schema.optional(Schema.Int.pipe(Schema.positive())) }),
  Schema.Struct({ wait: Millis }),
  /** `arguments`: default `{}`. `cut: true` streams half of them and never completes the call. */
  Schema.Struct({
    toolCall: Schema.Struct({
      id: Schema.optional(Schema.String),
      name: Schema.String,
      arguments: Schema.optional(Schema.Unknown)
    }),
    cut: Schema.optional(Schema.Boolean)
  }),
  /** Report usage now (twice: the last counts). "none": report nothing at the end either. */
  Schema.Struct({ usage: Schema.Union(Schema.Literal("none"), Schema.partial(Usage)) }),
  /** Fail here; `attempts: n` only in the first n attempts; `status: 200` is an answer that turned into an error. */
  Schema.Struct({
    fail: Schema.Struct({
      kind: ProviderFailureKind,
      attempts: Schema.optional(Schema.Int.pipe(Schema.positive())),
      status: Schema.optional(Schema.Int),
      retryAfterMs: Schema.optional(Schema.Int.pipe(Schema.nonNegative()))
    })
  }),
  /** One delta of this many characters. */
  Schema.Struct({ big: Schema.Int.pipe(Schema.between(1, 64 * 1024 * 1024)) }),
  /** The same delta for ever, `everyMs` apart (default 0). */
  Schema.Struct({ endless: Schema.String.pipe(Schema.minLength(1)), everyMs: Schema.optional(Millis) }),
  /** Say nothing more and never end. */
  Schema.Struct({ hang: Schema.Literal(true) }),
  /** Finish. Steps after it misbehave: a delta after the end, a second end. "none": end without a finish. */
  Schema.Struct({ end: Schema.Union(FinishReason, Schema.Literal("none")) })
)
export type Step = typeof Step.Type

export const ShortScript = Schema.Struct({
  deltas: Schema.Int.pipe(Schema.between(0, 1_000_000)),
  delayMs: Schema.optional(Millis),
  bytes: Schema.optional(Schema.Int.pipe(Schema.between(1, 16_777_216))),
  burst: Schema.optional(Schema.Int.pipe(Schema.between(1, 10_000)))
})
export type ShortScript = typeof ShortScript.Type

/** Steps without an `end` finish with `stop`. */
export const StepScript = Schema.Struct({ steps: Schema.Array(Step).pipe(Schema.maxItems(10_000)) })

export const Script = Schema.Union(ShortScript, StepScript).annotations({ identifier: "Script" })
export type Script = typeof Script.Type
