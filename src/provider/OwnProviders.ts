/**
 * Providers that a program brings itself, beside those of the settings. They are asked for by their ids as any other, and
 * an id that the settings have too is the program's: it was written by whoever knows both.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Prices } from "../domain/Cost.ts"
import { UnknownModel, UnknownProvider } from "../domain/TurnError.ts"
import { suggest } from "./Nearest.ts"
import type { GenerationOptions, Provider } from "./Provider.ts"
import {
  type Capabilities,
  type ModelInfo,
  type ProviderDiagnostics,
  ProviderRegistry,
  type Resolved
} from "./ProviderRegistry.ts"

export interface OwnModel {
  readonly id: string
  /** Tokens. */
  readonly contextWindow: number
  /** Tokens kept free for the answer. */
  readonly maxOutputTokens: number
  readonly prices?: Prices
}

export interface OwnProvider {
  readonly provider: Provider
  /** The first is used where a turn names none. */
  readonly models: readonly [OwnModel, ...Array<OwnModel>]
  /** Absent: it streams, and does nothing else. `prefix`: it continues an answer that a resumed turn brings along. */
  readonly capabilities?: Partial<Capabilities>
  /** Its own defaults; a turn's options win. */
  readonly generation?: GenerationOptions
}

interface Entry {
  readonly provider: Provider
  readonly models: ReadonlyArray<ModelInfo>
  readonly capabilities: Capabilities
  readonly generation: GenerationOptions
}

const entryOf = ({ capabilities, generation = {}, models, provider }: OwnProvider): Entry => ({
  provider,
  models: models.map((model) => ({ ...model, contextWindowFrom: "configured" })),
  capabilities: { streaming: true, tools: false, reasoning: false, prefix: false, ...capabilities },
  generation
})

const diagnosed = ({ capabilities, models, provider: { id } }: Entry): ProviderDiagnostics => ({
  id,
  family: "own",
  readiness: "ready",
  env: [],
  modelList: "closed",
  models,
  ...(models[0] === undefined ? {} : { defaultModel: models[0].id }),
  capabilities
})

const beside = (configured: ProviderRegistry["Type"], own: ReadonlyArray<OwnProvider>): ProviderRegistry["Type"] => {
  const entries = own.map(entryOf)
  const find = (id: string) => entries.find(({ provider }) => provider.id === id)

  const resolveOwn = (entry: Entry, modelId: string): Effect.Effect<Resolved, UnknownModel> => {
    const { capabilities, generation, models, provider } = entry
    const model = models.find(({ id }) => id === modelId)
    if (model !== undefined) return Effect.succeed({ provider, model, capabilities, generation })
    const known = models.map(({ id }) => id)
    return new UnknownModel({ providerId: provider.id, modelId, known, ...suggest(modelId, known) })
  }

  return {
    defaults: {
      provider: configured.defaults.provider,
      model: (id) => find(id)?.models[0]?.id ?? configured.defaults.model(id)
    },
    resolve: (id, modelId) => {
      const entry = find(id)
      if (entry !== undefined) return resolveOwn(entry, modelId)
      return Effect.catchTag(configured.resolve(id, modelId), "UnknownProvider", (error) => {
        const known = [...entries.map(({ provider }) => provider.id), ...error.known]
        return new UnknownProvider({ providerId: id, known, ...suggest(id, known) })
      })
    },
    prices: (id, modelId) => {
      const entry = find(id)
      return entry === undefined
        ? configured.prices(id, modelId)
        : entry.models.find((model) => model.id === modelId)?.prices
    },
    diagnostics: Effect.map(configured.diagnostics, (others) => [
      ...entries.map(diagnosed),
      ...others.filter(({ id }) => find(id) === undefined)
    ])
  }
}

/** The registry that is there with these before it. */
export const layer = (own: ReadonlyArray<OwnProvider>): Layer.Layer<ProviderRegistry, never, ProviderRegistry> =>
  Layer.effect(ProviderRegistry, Effect.map(ProviderRegistry, (configured) => beside(configured, own)))
