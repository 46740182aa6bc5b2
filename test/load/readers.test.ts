import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, serve } from "../process/harness.ts"
import { fastReader, figures, needsProc, peakMb, resetPeak, startLong, stuckReader } from "./load.ts"

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
    return { ms, grownMb: peakMb(server.child.pid) - before }
  }))

describe.skipIf(needsProc !== undefined)("stuck readers", () => {
  it.live(
    "P17: 40 readers that take nothing of 24 MB cost under 40 MB and leave a fast reader under twice its time",
    () =>
      Effect.gen(function*() {
        const alone = yield* runBeside(0)
        const beside = yield* runBeside(40)
        yield* figures("P17, 24 MB", {
          "alone ms": alone.ms,
          "beside 40 ms": beside.ms,
          "alone grown MB": alone.grownMb,
          "beside 40 grown MB": beside.grownMb
        })
        assert.isBelow(beside.grownMb - alone.grownMb, 40, "RSS that the stuck readers cost")
        assert.isBelow(beside.ms, 2 * alone.ms)
      }),
    120_000
  )
})
