/** The client's time and chance: the one module of it that reads them. Whoever makes a client may give others. */

/** Runs `task` after `ms`; the answer calls it off. */
export type Timer = (ms: number, task: () => void) => () => void

export const timer: Timer = (ms, task) => {
  const id = setTimeout(task, ms)
  return () => clearTimeout(id)
}

/** From 0 to 1. */
// @effect-diagnostics-next-line globalRandom:off
export const random = (): number => Math.random()

/** A key that nobody else has: 32 hexadecimal digits. (`randomUUID` is there for pages on https alone.) */
export const newKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")
