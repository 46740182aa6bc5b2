import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type * as Usage from "../../src/domain/Usage.ts"
import * as UsageSum from "../../src/domain/UsageSum.ts"

const count = FastCheck.option(FastCheck.nat(1_000_000))
const usage: FastCheck.Arbitrary<Usage.Usage> = FastCheck.record({
  inputTokens: count,
  outputTokens: count,
  cacheReadTokens: count,
  cacheWriteTokens: count,
  reasoningTokens: count,
  totalTokens: count
})

describe("usage", () => {
  it("sums in any grouping and order, and unknown adds nothing", () => {
    FastCheck.assert(FastCheck.property(usage, usage, usage, (a, b, c) => {
      assert.deepStrictEqual(UsageSum.add(UsageSum.add(a, b), c), UsageSum.add(a, UsageSum.add(b, c)))
      assert.deepStrictEqual(UsageSum.add(a, b), UsageSum.add(b, a))
      assert.deepStrictEqual(UsageSum.add(a, UsageSum.unknown), a)
    }))
  })

  it("is unknown only where nobody knows, and never becomes zero", () => {
    FastCheck.assert(FastCheck.property(FastCheck.array(usage), (all) => {
      const total = all.reduce(UsageSum.add, UsageSum.unknown)
      for (const key of Object.keys(UsageSum.unknown) as ReadonlyArray<keyof Usage.Usage>) {
        const known = all.flatMap((one) => one[key] === null ? [] : [one[key]])
        assert.strictEqual(total[key], known.length === 0 ? null : known.reduce((a, b) => a + b, 0))
      }
    }))
  })

  it("takes the wire's total, or input + output where both are known", () => {
    assert.strictEqual(UsageSum.make({ inputTokens: 1, outputTokens: 2 }).totalTokens, 3)
    assert.strictEqual(UsageSum.make({ inputTokens: 1, outputTokens: 2, totalTokens: 9 }).totalTokens, 9)
    assert.strictEqual(UsageSum.make({ outputTokens: 2 }).totalTokens, null)
    assert.deepStrictEqual(UsageSum.make({}), UsageSum.unknown)
  })
})
