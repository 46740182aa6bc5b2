/**
 * What is known of providers before anybody configures them, as data: families, hosts, variable names, quirks.
 *
 * No list of live models: vendors change theirs weekly and a stale list refuses what works. A configured provider with
 * an id of the catalogue inherits these facts; an entry by itself calls nothing and reads no key. All of it is unproven:
 * it was read in the vendors' documentation and in the sources of other clients (docs/providers.md), and never called.
 */
import { deterministicModels, type Family, type Quirks } from "./Settings.ts"

export interface CatalogueEntry {
  readonly id: string
  readonly family: Family
  /** Other families that speak to the same host with the same key. */
  readonly alsoFamilies: ReadonlyArray<Family>
  /** Listed among the providers without being configured. */
  readonly listed: boolean
  readonly baseUrl: string | undefined
  /** Names of the variables that must be set; never their values. */
  readonly env: ReadonlyArray<string>
  /** A closed list, or "any". */
  readonly models: ReadonlyArray<string> | "any"
  /** Tokens; undefined where only a model's own entry could say. */
  readonly contextWindow: number | undefined
  readonly maxOutputTokens: number | undefined
  /** Whether it continues an assistant prefix; undefined: as its family does. */
  readonly prefix: boolean | undefined
  /** How it differs from the plain format of `openai-compatible`. */
  readonly quirks: Quirks
}

/** The variables with which Bedrock requests are signed when no bearer token is configured. */
export const signingEnv: ReadonlyArray<string> = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
/** And the one that temporary credentials add. */
export const sessionEnv = "AWS_SESSION_TOKEN"

const live = {
  alsoFamilies: [],
  models: "any",
  contextWindow: undefined,
  maxOutputTokens: undefined,
  prefix: undefined,
  quirks: {}
} as const

const builtIn: ReadonlyArray<CatalogueEntry> = [
  {
    ...live,
    id: "deterministic",
    family: "deterministic",
    listed: true,
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
    listed: true,
    baseUrl: "https://api.openai.com/v1",
    env: ["OPENAI_API_KEY"],
    quirks: { maxTokensField: "max_completion_tokens" }
  },
  {
    ...live,
    id: "anthropic",
    family: "anthropic",
    listed: true,
    baseUrl: "https://api.anthropic.com",
    env: ["ANTHROPIC_API_KEY"]
  },
  { ...live, id: "bedrock", family: "bedrock", listed: true, baseUrl: undefined, env: signingEnv },
  { ...live, id: "ollama", family: "ollama", listed: true, baseUrl: "http://127.0.0.1:11434", env: [] }
]

type Service = readonly [
  id: string,
  baseUrl: string,
  env: string | undefined,
  facts?: { readonly quirks?: Quirks; readonly prefix?: boolean }
]

/** Services that speak chat completions; each is there once its id stands in the configuration. */
const services: ReadonlyArray<Service> = [
  ["alibaba", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY", {
    quirks: { maxTokensField: "max_completion_tokens", reasoning: "enable_thinking", prefixField: "partial" },
    prefix: true
  }],
  ["cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", {
    quirks: { maxTokensField: "max_completion_tokens" }
  }],
  ["cohere", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY", { quirks: { streamOptions: false } }],
  ["deepinfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"],
  ["deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", { quirks: { reasoning: "thinking" } }],
  ["fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"],
  ["google", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"],
  ["groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", { quirks: { streamOptions: false }, prefix: true }],
  ["huggingface", "https://router.huggingface.co/v1", "HF_TOKEN", { quirks: { reasoning: "none" } }],
  ["llama-cpp", "http://127.0.0.1:8080/v1", undefined, { quirks: { reasoning: "none" }, prefix: true }],
  ["lm-studio", "http://127.0.0.1:1234/v1", undefined, { quirks: { reasoning: "none" } }],
  ["mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", { quirks: { streamOptions: false } }],
  ["moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", {
    quirks: { reasoning: "thinking", prefixField: "partial" },
    prefix: true
  }],
  ["novita", "https://api.novita.ai/openai/v1", "NOVITA_API_KEY", { quirks: { reasoning: "enable_thinking" } }],
  ["nvidia", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY", { quirks: { reasoning: "none" } }],
  ["openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", { quirks: { reasoning: "object" } }],
  ["perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY", { quirks: { streamOptions: false } }],
  ["sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY", { quirks: { reasoning: "none" } }],
  ["together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"],
  ["vercel", "https://ai-gateway.vercel.sh/v1", "AI_GATEWAY_API_KEY", { quirks: { reasoning: "object" } }],
  ["vllm", "http://127.0.0.1:8000/v1", undefined, { quirks: { reasoning: "none" } }],
  ["xai", "https://api.x.ai/v1", "XAI_API_KEY"],
  ["zai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", { quirks: { reasoning: "thinking" } }]
]

export const entries: ReadonlyArray<CatalogueEntry> = [
  ...builtIn,
  ...services.map(([id, baseUrl, env, facts]): CatalogueEntry => ({
    ...live,
    id,
    family: "openai-compatible",
    listed: false,
    baseUrl,
    env: env === undefined ? [] : [env],
    prefix: facts?.prefix,
    quirks: facts?.quirks ?? {}
  }))
]

export const find = (id: string): CatalogueEntry | undefined => entries.find((entry) => entry.id === id)

/** Ids that are there without being configured. */
export const listedIds: ReadonlyArray<string> = entries.filter(({ listed }) => listed).map(({ id }) => id)
