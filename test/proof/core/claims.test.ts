import { assert, describe, it } from "@effect/vitest"
import type { RanTest } from "../run/Tests.ts"
import { claimsCore, judge } from "./claims.ts"

const ran = (title: string, state: RanTest["state"], core: number): RanTest => ({
  file: "a.test.ts",
  title,
  state,
  core
})

describe("which tests claim the core", () => {
  it("by what their titles promise of a call", () => {
    for (
      const title of [
        "deltas are readable before the turn completes",
        "retry > three attempts, then turn.failed",
        "in backoff ends at once",
        "keeps what was said"
      ]
    ) assert.isTrue(claimsCore({ title }), title)
    for (
      const title of [
        "another body under a known key is 422",
        "an unknown provider leaves exactly turn.started and turn.failed",
        "limit is clamped, and 400 when it is no number"
      ]
    ) assert.isFalse(claimsCore({ title }), title)
  })

  it("one that claims it, reached it and passes without it is hollow; who fails, or never reached it, is not", () => {
    const run = judge([
      ran("deltas come in order", "passed", 1),
      ran("deltas come once", "failed", 1),
      ran("deltas are decoded", "passed", 0),
      ran("a key finds its turn", "passed", 2)
    ])
    assert.deepStrictEqual(run, {
      reached: 3,
      failed: 1,
      claiming: 2,
      hollow: ["a.test.ts > deltas come in order"],
      indifferent: ["a.test.ts > a key finds its turn"]
    })
  })
})
