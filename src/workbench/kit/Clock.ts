/** The page's time. The one module that reads it, beside the client's own. */
import { type ReadonlySignal, signal } from "@preact/signals"

const tickMs = 500

/** Milliseconds since 1970 by this machine's clock, which may differ from the server's; goes on while it sleeps. */
// @effect-diagnostics-next-line globalDate:off
export const nowMs = (): number => Date.now()

export { timer } from "../../client/Clock.ts"

let ticking: ReturnType<typeof setInterval> | undefined
const now = signal(0, {
  watched: () => {
    now.value = nowMs()
    ticking = setInterval(() => {
      now.value = nowMs()
    }, tickMs)
  },
  unwatched: () => clearInterval(ticking)
})

/** The time as a signal of half-second steps, which stand still while nobody looks. */
export const ticks: ReadonlySignal<number> = now

/** Milliseconds until then. A signal of half-second steps as long as there are any; 0 for good once it is over. */
export const leftUntil = (thenMs: number): number => {
  const left = thenMs - nowMs()
  return left > 0 && ticks.value >= 0 ? left : 0
}
