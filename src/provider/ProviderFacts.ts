/**
 * What is known of each provider: its setting with the catalogue's facts filled in. Pure.
 *
 * A catalogue key is inherited only together with the catalogue's host: an entry that points elsewhere names its own
 * key or sends none, so that no key reaches a host it was not meant for. Bedrock signs wherever it is: a signature is no
 * key, but temporary credentials send their session token with it.
 */
import * as Catalogue from "../config/Catalogue.ts"
import {
  assumedContextWindow,
  type Family,
  type ProviderSetting,
  type Quirks,
  type SettingsShape
} from "../config/Settings.ts"
import type { Prices } from "../domain/Cost.ts"
import type { GenerationOptions } from "./Provider.ts"
import type { Capabilities, ModelInfo } from "./ProviderRegistry.ts"

/** The reserve where nobody set one: at most this, and never more than a quarter of the window. */
const assumedReserve = 8_192

const reserveFor = (window: number, reserve: number = assumedReserve): number =>
  Math.max(1, Math.min(reserve, Math.floor(window / 4)))

/** What a family's protocol offers; the catalogue and a provider's configuration may correct it. */
const capabilities: Readonly<Record<Family, Capabilities>> = {
  "deterministic": { streaming: true, tools: true, reasoning: true, prefix: true },
  "openai-compatible": { streaming: true, tools: true, reasoning: true, prefix: false },
  "openai-responses": { streaming: true, tools: true, reasoning: true, prefix: false },
  "anthropic": { streaming: true, tools: true, reasoning: true, prefix: true },
  "bedrock": { streaming: true, tools: true, reasoning: true, prefix: false },
  "ollama": { streaming: true, tools: true, reasoning: true, prefix: true },
  "replay": { streaming: true, tools: true, reasoning: true, prefix: false }
}

/** The one model of a replayed recording, which names the model that gave it. */
const recordedModel = "recording"

/** One provider with the catalogue's facts filled in: what an adapter is made from. */
export interface ProviderFacts {
  readonly id: string
  readonly family: Family
  readonly baseUrl: string | undefined
  readonly region: string | undefined
  /** Names of the variables that hold its secrets. */
  readonly env: ReadonlyArray<string>
  /** Names of variables that are used where they are set. */
  readonly optionalEnv: ReadonlyArray<string>
  /** The one of them that holds a bearer key or token; absent where requests are signed or no key is sent. */
  readonly apiKeyEnv: string | undefined
  /** Where its wire format differs from its family's. */
  readonly quirks: Quirks
  /** Whether its raw streams are saved. */
  readonly record: boolean
  /** Path of the recording that it plays. */
  readonly recording: string | undefined
  readonly modelList: "closed" | "any"
  readonly models: ReadonlyArray<ModelInfo>
  /** Window, reserve and prices of a model that an open list does not name. */
  readonly otherModel: Omit<ModelInfo, "id">
  readonly capabilities: Capabilities
  readonly generation: GenerationOptions
}

/** Window, reserve and prices: the model's own entry, then the provider's, then the catalogue's, then an assumption. */
const sizes = (
  own: {
    readonly contextWindow?: number | undefined
    readonly maxOutputTokens?: number | undefined
    readonly prices?: Prices | undefined
  },
  setting: ProviderSetting,
  entry: Catalogue.CatalogueEntry | undefined
): Omit<ModelInfo, "id"> => {
  const configured = own.contextWindow ?? setting.contextWindow
  const contextWindow = configured ?? entry?.contextWindow ?? assumedContextWindow
  const prices = own.prices ?? setting.prices
  return {
    ...(prices === undefined ? {} : { prices }),
    contextWindow,
    contextWindowFrom: configured !== undefined
      ? "configured"
      : entry?.contextWindow !== undefined
      ? "catalogue"
      : "assumed",
    maxOutputTokens: Math.max(
      own.maxOutputTokens ?? setting.maxOutputTokens ??
        reserveFor(contextWindow, entry?.maxOutputTokens),
      setting.generation?.maxOutputTokens ?? 0
    )
  }
}

const envOf = (setting: ProviderSetting, family: Family, inherited: ReadonlyArray<string> | undefined) =>
  setting.apiKeyEnv !== undefined
    ? [setting.apiKeyEnv]
    : inherited ?? (family === "bedrock" ? Catalogue.signingEnv : [])

/** The host of a family that derives it from the region. */
const baseUrlOf = (family: Family, region: string | undefined): string | undefined =>
  family === "bedrock" && region !== undefined ? `https://bedrock-runtime.${region}.amazonaws.com` : undefined

const factsOf = (setting: ProviderSetting): ProviderFacts | undefined => {
  const named = Catalogue.find(setting.id)
  const family = setting.family ?? named?.family
  if (family === undefined) return undefined
  const entry = family === "deterministic"
    ? Catalogue.find(family)
    : named !== undefined && (named.family === family || named.alsoFamilies.includes(family))
    ? named
    : undefined
  const models = setting.models ?? (family === "replay" ? [recordedModel] : entry?.models) ?? "any"
  const { prefix, reasoning, tools } = setting.capabilities ?? {}
  const offered = capabilities[family]
  const env = envOf(setting, family, setting.baseUrl === undefined ? entry?.env : undefined)
  return {
    id: setting.id,
    family,
    baseUrl: setting.baseUrl ?? entry?.baseUrl ?? baseUrlOf(family, setting.region),
    region: setting.region,
    env,
    optionalEnv: family === "bedrock" && setting.apiKeyEnv === undefined ? [Catalogue.sessionEnv] : [],
    apiKeyEnv: setting.apiKeyEnv ?? (family === "bedrock" ? undefined : env[0]),
    quirks: { ...entry?.quirks, ...setting.quirks },
    record: setting.record ?? false,
    recording: setting.recording,
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
      prefix: prefix ?? entry?.prefix ?? offered.prefix
    },
    generation: setting.generation ?? {}
  }
}

/** Configured providers in order, then those of the catalogue that nobody configured; `deterministic` comes first. */
export const allFacts = (settings: SettingsShape): ReadonlyArray<ProviderFacts> => {
  const configured = new Set(settings.providers.map((setting) => setting.id))
  const rest = Catalogue.listedIds.filter((id) => !configured.has(id)).map((id) => ({ id }))
  return [...settings.providers, ...rest].flatMap((setting) => factsOf(setting) ?? [])
}

/** A model's window, reserve and prices, listed or not. */
export const modelOf = (facts: ProviderFacts, modelId: string): ModelInfo =>
  facts.models.find((model) => model.id === modelId) ?? { id: modelId, ...facts.otherModel }
