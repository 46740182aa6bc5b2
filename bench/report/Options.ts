/** The arguments of `npm run bench`. */
import * as Arguments from "../kit/Arguments.ts"

export interface Options {
  readonly gate: boolean
  readonly quick: boolean
  readonly only: ReadonlyArray<string>
  readonly rounds: number
  readonly json: string | undefined
}

export const usageOf = (loads: ReadonlyArray<string>): string =>
  `npm run bench -- [options]

  --only=LOAD,...  of ${loads.join(", ")}
  --rounds=N       rounds of each load, whose quietest counts (3; 1 with --quick)
  --quick          fewer turns, one round
  --json=FILE      writes figures and samples as JSON too
  --gate           processor time against the floor's alone, with bounds; exits with 1 where one is over
  --help           this

A table on stdout, progress on stderr. How to read it: bench/README.md`

export const parse = (loads: ReadonlyArray<string>) => (args: ReadonlyArray<string>): Options => {
  const values = Arguments.parse(args, {
    gate: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    rounds: { type: "string" },
    json: { type: "string" }
  })
  const { gate, json, only, quick, rounds } = values
  if (gate && (quick || only !== undefined || rounds !== undefined || json !== undefined)) {
    throw new Arguments.WrongUse("--gate stands alone: its loads and rounds are given")
  }
  return {
    gate,
    quick,
    only: Arguments.choice("only", only, loads),
    rounds: Arguments.count("rounds", rounds, quick ? 1 : 3),
    json
  }
}
