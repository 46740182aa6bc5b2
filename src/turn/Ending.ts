/**
 * The last events of a turn, for every way it can end: usage of an attempt that is still open, the failure of that
 * attempt, the checkpoint, the terminal event. Also used by recovery, for turns whose process died.
 */
import type { MessageId } from "../domain/Ids.ts"
import * as TurnError from "../domain/TurnError.ts"
import type { EventBody, FinishReason, Phase } from "../domain/TurnEvent.ts"
import type { TurnState } from "../domain/TurnState.ts"
import type * as Usage from "../domain/Usage.ts"
import * as UsageSum from "../domain/UsageSum.ts"
import type { TurnLog } from "./TurnLog.ts"

/** Where the events go. */
type Log = Pick<TurnLog, "state" | "push">

export type Outcome =
  | { readonly _tag: "Completed"; readonly reason: FinishReason; readonly raw?: string | undefined }
  | { readonly _tag: "Failed"; readonly error: TurnError.TurnError }

/** Usage of the open attempt, as far as it is known. */
export interface AttemptUsage {
  readonly usage: Usage.Usage
  readonly source: Usage.UsageSource
  /** By the prices of now; undefined where it is not known. */
  readonly cost: number | undefined
  /** As the provider's wire had it. */
  readonly raw?: unknown
}

/** Percent of the context window in use after this attempt, two decimals. */
const contextPercent = (usage: Usage.Usage, window: number | undefined): number | null =>
  usage.totalTokens === null || window === undefined ? null : Math.round((usage.totalTokens / window) * 10_000) / 100

export const usageEvent = (state: TurnState, { cost, raw, source, usage }: AttemptUsage): EventBody => ({
  type: "telemetry.usage",
  attempt: state.attempts,
  data: {
    usage,
    source,
    contextPercent: contextPercent(usage, state.context?.window),
    ...(cost === undefined ? {} : { cost }),
    ...(raw === undefined ? {} : { raw })
  }
})

/** True while the open attempt's usage is not journaled yet. */
const owesUsage = (state: TurnState) =>
  state.attemptOpen && (state.phase === "calling-model" || state.phase === "streaming")

/** True for a turn that ended before any provider was called, and not by somebody's command. */
const isRefusal = (outcome: Outcome) => outcome._tag === "Failed" && TurnError.refusalTags.has(outcome.error._tag)

const pushTerminal = (log: Log, outcome: Outcome, messageId: MessageId): void => {
  const state = log.state()
  if (outcome._tag === "Completed") {
    log.push({
      type: "turn.completed",
      data: {
        finishReason: outcome.reason,
        ...(outcome.raw === undefined ? {} : { rawFinishReason: outcome.raw }),
        messageId,
        usage: UsageSum.reported(state.usages)
      }
    })
    return
  }
  const checkpoint = state.checkpoints.at(-1)?.checkpoint
  log.push({
    type: "turn.failed",
    data: {
      error: TurnError.toInfo(outcome.error),
      ...(state.textChars === 0 ? {} : { partial: { messageId, chars: state.textChars } }),
      ...(checkpoint === undefined ? {} : { checkpoint })
    }
  })
}

/**
 * Pushes what is missing; the caller flushes, so that it all commits as one. `messageId` names the answer or the partial.
 * Pushing again after a storage failure adds nothing: a state that has ended is left alone.
 */
export const push = (log: Log, outcome: Outcome, messageId: MessageId, usage: () => AttemptUsage): void => {
  const { phase, status } = log.state()
  if (status !== "running") return
  if (!isRefusal(outcome)) {
    if (owesUsage(log.state())) log.push(usageEvent(log.state(), usage()))
    if (outcome._tag === "Failed" && outcome.error._tag === "ProviderFailure" && log.state().attemptOpen) {
      pushAttemptFailed(log, outcome.error)
    }
    pushCheckpoint(log, outcome._tag === "Completed" ? "committing" : phase)
  }
  pushTerminal(log, outcome, messageId)
}

export const pushAttemptFailed = (log: Log, error: TurnError.ProviderFailure, retryInMs?: number): void => {
  const attempt = log.state().attempts
  log.push({
    type: "attempt.failed",
    attempt,
    data: { attempt, error: TurnError.toInfo(error), ...(retryInMs === undefined ? {} : { retryInMs }) }
  })
}

const pushCheckpoint = (log: Log, phase: Phase): void => {
  const state = log.state()
  log.push({
    type: "checkpoint.saved",
    data: { checkpoint: state.checkpoints.length + 1, phase, seq: state.lastSeq }
  })
}
