/**
 * The wait before the next attempt: half a second, doubled after each failure up to ten, of which a random half is left
 * out, so that the readers of a server that was away do not come back in one moment. What a server asks for
 * (`Retry-After`) is waited at least.
 */
const delayMinMs = 500
const delayMaxMs = 10_000

/** The longest that a timer can wait. */
const timerMaxMs = 2 ** 31 - 1

export const delayMs = (failures: number, random: () => number, retryAfterMs = 0): number =>
  Math.min(
    timerMaxMs,
    Math.max(retryAfterMs, Math.min(delayMaxMs, delayMinMs * 2 ** (failures - 1)) * (1 - random() / 2))
  )
