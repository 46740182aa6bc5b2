/**
 * An admission that storage refused may stand all the same: its COMMIT took effect and was reported as failed, and storage
 * was gone when it was tried again. Nobody would run such a turn, and its session would wait for it until the next start.
 * So storage is asked before the refusal is told. Where it does not answer, the turn takes its place in its session's line
 * and asks again until it does: what stands runs like any other turn, before whatever comes behind it (it may have begun
 * with its admission), and a client that sends its key again finds it.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { TurnId } from "../domain/Ids.ts"
import type { Admission, Admitted, Journal } from "../journal/Journal.ts"
import { pause } from "./Pause.ts"
import type { Supervisor } from "./Supervisor.ts"
import type { TurnEngine, TurnJob } from "./TurnRun.ts"

/** Pause between two looks whether storage answers again. */
const lookPauseMs = 500

/** None where storage does not answer. */
const stands = (journal: Journal["Type"], id: TurnId): Effect.Effect<Option.Option<boolean>> =>
  journal.turn(id).pipe(
    Effect.as(Option.some(true)),
    Effect.catchTags({
      TurnNotFound: () => Effect.succeed(Option.some(false)),
      JournalFailure: () => Effect.succeed(Option.none<boolean>())
    })
  )

/** Whether it stands, as soon as storage says so. Where the process closes before, it is the next start's, and none here. */
const standsAtLast = (engine: Pick<TurnEngine, "closing" | "journal">, id: TurnId): Effect.Effect<boolean> =>
  Effect.flatMap(
    stands(engine.journal, id),
    Option.match({
      onSome: (does) => Effect.succeed(does),
      onNone: () =>
        Effect.flatMap(
          pause(engine, lookPauseMs),
          (closes) => closes ? Effect.succeed(false) : standsAtLast(engine, id)
        )
    })
  )

/**
 * Commits an admission. With a job a place was taken for it; whoever does not start the turn gives it back. Call it
 * uninterruptible, holding the session.
 */
export const commit =
  (engine: Pick<TurnEngine, "closing" | "journal">, supervisor: Supervisor) =>
  (admission: Admission, job: TurnJob | undefined) => {
    let owed = job !== undefined
    return engine.journal.admit(admission).pipe(
      Effect.catchTag("JournalFailure", (error) =>
        Effect.gen(function*() {
          const found = yield* stands(engine.journal, admission.turnId)
          if (found._tag === "None" && job !== undefined) {
            owed = false
            supervisor.register(job, standsAtLast(engine, job.turnId))
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
