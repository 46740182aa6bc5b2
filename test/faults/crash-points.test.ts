/**
 * Crash-point enumeration, death: the process is killed at write 1, 2, 3 ... of each scenario, and another one opens what is
 * left. Nothing that was acknowledged or seen may be lost, nothing may be there twice, nothing may be stuck.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { deaths, emptyDatabase, type Enumerated, refusedStarts, remainsOf } from "./life.ts"
import { halfway, retention, scenarios, sharedWrites } from "./scenarios.ts"
import { witness } from "./witness.ts"

/** Kills a scenario must have at the least: measured, so that an enumeration that finds nothing to kill is told. */
const leastPoints: Readonly<Record<keyof typeof scenarios, number>> = {
  plain: 28,
  cancel: 28,
  providerFailure: 25,
  retry: 52,
  resume: 44,
  queue: 49,
  deleteSession: 59
}

const isClean = ({ found, points }: Enumerated, least: number) => {
  assert.deepStrictEqual(found, [])
  assert.isAtLeast(points, least)
}

const names = Object.keys(scenarios) as ReadonlyArray<keyof typeof scenarios>

describe("P1, P2, P3, P4, P5, P6, P8, P9, P14, P15: killed at each of its writes", () => {
  for (const name of names) {
    it.scoped(
      `${name}: nothing acknowledged or seen is lost, nothing is twice, every turn is ended, and the next process serves`,
      () =>
        Effect.gen(function*() {
          const from = (sharedWrites[name] ?? 0) + 1
          isClean(yield* deaths(yield* emptyDatabase, scenarios[name], { from }), leastPoints[name])
        }),
      60_000
    )
  }
})

describe("P1, P4, P5: retention and vacuum", () => {
  it.scoped(
    "killed at each of their writes: what was folded is folded whole, and no answer is lost",
    () =>
      Effect.gen(function*() {
        isClean(yield* deaths(yield* emptyDatabase, retention, { from: leastPoints.cancel }), 95)
      }),
    60_000
  )
})

/** What a process leaves that dies with a turn that streams, one in line behind it, and one before its first word. */
const left = Effect.gen(function*() {
  const remains = yield* remainsOf(yield* emptyDatabase, halfway, witness(), false)
  const last = remains.at(-1)
  return last ?? (yield* Effect.dieMessage("a life without a write"))
})

describe("P6: recovery itself", () => {
  it.scoped("killed at each of its writes: the next start closes every orphan, once", () =>
    Effect.gen(function*() {
      const { folder, seen } = yield* left
      isClean(yield* deaths(folder, () => Effect.void, { seen, opened: true }), 10)
    }), 60_000)

  for (const code of ["SQLITE_FULL", "SQLITE_BUSY"]) {
    it.scoped(
      `P19: with ${code} at each of its writes: no start with an orphan left open, and none is lost`,
      () =>
        Effect.gen(function*() {
          isClean(yield* refusedStarts(yield* left, code), 10)
        }),
      60_000
    )
  }
})
