/** What a turn came to: its outcome and the usage of its last call, from what was really seen. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { Cancelled, Interrupted, JournalFailure, type TurnError } from "../domain/TurnError.ts"
import * as Usage from "../domain/Usage.ts"
import type { Provider } from "../provider/Provider.ts"
import type { Attempt, Finish } from "./Attempt.ts"
import type { AttemptUsage, Outcome } from "./Ending.ts"

/** What an ending says where nobody can tell why it came. */
export const engineDefect = new JournalFailure({
  operation: "turn",
  retryable: false,
  reason: "the engine met a defect; see its log"
})

/** Who ends a turn before its time. */
export type StopCause = "user_stop" | "superseded" | "shutdown"

/** Tokens for text that nobody counted: 4 bytes each, rounded up. Only ever shown as an estimate. */
export const estimateTokens = (bytes: number) => Math.ceil(bytes / 4)

/** Usage of a call that ended, or was ended, anywhere: reported, counted, estimated from what was said, or unknown. */
export const usageOf = (
  source: Provider["usageSource"],
  attempt: Attempt | undefined,
  contextTokens: number
): AttemptUsage => {
  const reported = attempt?.reported()
  if (reported !== undefined) return { ...reported, source }
  const said = attempt?.said() ?? 0
  // a provider of ours that was cut off has said exactly what we counted; one that finished without a word has not
  if (source === "deterministic" && attempt?.finished() !== true) {
    return { usage: Usage.make({ inputTokens: contextTokens, outputTokens: said }), source }
  }
  return {
    usage: said === 0
      ? Usage.unknown
      : Usage.make({ inputTokens: contextTokens, outputTokens: estimateTokens(attempt?.bytes() ?? 0) }),
    source: "estimated"
  }
}

const stopError = (cause: StopCause): TurnError =>
  cause === "shutdown" ? new Interrupted({ cause: "shutdown" }) : new Cancelled({ cause })

/** What a run came to, by what was seen of it; `stopped` is the word of whoever interrupted it. */
export const outcomeOf = (
  exit: Exit.Exit<Finish, TurnError>,
  stopped: StopCause | undefined
): Outcome => {
  if (Exit.isSuccess(exit)) return { _tag: "Completed", ...exit.value }
  const failure = Cause.failureOption(exit.cause)
  const interrupted = Cause.isInterrupted(exit.cause)
  if (failure._tag === "Some" && !(interrupted && stopped !== undefined)) {
    return { _tag: "Failed", error: failure.value }
  }
  if (interrupted) return { _tag: "Failed", error: stopError(stopped ?? "shutdown") }
  return {
    _tag: "Failed",
    error: engineDefect
  }
}
