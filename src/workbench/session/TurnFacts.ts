/**
 * What a card shows of a turn, from whichever the page has: the fold of its events, or the server's summary of it. The
 * fold knows more; both say the same of what both say.
 */
import type { Turn } from "../../client/Resources.ts"
import type { EventOf, FinishReason, Phase, ToolCallPart, TurnErrorInfo, Usage } from "../../domain/Protocol.ts"
import type { TurnState } from "../../domain/TurnState.ts"
import * as UsageSum from "../../domain/UsageSum.ts"

export type AttemptFailure = Pick<EventOf<"attempt.failed">, "seq" | "at" | "data">

export interface TurnFacts {
  readonly id: string
  readonly status: "running" | "completed" | "failed"
  readonly phase: Phase
  readonly provider: string
  readonly model: string
  /** Calls of a provider that have begun. */
  readonly attempts: number
  /** False between two attempts. */
  readonly attemptOpen: boolean
  /** Attempts that failed and were followed by another, or by the end; empty where only the summary is known. */
  readonly failures: ReadonlyArray<AttemptFailure>
  readonly text: string
  readonly reasoning: string
  readonly toolCalls: ReadonlyArray<ToolCallPart>
  /** Characters of the text, also where the page does not hold it. */
  readonly textChars: number
  /** False: the answer is longer than the page holds, and the text is empty. */
  readonly whole: boolean
  readonly finishReason: FinishReason | undefined
  readonly error: TurnErrorInfo | undefined
  readonly usage: Usage | null
  readonly lastSeq: number
  readonly startedAt: string
  /** Of the attempt that counts; undefined where nothing came, or only the summary is known. */
  readonly firstDeltaAt: string | undefined
  readonly endedAt: string | undefined
  readonly userMessageId: string
  readonly retryOf: string | undefined
  readonly resumedFrom: string | undefined
  /** When retention removed its model events. */
  readonly foldedAt: string | undefined
}

export const ofState = (state: TurnState, failures: ReadonlyArray<AttemptFailure>): TurnFacts => ({
  ...state,
  id: state.turnId,
  failures,
  usage: UsageSum.reported(state.usages),
  foldedAt: undefined
})

export const ofTurn = (turn: Turn): TurnFacts => ({
  ...turn,
  // a summary does not tell whether the next attempt waits
  attemptOpen: true,
  failures: [],
  toolCalls: [],
  textChars: turn.text.length,
  whole: turn.whole !== false,
  firstDeltaAt: undefined,
  // of these the server leaves out what is not there
  finishReason: turn.finishReason,
  error: turn.error,
  endedAt: turn.endedAt,
  retryOf: turn.retryOf,
  resumedFrom: turn.resumedFrom,
  foldedAt: turn.foldedAt
})
