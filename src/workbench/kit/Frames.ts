/**
 * Work once per frame, however often it is asked for. Where drawing is slow the next work waits as long again as the
 * last took, so that the page always has half of its time for the reader. A page that nobody sees has no frames, also
 * where it was seen when it asked for one: work that no frame took on is done by a timer, twice a second.
 */
import { nowMs, timer } from "./Clock.ts"

const frameMsMax = 500

export interface Frames {
  readonly request: () => void
  readonly stop: () => void
}

export const make = (work: () => void): Frames => {
  let isAsked = false
  let isStopped = false
  let restUntil = 0
  let calm = (): void => {}

  /** By whichever comes first; the other, where it still comes, finds nothing asked. */
  const run = (): void => {
    if (!isAsked || isStopped) return
    isAsked = false
    calm()
    const started = nowMs()
    work()
    // after the drawing that the work caused
    timer(0, () => {
      const now = nowMs()
      restUntil = now + (now - started)
    })
  }

  const frame = (): void => void requestAnimationFrame(run)

  return {
    request: () => {
      if (isAsked || isStopped) return
      isAsked = true
      const rest = Math.max(0, restUntil - nowMs())
      calm = timer(rest + frameMsMax, run)
      if (rest > 0) timer(rest, frame)
      else frame()
    },
    stop: () => {
      isStopped = true
    }
  }
}
