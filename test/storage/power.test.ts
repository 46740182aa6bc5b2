import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { gauge } from "../load/load.ts"
import { ask, folder, follow, serve, startTurn } from "../process/harness.ts"
import { shim } from "./disk.ts"

const turns = 8
const script = { deltas: 200, delayMs: 2 }

/** Commits that were acknowledged, and syncs of the database's files meanwhile. */
const commitsAndSyncs = (durability: "full" | "relaxed", disk: Exclude<typeof shim, string>) =>
  Effect.scoped(Effect.gen(function*() {
    const dataDir = yield* folder
    const { url } = yield* serve({ dataDir, env: { ...disk.env(dataDir), TURNSTREAM_DURABILITY: durability } })
    const count = gauge(url, "turnstream_commit_duration_seconds_count")
    const before = { commits: yield* count, syncs: disk.syncs(dataDir) }
    const streams = yield* Effect.forEach(
      Array.from({ length: turns }),
      () => Effect.flatMap(startTurn(url, script), ({ turnId }) => follow(url, turnId))
    )
    yield* Effect.forEach(streams, ({ ended }) => ended)
    assert.strictEqual((yield* ask(`${url}/health/ready`)).status, 200)
    // read in this order: a sync that is counted here belongs to a commit that is
    const syncs = disk.syncs(dataDir)
    return { commits: (yield* count) - before.commits, syncs: syncs - before.syncs }
  }))

describe("power loss", () => {
  it.live("P20: with durability full each commit is synced to the disk; relaxed trades that away", (context) =>
    Effect.gen(function*() {
      const disk = shim
      if (typeof disk === "string") return context.skip(disk)
      const full = yield* commitsAndSyncs("full", disk)
      assert.isAbove(full.commits, 100)
      assert.isAtLeast(full.syncs, full.commits)
      // the counter can fail: relaxed does not sync commits
      const relaxed = yield* commitsAndSyncs("relaxed", disk)
      assert.isAbove(relaxed.commits, 100)
      assert.isBelow(relaxed.syncs, relaxed.commits / 4)
      console.log(
        `P20: full ${full.syncs} syncs of ${full.commits} commits, relaxed ${relaxed.syncs} of ${relaxed.commits}`
      )
    }))
})
