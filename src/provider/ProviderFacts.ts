/**
 * What is known of each provider: its setting with the catalogue's facts filled in. Pure.
 *
 * A catalogue key is inherited only together with the catalogue's host: an entry that points elsewhere names its own
 * key or sends none, so that no key reaches a host it was not meant for.
 */
import { assumedContextWindow, type Family, type ProviderSetting, type SettingsShape } from "../config/Settings.ts"
import * as Catalogue from "./Catalogue.ts"
import type { GenerationOptions } from "./Provider.ts"
import type { Capabilities, ModelInfo } from "./ProviderRegistry.ts"

/** One provider with the catalogue's facts filled in: what an adapter is made from. */
export interface ProviderFacts {
  readonly id: string
  readonly family: Family
  readonly baseUrl: string | undefined
  readonly region: string | undefined
  /** Names of the variables that hold its secrets. */
  readonly env: ReadonlyArray<string>
  readonly modelList: "closed" | "any"
  readonly models: ReadonlyArray<ModelInfo>
  /** Window and reserve of a model that an open list does not name. */
  readonly otherModel: Omit<ModelInfo, "id">
  readonly capabilities: Capabilities
  readonly generation: GenerationOptions
}

/** A window or reserve: the model's own entry, then the provider's, then the catalogue's, then an assumption. */
const sizes = (
  own: { readonly contextWindow?: number | undefined; readonly maxOutputTokens?: number | undefined },
  setting: ProviderSetting,
  entry: Catalogue.CatalogueEntry | undefined
): Omit<ModelInfo, "id"> => {
  const configured = own.contextWindow ?? setting.contextWindow
  const contextWindow = configured ?? entry?.contextWindow ?? assumedContextWindow
  return {
    contextWindow,
    contextWindowFrom: configured !== undefined
      ? "configured"
      : entry?.contextWindow !== undefined
      ? "catalogue"
      : "assumed",
    maxOutputTokens: Math.max(
      own.maxOutputTokens ?? setting.maxOutputTokens ??
        Catalogue.reserveFor(contextWindow, entry?.maxOutputTokens),
      setting.generation?.maxOutputTokens ?? 0
    )
  }
}

const envOf = (setting: ProviderSetting, family: Family, inherited: ReadonlyArray<string> | undefined) =>
  setting.apiKeyEnv !== undefined
    ? [setting.apiKeyEnv]
    : inherited ?? (family === "bedrock" ? Catalogue.signingEnv : [])

const factsOf = (setting: ProviderSetting): ProviderFacts | undefined => {
  const named = Catalogue.entries.find((candidate) => candidate.id === setting.id)
  const family = setting.family ?? named?.family
  if (family === undefined) return undefined
  const entry = family === "deterministic"
    ? Catalogue.entries.find((candidate) => candidate.family === family)
    : named !== undefined && (named.family === family || named.alsoFamilies.includes(family))
    ? named
    : undefined
  const models = setting.models ?? entry?.models ?? "any"
  const { prefix, reasoning, tools } = setting.capabilities ?? {}
  const offered = Catalogue.capabilities[family]
  return {
    id: setting.id,
    family,
    baseUrl: setting.baseUrl ?? entry?.baseUrl,
    region: setting.region,
    env: envOf(setting, family, setting.baseUrl === undefined ? entry?.env : undefined),
    modelList: models === "any" ? "any" : "closed",
    models: models === "any" ? [] : models.map((model) => {
      const own = typeof model === "string" ? { id: model } : model
      return { id: own.id, ...sizes(own, setting, entry) }
    }),
    otherModel: sizes({}, setting, entry),
    capabilities: {
      streaming: true,
      tools: tools ?? offered.tools,
      reasoning: reasoning ?? offered.reasoning,
      prefix: prefix ?? offered.prefix
    },
    generation: setting.generation ?? {}
  }
}

/** Configured providers in order, then those of the catalogue that nobody configured; `deterministic` comes first. */
export const allFacts = (settings: SettingsShape): ReadonlyArray<ProviderFacts> => {
  const configured = new Set(settings.providers.map((setting) => setting.id))
  const rest = Catalogue.entries.filter((entry) => !configured.has(entry.id)).map((entry) => ({ id: entry.id }))
  return [...settings.providers, ...rest].flatMap((setting) => factsOf(setting) ?? [])
}
