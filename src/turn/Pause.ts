/** A pause of whoever waits for storage: over in time, or when the process gives up. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/**
 * True once the process closes. An interruption of the turn reaches the children of this race although the turn itself is
 * past interrupting: whoever cancels it again ends the pause early.
 */
export const pause = ({ closing }: { readonly closing: Effect.Latch }, ms: number): Effect.Effect<boolean> =>
  Effect.raceFirst(
    Effect.interruptible(Effect.as(Effect.sleep(Duration.millis(ms)), false)),
    Effect.interruptible(Effect.as(closing.await, true))
  ).pipe(Effect.catchAllCause(() => Effect.succeed(false)))
