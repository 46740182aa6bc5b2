/**
 * Waiting for Ctrl-C. While a command waits here the signal is the command's; otherwise `main.ts` takes it and stops the
 * command.
 */
import * as Effect from "effect/Effect"

/** Completes at the next SIGINT. Stops listening when interrupted. */
export const nextInterrupt: Effect.Effect<void> = Effect.async((resume) => {
  const onSignal = () => resume(Effect.void)
  process.once("SIGINT", onSignal)
  return Effect.sync(() => process.off("SIGINT", onSignal))
})
