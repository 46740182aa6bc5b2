/**
 * What a dead process left behind, put right before the service is ready: every turn without an end gets one,
 * `Interrupted{crash}`, with its usage as far as it is known and a checkpoint. No model is called here. Killed in the
 * middle, the next start goes on: each turn's ending is one transaction.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { type MessageId, SessionId, type TurnId } from "../domain/Ids.ts"
import type { TurnNotFound } from "../domain/RequestError.ts"
import { Interrupted, JournalFailure } from "../domain/TurnError.ts"
import type { EventBody, TurnEvent } from "../domain/TurnEvent.ts"
import type { TurnState } from "../domain/TurnState.ts"
import * as Usage from "../domain/Usage.ts"
import type { Journal, WriteError } from "../journal/Journal.ts"
import * as Ending from "./Ending.ts"
import type { IdGenerator } from "./IdGenerator.ts"
import { estimateTokens } from "./Outcome.ts"
import * as TurnLog from "./TurnLog.ts"
import type { TurnEngine } from "./TurnRun.ts"
import type { ChildError } from "./TurnRuntime.ts"

/** Turns that are read at once, and whose endings share a transaction. */
const together = 256

/** Bytes that were said; of an answer too long to be held, its characters, which are no more than that. */
const saidBytes = ({ chars, reasoning, text, whole }: TurnState): number =>
  whole ? Buffer.byteLength(text) + Buffer.byteLength(reasoning) : chars

/** The provider's word died with the process; what it said is in the journal. */
const lastKnownUsage = (state: TurnState): Ending.AttemptUsage => ({
  usage: state.visible
    ? Usage.make({
      inputTokens: state.context?.total ?? null,
      outputTokens: estimateTokens(saidBytes(state))
    })
    : Usage.unknown,
  source: "estimated"
})

/** One value for all of them: an error with its stack is dear to make. */
const crashed: Ending.Outcome = { _tag: "Failed", error: new Interrupted({ cause: "crash" }) }

const endingOf = (clock: Clock.Clock, turnId: TurnId, state: TurnState, messageId: MessageId) => {
  const events: Array<TurnEvent> = []
  const pen = TurnLog.makePen(clock, { turnId, sessionId: SessionId.make(state.sessionId) }, state)
  const log = { state: pen.state, push: (body: EventBody) => void events.push(pen.write(body)) }
  Ending.push(log, crashed, messageId, () => lastKnownUsage(state))
  return events
}

/** Faults that are not one turn's: with them no turn can be closed, and a start that went on would leave them all open. */
const storageWide = /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN|PERM|AUTH|NOTADB)/

/** One turn whose rows cannot be read must not keep the service from all others. */
const orLeave = (turnId: TurnId) => <E>(closed: Effect.Effect<void, E | JournalFailure>) =>
  Effect.catchIf(
    closed,
    (error): error is JournalFailure =>
      error instanceof JournalFailure && !error.retryable && !storageWide.test(error.reason),
    (error) => Effect.logError(`Turn ${turnId} could not be closed and stays as it is: ${error.message}`)
  )

/** Ends every orphan and answers with their ids, oldest first. */
export const closeOrphans = (
  engine: Pick<TurnEngine, "journal" | "clock">,
  ids: IdGenerator["Type"]
): Effect.Effect<ReadonlyArray<TurnId>, WriteError | TurnNotFound> =>
  Effect.gen(function*() {
    const orphans = yield* engine.journal.runningTurns
    const endingsOf = (states: ReadonlyMap<TurnId, TurnState>) =>
      Effect.forEach(states, ([turnId, state]) =>
        Effect.map(ids.messageId, (messageId) => ({
          turnId,
          events: endingOf(engine.clock, turnId, state, messageId)
        })))
    const closeAll = (states: ReadonlyMap<TurnId, TurnState>) =>
      Effect.gen(function*() {
        const endings = yield* endingsOf(states)
        for (const [index, exit] of (yield* engine.journal.appendAll(endings)).entries()) {
          const { turnId } = endings[index] ?? {}
          if (turnId !== undefined) yield* orLeave(turnId)(exit)
        }
      })

    for (let at = 0; at < orphans.length; at += together) {
      const some = orphans.slice(at, at + together)
      const states = yield* engine.journal.states(some)
      yield* closeAll(states)
      for (const turnId of some) {
        if (states.has(turnId)) continue
        const alone = Effect.flatMap(engine.journal.state(turnId), (state) => closeAll(new Map([[turnId, state]])))
        yield* orLeave(turnId)(alone)
      }
    }
    return orphans
  })

export interface ResumeOptions {
  readonly journal: Journal["Type"]
  readonly orphans: ReadonlyArray<TurnId>
  readonly resume: (id: TurnId) => Effect.Effect<unknown, ChildError>
  /** Resumes that a chain of turns may have. */
  readonly resumesMax: number
  /** Where those that find no place now wait for one. */
  readonly scope: Scope.Scope
}

/** Pause between two looks for a free place. */
const placeRetry = Schedule.spaced("500 millis")

/** Continues orphans: as many as may run now, the others as places become free while the engine serves its clients. */
export const resumeOrphans = ({ journal, orphans, resume, resumesMax, scope }: ResumeOptions): Effect.Effect<void> => {
  /** How many resumes led to this turn. */
  const depthOf = (id: TurnId): Effect.Effect<number, ChildError> =>
    Effect.flatMap(
      journal.turn(id),
      ({ turn: { resumedFrom } }) =>
        resumedFrom === undefined ? Effect.succeed(0) : Effect.map(depthOf(resumedFrom), (depth) => depth + 1)
    )

  const resumeWithin = (id: TurnId) =>
    Effect.flatMap(depthOf(id), (depth) => depth < resumesMax ? resume(id) : Effect.void)

  const notResumed = (id: TurnId) => (error: ChildError) =>
    Effect.logWarning(`Turn ${id} was not resumed: ${error.message}`)

  return Effect.gen(function*() {
    const later: Array<TurnId> = []
    for (const id of orphans) {
      yield* resumeWithin(id).pipe(
        Effect.catchTag("Overloaded", () => Effect.sync(() => later.push(id))),
        Effect.catchAll(notResumed(id))
      )
    }
    const whenFree = Effect.forEach(later, (id) =>
      resumeWithin(id).pipe(
        Effect.retry({ schedule: placeRetry, while: (error) => error._tag === "Overloaded" }),
        Effect.catchAll(notResumed(id))
      ), { discard: true })
    yield* Effect.forkIn(whenFree, scope)
  })
}
