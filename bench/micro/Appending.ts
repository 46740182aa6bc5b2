/** The journal's append on a file (`relaxed`): commits of some deltas, of one turn and of many that speak at once. */
import * as Effect from "effect/Effect"
import { ownCpuMicros } from "../kit/ProcessUse.ts"
import type { Micro } from "./Micro.ts"
import { appends, journal, runtime, speaking } from "./Turns.ts"

/** Deltas of each turn in a commit, turns in a commit, commits of a round. */
const cases = [[1, 1, 1_000], [16, 1, 400], [64, 1, 200], [1, 100, 40], [16, 100, 10], [64, 100, 4]] as const

export const appending: ReadonlyArray<Micro> = cases.map(([size, turns, commits]) => ({
  part: "append",
  name: `commits of ${size} ${size === 1 ? "delta" : "deltas"} of ${turns} ${turns === 1 ? "turn" : "turns"}`,
  once: async () => {
    const { append } = await journal
    const of = await Promise.all(Array.from({ length: turns }, speaking))
    const lanes = of.map((one) => appends(one, commits, size))
    const all = Array.from(
      { length: commits },
      (_, index) =>
        Effect.forEach(lanes, (lane) => lane[index] === undefined ? Effect.void : append(lane[index]), {
          concurrency: "unbounded",
          discard: true
        })
    )
    const micros = await ownCpuMicros(() => runtime.runPromise(Effect.all(all, { discard: true })))
    return micros / (commits * turns * size)
  }
}))
