/**
 * One turn from its admission to its terminal event, as one effect that a fiber runs: wait for the session's slot, build
 * the context, call the provider (again where that is allowed), end.
 *
 * The outcome is what was really seen: an interruption is told by whoever interrupts (`stopped`), never guessed. The
 * ending runs uninterruptibly and commits in one transaction; where storage refuses it, the turn's readers are told and
 * it is tried again until storage is back or the process closes. Then recovery ends the turn at the next start.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import { identity } from "effect/Function"
import type * as Tracer from "effect/Tracer"
import type { BuiltContext, ContextBuilder, ContextRequest } from "../context/ContextBuilder.ts"
import type { MessageId, SessionId, TurnId } from "../domain/Ids.ts"
import { Cancelled, JournalFailure, providerFailure, type TurnError } from "../domain/TurnError.ts"
import type { TurnState } from "../domain/TurnState.ts"
import * as UsageSum from "../domain/UsageSum.ts"
import type { Journal, WriteError } from "../journal/Journal.ts"
import type { Alarms } from "../provider/Alarms.ts"
import type { GenerationOptions, ProviderRequest } from "../provider/Provider.ts"
import type { Resolved } from "../provider/ProviderRegistry.ts"
import type { Script } from "../provider/Script.ts"
import * as Attempt from "./Attempt.ts"
import type { Budgets } from "./Budgets.ts"
import * as CallTelemetry from "./CallTelemetry.ts"
import * as Ending from "./Ending.ts"
import * as GenAi from "./GenAi.ts"
import type * as Intake from "./Intake.ts"
import { engineDefect, outcomeOf, type StopCause, usageOf } from "./Outcome.ts"
import { pause } from "./Pause.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as TurnContext from "./TurnContext.ts"
import * as TurnLog from "./TurnLog.ts"
import * as TurnMetrics from "./TurnMetrics.ts"
import type { TurnLimits, TurnTelemetrySettings } from "./TurnSettings.ts"
import * as TurnTelemetry from "./TurnTelemetry.ts"

export interface TurnJob {
  readonly turnId: TurnId
  readonly sessionId: SessionId
  /** The fold of what admission committed. */
  readonly admitted: TurnState
  /** Names the answer or the partial. */
  readonly messageId: MessageId
  readonly resolved: Resolved
  readonly context: ContextRequest<JournalFailure>
  readonly generation: GenerationOptions
  readonly script: Script | undefined
  readonly deadlineMs: number | undefined
  /** Begun with its admission; ended with its terminal event. */
  readonly span: Tracer.Span
  /** The context that was committed with the admission, its first attempt behind it. */
  readonly begun: BuiltContext | undefined
}

/** How a job is steered and watched from outside; made with `control`. */
export interface TurnControl {
  /** Opens when the session's slot is the turn's. */
  readonly slot: Effect.Latch
  /** Past the context build, or ended. */
  readonly settled: Deferred.Deferred<void>
  /** The terminal event is committed, or storage refused this try; the next try has a new one. */
  ended: Deferred.Deferred<void, WriteError>
  /** The terminal event is committed, or left to the next start. */
  isOver: boolean
  /** Set by whoever interrupts the fiber, with the clock's nanoseconds; the first cause stands. */
  stopped: { readonly cause: StopCause; readonly atNanos: bigint } | undefined
}

export const control = (): TurnControl => ({
  slot: Effect.unsafeMakeLatch(false),
  settled: Deferred.unsafeMake(FiberId.none),
  ended: Deferred.unsafeMake(FiberId.none),
  isOver: false,
  stopped: undefined
})

export interface TurnEngine {
  readonly journal: Journal["Type"]
  readonly builder: ContextBuilder["Type"]
  readonly clock: Clock.Clock
  readonly alarms: Alarms
  readonly limits: TurnLimits
  readonly budgets: Budgets
  readonly telemetry: TurnTelemetrySettings
  /** Open once the process gives up: an ending that storage refuses is then left to the next start. */
  readonly closing: Effect.Latch
}

/** The engine's own end of a turn's body. `label`: for the attributes of a span. */
interface Cut {
  readonly label: string
  readonly cause: Cause.Cause<TurnError>
  readonly atNanos: bigint
}

/** Pause between two tries to write an ending that storage refused: doubled from one to the next, up to the longest. */
const endingPauseMs = { first: 100, longest: 5_000 }

/**
 * The whole life of a turn. Never fails: its end is an event. Start it where interruption is off, so that it cannot be
 * interrupted before its first step; it opens its body itself.
 */
export const run = (engine: TurnEngine, job: TurnJob, control: TurnControl): Effect.Effect<void> => {
  const { alarms, budgets, clock, journal, limits, telemetry } = engine
  const { model, provider } = job.resolved
  /** What the engine itself ended the body for, and when. */
  let cut: Cut | undefined
  /** Ends the body; nothing once it has ended or somebody else ends it. */
  let interruptBody: (() => void) | undefined
  const cutBody = (label: string, cause: Cause.Cause<TurnError>): void => {
    if (interruptBody === undefined || cut !== undefined || control.stopped !== undefined) return
    cut = { label, cause, atNanos: clock.unsafeCurrentTimeNanos() }
    interruptBody()
  }
  const log = TurnLog.make({
    journal,
    clock,
    ids: job,
    initial: job.admitted,
    span: job.span,
    onRefused: (cause) => cutBody("storage", cause)
  })
  let attempt: Attempt.Attempt | undefined
  let contextTokens = job.begun?.manifest.total ?? 0
  let charged = 0
  const usage = () => usageOf({ source: provider.usageSource, contextTokens, prices: model.prices }, attempt)

  const buildContext = TurnContext.build(engine, job, job.context).pipe(
    Effect.catchTag("ContextTooLarge", ({ error, manifest }) => {
      log.push({ type: "context.built", data: manifest })
      return Effect.fail(error)
    }),
    Effect.map((built) => {
      contextTokens = built.manifest.total
      log.push({ type: "context.built", data: built.manifest }, built.contents)
      Deferred.unsafeDone(control.settled, Exit.void)
      return built
    })
  )

  const context = job.begun === undefined
    ? Effect.zipRight(budgets.check(job.sessionId), buildContext)
    : Effect.succeed(job.begun)

  const callOnce = (request: Omit<ProviderRequest, "attempt">) =>
    Effect.suspend(() => {
      const isBegun = job.begun !== undefined && attempt === undefined
      const number = isBegun ? 1 : log.state().attempts + 1
      if (!isBegun) {
        log.push({
          type: "attempt.started",
          attempt: number,
          data: { attempt: number, provider: provider.id, model: request.model }
        })
      }
      const asked = { ...request, attempt: number }
      const current = Attempt.make({
        provider,
        request: asked,
        limits,
        alarms,
        clock,
        log,
        chargedBefore: charged,
        telemetry: CallTelemetry.make({
          clock,
          providerId: provider.id,
          sessionId: job.sessionId,
          request: asked,
          spans: telemetry.spans,
          redact: telemetry.content,
          stopped: () => control.stopped ?? (cut === undefined ? undefined : { cause: cut.label, atNanos: cut.atNanos })
        })
      })
      attempt = current
      // the call is journaled before it is made: after a crash nobody wonders whether money was spent
      return Effect.zipRight(log.committed, current.run).pipe(
        Effect.ensuring(Effect.sync(() => {
          charged += current.charged()
        }))
      )
    })

  const onRetry = (failure: TurnError & { readonly _tag: "ProviderFailure" }, delay: Duration.Duration) =>
    Effect.sync(() => {
      log.push(Ending.usageEvent(log.state(), usage()))
      Ending.pushAttemptFailed(log, failure, Duration.toMillis(delay))
      TurnMetrics.ofCalls(GenAi.providerName(provider.id), model.id).retried(failure.kind)
    })

  const converse = Effect.flatMap(context, (built) => {
    const request = {
      model: model.id,
      ...(built.system === undefined ? {} : { system: built.system }),
      messages: built.messages,
      generation: job.generation,
      contextTokens,
      ...(job.script === undefined ? {} : { script: job.script })
    }
    return RetryPolicy.retrying(callOnce(request), () => log.state().visible, onRetry)
  })

  /** In its slot, and within its limits of time. */
  const body = Effect.withFiberRuntime<Intake.Finish, TurnError>((fiber) => {
    interruptBody = () => fiber.unsafeInterruptAsFork(FiberId.none)
    const deadline = job.deadlineMs === undefined ? undefined : alarms.after(
      job.deadlineMs,
      () => cutBody("deadline", Cause.fail(new Cancelled({ cause: "deadline" })))
    )
    if (job.begun !== undefined) Deferred.unsafeDone(control.settled, Exit.void)
    let total: (() => void) | undefined
    const inSlot = Effect.suspend(() => {
      total = alarms.after(limits.totalMs, () =>
        cutBody(
          "timeout",
          Cause.fail(providerFailure(provider.id, "timeout", { detail: `the turn took ${limits.totalMs} ms` }))
        ))
      return converse
    })
    return Effect.interruptible(Effect.zipRight(control.slot.await, inSlot)).pipe(
      Effect.exit,
      Effect.flatMap((exit) => {
        interruptBody = undefined
        deadline?.()
        total?.()
        return cut !== undefined && Exit.isFailure(exit) && Cause.isInterrupted(exit.cause)
          ? Effect.failCause(cut.cause)
          : exit
      })
    )
  })

  return body.pipe(
    Effect.tapErrorCause((cause) =>
      Cause.isDie(cause) ? Effect.logError(`Turn ${job.turnId} met a defect`, cause) : Effect.void
    ),
    Effect.exit,
    Effect.flatMap((exit) => {
      const outcome = outcomeOf(exit, control.stopped?.cause)
      return Effect.sync(() => Ending.push(log, outcome, job.messageId, usage)).pipe(
        // whatever an ending trips over, the turn ends
        Effect.catchAllDefect((defect) =>
          Effect.zipRight(
            Effect.logError(`The ending of turn ${job.turnId} met a defect`, Cause.die(defect)),
            Effect.sync(() =>
              Ending.push(log, { _tag: "Failed", error: engineDefect }, job.messageId, () => unknownUsage)
            )
          )
        ),
        Effect.zipRight(end(engine, job.turnId, log, control)),
        Effect.flatMap((error) => {
          const options = { clock, span: job.span, settings: telemetry }
          return error === undefined
            ? TurnTelemetry.ended(log.state(), options)
            : TurnTelemetry.notEnded(log.state(), error, options)
        })
      )
    }),
    telemetry.spans ? Effect.withParentSpan(job.span) : identity
  )
}

const unknownUsage: Ending.AttemptUsage = { usage: UsageSum.unknown, source: "estimated", cost: undefined }

/** Tells whoever waits that nothing more comes of it. */
export const over = (control: TurnControl): undefined => {
  control.isOver = true
  Deferred.unsafeDone(control.ended, Exit.void)
  Deferred.unsafeDone(control.settled, Exit.void)
}

/** One try to commit the ending. Where it is refused, readers and waiting commands are told at once. */
const tryEnd = (engine: TurnEngine, turnId: TurnId, log: TurnLog.TurnLog, control: TurnControl) =>
  log.flush.pipe(
    Effect.catchAllDefect((defect) =>
      Effect.zipRight(
        Effect.logError(`The ending of turn ${turnId} met a defect`, Cause.die(defect)),
        Effect.fail(new JournalFailure({ operation: "append", retryable: false, reason: "the engine met a defect" }))
      )
    ),
    Effect.tapError((error) => {
      const refused = control.ended
      control.ended = Deferred.unsafeMake(FiberId.none)
      return Effect.zipRight(
        engine.journal.endFollowers(error._tag === "Fenced" ? "fenced" : "storage", turnId),
        Effect.sync(() => {
          Deferred.unsafeDone(refused, Exit.fail(error))
          Deferred.unsafeDone(control.settled, Exit.void)
        })
      )
    })
  )

/**
 * Commits the ending: tries on until storage takes it, another process owns the database, or this one closes. Answers with
 * why it is not committed, if it is not: the next start ends the turn then.
 */
const end = (
  engine: TurnEngine,
  turnId: TurnId,
  log: TurnLog.TurnLog,
  control: TurnControl
): Effect.Effect<WriteError | undefined> => {
  const once = tryEnd(engine, turnId, log, control)
  const again = (ms: number): Effect.Effect<void, WriteError> =>
    Effect.flatMap(pause(engine, ms), (closing) =>
      closing
        ? once
        : Effect.catchTag(once, "JournalFailure", () => again(Math.min(ms * 2, endingPauseMs.longest))))
  return Effect.match(Effect.catchTag(once, "JournalFailure", () => again(endingPauseMs.first)), {
    onFailure: (error) => {
      over(control)
      return error
    },
    onSuccess: () => over(control)
  })
}
