import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, serve } from "../process/harness.ts"
import { fastReader, figures, needsProc, peakMb, resetPeak, startLong, stuckReader, titled } from "./load.ts"

interface Run {
  readonly ms: number
  readonly grownMb: number
}

const megabyte = 1_048_576
const config = { limits: { outputBytesPerTurn: 64 * megabyte } }

/** One fast reader of a stream of 24 MB beside `stuck` readers that take nothing, on a server of its own. */
const runBeside = (stuck: number) =>
  Effect.scoped(Effect.gen(function*() {
    const server = yield* serve({ dataDir: yield* folder, config })
    // both runs compile what they need before anything is measured
    yield* Effect.flatMap(startLong(server.url, megabyte, 1_024), ({ turnId }) => fastReader(server.url, turnId))
    resetPeak(server.child.pid)
    const before = peakMb(server.child.pid)
    const { turnId } = yield* startLong(server.url, 24 * megabyte, 1_024)
    yield* Effect.forEach(Array.from({ length: stuck }), () => stuckReader(server.url, turnId), { concurrency: 10 })
    const { bytes, last, ms } = yield* fastReader(server.url, turnId)
    assert.include(last, "event: turn.completed")
    assert.isAbove(bytes, 24 * megabyte)
    return { ms, grownMb: peakMb(server.child.pid) - before } satisfies Run
  }))

describe.skipIf(needsProc !== undefined)(titled("stuck readers"), () => {
  it.live(
    "P17: 40 readers that take nothing of 24 MB cost under 40 MB and leave a fast reader under twice its time",
    () =>
      Effect.gen(function*() {
        const rounds: Array<Record<"alone" | "beside", Run>> = []
        const least = (of: "alone" | "beside", what: keyof Run) => Math.min(...rounds.map((round) => round[of][what]))
        const ratio = () => least("beside", "ms") / least("alone", "ms")
        // what else the machine does only adds: the least of a few is nearest to what it costs
        do {
          rounds.push({ alone: yield* runBeside(0), beside: yield* runBeside(40) })
        } while ((ratio() >= 2 || least("beside", "grownMb") >= 40) && rounds.length < 4)
        yield* figures("P17, 24 MB", {
          "alone ms": least("alone", "ms"),
          "beside 40 ms": least("beside", "ms"),
          "alone grown MB": least("alone", "grownMb"),
          "beside 40 grown MB": least("beside", "grownMb")
        })
        assert.isBelow(least("beside", "grownMb"), 40, "RSS that the stream costs in all")
        assert.isBelow(ratio(), 2)
      }),
    120_000
  )
})
