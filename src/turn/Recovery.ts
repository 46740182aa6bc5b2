/**
 * What a dead process left behind, put right before the service is ready: every turn without an end gets one,
 * `Interrupted{crash}`, with its usage as far as it is known and a checkpoint. No model is called here. Killed in the
 * middle, the next start goes on: each turn's ending is one transaction.
 */
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { charsPerToken } from "../context/ContextBuilder.ts"
import type { Prices } from "../domain/Cost.ts"
import * as Cost from "../domain/Cost.ts"
import { SessionId, type TurnId } from "../domain/Ids.ts"
import type { TurnNotFound } from "../domain/RequestError.ts"
import { Interrupted, JournalFailure } from "../domain/TurnError.ts"
import type { EventBody, TurnEvent } from "../domain/TurnEvent.ts"
import type { TurnState } from "../domain/TurnState.ts"
import * as UsageSum from "../domain/UsageSum.ts"
import type { Journal, Trace, WriteError } from "../journal/Journal.ts"
import type { ProviderRegistry } from "../provider/ProviderRegistry.ts"
import * as Ending from "./Ending.ts"
import * as Estimate from "./Estimate.ts"
import type { IdGenerator } from "./IdGenerator.ts"
import * as TurnLog from "./TurnLog.ts"
import * as TurnMetrics from "./TurnMetrics.ts"
import type { TurnEngine } from "./TurnRun.ts"
import type { ChildError } from "./TurnRuntime.ts"
import * as TurnTelemetry from "./TurnTelemetry.ts"

/** Turns that are read at once, and whose endings share a transaction. */
const together = 256

/** What was said: of an answer too long to be held, its size alone. */
const saidTokens = ({ chars, reasoning, text, toolCalls, whole }: TurnState): number =>
  whole
    ? Estimate.ofText(text) + Estimate.ofText(reasoning) +
      toolCalls.reduce((sum, call) => sum + Estimate.ofText(JSON.stringify(call.arguments)), 0)
    : Math.ceil(chars / charsPerToken)

/** The provider's word died with the process; what it said is in the journal. */
const lastKnownUsage = (state: TurnState, prices: Prices | undefined): Ending.AttemptUsage => {
  const usage = state.visible
    ? UsageSum.make({ inputTokens: state.context?.total ?? null, outputTokens: saidTokens(state) })
    : UsageSum.unknown
  return { usage, source: "estimated", cost: Cost.of(usage, prices) }
}

/** One value for all of them: an error with its stack is dear to make. */
const crashed: Ending.Outcome = { _tag: "Failed", error: new Interrupted({ cause: "crash" }) }

interface Closing {
  readonly turnId: TurnId
  readonly events: ReadonlyArray<TurnEvent>
  /** As it is once the events are committed. */
  readonly state: TurnState
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

/** Closed turns that have a line of the log each; the others are only counted. */
const linesMax = 100

export interface RecoveryEngine extends Pick<TurnEngine, "journal" | "clock" | "telemetry"> {
  readonly ids: IdGenerator["Type"]
  readonly pricesOf: ProviderRegistry["Type"]["prices"]
}

const makeClosing = ({ clock, ids, pricesOf }: RecoveryEngine) => (turnId: TurnId, state: TurnState) =>
  Effect.map(ids.messageId, (messageId): Closing => {
    const events: Array<TurnEvent> = []
    const pen = TurnLog.makePen(clock, { turnId, sessionId: SessionId.make(state.sessionId) }, state)
    const log = { state: pen.state, push: (body: EventBody) => void events.push(pen.write(body)) }
    Ending.push(log, crashed, messageId, () => lastKnownUsage(state, pricesOf(state.provider, state.model)))
    return { turnId, events, state: pen.state() }
  })

/** A span for the end of a turn whose own span died with its process, linked to that one. */
const endSpan = ({ state, turnId }: Closing, trace: Trace | undefined) =>
  Effect.makeSpan("recovery.turn", {
    captureStackTrace: false,
    links: trace === undefined ? [] : [TurnTelemetry.linkTo(trace, { "turnstream.link": "recovers" })],
    attributes: { "turnstream.turn.id": turnId, "gen_ai.conversation.id": state.sessionId }
  })

/** Ends every orphan and answers with their ids, oldest first. */
export const closeOrphans = (
  engine: RecoveryEngine
): Effect.Effect<ReadonlyArray<TurnId>, WriteError | TurnNotFound> =>
  Effect.gen(function*() {
    const { clock, journal, telemetry } = engine
    const closingOf = makeClosing(engine)
    const orphans = yield* journal.runningTurns
    let closed = 0

    const told = (closing: Closing, trace: Trace | undefined) =>
      Effect.gen(function*() {
        closed += 1
        TurnMetrics.orphansClosed(1)
        const settings = closed <= linesMax ? telemetry : { ...telemetry, logLevel: "none" as const }
        yield* TurnTelemetry.ended(closing.state, {
          clock,
          settings,
          span: yield* endSpan(closing, trace),
          recovered: true
        })
      })

    const closeAll = (states: ReadonlyMap<TurnId, TurnState>) =>
      Effect.gen(function*() {
        const closings = yield* Effect.forEach(states, ([turnId, state]) => closingOf(turnId, state))
        const traces = yield* journal.traces([...states.keys()])
        for (const [index, exit] of (yield* journal.appendAll(closings)).entries()) {
          const closing = closings[index]
          if (closing === undefined) continue
          yield* orLeave(closing.turnId)(Effect.zipRight(exit, told(closing, traces.get(closing.turnId))))
        }
      })

    for (let at = 0; at < orphans.length; at += together) {
      const some = orphans.slice(at, at + together)
      const states = yield* journal.states(some)
      yield* closeAll(states)
      for (const turnId of some) {
        if (states.has(turnId)) continue
        const alone = Effect.flatMap(journal.state(turnId), (state) => closeAll(new Map([[turnId, state]])))
        yield* orLeave(turnId)(alone)
      }
    }
    yield* Effect.annotateCurrentSpan("turnstream.recovery.turns", closed)
    if (closed > 0) {
      yield* TurnTelemetry.log(
        telemetry,
        LogLevel.Info,
        "Closed turns that a dead process left behind",
        () => ({ turns: closed })
      )
    }
    return orphans
  }).pipe(Effect.withSpan("recovery", { root: true, captureStackTrace: false }))

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
