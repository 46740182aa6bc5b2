/** What requests hold and answers give, as plain types (as `domain/Protocol.ts`, and proved with it). */
import type {
  FinishReason,
  Phase,
  ProviderFailureKind,
  ToolCallPart,
  TurnErrorInfo,
  Usage,
  UsageSource
} from "../domain/Protocol.ts"

/** A page of a list, ascending. `nextCursor` is there while there is more. */
export interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly nextCursor?: string | undefined
}

export interface Session {
  readonly id: string
  readonly title?: string | undefined
  readonly provider?: string | undefined
  readonly model?: string | undefined
  readonly system?: string | undefined
  readonly createdAt: string
  readonly updatedAt: string
  readonly turnCount: number
  /** The turn that holds the session. */
  readonly running: string | null
}

export interface NewSession {
  readonly title?: string | undefined
  readonly provider?: string | undefined
  readonly model?: string | undefined
  readonly system?: string | undefined
}

/** `null` clears a setting, absent leaves it. */
export interface SessionChange {
  readonly title?: string | null
  readonly provider?: string | null
  readonly model?: string | null
  readonly system?: string | null
}

export interface Turn {
  readonly id: string
  readonly sessionId: string
  readonly status: "running" | "completed" | "failed"
  readonly phase: Phase
  readonly text: string
  readonly reasoning: string
  readonly whole?: false | undefined
  readonly finishReason?: FinishReason | undefined
  readonly error?: TurnErrorInfo | undefined
  /** Over all attempts; null where nobody reported any. */
  readonly usage: Usage | null
  readonly lastSeq: number
  readonly provider: string
  readonly model: string
  readonly attempts: number
  /** 1 for the next to run; absent once it runs. */
  readonly queuePosition?: number | undefined
  readonly userMessageId: string
  readonly messageId?: string | undefined
  readonly retryOf?: string | undefined
  readonly resumedFrom?: string | undefined
  readonly startedAt: string
  readonly endedAt?: string | undefined
  readonly checkpoint?: number | undefined
  /** When retention folded its events to the lifecycle ones. */
  readonly foldedAt?: string | undefined
}

export interface Checkpoint {
  readonly checkpoint: number
  readonly turnId: string
  readonly phase: Phase
  readonly seq: number
  readonly text: string
  readonly reasoning: string
  readonly whole?: false | undefined
  readonly usage: Usage | null
  readonly contextHash: string | null
}

export interface TextPart {
  readonly type: "text"
  readonly text: string
}

/** The answer to a call of an earlier turn. */
export interface ToolResultPart {
  readonly type: "tool-result"
  readonly toolCallId: string
  readonly content: unknown
}

export type Part = TextPart | { readonly type: "reasoning"; readonly text: string } | ToolCallPart | ToolResultPart

export interface Message {
  readonly id: string
  /** Null for imported messages. */
  readonly turnId: string | null
  readonly role: "user" | "assistant"
  readonly parts: ReadonlyArray<Part>
  readonly whole?: false | undefined
  readonly state: "complete" | "partial"
  readonly createdAt: string
}

/** A session as a document: what an export gives and an import takes. */
export interface Transcript {
  readonly v: 1
  readonly session: { readonly title?: string | undefined }
  readonly messages: ReadonlyArray<{ readonly role: "user" | "assistant"; readonly parts: ReadonlyArray<TextPart> }>
}

type ScriptStep =
  | { readonly say: string; readonly bytes?: number | undefined; readonly repeat?: number | undefined }
  | { readonly reason: string; readonly bytes?: number | undefined }
  | { readonly wait: number }
  | {
    readonly toolCall: {
      readonly id?: string | undefined
      readonly name: string
      readonly arguments?: unknown
    }
    readonly cut?: boolean | undefined
  }
  | { readonly usage: "none" | { readonly [Count in keyof Usage]?: Usage[Count] | undefined } }
  | {
    readonly fail: {
      readonly kind: ProviderFailureKind
      readonly attempts?: number | undefined
      readonly status?: number | undefined
      readonly retryAfterMs?: number | undefined
    }
  }
  | { readonly big: number }
  | { readonly endless: string; readonly everyMs?: number | undefined }
  | { readonly hang: true }
  | { readonly end: FinishReason | "none" }

/** What the deterministic provider is to do. */
export type Script =
  | {
    readonly deltas: number
    readonly delayMs?: number | undefined
    readonly bytes?: number | undefined
    readonly burst?: number | undefined
  }
  | { readonly steps: ReadonlyArray<ScriptStep> }

export interface TurnOptions {
  readonly temperature?: number | undefined
  readonly maxOutputTokens?: number | undefined
  readonly reasoning?: "off" | "low" | "medium" | "high" | undefined
  readonly system?: string | undefined
  /** Milliseconds from acceptance, after which the turn is cancelled. */
  readonly deadlineMs?: number | undefined
  /** Deterministic provider only. */
  readonly script?: Script | undefined
}

/** The body of a start. */
export interface TurnBody {
  readonly message: string | { readonly parts: ReadonlyArray<TextPart | ToolResultPart> }
  readonly provider?: string | undefined
  readonly model?: string | undefined
  readonly options?: TurnOptions | undefined
  /** What to do where the session has a running turn; the default is `reject`. */
  readonly onBusy?: "reject" | "queue" | "supersede" | undefined
}

export interface ModelInfo {
  readonly id: string
  readonly contextWindow: number
  readonly contextWindowFrom: "configured" | "catalogue" | "assumed"
  readonly maxOutputTokens: number
  /** Per million tokens; absent where nobody configured any. */
  readonly prices?: {
    readonly input?: number | undefined
    readonly cached?: number | undefined
    readonly cacheWrite?: number | undefined
    readonly output?: number | undefined
  } | undefined
}

export interface ProviderDiagnostics {
  readonly id: string
  readonly family: string
  readonly readiness: "ready" | "blocked" | "unproven"
  /** Why it is blocked and what to do. */
  readonly reason?: string | undefined
  readonly env: ReadonlyArray<{ readonly name: string; readonly present: boolean }>
  readonly modelList: "closed" | "any"
  readonly models: ReadonlyArray<ModelInfo>
  readonly defaultModel?: string | undefined
  readonly capabilities: {
    readonly streaming: boolean
    readonly tools: boolean
    readonly reasoning: boolean
    readonly prefix: boolean
  }
}

export interface Limits {
  readonly runningTurns: number
  readonly eventStreams: number
  readonly connections?: number | undefined
  readonly queuedTurns: number
  readonly outputBytesPerTurn: number
  readonly connectMs: number
  readonly firstTokenMs: number
  readonly idleMs: number
  readonly totalMs: number
  readonly bodyBytes: number
  readonly importBytes: number
  readonly jsonDepth: number
  readonly headerBytes: number
  readonly headerTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly heartbeatMs: number
  readonly writeStallMs: number
  readonly tokensPerSession?: number | undefined
  readonly tokensPerDay?: number | undefined
  readonly databaseBytes?: number | undefined
}

export interface Bootstrap {
  readonly version: string
  readonly tokenRequired: boolean
  readonly defaults: { readonly provider: string; readonly model: string }
  readonly providers: ReadonlyArray<ProviderDiagnostics>
  readonly limits: Limits
  readonly budgets: ReadonlyArray<{
    readonly budget: "tokensPerSession" | "tokensPerDay" | "databaseBytes"
    readonly used: number
    readonly limit: number
  }>
  readonly storage: {
    readonly kind: "sqlite" | "memory"
    readonly path?: string | undefined
    readonly schemaVersion: number
    readonly durability: "full" | "relaxed" | "none"
    readonly epoch: number
  }
}

/** The sum of one group; of the groups those are there that were asked for. */
export interface UsageRow {
  readonly turn?: string | undefined
  readonly session?: string | undefined
  readonly provider?: string | undefined
  readonly model?: string | undefined
  readonly day?: string | undefined
  readonly source?: UsageSource | undefined
  readonly turns: number
  readonly usage: Usage
  readonly contextPercent?: number | undefined
  readonly cost?: number | undefined
  readonly unpricedAttempts?: number | undefined
}

/** What is summed: `by` names groups with commas between, the rest are conditions. */
export interface UsageQuery {
  readonly by?: string
  readonly session?: string
  readonly turn?: string
  readonly provider?: string
  readonly model?: string
  readonly source?: UsageSource
  /** Days (UTC), as 2026-01-31. */
  readonly from?: string
  readonly to?: string
}
