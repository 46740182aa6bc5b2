/**
 * An admission that storage refused may stand all the same: its COMMIT took effect and was reported as failed, and storage
 * was gone when it was tried again. Nobody would run such a turn, and its session would wait for it until the next start.
 * So storage is asked before the refusal is told, and where it does not answer, again until it does: what stands runs like
 * any other turn, and a client that sends its key again finds it.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import type { Admission, Admitted, Journal } from "../journal/Journal.ts"
import type { Supervisor } from "./Supervisor.ts"
import type { TurnJob } from "./TurnRun.ts"

/** Pause between two looks whether storage answers again. */
const lookRetry = Schedule.spaced("500 millis")

/** None where storage does not answer. */
const stands = (journal: Journal["Type"], id: TurnId): Effect.Effect<Option.Option<boolean>> =>
  journal.turn(id).pipe(
    Effect.as(Option.some(true)),
    Effect.catchTags({
      TurnNotFound: () => Effect.succeed(Option.some(false)),
      JournalFailure: () => Effect.succeed(Option.none<boolean>())
    })
  )

export interface Options {
  readonly journal: Journal["Type"]
  readonly supervisor: Supervisor
  readonly inSession: <A, E, R>(sessionId: SessionId, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Open once the process gives up: what is in doubt then is the next start's. */
  readonly closing: Effect.Latch
  readonly scope: Scope.Scope
}

/**
 * Commits an admission. With a job a place was taken for it; whoever does not start the turn gives it back, while there is
 * a doubt only once that is resolved. Call it uninterruptible, holding the session.
 */
export const commit = ({ closing, inSession, journal, scope, supervisor }: Options) => {
  const atLast = (id: TurnId) =>
    Effect.raceFirst(
      Effect.orElseSucceed(Effect.retry(Effect.flatten(stands(journal, id)), lookRetry), () => false),
      Effect.as(closing.await, false)
    )

  const runIfItStands = (job: TurnJob) =>
    Effect.flatMap(
      Effect.interruptible(atLast(job.turnId)),
      (does) =>
        does ? inSession(job.sessionId, Effect.sync(() => supervisor.register(job))) : Effect.sync(supervisor.giveBack)
    )

  return (admission: Admission, job: TurnJob | undefined) => {
    let owed = job !== undefined
    return journal.admit(admission).pipe(
      Effect.catchTag("JournalFailure", (error) =>
        Effect.gen(function*() {
          const found = yield* stands(journal, admission.turnId)
          if (found._tag === "None" && job !== undefined) {
            owed = false
            yield* Effect.forkIn(runIfItStands(job), scope)
          }
          if (found._tag === "None" || !found.value) return yield* error
          const ahead = supervisor.line(admission.sessionId)
          const started: Admitted = { _tag: "Started", turnId: admission.turnId, ahead }
          return started
        })),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          // one that is not alone is asked again, and keeps its place
          const isKept = exit._tag === "Success" && exit.value._tag !== "Existing"
          if (!isKept && owed) supervisor.giveBack()
        })
      )
    )
  }
}
