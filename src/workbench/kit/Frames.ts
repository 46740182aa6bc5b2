/**
 * Work once per frame, however often it is asked for. Where drawing is slow the next work waits as long again as the
 * last took, so that the page always has half of its time for the reader. A page that nobody sees draws twice a second.
 */
import { nowMs } from "./Clock.ts"

const hiddenMs = 500

export interface Frames {
  readonly request: () => void
  readonly stop: () => void
}

export const make = (work: () => void): Frames => {
  let isAsked = false
  let isStopped = false
  let restUntil = 0

  const run = (): void => {
    isAsked = false
    if (isStopped) return
    const started = nowMs()
    work()
    // after the drawing that the work caused
    setTimeout(() => {
      const now = nowMs()
      restUntil = now + (now - started)
    })
  }

  const schedule = (): void => {
    const rest = restUntil - nowMs()
    if (document.visibilityState === "hidden") setTimeout(run, hiddenMs)
    else if (rest > 0) setTimeout(() => requestAnimationFrame(run), rest)
    else requestAnimationFrame(run)
  }

  return {
    request: () => {
      if (isAsked || isStopped) return
      isAsked = true
      schedule()
    },
    stop: () => {
      isStopped = true
    }
  }
}
