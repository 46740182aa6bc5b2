/**
 * What is known of providers before anybody configures them, as data: families, hosts, variable names, capabilities.
 *
 * No list of live models: vendors change theirs weekly and a stale list refuses what works. A configured provider with
 * an id of the catalogue inherits these facts; an entry by itself calls nothing and reads no key.
 */
import { deterministicModels, type Family } from "../config/Settings.ts"
import type { Capabilities } from "./ProviderRegistry.ts"

export interface CatalogueEntry {
  readonly id: string
  readonly family: Family
  /** Other families that speak to the same host with the same key. */
  readonly alsoFamilies: ReadonlyArray<Family>
  readonly baseUrl: string | undefined
  /** Names of the variables that must be set; never their values. */
  readonly env: ReadonlyArray<string>
  /** A closed list, or "any". */
  readonly models: ReadonlyArray<string> | "any"
  /** Tokens; undefined where only a model's own entry could say. */
  readonly contextWindow: number | undefined
  readonly maxOutputTokens: number | undefined
}

/** The reserve where nobody set one: at most this, and never more than a quarter of the window. */
const assumedReserve = 8_192

export const reserveFor = (window: number, reserve: number = assumedReserve): number =>
  Math.max(1, Math.min(reserve, Math.floor(window / 4)))

/** What a family's protocol offers; a provider's configuration may correct it. */
export const capabilities: Readonly<Record<Family, Capabilities>> = {
  "deterministic": { streaming: true, tools: true, reasoning: true, prefix: true },
  "openai-compatible": { streaming: true, tools: true, reasoning: true, prefix: false },
  "openai-responses": { streaming: true, tools: true, reasoning: true, prefix: false },
  "anthropic": { streaming: true, tools: true, reasoning: true, prefix: true },
  "bedrock": { streaming: true, tools: true, reasoning: true, prefix: false },
  "ollama": { streaming: true, tools: true, reasoning: true, prefix: true },
  "replay": { streaming: true, tools: true, reasoning: true, prefix: false }
}

const live = { models: "any", contextWindow: undefined, maxOutputTokens: undefined, alsoFamilies: [] } as const

/** The variables with which Bedrock requests are signed when no bearer token is configured. */
export const signingEnv: ReadonlyArray<string> = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]

export const entries: ReadonlyArray<CatalogueEntry> = [
  {
    id: "deterministic",
    family: "deterministic",
    alsoFamilies: [],
    baseUrl: undefined,
    env: [],
    models: deterministicModels,
    contextWindow: 131_072,
    maxOutputTokens: 8_192
  },
  {
    ...live,
    id: "openai",
    family: "openai-responses",
    alsoFamilies: ["openai-compatible"],
    baseUrl: "https://api.openai.com/v1",
    env: ["OPENAI_API_KEY"]
  },
  {
    ...live,
    id: "anthropic",
    family: "anthropic",
    baseUrl: "https://api.anthropic.com",
    env: ["ANTHROPIC_API_KEY"]
  },
  { ...live, id: "bedrock", family: "bedrock", baseUrl: undefined, env: signingEnv },
  { ...live, id: "ollama", family: "ollama", baseUrl: "http://127.0.0.1:11434", env: [] }
]
