import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { raw } from "../journal/databaseFixture.ts"
import { admit, append, attempt, built, createSession, delta } from "../journal/fixtures.ts"
import { layerIn } from "../journal/sqlFixture.ts"
import { ask, folder, serve, type Settings } from "../process/harness.ts"
import { figures } from "./load.ts"

const orphans = 10_000
const sessions = 500
const words = ["one ", "two ", "three "]

/** What a process leaves that dies with all of these running or waiting. */
const leave = (dataDir: string) =>
  Effect.gen(function*() {
    yield* Effect.forEach(Array.from({ length: sessions }), (_, i) => createSession(`s${i}`), { concurrency: 64 })
    yield* Effect.forEach(
      Array.from({ length: orphans }),
      (_, i) => {
        const session = `s${i % sessions}`
        const admitted = admit(`t${i}`, session, { onBusy: "queue", queueMax: orphans })
        // the first of each session was answering, the others stood in line
        return i >= sessions ? admitted : Effect.zipRight(
          admitted,
          append(`t${i}`, session, 2, [built, attempt(), ...words.map(delta)])
        )
      },
      { concurrency: 512, discard: true }
    )
  }).pipe(Effect.provide(layerIn(dataDir)))

const readyMs = (settings: Settings) =>
  Effect.gen(function*() {
    const begun = performance.now()
    const server = yield* serve(settings)
    return { server, ms: performance.now() - begun }
  })

describe("orphans", () => {
  it.scopedLive(
    "P6: 10,000 turns without an end are closed, each once with a checkpoint, in under 2 s before the service is ready",
    () =>
      Effect.gen(function*() {
        const empty = yield* readyMs({ dataDir: yield* folder })
        const dataDir = yield* folder
        yield* leave(dataDir)
        const { ms, server } = yield* readyMs({ dataDir })
        yield* figures("P6, 10,000 orphans", {
          "empty start ms": empty.ms,
          "start ms": ms,
          "recovery ms": ms - empty.ms
        })
        const answering = (yield* ask(`${server.url}/v1/turns/t7`)).body
        assert.deepInclude(answering["error"], { _tag: "Interrupted", cause: "crash" })
        assert.strictEqual(answering["text"], words.join(""))
        const sql = yield* raw(join(dataDir, "turnstream.db"))
        const [counts] = yield* sql<Record<string, number>>`SELECT
        (SELECT count(*) FROM turns WHERE status = 'failed' AND checkpoint IS NOT NULL) AS closed,
        (SELECT count(*) FROM batches WHERE terminal = 1) AS ends,
        (SELECT count(*) FROM checkpoints) AS checkpoints,
        (SELECT count(*) FROM messages WHERE role = 'assistant' AND state = 'partial') AS partials`
        assert.deepStrictEqual(counts, { closed: orphans, ends: orphans, checkpoints: orphans, partials: sessions })
        assert.isBelow(ms - empty.ms, 2_000)
      }),
    120_000
  )
})
