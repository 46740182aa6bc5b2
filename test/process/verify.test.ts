import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { raw } from "../journal/databaseFixture.ts"
import { folder, follow, run, serve, startTurn } from "./harness.ts"

describe("inspect --verify", () => {
  it.scopedLive(
    "P2, P3, P14: a database is checked while its server streams, and after kill -9; damage has an exit code of its own",
    () =>
      Effect.gen(function*() {
        const dataDir = yield* folder
        const server = yield* serve({ dataDir })
        const first = yield* startTurn(server.url, { deltas: 50 })
        yield* Effect.flatMap(follow(server.url, first.turnId), ({ ended }) => ended)
        const running = yield* startTurn(server.url, { deltas: 100_000, delayMs: 5 })
        yield* Effect.flatMap(follow(server.url, running.turnId), ({ atLeast }) => atLeast(20))
        const beside = yield* run(["inspect", "--verify", "--json"], { dataDir })
        assert.strictEqual(beside.code, 0, beside.stdout + beside.stderr)
        assert.deepInclude(JSON.parse(beside.stdout), { sessions: 2, turns: 2, violations: 0 })
        yield* server.signal("SIGKILL")
        yield* server.ended
        const killed = yield* run(["inspect", "--verify"], { dataDir })
        assert.strictEqual(killed.code, 0, killed.stdout + killed.stderr)
        assert.match(killed.stdout, /^2 sessions, 2 turns, \d+ events checked: all is as promised\.\n$/)
        yield* Effect.scoped(Effect.gen(function*() {
          const sql = yield* raw(`${dataDir}/turnstream.db`)
          yield* sql.unsafe(`UPDATE turns SET last_seq = last_seq + 1 WHERE id = '${first.turnId}'`)
        }))
        const damaged = yield* run(["inspect", first.turnId, "--verify"], { dataDir })
        assert.strictEqual(damaged.code, 9)
        assert.strictEqual(
          damaged.stdout,
          `turn ${first.turnId} P2: its row has another lastSeq than its events\n1 session, 1 turn, 56 events checked: 1 violation.\n`
        )
        assert.match(damaged.stderr, /^turnstream: 1 violation\. /)
        assert.strictEqual((yield* run(["inspect"], { dataDir })).code, 2)
      }),
    60_000
  )
})
