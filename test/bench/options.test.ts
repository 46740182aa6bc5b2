import { assert, describe, it } from "@effect/vitest"
import * as Arguments from "../../bench/kit/Arguments.ts"
import * as Options from "../../bench/report/Options.ts"

const parse = Options.parse(["burst", "paced", "kill"])

describe("options of the benchmark", () => {
  it("without any, every load runs three rounds", () => {
    assert.deepStrictEqual(parse([]), {
      gate: false,
      quick: false,
      only: ["burst", "paced", "kill"],
      rounds: 3,
      json: undefined
    })
  })

  it("a quick run has one round, unless a number is given", () => {
    assert.strictEqual(parse(["--quick"]).rounds, 1)
    assert.strictEqual(parse(["--quick", "--rounds=2"]).rounds, 2)
  })

  it("loads are chosen by name and run in their own order", () => {
    assert.deepStrictEqual(parse(["--only=kill, burst"]).only, ["burst", "kill"])
  })

  it.each<readonly [string, ReadonlyArray<string>, string]>([
    ["an unknown option", ["--fast"], "--fast"],
    ["an unknown load", ["--only=burst,bursts"], '"bursts"'],
    ["no load", ["--only="], "knows burst, paced, kill"],
    ["no whole number", ["--rounds=1.5"], '"1.5"'],
    ["no rounds", ["--rounds=0"], "from 1"],
    ["a word without an option", ["burst"], "burst"],
    ["a gate with something else", ["--gate", "--quick"], "alone"]
  ])("%s is refused, and named", (_, args, named) => {
    assert.throws(() => parse(args), Arguments.WrongUse, named)
  })
})
