import { assert, describe, it } from "@effect/vitest"
import type { Sample } from "../../bench/loads/Load.ts"
import { type Figure, figuresOf, holds, type Samples, verdictOf } from "../../bench/report/Figures.ts"
import * as Gate from "../../bench/report/Gate.ts"
import * as Report from "../../bench/report/Report.ts"

const samples = (id: string, values: ReadonlyArray<number>, waiting = 0): ReadonlyArray<Sample> =>
  values.map((value) => ({ values: { [id]: value }, waiting }))

const only = (samples: Samples): Figure => {
  const [figure] = figuresOf(samples)
  if (figure === undefined) throw new Error("no figure")
  return figure
}

describe("figures", () => {
  it("a figure is the quietest round of each engine, its ratio that to the floor's", () => {
    const figure = only({ floor: samples("burst-cpu", [6, 5, 7]), relaxed: samples("burst-cpu", [12, 30, 10]) })
    assert.deepStrictEqual(figure.values, { floor: 5, relaxed: 10 })
    assert.deepStrictEqual(figure.ratios, { relaxed: 2 })
  })

  it("the first delta's overhead is what an engine adds to the client straight at the upstream", () => {
    const figure = only({
      direct: samples("first-delta", [0.4, 0.3]),
      floor: samples("first-delta", [0.9, 0.8]),
      relaxed: samples("first-delta", [1.3, 1.4])
    })
    assert.closeTo(figure.values.floor ?? Number.NaN, 0.5, 1e-9)
    assert.closeTo(figure.ratios.relaxed ?? Number.NaN, 2, 1e-9)
  })

  it("what a file grew by is the last round's, which sums all", () => {
    assert.strictEqual(only({ relaxed: samples("disk-10", [2_000, 2_400]) }).values.relaxed, 2_400)
  })

  it("what was kept is the worst round's", () => {
    const figure = only({ floor: samples("kept", [100]), relaxed: samples("kept", [100, 97]) })
    assert.strictEqual(figure.values.relaxed, 97)
    assert.strictEqual(verdictOf(figure), "must missed")
  })

  it("a target of two parts holds where both do", () => {
    const figure = (relaxed: number) =>
      only({
        direct: samples("first-delta", [0]),
        floor: samples("first-delta", [1.5]),
        relaxed: samples("first-delta", [relaxed])
      })
    assert.strictEqual(verdictOf(figure(2.4)), "ok")
    assert.strictEqual(verdictOf(figure(1.9)), "ok, stretch")
    // 1.73 times the floor, but over 2.5 ms
    assert.strictEqual(verdictOf(figure(2.6)), "must missed")
  })

  it("a ratio that is not known meets no target, and where none is set nothing is said", () => {
    const figure = only({ relaxed: samples("burst-cpu", [1]) })
    assert.isFalse(holds(figure.row.must, figure))
    assert.strictEqual(verdictOf(only({ relaxed: samples("boot-ms", [200]) })), "")
  })

  it("a figure that could not be measured is left out", () => {
    assert.deepStrictEqual(figuresOf({ relaxed: samples("burst-cpu", [Number.NaN]) }), [])
  })

  it("a server without a core for more than a fifth of the time is named, for what that moves", () => {
    const busy = (id: string, waiting: number) => only({ relaxed: samples(id, [1], waiting) })
    const [warning, ...more] = Report.warnings([busy("paced-cpu", 0.3), busy("single-cpu", 0.2), busy("disk-10", 0.9)])
    assert.include(warning, "paced-cpu 30 %")
    assert.notInclude(warning, "single-cpu")
    assert.notInclude(warning, "disk-10")
    assert.deepStrictEqual(more, [])
  })
})

describe("the gate", () => {
  const at = (share: number) =>
    Object.entries(Gate.bounds).map(([id, bound]) =>
      only({ floor: samples(id, [10]), relaxed: samples(id, [10 * bound * share]) })
    )

  it("lets through what is within its bounds", () => {
    assert.deepStrictEqual(Gate.decide(at(1)), { lines: [], ok: 4, over: 0 })
  })

  it("says of each figure that is over by how much it is", () => {
    const [first, ...others] = at(0.5)
    const [worse] = at(1.5)
    assert.isDefined(first)
    assert.isDefined(worse)
    const { lines, ok, over } = Gate.decide(worse === undefined ? [] : [worse, ...others])
    assert.deepStrictEqual({ ok, over }, { ok: 3, over: 1 })
    assert.lengthOf(lines, 1)
    assert.include(lines[0], `${((Gate.bounds[worse?.row.id ?? ""] ?? 0) * 1.5).toFixed(2)}x the floor`)
  })

  it("gives a figure that is over one round more, and no other, as long as it is early", () => {
    const wanted = (share: number, elapsedMs: number) =>
      [0, 1, 2, 3].filter((rounds) => Gate.wantsMore(rounds, at(share), elapsedMs))
    assert.deepStrictEqual(wanted(1, 0), [0, 1])
    assert.deepStrictEqual(wanted(1.1, 0), [0, 1, 2])
    assert.deepStrictEqual(wanted(1.1, 60_000), [0, 1])
  })

  it("counts a figure that was not measured as over", () => {
    const [first, ...others] = at(0.5)
    assert.strictEqual(Gate.decide(others).over, 1)
    const withoutFloor = only({ relaxed: samples(first?.row.id ?? "", [1]) })
    assert.include(Gate.decide([withoutFloor, ...others]).lines[0], "not measured")
  })
})
