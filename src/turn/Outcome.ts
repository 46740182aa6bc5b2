/** What a turn came to: its outcome and the usage of its last call, from what was really seen. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Cost from "../domain/Cost.ts"
import type { Prices } from "../domain/Cost.ts"
import { Cancelled, Interrupted, JournalFailure, type TurnError } from "../domain/TurnError.ts"
import * as UsageSum from "../domain/UsageSum.ts"
import type { Provider } from "../provider/Provider.ts"
import type { Attempt } from "./Attempt.ts"
import type { AttemptUsage, Outcome } from "./Ending.ts"
import * as Estimate from "./Estimate.ts"
import type { Finish } from "./Intake.ts"

/** What an ending says where nobody can tell why it came. */
export const engineDefect = new JournalFailure({
  operation: "turn",
  retryable: false,
  reason: "the engine met a defect; see its log"
})

/** Who ends a turn before its time. */
export type StopCause = "user_stop" | "superseded" | "shutdown"

/** What a call is judged by, beside what was heard of it. */
export interface Call {
  readonly source: Provider["usageSource"]
  /** Tokens of its context as the builder counted them: the deterministic provider's own count. */
  readonly contextTokens: number
  readonly prices: Prices | undefined
}

/** Usage of a call that ended, or was ended, anywhere: reported, counted, estimated from what was said, or unknown. */
export const usageOf = ({ contextTokens, prices, source }: Call, attempt: Attempt | undefined): AttemptUsage => {
  const priced = (used: Omit<AttemptUsage, "cost">): AttemptUsage => ({ ...used, cost: Cost.of(used.usage, prices) })
  const reported = attempt?.reported()
  if (reported !== undefined) return priced({ ...reported, source })
  // a provider of ours that was cut off has said exactly what we counted; one that finished without a word has not
  if (source === "deterministic" && attempt?.finish() === undefined) {
    return priced({ usage: UsageSum.make({ inputTokens: contextTokens, outputTokens: attempt?.said() ?? 0 }), source })
  }
  // a call that nobody took costs nothing that we know of; one that was taken is billed for what it read
  return priced({
    usage: attempt === undefined || !attempt.accepted()
      ? UsageSum.unknown
      : UsageSum.make({
        inputTokens: Estimate.ofRequest(attempt.request),
        outputTokens: Estimate.ofSample(attempt.sample())
      }),
    source: "estimated"
  })
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
