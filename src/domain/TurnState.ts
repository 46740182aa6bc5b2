/**
 * The one fold of events to state, and the one table of legal transitions. Server, command line, page and tests use
 * these. Pure; imports types only, so that a browser loads it without the Effect runtime.
 *
 * `apply` never mutates; text grows by string concatenation (the engine keeps it as a rope, so a delta costs O(1)).
 */
import type { ContextManifest } from "./Context.ts"
import type { ToolCallPart } from "./Message.ts"
import type { TurnErrorInfo } from "./TurnError.ts"
import type { EventType, FinishReason, Phase, TurnEvent } from "./TurnEvent.ts"
import type { Usage, UsageSource } from "./Usage.ts"

export interface AttemptUsage {
  readonly attempt: number
  readonly usage: Usage
  readonly source: UsageSource
}

export interface CheckpointMark {
  readonly checkpoint: number
  readonly phase: Phase
  readonly seq: number
}

export interface TurnState {
  readonly turnId: string
  readonly sessionId: string
  readonly status: "running" | "completed" | "failed"
  readonly phase: Phase
  readonly provider: string
  readonly model: string
  readonly userMessageId: string
  readonly resumedFrom: string | undefined
  readonly retryOf: string | undefined
  readonly lastSeq: number
  readonly startedAt: string
  readonly endedAt: string | undefined
  /** Calls of a provider that have begun; 0 before the first. */
  readonly attempts: number
  /** True between `attempt.started` and its `attempt.failed` or the end of the turn. */
  readonly attemptOpen: boolean
  /** Anything the model said in this attempt: from here on a retry would repeat text. */
  readonly visible: boolean
  readonly text: string
  readonly reasoning: string
  readonly toolCalls: ReadonlyArray<ToolCallPart>
  readonly deltas: number
  readonly firstDeltaAt: string | undefined
  readonly context: ContextManifest | undefined
  readonly usages: ReadonlyArray<AttemptUsage>
  readonly checkpoints: ReadonlyArray<CheckpointMark>
  readonly finishReason: FinishReason | undefined
  readonly messageId: string | undefined
  readonly error: TurnErrorInfo | undefined
}

/** Which phase an event leads to from each phase in which it may come; absent: illegal there. */
const transitions: Readonly<Record<Phase, Partial<Record<EventType, Phase>>>> = {
  "accepted": {
    "context.built": "building-context",
    "checkpoint.saved": "accepted",
    "turn.failed": "failed"
  },
  "building-context": {
    "attempt.started": "calling-model",
    "checkpoint.saved": "building-context",
    "turn.failed": "failed"
  },
  "calling-model": {
    "attempt.started": "calling-model",
    "model.reset": "calling-model",
    "model.delta": "streaming",
    "model.tool-call": "streaming",
    "telemetry.usage": "committing",
    "checkpoint.saved": "calling-model",
    "turn.failed": "failed"
  },
  "streaming": {
    "model.delta": "streaming",
    "model.tool-call": "streaming",
    "telemetry.usage": "committing",
    "checkpoint.saved": "streaming"
  },
  "committing": {
    "attempt.failed": "calling-model",
    "checkpoint.saved": "committing",
    "turn.completed": "completed",
    "turn.failed": "failed"
  },
  "completed": {},
  "failed": {}
}

/** The phase after `type`, or undefined where the protocol does not allow it. */
export const nextPhase = (phase: Phase, type: EventType): Phase | undefined => transitions[phase][type]

/** Why an event may not come next, or undefined where it may. `state` is undefined before the first event. */
export const violation = (state: TurnState | undefined, event: TurnEvent): string | undefined => {
  if (state === undefined) {
    return event.type !== "turn.started"
      ? `a turn begins with turn.started, not ${event.type}`
      : event.seq !== 1
      ? `turn.started has seq 1, not ${event.seq}`
      : undefined
  }
  if (event.turnId !== state.turnId) return `event of turn ${event.turnId} in turn ${state.turnId}`
  if (state.status !== "running") return `nothing follows the end of a turn (${event.type} after ${state.phase})`
  if (event.seq !== state.lastSeq + 1) return `seq ${event.seq} after ${state.lastSeq}`
  if (nextPhase(state.phase, event.type) === undefined) return `${event.type} is not legal in phase ${state.phase}`
  switch (event.type) {
    case "attempt.started":
      if (state.attemptOpen) return "attempt.started while an attempt is open"
      return event.data.attempt === state.attempts + 1
        ? undefined
        : `attempt ${event.data.attempt} after ${state.attempts}`
    case "model.delta":
    case "model.tool-call":
    case "telemetry.usage":
      return state.attemptOpen ? undefined : `${event.type} outside an attempt`
    case "checkpoint.saved":
      return event.data.checkpoint === state.checkpoints.length + 1
        ? undefined
        : `checkpoint ${event.data.checkpoint} after ${state.checkpoints.length}`
    default:
      return undefined
  }
}

const start = (event: Extract<TurnEvent, { readonly type: "turn.started" }>): TurnState => ({
  turnId: event.turnId,
  sessionId: event.sessionId,
  status: "running",
  phase: "accepted",
  provider: event.data.provider,
  model: event.data.model,
  userMessageId: event.data.userMessageId,
  resumedFrom: event.data.resumedFrom,
  retryOf: event.data.retryOf,
  lastSeq: 1,
  startedAt: event.at,
  endedAt: undefined,
  attempts: 0,
  attemptOpen: false,
  visible: false,
  text: "",
  reasoning: "",
  toolCalls: [],
  deltas: 0,
  firstDeltaAt: undefined,
  context: undefined,
  usages: [],
  checkpoints: [],
  finishReason: undefined,
  messageId: undefined,
  error: undefined
})

/**
 * The state after one more event. An event that `violation` refuses throws a `RangeError`: a writer checks first, a
 * reader that may see an event twice drops what is not after `lastSeq`.
 */
export const apply = (state: TurnState | undefined, event: TurnEvent): TurnState => {
  const wrong = violation(state, event)
  if (wrong !== undefined) throw new RangeError(wrong)
  if (event.type === "turn.started") return start(event)
  const before = state as TurnState
  const next = { ...before, lastSeq: event.seq, phase: nextPhase(before.phase, event.type) ?? before.phase }
  switch (event.type) {
    case "context.built":
      return { ...next, context: event.data }
    case "attempt.started":
      return { ...next, attempts: event.data.attempt, attemptOpen: true, visible: false }
    case "attempt.failed":
      return { ...next, attemptOpen: false }
    case "model.delta": {
      next.visible = true
      next.deltas = before.deltas + 1
      next.firstDeltaAt = before.firstDeltaAt ?? event.at
      if (event.data.kind === "text") next.text = before.text + event.data.text
      else if (event.data.kind === "reasoning") next.reasoning = before.reasoning + event.data.text
      return next
    }
    case "model.tool-call": {
      const { arguments: args, toolCallId, toolName } = event.data
      return {
        ...next,
        visible: true,
        toolCalls: [...before.toolCalls, { type: "tool-call", toolCallId, toolName, arguments: args }]
      }
    }
    case "model.reset":
      return { ...next, visible: false, text: "", reasoning: "", toolCalls: [], deltas: 0, firstDeltaAt: undefined }
    case "telemetry.usage":
      return {
        ...next,
        usages: [...before.usages, { attempt: before.attempts, usage: event.data.usage, source: event.data.source }]
      }
    case "checkpoint.saved":
      return { ...next, checkpoints: [...before.checkpoints, event.data] }
    case "turn.completed":
      return {
        ...next,
        status: "completed",
        attemptOpen: false,
        endedAt: event.at,
        finishReason: event.data.finishReason,
        messageId: event.data.messageId
      }
    case "turn.failed":
      return {
        ...next,
        status: "failed",
        attemptOpen: false,
        endedAt: event.at,
        error: event.data.error,
        messageId: event.data.partial?.messageId
      }
  }
}

/** Fold a whole journal. Undefined for no events. */
export const fold = (events: Iterable<TurnEvent>, from?: TurnState): TurnState | undefined => {
  let state = from
  for (const event of events) state = apply(state, event)
  return state
}
