/**
 * From events to rows: the one place that says what follows from an event. `JournalSql` and `JournalMemory` both write
 * exactly what `project` answers with, in the transaction of the events themselves, so that a projection can never
 * disagree with the journal. Pure.
 */
import * as Cost from "../domain/Cost.ts"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import { heldCharsMax, type Message, type Part } from "../domain/Message.ts"
import type { Checkpoint, Turn } from "../domain/Resources.ts"
import type { TurnErrorInfo } from "../domain/TurnError.ts"
import * as TurnEvent from "../domain/TurnEvent.ts"
import * as TurnState from "../domain/TurnState.ts"
import type * as Usage from "../domain/Usage.ts"
import * as UsageSum from "../domain/UsageSum.ts"
import * as Answers from "./Answers.ts"
import type { JournaledEvent } from "./Journal.ts"

/** What one attempt used, for the ledger. */
export interface UsageRow {
  readonly turnId: string
  readonly attempt: number
  readonly sessionId: string
  readonly provider: string
  readonly model: string
  /** UTC date of the usage event. */
  readonly day: string
  readonly source: Usage.UsageSource
  readonly usage: Usage.Usage
  /** Null where it is not known. */
  readonly contextPercent: number | null
  readonly costNanos: number | null
}

/** The tokens of a row that a budget counts: what is known of them. */
export const tokensOf = ({ usage }: Pick<UsageRow, "usage">): number =>
  usage.totalTokens ?? (usage.inputTokens ?? 0) + (usage.outputTokens ?? 0)

/** A checkpoint without its text, which the events up to `seq` hold. */
export type CheckpointRow = Omit<Checkpoint, "text" | "reasoning">

/** The assistant's message, written by the event that ends the turn. */
export interface AnswerMessage {
  readonly id: string
  readonly parts: ReadonlyArray<Part>
  /** Where the answer is too long for `parts`, which are empty then: the events that hold it, and its size. */
  readonly inEvents: { readonly answerAfter: number; readonly chars: number } | undefined
  readonly state: Message["state"]
  readonly createdAt: string
}

/** What follows from a run of events of one turn. */
export interface Projected {
  /** Undefined for the events that begin the turn. */
  readonly before: TurnState.TurnState | undefined
  readonly state: TurnState.TurnState
  /** Bytes as stored (`TurnEvent.tail`). */
  readonly tails: ReadonlyArray<string>
  readonly events: ReadonlyArray<JournaledEvent>
  readonly usages: ReadonlyArray<UsageRow>
  readonly checkpoints: ReadonlyArray<CheckpointRow>
  readonly message: AnswerMessage | undefined
}

/** The columns of a turn that its events decide. Null stands for absent, as in a row. */
export interface TurnSummary {
  readonly id: TurnId
  readonly sessionId: SessionId
  readonly status: Turn["status"]
  readonly phase: Turn["phase"]
  readonly provider: string
  readonly model: string
  readonly userMessageId: Turn["userMessageId"]
  readonly messageId: Turn["userMessageId"] | null
  readonly retryOf: TurnId | null
  readonly resumedFrom: TurnId | null
  readonly attempts: number
  readonly lastSeq: number
  readonly checkpoint: number | null
  readonly finishReason: TurnEvent.FinishReason | null
  readonly error: TurnErrorInfo | null
  readonly usage: Usage.Usage | null
  readonly startedAt: string
  readonly endedAt: string | null
}

const answerOf = (state: TurnState.TurnState, event: TurnEvent.TurnEvent): AnswerMessage | undefined => {
  const { answerAfter, chars, whole } = state
  const said = {
    parts: Answers.partsOfState(state),
    inEvents: whole ? undefined : { answerAfter, chars },
    createdAt: event.at
  }
  return event.type === "turn.completed"
    ? { id: event.data.messageId, state: "complete", ...said }
    : event.type === "turn.failed" && event.data.partial !== undefined
    ? { id: event.data.partial.messageId, state: "partial", ...said }
    : undefined
}

/** The events as committed bytes. `json` is put together here once and shared by every follower. */
const journaled = (event: TurnEvent.TurnEvent, head: string, tail: string): JournaledEvent => ({
  turnId: event.turnId,
  seq: event.seq,
  type: event.type,
  json: TurnEvent.json(head, event.seq, tail)
})

/** What follows from `events` after `before`, or a text that says why they may not come. All or nothing. */
export const project = (
  before: TurnState.TurnState | undefined,
  events: ReadonlyArray<TurnEvent.TurnEvent>
): Projected | string => {
  const first = events[0]
  if (first === undefined) return "no events"
  const head = TurnEvent.head(first.turnId, first.sessionId)
  const tails: Array<string> = []
  const encoded: Array<JournaledEvent> = []
  const usages: Array<UsageRow> = []
  const checkpoints: Array<CheckpointRow> = []
  let message: AnswerMessage | undefined
  const folding = TurnState.makeFold(before, heldCharsMax)
  for (const event of events) {
    const wrong = folding.add(event)
    const state = folding.state()
    if (wrong !== undefined || state === undefined) return wrong ?? "no events"
    if (event.sessionId !== first.sessionId || (before !== undefined && event.sessionId !== before.sessionId)) {
      return `event of session ${event.sessionId} in turn ${event.turnId} of another session`
    }
    const tail = TurnEvent.tail(event)
    tails.push(tail)
    encoded.push(journaled(event, head, tail))
    switch (event.type) {
      case "telemetry.usage":
        usages.push({
          turnId: state.turnId,
          attempt: state.attempts,
          sessionId: state.sessionId,
          provider: state.provider,
          model: state.model,
          day: event.at.slice(0, 10),
          source: event.data.source,
          usage: event.data.usage,
          contextPercent: event.data.contextPercent,
          costNanos: event.data.cost === undefined ? null : Cost.toNanos(event.data.cost)
        })
        break
      case "checkpoint.saved":
        checkpoints.push({
          checkpoint: event.data.checkpoint,
          turnId: event.turnId,
          phase: event.data.phase,
          seq: event.data.seq,
          usage: UsageSum.reported(state.usages),
          contextHash: state.context?.hash ?? null
        })
        break
      case "turn.completed":
      case "turn.failed":
        message = answerOf(state, event)
        break
      default:
        break
    }
  }
  const state = folding.state()
  return state === undefined ? "no events" : { before, state, tails, events: encoded, usages, checkpoints, message }
}

/** An append, parted into what is committed already and what comes next. */
export const split = (
  state: TurnState.TurnState,
  events: ReadonlyArray<TurnEvent.TurnEvent>
): { readonly repeated: ReadonlyArray<TurnEvent.TurnEvent>; readonly rest: ReadonlyArray<TurnEvent.TurnEvent> } => {
  const next = events.findIndex((event) => event.seq > state.lastSeq)
  return next < 0
    ? { repeated: events, rest: [] }
    : { repeated: events.slice(0, next), rest: next === 0 ? events : events.slice(next) }
}

/** Whether events that are said to be committed are, byte for byte. `known`: committed ones, in any order. */
export const isRepeat = (
  repeated: ReadonlyArray<TurnEvent.TurnEvent>,
  known: ReadonlyArray<JournaledEvent>
): boolean => {
  const bySeq = new Map(known.map((event) => [event.seq, event.json]))
  return repeated.every((event) =>
    bySeq.get(event.seq) ===
      TurnEvent.json(TurnEvent.head(event.turnId, event.sessionId), event.seq, TurnEvent.tail(event))
  )
}

/** Why an append is refused that repeats a seq with other bytes. */
export const otherContent = (repeated: ReadonlyArray<TurnEvent.TurnEvent>): string =>
  `seq ${repeated[0]?.seq ?? 0} is committed with another content`

/** Two runs of one turn as one: what the second begins with is what the first ends with. */
export const join = (first: Projected, second: Projected): Projected => ({
  before: first.before,
  state: second.state,
  tails: [...first.tails, ...second.tails],
  events: [...first.events, ...second.events],
  usages: [...first.usages, ...second.usages],
  checkpoints: [...first.checkpoints, ...second.checkpoints],
  message: second.message
})

export const summary = (state: TurnState.TurnState): TurnSummary => ({
  id: state.turnId as TurnId, // ids were checked when their event was decoded
  sessionId: state.sessionId as SessionId,
  status: state.status,
  phase: state.phase,
  provider: state.provider,
  model: state.model,
  userMessageId: state.userMessageId as Turn["userMessageId"],
  messageId: (state.messageId ?? null) as Turn["userMessageId"] | null,
  retryOf: (state.retryOf ?? null) as TurnId | null,
  resumedFrom: (state.resumedFrom ?? null) as TurnId | null,
  attempts: state.attempts,
  lastSeq: state.lastSeq,
  checkpoint: state.checkpoints.at(-1)?.checkpoint ?? null,
  finishReason: state.finishReason ?? null,
  error: state.error ?? null,
  usage: UsageSum.reported(state.usages),
  startedAt: state.startedAt,
  endedAt: state.endedAt ?? null
})

/**
 * The turn as it is shown. `place`: running turns of its session before it; 0 where it holds the slot. `foldedAt`: when
 * retention folded its events.
 */
export const turnOf = (
  row: TurnSummary,
  said: Answers.Said,
  { foldedAt = null, place = 0 }: { readonly place?: number; readonly foldedAt?: string | null }
): Turn => ({
  id: row.id,
  sessionId: row.sessionId,
  status: row.status,
  phase: row.phase,
  ...Answers.shown(said),
  ...(row.finishReason === null ? {} : { finishReason: row.finishReason }),
  ...(row.error === null ? {} : { error: row.error }),
  usage: row.usage,
  lastSeq: row.lastSeq,
  provider: row.provider,
  model: row.model,
  attempts: row.attempts,
  ...(place > 0 && row.phase === "accepted" ? { queuePosition: place } : {}),
  userMessageId: row.userMessageId,
  ...(row.messageId === null ? {} : { messageId: row.messageId }),
  ...(row.retryOf === null ? {} : { retryOf: row.retryOf }),
  ...(row.resumedFrom === null ? {} : { resumedFrom: row.resumedFrom }),
  startedAt: row.startedAt,
  ...(row.endedAt === null ? {} : { endedAt: row.endedAt }),
  ...(row.checkpoint === null ? {} : { checkpoint: row.checkpoint }),
  ...(foldedAt === null ? {} : { foldedAt })
})
