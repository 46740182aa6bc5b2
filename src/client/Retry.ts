/**
 * Asks again where that can help: after silence, and after refusals that time cures. A request that may have been carried
 * out is not sent again where twice is more than once (`isOnce`); 429 and 503 say that it was not.
 */
import * as Backoff from "./Backoff.ts"
import * as Clock from "./Clock.ts"
import type { Ask, Call } from "./Http.ts"
import { TurnstreamError } from "./TurnstreamError.ts"

/** Asked for a longer wait, the caller decides. */
const waitMsMax = 60_000

/** Statuses of moments. 409 is another turn's, which may run for long. */
const passing: ReadonlySet<number> = new Set([0, 408, 429, 500, 502, 503, 504])
const notDone: ReadonlySet<number> = new Set([429, 503])

const canHelp = ({ retryable, status }: TurnstreamError, { isOnce }: Call): boolean =>
  retryable && passing.has(status) && (isOnce !== true || notDone.has(status))

export interface Options {
  /** Attempts after the first. */
  readonly retries: number
  readonly timer: Clock.Timer | undefined
  readonly random: (() => number) | undefined
}

export const over = (ask: Ask, options: Options): Ask => {
  const { random = Clock.random, timer = Clock.timer } = options

  const pause = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const settle = (done: () => void) => () => {
        calm()
        signal?.removeEventListener("abort", leave)
        done()
      }
      const leave = settle(() => reject(signal?.reason))
      const calm = timer(ms, settle(resolve))
      signal?.addEventListener("abort", leave)
    })

  return async (path, read, call = {}) => {
    let wasUnanswered = false
    for (let failures = 1;; failures++) {
      try {
        return await ask(path, read, call)
      } catch (error) {
        if (!(error instanceof TurnstreamError)) throw error
        // an attempt before this one did it
        if (wasUnanswered && call.method === "DELETE" && error.status === 404) return read(new Response())
        const ms = Backoff.delayMs(failures, random, error.retryAfterMs)
        if (failures > options.retries || ms > waitMsMax || !canHelp(error, call)) throw error
        wasUnanswered ||= error.status === 0
        await pause(ms, call.signal)
      }
    }
  }
}
