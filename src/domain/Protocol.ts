/**
 * A turn's events as they are in JSON: plain types, without the schemas that decode them. Whoever loads the fold or the
 * client needs nothing of Effect for that, neither at run time nor in their declarations; `test/client/types.test.ts`
 * proves that they say what the schemas say.
 */
export type Phase =
  | "accepted"
  | "building-context"
  | "calling-model"
  | "streaming"
  | "committing"
  | "completed"
  | "failed"

export type FinishReason = "stop" | "length" | "tool-calls" | "content-filter" | "unknown"

export type DeltaKind = "text" | "reasoning" | "tool-input"

/** A count that nobody reported is `null`: unknown is not zero. */
export interface Usage {
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly cacheReadTokens: number | null
  readonly cacheWriteTokens: number | null
  readonly reasoningTokens: number | null
  readonly totalTokens: number | null
}

/** Who counted: the provider, an estimate, or the deterministic provider. */
export type UsageSource = "reported" | "estimated" | "deterministic"

export type SlotName = "instructions" | "memory" | "skills" | "team" | "history" | "attachments" | "message"

export interface Slot {
  readonly slot: SlotName
  readonly source: string
  readonly tokens: number
  readonly hash: string
  readonly action: "included" | "clipped" | "omitted"
  readonly reason?: string | undefined
}

export interface ContextManifest {
  readonly slots: ReadonlyArray<Slot>
  /** Tokens the context may use: window - reserve. */
  readonly budget: number
  /** Tokens kept free for the answer. */
  readonly reserve: number
  readonly window: number
  /** Tokens of all that is included. */
  readonly total: number
  readonly hash: string
  readonly compaction: boolean
}

export interface ToolCallPart {
  readonly type: "tool-call"
  readonly toolCallId: string
  readonly toolName: string
  readonly arguments: unknown
}

export type ProviderFailureKind =
  | "authentication"
  | "permission"
  | "not_found"
  | "invalid_request"
  | "context_length"
  | "content_filter"
  | "quota"
  | "rate_limit"
  | "overloaded"
  | "server"
  | "timeout"
  | "stalled"
  | "incomplete_stream"
  | "protocol"
  | "network"

interface ErrorFacts {
  readonly UnknownProvider: {
    readonly providerId: string
    readonly known: ReadonlyArray<string>
    readonly suggestion?: string | undefined
  }
  readonly UnknownModel: {
    readonly providerId: string
    readonly modelId: string
    readonly known: ReadonlyArray<string>
    readonly suggestion?: string | undefined
  }
  readonly ProviderBlocked: {
    readonly providerId: string
    /** Names of environment variables. */
    readonly missingEnv: ReadonlyArray<string>
    readonly reason: string
  }
  readonly ProviderFailure: {
    readonly providerId: string
    readonly kind: ProviderFailureKind
    readonly detail?: string | undefined
    readonly status?: number | undefined
    readonly retryAfterMs?: number | undefined
    readonly requestId?: string | undefined
  }
  readonly ContextOverflow: { readonly tokens: number; readonly budget: number }
  readonly Cancelled: { readonly cause: "user_stop" | "deadline" | "superseded" | "shutdown" }
  readonly Interrupted: { readonly cause: "crash" | "shutdown" }
  readonly JournalFailure: { readonly operation: string; readonly reason: string }
  readonly BudgetExceeded: { readonly budget: string; readonly used: number; readonly limit: number }
  readonly Fenced: { readonly ownerEpoch: number }
}

/** Why a turn failed. `message` says what happened, to what, and what to do next. */
export type TurnErrorInfo = {
  readonly [Tag in keyof ErrorFacts]: ErrorFacts[Tag] & {
    readonly _tag: Tag
    readonly message: string
    readonly retryable: boolean
  }
}[keyof ErrorFacts]

interface EventData {
  readonly "turn.started": {
    readonly provider: string
    readonly model: string
    readonly userMessageId: string
    readonly resumedFrom?: string | undefined
    readonly retryOf?: string | undefined
  }
  readonly "context.built": ContextManifest
  readonly "attempt.started": { readonly attempt: number; readonly provider: string; readonly model: string }
  readonly "attempt.failed": {
    readonly attempt: number
    readonly error: TurnErrorInfo
    /** Milliseconds until the next attempt; absent where there is none. */
    readonly retryInMs?: number | undefined
  }
  readonly "model.delta": {
    readonly kind: DeltaKind
    readonly text: string
    readonly toolCallId?: string | undefined
    readonly toolName?: string | undefined
  }
  readonly "model.tool-call": Omit<ToolCallPart, "type">
  /** Events `fromSeq..toSeq` (inclusive) no longer count towards the answer. */
  readonly "model.reset": { readonly fromSeq: number; readonly toSeq: number }
  readonly "telemetry.usage": {
    readonly usage: Usage
    readonly source: UsageSource
    readonly contextPercent: number | null
    readonly cost?: number | undefined
    readonly raw?: unknown
  }
  readonly "checkpoint.saved": { readonly checkpoint: number; readonly phase: Phase; readonly seq: number }
  readonly "turn.completed": {
    readonly finishReason: FinishReason
    readonly rawFinishReason?: string | undefined
    readonly messageId: string
    readonly usage: Usage | null
  }
  readonly "turn.failed": {
    readonly error: TurnErrorInfo
    readonly partial?: { readonly messageId: string; readonly chars: number } | undefined
    readonly checkpoint?: number | undefined
  }
}

export type EventType = keyof EventData

/** The event of one type. */
export type EventOf<T extends EventType> = {
  readonly [Type in T]: {
    readonly v: 1
    readonly turnId: string
    readonly sessionId: string
    /** 1 to n within the turn, without a gap. */
    readonly seq: number
    /** UTC, ISO-8601 with milliseconds. Order is by `seq`, never by time. */
    readonly at: string
    readonly attempt?: number | undefined
    readonly type: Type
    readonly data: EventData[Type]
  }
}[T]

/** One fact of a turn. `turn.completed` or `turn.failed` is the last. */
export type TurnEvent = EventOf<EventType>
