import { assert, describe, it } from "@effect/vitest"
import { run } from "./torture.ts"

describe("the kill loop", () => {
  it(
    "P1, P2, P3, P4, P5, P6, P9, P10, P14, P15: 20 kills in mid-turn, some in recovery, break no promise",
    async () => {
      const { failed, figures, violations } = await run({ cycles: 20, seed: 1 })
      assert.deepStrictEqual(violations, [], JSON.stringify(failed))
      assert.strictEqual(figures.cycles, 20)
      // a loop that killed nothing in mid-turn, or saw nothing, has shown nothing
      assert.isAbove(figures.orphans, 10)
      assert.isAbove(figures.killsBeforeReady, 0)
      assert.isAbove(figures.eventsSeen, 1_000)
    },
    180_000
  )
})
