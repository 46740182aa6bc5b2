import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ask, folder, serve } from "../process/harness.ts"
import { figures, gauge, startLong, stuckReader } from "./load.ts"

const drainMs = 300

describe("a shutdown among peers that do not help", () => {
  it.scopedLive("P22: with 100 readers that take nothing and turns that never end, SIGTERM exits 0 within the drain time and 2 s", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const config = { drainMs, limits: { outputBytesPerTurn: 33_554_432 } }
      const server = yield* serve({ dataDir, config })
      const { sessionId, turnId } = yield* startLong(server.url, 16_777_216, 4_096)
      yield* Effect.forEach(Array.from({ length: 100 }), () => stuckReader(server.url, turnId), { concurrency: 10 })
      for (const steps of [[{ hang: true }], [{ endless: "word ", everyMs: 1 }]]) {
        yield* ask(`${server.url}/v1/sessions/${sessionId}/turns`, "POST", {
          message: "go",
          onBusy: "queue",
          options: { script: { steps } }
        })
      }
      // each of them was accepted before this is answered
      assert.isAbove(yield* gauge(server.url, "turnstream_event_streams"), 0)
      const begun = performance.now()
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.ended, { code: 0, signal: null }, server.stderr())
      const ms = performance.now() - begun
      yield* figures("P22, 100 stuck readers", { "drain ms": drainMs, "exit ms": ms })
      assert.isBelow(ms, drainMs + 2_000)
      const after = yield* serve({ dataDir })
      const { body } = yield* ask(`${after.url}/v1/sessions/${sessionId}/turns`)
      for (const turn of body["items"] as ReadonlyArray<{ status: string; error?: { _tag: string; cause?: string } }>) {
        if (turn.status !== "completed") assert.deepInclude(turn.error, { _tag: "Interrupted", cause: "shutdown" })
      }
    }))
})
