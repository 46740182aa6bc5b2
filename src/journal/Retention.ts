/**
 * Retention, while the service runs: turns that closed longer ago than the configuration says are folded, a few at a time,
 * at the start and then regularly. Without the setting nothing is ever folded.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { Settings } from "../config/Settings.ts"
import { Journal, type WriteError } from "./Journal.ts"

/** Turns between two looks at what is due. */
const atOnce = 64

/** Folds what is due now; answers with the number of turns. */
export const pass = (journal: Journal["Type"], days: number): Effect.Effect<number, WriteError> =>
  Effect.gen(function*() {
    const now = yield* DateTime.now
    const endedBefore = DateTime.formatIso(DateTime.subtractDuration(now, Duration.days(days)))
    let folded = 0
    while (true) {
      const count = yield* journal.foldTurns(endedBefore, DateTime.formatIso(now), atOnce)
      folded += count
      if (count < atOnce) return folded
    }
  })

export const layer: Layer.Layer<never, never, Settings | Journal> = Layer.scopedDiscard(
  Effect.gen(function*() {
    const { retention } = yield* Settings
    if (retention === undefined) return
    const journal = yield* Journal
    yield* pass(journal, retention.days).pipe(
      Effect.tap((folded) => folded === 0 ? Effect.void : Effect.logInfo(`Retention folded ${folded} turns`)),
      Effect.catchAll((error) => Effect.logWarning(`Retention stopped for now: ${error.message}`)),
      Effect.repeat(Schedule.spaced(Duration.millis(retention.everyMs))),
      Effect.forkScoped
    )
  })
)
