/** What the turn engine reads of the configuration; `layers.ts` takes it from the settings of the whole program. */
import * as Context from "effect/Context"

export interface TurnLimits {
  /** Sessions that run a turn at once. */
  readonly runningTurns: number
  /** Turns that wait behind a running one, per session. */
  readonly queuedTurns: number
  /** UTF-8 bytes of everything a model says in one turn. */
  readonly outputBytesPerTurn: number
  readonly firstTokenMs: number
  readonly idleMs: number
  readonly totalMs: number
  /** Budgets; absent: none. */
  readonly tokensPerSession?: number | undefined
  readonly tokensPerDay?: number | undefined
  readonly databaseBytes?: number | undefined
}

export interface TurnTelemetrySettings {
  /** Whether a tracer listens: a span that nobody sees costs as much as a delta. */
  readonly spans: boolean
  /** How what was sent and said is shown in spans, keys masked; undefined: not at all. */
  readonly content: ((text: string) => string) | undefined
  /** The least that is logged of turns. */
  readonly logLevel: "debug" | "info" | "warning" | "error" | "none"
}

export class TurnSettings extends Context.Tag("turnstream/turn/TurnSettings")<TurnSettings, {
  readonly limits: TurnLimits
  /** How long a shutdown waits for running turns. */
  readonly drainMs: number
  readonly recovery: { readonly onRestart: "interrupt" | "resume"; readonly maxResumes: number }
  readonly telemetry: TurnTelemetrySettings
  /** Instructions where neither request nor session has any. */
  readonly defaults: { readonly system?: string | undefined }
}>() {}
