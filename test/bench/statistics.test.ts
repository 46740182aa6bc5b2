import { assert, describe, it } from "@effect/vitest"
import * as Statistics from "../../bench/kit/Statistics.ts"
import * as Table from "../../bench/kit/Table.ts"

describe("statistics", () => {
  it("a quantile is the value that so many of the values lie below, in any order", () => {
    const hundred = Array.from({ length: 100 }, (_, i) => 99 - i)
    assert.strictEqual(Statistics.quantile(hundred, 0), 0)
    assert.strictEqual(Statistics.quantile(hundred, 0.5), 50)
    assert.strictEqual(Statistics.quantile(hundred, 0.99), 99)
    assert.strictEqual(Statistics.quantile(hundred, 1), 99)
  })

  it("numbers are ordered as numbers, and the values are left as they were", () => {
    const values = [10, 9, 100]
    assert.strictEqual(Statistics.median(values), 10)
    assert.deepStrictEqual(values, [10, 9, 100])
  })

  it("nothing has no median", () => {
    assert.isNaN(Statistics.median([]))
  })
})

describe("a table", () => {
  it("is markdown whose columns are as wide as their widest cell, numbers to the right", () => {
    assert.strictEqual(
      Table.render([{ title: "figure" }, { title: "x", align: "right" }], [["disk per turn", "1,024"], ["cpu"]]),
      [
        "| figure        |     x |",
        "| ------------- | ----: |",
        "| disk per turn | 1,024 |",
        "| cpu           |       |"
      ].join("\n")
    )
  })

  it("a number has three digits that count, and what was not measured none", () => {
    assert.deepStrictEqual([1_234.5, 123.45, 12.345, 1.2345, 0, Number.NaN, undefined].map(Table.number), [
      "1,235",
      "123",
      "12.3",
      "1.23",
      "0.00",
      "",
      ""
    ])
  })
})
