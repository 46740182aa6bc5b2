/**
 * Every setting in one place: the shape of the configuration file, defaults, and the settings that the rest of the
 * program reads. `SettingsLoader.ts` reads the file and the environment. No key beyond these is accepted.
 */
import * as Context from "effect/Context"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Prices } from "../domain/Cost.ts"

/** 1 to 2^31 - 1: beyond that a timer of the platform fires at once. */
const positive = Schema.Int.pipe(Schema.between(1, 2_147_483_647))
const setting = (fallback: number) => Schema.optionalWith(positive, { default: () => fallback })
/** What no timer is made of: any whole number that is still exact. */
const budget = Schema.optional(Schema.Int.pipe(Schema.between(1, Number.MAX_SAFE_INTEGER)))

export const Family = Schema.Literal(
  "deterministic",
  "openai-compatible",
  "openai-responses",
  "anthropic",
  "bedrock",
  "ollama",
  "replay"
)
export type Family = typeof Family.Type

/** The models of the deterministic provider; the first is its default. `provider/Deterministic.ts` plays them. */
export const deterministicModels = ["echo", "story", "slow", "fails", "stalls", "flaky"] as const

/** Tokens: the window of a model that neither its entry, its provider nor the catalogue describes. */
export const assumedContextWindow = 8_192

/** The name of an environment variable; never its value. */
const EnvName = Schema.String.pipe(Schema.pattern(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, {
  message: () => "must be the name of an environment variable (never the key itself)"
}))

/**
 * How a service differs from the plain format of its family. Absent: as most servers have it. The catalogue sets them
 * for the services that it knows.
 */
export const Quirks = Schema.Struct({
  /** The field that caps the answer. */
  maxTokensField: Schema.optional(Schema.Literal("max_tokens", "max_completion_tokens")),
  /**
   * How reasoning is asked for. Chat completions: by `reasoning_effort`, by a `reasoning` object (OpenRouter), on and
   * off by a `thinking` object (DeepSeek) or by `enable_thinking` (Alibaba), or not at all. Claude: `adaptive` for models
   * that choose their own budget.
   */
  reasoning: Schema.optional(Schema.Literal("effort", "object", "thinking", "enable_thinking", "adaptive", "none")),
  /** Whether `stream_options` is understood, which asks for usage. */
  streamOptions: Schema.optional(Schema.Boolean),
  /** The field that marks an answer to continue; counts where `capabilities.prefix` is on. */
  prefixField: Schema.optional(Schema.Literal("prefix", "partial"))
}).annotations({ identifier: "Quirks" })
export type Quirks = typeof Quirks.Type

const ModelSetting = Schema.Struct({
  id: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(256)),
  contextWindow: Schema.optional(positive),
  maxOutputTokens: Schema.optional(positive),
  /** Instead of the provider's. */
  prices: Schema.optional(Prices)
})

export const ProviderSetting = Schema.Struct({
  id: Schema.String.pipe(Schema.pattern(/^[A-Za-z0-9_.-]{1,64}$/, {
    message: () => "must be 1 to 64 characters of A-Z a-z 0-9 _ . -"
  })),
  /** Absent: as the catalogue knows the id. */
  family: Schema.optional(Family),
  baseUrl: Schema.optional(Schema.String),
  apiKeyEnv: Schema.optional(EnvName),
  /** The vendor's name of a region; it becomes part of a host name. */
  region: Schema.optional(Schema.String.pipe(Schema.pattern(/^[a-z]{2,16}(-[a-z]{1,32}){1,3}-\d{1,2}$/, {
    message: () => "must be the name of a region, for example us-east-1"
  }))),
  /** Path of the recording that family `replay` plays. */
  recording: Schema.optional(Schema.String.pipe(Schema.minLength(1))),
  /** Whether its raw streams are saved. */
  record: Schema.optional(Schema.Boolean),
  quirks: Schema.optional(Quirks),
  models: Schema.optional(Schema.Union(Schema.Literal("any"), Schema.Array(ModelSetting))),
  /** Tokens, for models that say nothing of their own. */
  contextWindow: Schema.optional(positive),
  maxOutputTokens: Schema.optional(positive),
  prices: Schema.optional(Prices),
  capabilities: Schema.optional(Schema.Struct({
    tools: Schema.optional(Schema.Boolean),
    reasoning: Schema.optional(Schema.Boolean),
    prefix: Schema.optional(Schema.Boolean)
  })),
  generation: Schema.optional(Schema.Struct({
    temperature: Schema.optional(Schema.Number.pipe(Schema.between(0, 2))),
    maxOutputTokens: Schema.optional(positive),
    reasoning: Schema.optional(Schema.Literal("off", "low", "medium", "high"))
  }))
})
export type ProviderSetting = typeof ProviderSetting.Type

export const Limits = Schema.Struct({
  /** Turns that run at once in this process. */
  runningTurns: setting(64),
  /** Open event streams. */
  eventStreams: setting(256),
  /** Open connections; absent: the event streams and `connectionsBesideStreams` more. */
  connections: Schema.optional(positive),
  /** Turns that wait behind a running one, per session. */
  queuedTurns: setting(16),
  /** UTF-8 bytes of everything a model says in one turn. */
  outputBytesPerTurn: setting(1_048_576),
  /** Until a connection to a provider is open. */
  connectMs: setting(10_000),
  firstTokenMs: setting(60_000),
  idleMs: setting(30_000),
  totalMs: setting(600_000),
  /** Request body, bytes. */
  bodyBytes: setting(262_144),
  /** Body of an import, bytes. */
  importBytes: setting(67_108_864),
  jsonDepth: setting(32),
  headerBytes: setting(16_384),
  headerTimeoutMs: setting(10_000),
  requestTimeoutMs: setting(30_000),
  heartbeatMs: setting(15_000),
  /** A reader that takes nothing for this long is dropped. */
  writeStallMs: setting(30_000),
  /** Budgets: a turn that begins at or over one fails with `BudgetExceeded`; absent: none. All of a session's tokens. */
  tokensPerSession: budget,
  /** All tokens of a day (UTC), those of deleted sessions too. */
  tokensPerDay: budget,
  /** Bytes in use in the database file. */
  databaseBytes: budget
})
export type Limits = typeof Limits.Type

/** The least that is logged. */
export const LogLevel = Schema.Literal("debug", "info", "warning", "error", "none")
export type LogLevel = typeof LogLevel.Type

/** Short requests, keep-alive, and readers of health. */
export const connectionsBesideStreams = 1_024

export const ConfigFile = Schema.Struct({
  defaults: Schema.optionalWith(
    Schema.Struct({
      provider: Schema.optionalWith(Schema.String, { default: () => "deterministic" }),
      model: Schema.optional(Schema.String),
      system: Schema.optional(Schema.String)
    }),
    { default: () => ({ provider: "deterministic" }) }
  ),
  network: Schema.optionalWith(
    Schema.Struct({
      /** Whether any provider beyond this process may be called. */
      live: Schema.optionalWith(Schema.Boolean, { default: () => false }),
      /** Whether a provider may be on this machine; without https then. */
      allowLoopback: Schema.optionalWith(Schema.Boolean, { default: () => false })
    }),
    { default: () => ({ live: false, allowLoopback: false }) }
  ),
  limits: Schema.optionalWith(Limits, { default: () => Schema.decodeSync(Limits)({}) }),
  providers: Schema.optionalWith(Schema.Array(ProviderSetting), { default: () => [] }),
  recovery: Schema.optionalWith(
    Schema.Struct({
      onRestart: Schema.optionalWith(Schema.Literal("interrupt", "resume"), { default: () => "interrupt" as const }),
      maxResumes: Schema.optionalWith(Schema.Int.pipe(Schema.nonNegative()), { default: () => 3 })
    }),
    { default: () => ({ onRestart: "interrupt" as const, maxResumes: 3 }) }
  ),
  /** Absent: every event is kept for ever. */
  retention: Schema.optional(Schema.Struct({
    /** Events of turns that closed more than so many days ago are folded to their lifecycle events; parts of a day count. */
    days: Schema.Number.pipe(Schema.between(0, 36_500)),
    /** Between two passes. */
    everyMs: setting(3_600_000)
  })),
  telemetry: Schema.optionalWith(
    Schema.Struct({
      /** Whether spans carry what was sent and said; keys and what looks like one are masked in it. */
      captureContent: Schema.optionalWith(Schema.Boolean, { default: () => false }),
      logLevel: Schema.optionalWith(LogLevel, { default: () => "info" as const })
    }),
    { default: () => ({ captureContent: false, logLevel: "info" as const }) }
  ),
  /** How long a shutdown waits for running turns. */
  drainMs: Schema.optionalWith(Schema.Int.pipe(Schema.between(0, 2_147_483_647)), { default: () => 10_000 }),
  /** Host names, with or without port, accepted besides loopback. */
  hosts: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] }),
  /** Origins accepted besides our own. */
  origins: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] })
}).annotations({ identifier: "ConfigFile" })
export type ConfigFile = typeof ConfigFile.Type

/** Where traces, metrics and logs are sent. */
export interface Otlp {
  /** The collector's base address; `/v1/traces`, `/v1/metrics` and `/v1/logs` are added. */
  readonly endpoint: string
  /** Headers of every export, by name: what the collector wants to know a sender by. */
  readonly headers: Redacted.Redacted<Readonly<Record<string, string>>>
  /** What the sender says of itself, by OpenTelemetry's names; wins over what it would say. */
  readonly resource?: Readonly<Record<string, string>>
}

export interface SettingsShape extends ConfigFile {
  readonly host: string
  readonly port: number
  /** Folder of the database, absolute. */
  readonly dataDir: string
  readonly durability: "full" | "relaxed"
  readonly token: Redacted.Redacted | undefined
  /** Absent: nothing is exported. */
  readonly otlp: Otlp | undefined
}

export class Settings extends Context.Tag("turnstream/config/Settings")<Settings, SettingsShape>() {}

/** Whether a host to listen on can be reached from this machine alone. */
export const isLoopback = (host: string): boolean => /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host)
