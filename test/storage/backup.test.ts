import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { checkJournal, checkSession } from "../../src/domain/Invariants.ts"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import { raw } from "../journal/databaseFixture.ts"
import { ask, folder, run, serve, startTurn } from "../process/harness.ts"

/** `TURNSTREAM_BACKUP_ROUNDS=100 npx vitest run test/storage/backup.test.ts` for the figure of P31. */
const rounds = Number(process.env["TURNSTREAM_BACKUP_ROUNDS"] ?? 5)

describe("online backup", () => {
  it.scopedLive(
    `P31: each of ${rounds} backups of a database that is being written is whole, consistent, and opens`,
    () =>
      Effect.gen(function*() {
        const dataDir = yield* folder
        const server = yield* serve({ dataDir, config: { limits: { outputBytesPerTurn: 67_108_864 } } })
        // more is written in each moment than a copy takes to make
        const started = yield* Effect.forEach(
          Array.from({ length: 6 }),
          (_, i) => startTurn(server.url, { steps: [{ endless: `${"word ".repeat(20)}${i} `, everyMs: 2 }] })
        )
        let events = 0
        let last = ""
        for (let round = 0; round < rounds; round++) {
          const copy = join(yield* folder, "copy")
          mkdirSync(copy)
          last = copy
          const { code, stderr } = yield* run(["backup", join(copy, "turnstream.db")], { dataDir })
          assert.strictEqual(code, 0, stderr)
          yield* Effect.scoped(Effect.gen(function*() {
            const sql = yield* raw(join(copy, "turnstream.db"))
            assert.deepStrictEqual(yield* sql`PRAGMA integrity_check`, [{ integrity_check: "ok" }])
            const [counts] = yield* sql<{ turns: number; seqs: number }>`SELECT
            (SELECT count(*) FROM turns WHERE status = 'running') AS turns, (SELECT sum(last_seq) FROM batches) AS seqs`
            assert.strictEqual(counts?.turns, started.length)
            assert.isAbove(counts?.seqs ?? 0, events, "nothing was written since the last copy")
            events = counts?.seqs ?? 0
          }))
        }
        const opened = yield* serve({ dataDir: last })
        for (const { sessionId, turnId } of started) {
          const { body } = yield* ask(`${opened.url}/v1/turns/${turnId}`)
          assert.deepInclude(body["error"], { _tag: "Interrupted", cause: "crash" })
          const { body: page } = yield* ask(`${opened.url}/v1/sessions/${sessionId}/events?limit=10000`)
          const journal = page["items"] as ReadonlyArray<TurnEvent>
          assert.deepStrictEqual(checkJournal(journal), [])
          assert.deepStrictEqual(checkSession(journal), [])
        }
        for (const { turnId } of started) yield* ask(`${server.url}/v1/turns/${turnId}/cancel`, "POST")
      }),
    30_000 + rounds * 5_000
  )
})
