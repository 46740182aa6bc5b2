/**
 * What a turn costs at the end of a long session against turn 10: `npm run bench:linear -- [--turns=N]`. One session of
 * 5,000 turns whose context budget is full from the seventh turn on, after a shorter one that warms up. The figures are
 * lines through stretches of 100 turns, so that a pause of the machine does not decide; other work on it shows in the
 * processor time and nowhere else. Exits with 1 where one grows.
 */
import * as Effect from "effect/Effect"
import { grow, growthOf, layerGrowing, makeCounter, type Stretch } from "../test/journal/growth.ts"
import * as Arguments from "./kit/Arguments.ts"
import * as Program from "./kit/Program.ts"
import * as Table from "./kit/Table.ts"

/** P33. */
const slopeMax = 1.1
const stretch = 100

const turns = Arguments.orExit(
  "npm run bench:linear -- [--turns=N]   (5000, in hundreds)",
  (args) => Arguments.count("turns", Arguments.parse(args, { turns: { type: "string" } }).turns, 5_000)
)

const measures: ReadonlyArray<readonly [name: string, measure: (stretch: Stretch) => number]> = [
  ["bytes on disk", ({ bytes }) => bytes],
  ["processor time (ms)", ({ cpuMs }) => cpuMs],
  ["statements", ({ statements }) => statements],
  ["rows read", ({ rows }) => rows]
]

const counter = makeCounter()
const stretches = await Effect.runPromise(
  Effect.zipRight(grow(500, stretch, counter), grow(turns, stretch, counter)).pipe(
    Effect.provide(layerGrowing(Program.freshFolder(), counter))
  )
)
const rows = measures.map(([name, measure]) => {
  const growth = growthOf(stretches, measure)
  if (growth >= slopeMax) process.exitCode = 1
  const [first, last] = [stretches[0], stretches.at(-1)].map((one) => one === undefined ? "" : measure(one).toFixed(1))
  return [name, first ?? "", last ?? "", growth.toFixed(3), `${slopeMax}`]
})
console.log(Table.render(
  [
    { title: "a turn" },
    { title: `turns 1 to ${stretch}`, align: "right" },
    { title: `last ${stretch}`, align: "right" },
    { title: `fit, turn ${turns} / turn 10`, align: "right" },
    { title: "below", align: "right" }
  ],
  rows
))
