import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Beginnings from "../../src/domain/Beginnings.ts"

interface Item {
  readonly n: number
}
type Kept = Beginnings.Beginning<Item> & { readonly name: string }

const some = (count: number, from = 0): ReadonlyArray<Item> =>
  Array.from({ length: count }, (_, n) => ({ n: n + from }))
const kept = (name: string, items: ReadonlyArray<Item>): Kept => ({ name, items })

describe("what was made of a beginning", () => {
  it.prop(
    "is found only where the same objects stand, in the same places",
    {
      count: FastCheck.integer({ min: 1, max: 20 }),
      more: FastCheck.nat(12),
      end: FastCheck.nat(40),
      cut: FastCheck.nat(3),
      other: FastCheck.option(FastCheck.nat(19))
    },
    ({ count, cut, end, more, other }) => {
      const beginnings = Beginnings.make<Item, Kept>(100)
      const items = some(count)
      beginnings.put(kept("it", items), 1, undefined)
      const list = [...items, ...some(more)].map((item, index) => index === other ? { ...item } : item).slice(cut)
      const found = beginnings.find(list, end)
      const length = count - cut
      const isThere = length > 0 && end >= length && (other === null || other < cut || other >= count)
      // a list that is much longer counts as new
      assert.deepStrictEqual(found, isThere && end - length < 8 ? { value: kept("it", items), skip: cut } : undefined)
    },
    { fastCheck: { numRuns: 500 } }
  )

  it("gives way to what goes on from it, and to what comes later than there is room for", () => {
    const beginnings = Beginnings.make<Item, Kept>(10)
    const items = some(8)
    const first = kept("first", items.slice(0, 4))
    const then = kept("then", items.slice(0, 6))
    beginnings.put(first, 4, undefined)
    beginnings.put(then, 6, beginnings.find(items, 6)?.value)
    assert.isUndefined(beginnings.find(items, 4))
    assert.strictEqual(beginnings.find(items, 8)?.value, then)
    const other = some(8)
    beginnings.put(kept("other", other), 6, undefined)
    assert.isUndefined(beginnings.find(items, 8))
    assert.strictEqual(beginnings.find(other, 8)?.value.name, "other")
    beginnings.put(kept("too large", some(3)), 11, undefined)
    assert.strictEqual(beginnings.find(other, 8)?.value.name, "other")
  })
})
