import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Heights } from "../../src/workbench/kit/Heights.ts"

const estimate = 10

/** Items are their own keys. */
const change = FastCheck.oneof(
  FastCheck.record({ items: FastCheck.uniqueArray(FastCheck.constantFrom(..."abcdefghij"), { maxLength: 10 }) }),
  FastCheck.record({ index: FastCheck.nat({ max: 12 }), height: FastCheck.nat({ max: 50 }) })
)

describe("heights of which some are known", () => {
  it("whatever is measured, added, removed or moved, each item begins after those before it", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(change, { maxLength: 40 }), FastCheck.integer({ max: 600 }), (changes, y) => {
        const heights = new Heights<string>((item) => item, estimate)
        const known = new Map<string, number>()
        let items: ReadonlyArray<string> = []
        for (const one of changes) {
          if ("items" in one) heights.take(items = one.items)
          else {
            heights.measured(one.index, one.height)
            const item = items[one.index]
            if (item !== undefined) known.set(item, one.height)
          }
          let start = 0
          for (const [index, item] of items.entries()) {
            assert.strictEqual(heights.startOf(index), start)
            assert.strictEqual(heights.indexOf(item), index)
            start += known.get(item) ?? estimate
          }
          assert.strictEqual(heights.startOf(items.length), start)
          const at = heights.indexAt(y)
          if (at > 0) assert.isAtMost(heights.startOf(at), y)
          if (at < items.length - 1) assert.isAbove(heights.startOf(at + 1), y)
        }
      })
    )
  })

  it("a list that grows at its end reads the keys of what came", () => {
    let reads = 0
    const heights = new Heights<number>((item) => {
      reads++
      return String(item)
    }, estimate)
    const items = Array.from({ length: 10_000 }, (_, index) => index)
    heights.take(items)
    assert.strictEqual(heights.startOf(10_000), 100_000)
    reads = 0
    heights.take([...items, 10_000])
    heights.measured(10_000, 30)
    assert.strictEqual(heights.startOf(10_001), 100_030)
    assert.isBelow(reads, 5)
    assert.strictEqual(heights.indexOf("9999"), 9_999)
    reads = 0
    // what is held in place is looked for again with each event of scrolling
    for (let look = 0; look < 100; look++) assert.strictEqual(heights.indexOf("9999"), 9_999)
    assert.strictEqual(reads, 100)
  })
})
