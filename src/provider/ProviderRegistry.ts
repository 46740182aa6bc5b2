/**
 * Which providers and models there are, and whether each can be used now. Driven by configuration; never falls back:
 * an unknown id is `UnknownProvider` with the known ids and a suggestion.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Prices } from "../domain/Cost.ts"
import type { ProviderBlocked, UnknownModel, UnknownProvider } from "../domain/TurnError.ts"
import type { GenerationOptions, Provider } from "./Provider.ts"

export const Capabilities = Schema.Struct({
  streaming: Schema.Boolean,
  tools: Schema.Boolean,
  reasoning: Schema.Boolean,
  /** Continues an assistant prefix, which a resumed turn needs. */
  prefix: Schema.Boolean
}).annotations({ identifier: "Capabilities" })
export type Capabilities = typeof Capabilities.Type

/** Where a number comes from, so that a person knows how far to trust it. */
export const Provenance = Schema.Literal("configured", "catalogue", "assumed")

export const ModelInfo = Schema.Struct({
  id: Schema.String,
  /** Tokens. */
  contextWindow: Schema.Int,
  contextWindowFrom: Provenance,
  /** Tokens kept free for the answer. */
  maxOutputTokens: Schema.Int,
  /** Absent where nobody configured any: what calls of it cost is unknown then. */
  prices: Schema.optional(Prices)
}).annotations({ identifier: "ModelInfo" })
export type ModelInfo = typeof ModelInfo.Type

/** Readiness: names of variables, never their values. */
export const ProviderDiagnostics = Schema.Struct({
  id: Schema.String,
  family: Schema.String,
  /** `unproven`: configured and allowed, never called from here yet. */
  readiness: Schema.Literal("ready", "blocked", "unproven"),
  /** Why it is blocked and what to do; absent when it is ready. */
  reason: Schema.optional(Schema.String),
  env: Schema.Array(Schema.Struct({ name: Schema.String, present: Schema.Boolean })),
  /** "any": the list is open, `models` holds what is known of it. */
  modelList: Schema.Literal("closed", "any"),
  models: Schema.Array(ModelInfo),
  defaultModel: Schema.optional(Schema.String),
  capabilities: Capabilities
}).annotations({ identifier: "ProviderDiagnostics" })
export type ProviderDiagnostics = typeof ProviderDiagnostics.Type

/** A provider and a model that exist and can be called. */
export interface Resolved {
  readonly provider: Provider
  readonly model: ModelInfo
  readonly capabilities: Capabilities
  /** The provider's configured defaults; a request's own options win. */
  readonly generation: GenerationOptions
}

export class ProviderRegistry extends Context.Tag("turnstream/provider/ProviderRegistry")<ProviderRegistry, {
  /** The model a provider uses when a request names none; the id itself may be unknown, `resolve` says so. */
  readonly defaults: { readonly provider: string; readonly model: (providerId: string) => string }
  /** Checked in this order: known provider, known model, not blocked, a model named. Reads env vars at call time. */
  readonly resolve: (
    providerId: string,
    modelId: string
  ) => Effect.Effect<Resolved, UnknownProvider | UnknownModel | ProviderBlocked>
  /** What calls of a model cost, whether or not it can be called now; undefined where nobody configured it. */
  readonly prices: (providerId: string, modelId: string) => Prices | undefined
  /** Every provider in configuration order, then the catalogue's. No network. */
  readonly diagnostics: Effect.Effect<ReadonlyArray<ProviderDiagnostics>>
}>() {}
