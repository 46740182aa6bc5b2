/** A clock for clients whose waits are in the test's hands. */
import { assert } from "@effect/vitest"
import type { Timer } from "../../src/client/Client.ts"

/** Waits that are longer guard against silence: those for answers, and for heartbeats. */
const guardMs = 20_000

export interface Time {
  readonly timer: Timer
  /** Waits between attempts, in order. */
  readonly waits: ReadonlyArray<number>
  /** Timers that are open, guards among them. */
  readonly open: () => number
  /** Lets the time of the open guard pass. */
  readonly silence: () => void
}

/** `passes`: waits between attempts are over as soon as nothing else is to be done. */
export const make = (passes = true): Time => {
  const waits: Array<number> = []
  const open = new Map<object, { readonly ms: number; readonly task: () => void }>()
  return {
    waits,
    timer: (ms, task) => {
      const key = {}
      open.set(key, { ms, task })
      const isGuard = ms >= guardMs
      if (!isGuard) waits.push(ms)
      if (!isGuard && passes) {
        setImmediate(() => {
          if (open.delete(key)) task()
        })
      }
      return () => void open.delete(key)
    },
    open: () => open.size,
    silence: () => {
      const [key, guard] = [...open].find(([, { ms }]) => ms >= guardMs) ?? assert.fail("nothing is waited for")
      open.delete(key)
      guard.task()
    }
  }
}
