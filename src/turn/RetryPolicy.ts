/**
 * When a failed call is tried again: at most 3 attempts, 250 ms doubling to 10 s with 20 % jitter, Retry-After honoured
 * up to 60 s. Only failures of a retryable kind, and only while nothing visible was journaled: a retry after output
 * would repeat text.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { ProviderFailure } from "../domain/TurnError.ts"

const attemptsMax = 3
const firstDelay = Duration.millis(250)
const delayMax = Duration.seconds(10)
const retryAfterMaxMs = 60_000

const asksTooLong = (failure: ProviderFailure) => (failure.retryAfterMs ?? 0) > retryAfterMaxMs

/** The failure as it stands when no retry follows: one that asks for a longer wait than we keep says so. */
const asFinal = (failure: ProviderFailure): ProviderFailure =>
  failure.retryable && asksTooLong(failure)
    ? new ProviderFailure({
      ...failure,
      detail: `${failure.detail === undefined ? "" : `${failure.detail}; `}it asks to wait ${
        Math.ceil((failure.retryAfterMs ?? 0) / 1000)
      } s, longer than the ${retryAfterMaxMs / 1000} s that a turn waits`
    })
    : failure

/**
 * `visible`: whether anything the model said in this attempt is journaled. `onRetry` is told of each failure that will
 * be tried again, with the delay, before the wait.
 */
const policy = (
  visible: () => boolean,
  onRetry: (failure: ProviderFailure, delay: Duration.Duration) => Effect.Effect<void>
) =>
  Schedule.exponential(firstDelay).pipe(
    Schedule.modifyDelay((_, delay) => Duration.min(delay, delayMax)),
    Schedule.jitteredWith({ min: 0.8, max: 1.2 }),
    Schedule.intersect(Schedule.recurs(attemptsMax - 1)),
    Schedule.whileInput((error: unknown) =>
      error instanceof ProviderFailure && error.retryable && !asksTooLong(error) && !visible()
    ),
    Schedule.passthrough,
    Schedule.modifyDelay((error, delay) =>
      Duration.millis(
        Math.max(Math.round(Duration.toMillis(delay)), error instanceof ProviderFailure ? error.retryAfterMs ?? 0 : 0)
      )
    ),
    Schedule.modifyDelayEffect((error, delay) =>
      error instanceof ProviderFailure ? Effect.as(onRetry(error, delay), delay) : Effect.succeed(delay)
    )
  )

/** The call, and again as the policy says. One that succeeds at once costs nothing of it. */
export const retrying = <A>(
  call: Effect.Effect<A, ProviderFailure>,
  visible: () => boolean,
  onRetry: (failure: ProviderFailure, delay: Duration.Duration) => Effect.Effect<void>
): Effect.Effect<A, ProviderFailure> =>
  Effect.catchAll(call, (first) => {
    let met: ProviderFailure | undefined = first
    const again = Effect.suspend(() => {
      const failed = met
      met = undefined
      return failed === undefined ? call : Effect.fail(failed)
    })
    return Effect.mapError(Effect.retry(again, policy(visible, onRetry)), asFinal)
  })
