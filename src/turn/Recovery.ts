/**
 * What a dead process left behind, put right before the service is ready: every turn without an end gets one,
 * `Interrupted{crash}`, with its usage as far as it is known and a checkpoint. No model is called here. Killed in the
 * middle, the next start goes on: each turn's ending is one transaction.
 */
import * as Effect from "effect/Effect"
import { type MessageId, SessionId, type TurnId } from "../domain/Ids.ts"
import type { TurnNotFound } from "../domain/RequestError.ts"
import { Interrupted, type JournalFailure } from "../domain/TurnError.ts"
import type { TurnState } from "../domain/TurnState.ts"
import * as Usage from "../domain/Usage.ts"
import type { WriteError } from "../journal/Journal.ts"
import * as Ending from "./Ending.ts"
import type { IdGenerator } from "./IdGenerator.ts"
import * as TurnLog from "./TurnLog.ts"
import { estimateTokens, type TurnEngine } from "./TurnRun.ts"

/** Endings that wait for a commit together: one transaction for hundreds of orphans. */
const together = 512

/** The provider's word died with the process; what it said is in the journal. */
const lastKnownUsage = (state: TurnState): Ending.AttemptUsage => ({
  usage: state.visible
    ? Usage.make({
      inputTokens: state.context?.total ?? null,
      outputTokens: estimateTokens(Buffer.byteLength(state.text) + Buffer.byteLength(state.reasoning))
    })
    : Usage.unknown,
  source: "estimated"
})

/** One turn whose rows cannot be read must not keep the service from all others. */
const leave = (turnId: TurnId, error: JournalFailure) =>
  Effect.logError(`Turn ${turnId} could not be closed and stays as it is: ${error.message}`)

/** Ends every orphan and answers with their ids, oldest first. */
export const closeOrphans = (
  engine: Pick<TurnEngine, "journal" | "clock">,
  ids: IdGenerator["Type"]
): Effect.Effect<ReadonlyArray<TurnId>, WriteError | TurnNotFound> =>
  Effect.gen(function*() {
    const orphans = yield* engine.journal.runningTurns
    yield* Effect.forEach(
      orphans,
      (turnId) =>
        Effect.gen(function*() {
          const state = yield* engine.journal.state(turnId)
          const messageId: MessageId = yield* ids.messageId
          const log = TurnLog.make(
            engine.journal,
            engine.clock,
            { turnId, sessionId: SessionId.make(state.sessionId) },
            state
          )
          Ending.push(
            log,
            { _tag: "Failed", error: new Interrupted({ cause: "crash" }) },
            messageId,
            () => lastKnownUsage(state)
          )
          yield* log.flush
        }).pipe(Effect.catchTag("JournalFailure", (error) => error.retryable ? error : leave(turnId, error))),
      { concurrency: together, discard: true }
    )
    return orphans
  })
