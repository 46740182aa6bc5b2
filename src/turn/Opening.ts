/**
 * A turn whose session is free begins with its admission: the question, the context and the first attempt are one commit
 * instead of two, and the model is called a turn of the event loop sooner.
 *
 * The context is built before the turn is admitted, from all that its session holds; so it must be admitted alone
 * (`Admission.alone`), while its admission holds the session. Where anything has to be waited for (a source that asks
 * elsewhere, a history that takes long), or the context does not fit, the turn is admitted first, as a waiting one is.
 */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import type { ContextRequest } from "../context/ContextBuilder.ts"
import type { JournalFailure } from "../domain/TurnError.ts"
import * as TurnState from "../domain/TurnState.ts"
import type { Admission } from "../journal/Journal.ts"
import * as TurnContext from "./TurnContext.ts"
import * as TurnLog from "./TurnLog.ts"
import type { TurnEngine, TurnJob } from "./TurnRun.ts"

export interface Opening {
  readonly admission: Admission
  readonly job: TurnJob
}

/** What it came to, if that took no waiting. */
const atOnce = <A, E>(runtime: Runtime.Runtime<never>, effect: Effect.Effect<A, E>): Exit.Exit<A, E> | undefined => {
  const fiber = Runtime.runFork(runtime, effect)
  const exit = fiber.unsafePoll()
  if (exit === null) fiber.unsafeInterruptAsFork(FiberId.none)
  return exit ?? undefined
}

/** `context`: of all that the session holds. Undefined where the turn is to be admitted first. */
export const make = (
  engine: TurnEngine,
  runtime: Runtime.Runtime<never>,
  admission: Admission,
  job: TurnJob,
  context: ContextRequest<JournalFailure>
): Opening | undefined => {
  // a budget counts what is spent until the moment at which the turn has its session
  if (engine.builder.isPrompt !== true || engine.budgets.isConfigured) return undefined
  // where its key is known there is no turn that a span of the build could belong to
  if (engine.telemetry.spans && admission.idempotency !== undefined) return undefined
  const built = atOnce(runtime, TurnContext.build(engine, job, context))
  if (built === undefined || Exit.isFailure(built)) return undefined
  const { manifest, contents } = built.value
  const attempt = { attempt: 1, provider: job.resolved.provider.id, model: job.resolved.model.id }
  const pen = TurnLog.makePen(engine.clock, job, job.admitted)
  const events = [
    ...admission.events,
    pen.write({ type: "context.built", data: manifest }),
    pen.write({ type: "attempt.started", attempt: 1, data: attempt })
  ]
  return {
    admission: { ...admission, events, contents, alone: true },
    job: { ...job, admitted: TurnState.fold(events) as TurnState.TurnState, begun: built.value }
  }
}
