/**
 * The one fold of events to state, and the one table of legal transitions. Server, command line, page and tests use
 * these. Pure; imports types only, so that a browser loads it without the Effect runtime.
 *
 * Text grows by string concatenation (the engine keeps it as a rope, so a delta costs O(1)). A fold that may meet a very
 * long answer is given `heldMax`: beyond it the answer is counted and no longer held (`whole`).
 */
import type {
  ContextManifest,
  EventOf,
  EventType,
  FinishReason,
  Phase,
  ToolCallPart,
  TurnErrorInfo,
  TurnEvent,
  Usage,
  UsageSource
} from "./Protocol.ts"

export interface AttemptUsage {
  readonly attempt: number
  readonly usage: Usage
  readonly source: UsageSource
  readonly contextPercent: number | null
  /** Absent where it is not known. */
  readonly cost: number | undefined
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
  /** The answer since the last reset: text, reasoning and complete calls. Empty where `whole` is false. */
  readonly text: string
  readonly reasoning: string
  readonly toolCalls: ReadonlyArray<ToolCallPart>
  /** UTF-16 units of the answer's text, and of all of it (calls as JSON), held or not. */
  readonly textChars: number
  readonly chars: number
  /** False where the answer grew beyond `heldMax`: the events after `answerAfter` hold it. */
  readonly whole: boolean
  /** The seq after which events count towards the answer: the last reset's, or 0. */
  readonly answerAfter: number
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

const knownTypes = new Set<string>(["turn.started", ...Object.values(transitions).flatMap((row) => Object.keys(row))])

/**
 * Why an event may not come next, or undefined where it may. `state` is undefined before the first event. A reader may
 * be older than its server: while the turn runs, a type that it does not know may come.
 */
export const violation = (
  state: TurnState | undefined,
  event: TurnEvent,
  isReader = false
): string | undefined => {
  if (state === undefined) {
    return event.type === "turn.started" && event.seq === 1
      ? undefined
      : `a turn begins with turn.started at seq 1, not ${event.type} at ${event.seq}`
  }
  if (event.turnId !== state.turnId) return `event of turn ${event.turnId} in turn ${state.turnId}`
  if (state.status !== "running") return `nothing follows the end of a turn (${event.type} after ${state.phase})`
  if (event.seq !== state.lastSeq + 1) return `seq ${event.seq} after ${state.lastSeq}`
  if (isReader && !knownTypes.has(event.type)) return undefined
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

const nothingSaid = {
  visible: false,
  text: "",
  reasoning: "",
  toolCalls: [],
  textChars: 0,
  chars: 0,
  whole: true,
  deltas: 0,
  firstDeltaAt: undefined
} satisfies Partial<TurnState>

type Growing = { -readonly [K in keyof TurnState]: TurnState[K] }

/** Counts what was said; lets go of the answer where it is more than may be held. */
const grow = (state: Growing, chars: number, heldMax: number): void => {
  state.visible = true
  state.chars += chars
  if (!state.whole || state.chars <= heldMax) return
  state.whole = false
  state.text = ""
  state.reasoning = ""
  state.toolCalls = []
}

const start = (event: EventOf<"turn.started">): TurnState => ({
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
  ...nothingSaid,
  answerAfter: 0,
  context: undefined,
  usages: [],
  checkpoints: [],
  finishReason: undefined,
  messageId: undefined,
  error: undefined
})

/** Puts an event that `violation` lets pass into `state`, which is changed; of an unknown type only the seq. */
const put = (state: Growing, event: TurnEvent, heldMax: number): void => {
  state.lastSeq = event.seq
  state.phase = nextPhase(state.phase, event.type) ?? state.phase
  switch (event.type) {
    case "turn.started":
      return
    case "context.built":
      state.context = event.data
      return
    case "attempt.started":
      state.attempts = event.data.attempt
      state.attemptOpen = true
      state.visible = false
      return
    case "attempt.failed":
      state.attemptOpen = false
      return
    case "model.delta": {
      const { kind, text } = event.data
      state.deltas += 1
      state.firstDeltaAt ??= event.at
      if (kind === "text") state.textChars += text.length
      if (state.whole && kind === "text") state.text += text
      else if (state.whole && kind === "reasoning") state.reasoning += text
      grow(state, kind === "tool-input" ? 0 : text.length, heldMax)
      return
    }
    case "model.tool-call": {
      const { arguments: args, toolCallId, toolName } = event.data
      if (state.whole) {
        state.toolCalls = [...state.toolCalls, { type: "tool-call", toolCallId, toolName, arguments: args }]
      }
      grow(state, (JSON.stringify(args) ?? "").length, heldMax)
      return
    }
    case "model.reset":
      Object.assign(state, nothingSaid, { answerAfter: event.seq })
      return
    case "telemetry.usage": {
      const { contextPercent, cost, source, usage } = event.data
      state.usages = [...state.usages, { attempt: state.attempts, usage, source, contextPercent, cost }]
      return
    }
    case "checkpoint.saved":
      state.checkpoints = [...state.checkpoints, event.data]
      return
    case "turn.completed":
      state.status = "completed"
      state.attemptOpen = false
      state.endedAt = event.at
      state.finishReason = event.data.finishReason
      state.messageId = event.data.messageId
      return
    case "turn.failed":
      state.status = "failed"
      state.attemptOpen = false
      state.endedAt = event.at
      state.error = event.data.error
      state.messageId = event.data.partial?.messageId
      return
  }
}

/** A fold in one hand: what `add` takes changes the state in place, so that a delta costs no copy of it. */
export interface Fold {
  /** Undefined before the first event. Changes with each `add`: keep it only once the fold is done. */
  readonly state: () => TurnState | undefined
  /** Why the event may not come next; undefined where it was taken. */
  readonly add: (event: TurnEvent) => string | undefined
}

/** `from` itself is left as it is. `heldMax`: UTF-16 units of an answer to hold. `isReader`: as `violation` has it. */
export const makeFold = (from?: TurnState, heldMax = Number.POSITIVE_INFINITY, isReader = false): Fold => {
  let state: Growing | undefined = from === undefined ? undefined : { ...from }
  return {
    state: () => state,
    add: (event) => {
      const wrong = violation(state, event, isReader)
      if (wrong !== undefined) return wrong
      if (state !== undefined) put(state, event, heldMax)
      else if (event.type === "turn.started") state = start(event)
      return undefined
    }
  }
}

/** The fold of a client or a page: of a type that it does not know only the seq counts. */
export const makeReaderFold = (from?: TurnState, heldMax?: number): Fold => makeFold(from, heldMax, true)

/** Fold a whole journal. Undefined for no events; a `RangeError` for an event that may not come. */
export const fold = (events: Iterable<TurnEvent>, from?: TurnState, heldMax?: number): TurnState | undefined => {
  const folding = makeFold(from, heldMax)
  for (const event of events) {
    const wrong = folding.add(event)
    if (wrong !== undefined) throw new RangeError(wrong)
  }
  return folding.state()
}

/**
 * The state after one more event. An event that `violation` refuses throws a `RangeError`: a writer checks first, a
 * reader that may see an event twice drops what is not after `lastSeq`.
 */
export const apply = (state: TurnState | undefined, event: TurnEvent): TurnState =>
  // a fold of one event has a state
  fold([event], state) as TurnState
