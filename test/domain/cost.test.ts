import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Cost from "../../src/domain/Cost.ts"
import type * as Usage from "../../src/domain/Usage.ts"
import * as UsageSum from "../../src/domain/UsageSum.ts"

const usage = (known: Partial<Usage.Usage>) => UsageSum.make(known)
const prices = { input: 2.5, cached: 0.25, output: 10 }

describe("what a call cost", () => {
  it("input that a cache gave has its own price, and what was written to one its own or the input's", () => {
    const all = usage({ inputTokens: 1_000_000, cacheReadTokens: 400_000, cacheWriteTokens: 100_000, outputTokens: 0 })
    assert.strictEqual(Cost.of(all, prices), 0.5 * 2.5 + 0.4 * 0.25 + 0.1 * 2.5)
    assert.strictEqual(Cost.of(all, { ...prices, cacheWrite: 5 }), 0.5 * 2.5 + 0.4 * 0.25 + 0.1 * 5)
  })

  it("one token costs something", () => {
    assert.strictEqual(Cost.of(usage({ inputTokens: 1, outputTokens: 0 }), { input: 0.15, output: 0.6 }), 1.5e-7)
  })

  it("unknown is never 0", () => {
    const known = usage({ inputTokens: 10, outputTokens: 10 })
    assert.isUndefined(Cost.of(known, undefined))
    assert.isUndefined(Cost.of(known, {}))
    assert.isUndefined(Cost.of(known, { input: 1 }))
    assert.isUndefined(
      Cost.of(usage({ inputTokens: 10, cacheReadTokens: 1, outputTokens: 10 }), { input: 1, output: 1 })
    )
    assert.isUndefined(Cost.of(usage({ outputTokens: 10 }), prices))
    assert.isUndefined(Cost.of(usage({ inputTokens: 10 }), prices))
    assert.isUndefined(Cost.of(UsageSum.unknown, prices))
  })

  it("what no ledger could hold is unknown", () => {
    const most = usage({ inputTokens: 0, outputTokens: 1_000_000_000_000 })
    assert.isUndefined(Cost.of(most, { input: 1, output: 1_000_000 }))
    assert.strictEqual(Cost.of(most, { input: 1, output: 1 }), 1_000_000)
  })

  it("nothing costs nothing, and what is free is 0", () => {
    assert.strictEqual(Cost.of(usage({ inputTokens: 0, outputTokens: 0 }), {}), 0)
    assert.strictEqual(Cost.of(usage({ inputTokens: 7, outputTokens: 9 }), { input: 0, output: 0 }), 0)
  })

  it("more cached than read is no negative cost", () => {
    assert.strictEqual(Cost.of(usage({ inputTokens: 1, cacheReadTokens: 5, outputTokens: 0 }), prices), 1.25e-6)
  })

  it("goes to billionths and back without loss, so that sums are exact", () => {
    const count = FastCheck.nat(10_000_000)
    const price = FastCheck.nat(1_000_000).map((cents) => cents / 100)
    FastCheck.assert(FastCheck.property(count, count, price, price, (inputTokens, outputTokens, input, output) => {
      const cost = Cost.of(usage({ inputTokens, outputTokens }), { input, output }) ?? assert.fail()
      assert.strictEqual(Cost.fromNanos(Cost.toNanos(cost)), cost)
      assert.isTrue(Number.isSafeInteger(Cost.toNanos(cost)))
    }))
  })
})
