/**
 * The facts of a turn, one event each. The envelope is `{v, turnId, sessionId, seq, at, attempt?, type, data}`.
 * An event is encoded once, by `encode`, for disk and wire both: a reader gets the same bytes live and years later.
 */
import * as Schema from "effect/Schema"
import { ContextManifest } from "./Context.ts"
import { MessageId, SessionId, TurnId } from "./Ids.ts"
import { TurnErrorInfo } from "./TurnError.ts"
import { Usage, UsageSource } from "./Usage.ts"

export const Phase = Schema.Literal(
  "accepted",
  "building-context",
  "calling-model",
  "streaming",
  "committing",
  "completed",
  "failed"
)
export type Phase = typeof Phase.Type

export const FinishReason = Schema.Literal("stop", "length", "tool-calls", "content-filter", "unknown")
export type FinishReason = typeof FinishReason.Type

export const DeltaKind = Schema.Literal("text", "reasoning", "tool-input")
export type DeltaKind = typeof DeltaKind.Type

const Seq = Schema.Int.pipe(Schema.positive())

const data = {
  "turn.started": Schema.Struct({
    provider: Schema.String,
    model: Schema.String,
    userMessageId: MessageId,
    resumedFrom: Schema.optional(TurnId),
    retryOf: Schema.optional(TurnId)
  }),
  "context.built": ContextManifest,
  "attempt.started": Schema.Struct({ attempt: Seq, provider: Schema.String, model: Schema.String }),
  "attempt.failed": Schema.Struct({
    attempt: Seq,
    error: TurnErrorInfo,
    /** Milliseconds until the next attempt; absent where there is none. */
    retryInMs: Schema.optional(Schema.Int)
  }),
  "model.delta": Schema.Struct({
    kind: DeltaKind,
    text: Schema.String,
    toolCallId: Schema.optional(Schema.String),
    toolName: Schema.optional(Schema.String)
  }),
  "model.tool-call": Schema.Struct({
    toolCallId: Schema.String,
    toolName: Schema.String,
    arguments: Schema.Unknown
  }),
  /** Events `fromSeq..toSeq` (inclusive) no longer count towards the answer. */
  "model.reset": Schema.Struct({ fromSeq: Seq, toSeq: Seq }),
  "telemetry.usage": Schema.Struct({
    usage: Usage,
    source: UsageSource,
    /** Part of the context window in use, 0 to 100; null where a count is unknown. */
    contextPercent: Schema.NullOr(Schema.Number),
    /** In the operator's currency, by the prices of that moment; absent where it is not known. */
    cost: Schema.optional(Schema.Number.pipe(Schema.nonNegative())),
    /** The provider's own usage object, as it came; absent where it gave none, or more than is kept. */
    raw: Schema.optional(Schema.Unknown)
  }),
  "checkpoint.saved": Schema.Struct({
    /** 1, 2, 3 ... within the turn. */
    checkpoint: Seq,
    phase: Phase,
    /** The last seq that the checkpoint covers. */
    seq: Schema.Int
  }),
  "turn.completed": Schema.Struct({
    finishReason: FinishReason,
    /** The provider's own word for the end. */
    rawFinishReason: Schema.optional(Schema.String),
    messageId: MessageId,
    /** Reported usage over all attempts; null where nobody reported any. */
    usage: Schema.NullOr(Usage)
  }),
  "turn.failed": Schema.Struct({
    error: TurnErrorInfo,
    partial: Schema.optional(Schema.Struct({ messageId: MessageId, chars: Schema.Int })),
    checkpoint: Schema.optional(Seq)
  })
} as const

export type EventType = keyof typeof data
export const eventTypes = Object.keys(data) as ReadonlyArray<EventType>

/** The events that end a turn, once and for ever. */
export const isTerminalType = (type: string): boolean => type === "turn.completed" || type === "turn.failed"

const envelope = <T extends EventType>(type: T) =>
  Schema.Struct({
    v: Schema.Literal(1),
    turnId: TurnId,
    sessionId: SessionId,
    seq: Seq,
    /** UTC, ISO-8601 with milliseconds, from `Clock`. Order is by `seq`, never by time. */
    at: Schema.String.pipe(Schema.pattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)),
    attempt: Schema.optional(Seq),
    type: Schema.Literal(type),
    data: data[type]
  }).annotations({ identifier: `Event_${type.replace(/[.-]/g, "_")}` })

export const TurnEvent = Schema.Union(
  envelope("turn.started"),
  envelope("context.built"),
  envelope("attempt.started"),
  envelope("attempt.failed"),
  envelope("model.delta"),
  envelope("model.tool-call"),
  envelope("model.reset"),
  envelope("telemetry.usage"),
  envelope("checkpoint.saved"),
  envelope("turn.completed"),
  envelope("turn.failed")
).annotations({ identifier: "TurnEvent" })
export type TurnEvent = typeof TurnEvent.Type

/** The event of one type, for narrowing. */
export type EventOf<T extends EventType> = Extract<TurnEvent, { readonly type: T }>

/** An event before it has its place: what a turn says; the envelope is added where it is written. */
export type EventBody = {
  readonly [T in EventType]: { readonly type: T; readonly data: EventOf<T>["data"]; readonly attempt?: number }
}[EventType]

export const decode = Schema.decodeUnknownSync(TurnEvent)

/** An event from bytes that `tail` wrote: parsed, not validated again. For bytes of others use `decode`. */
export const parse = (text: string): TurnEvent => JSON.parse(text) as TurnEvent

/**
 * An encoded event is a head (the same for every event of a turn) + seq + tail. The journal stores tails only;
 * `json` puts the bytes together again.
 */
export const head = (turnId: string, sessionId: string): string =>
  `{"v":1,"turnId":"${turnId}","sessionId":"${sessionId}","seq":`

/** From `,"at"` to the closing brace. Holds no raw line feed: JSON escapes it. */
export const tail = (event: Pick<TurnEvent, "at" | "attempt" | "type" | "data">): string =>
  `,"at":"${event.at}"${
    event.attempt === undefined ? "" : `,"attempt":${event.attempt}`
  },"type":"${event.type}","data":${JSON.stringify(event.data)}}`

export const json = (head: string, seq: number, tail: string): string => head + seq + tail

/** The tail of `json`. */
export const tailOf = (json: string, seq: number): string => {
  const mark = `"seq":${seq},`
  return json.slice(json.indexOf(mark) + mark.length - 1)
}

/** The type named in a tail, without parsing it: `at` and `attempt` come before it and cannot contain it. */
export const typeOfTail = (tail: string): string => {
  const start = tail.indexOf('"type":"') + 8
  return tail.slice(start, tail.indexOf('"', start))
}
