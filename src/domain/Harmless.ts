/** For what only watches: a tracer or a logger that throws must change nothing of what was done. */
import * as Effect from "effect/Effect"

export const harmless = (tell: () => Effect.Effect<void>): Effect.Effect<void> =>
  Effect.catchAllCause(Effect.suspend(tell), () => Effect.void)
