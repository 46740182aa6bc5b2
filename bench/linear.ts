// What a turn costs at the end of a long session against turn 10: npm run bench:linear [-- --turns N]
// One session of 5,000 turns whose context budget is full from the seventh turn on, after a shorter one that warms up. The
// figures are lines through stretches of 100 turns, so that a pause of the machine does not decide; other work on it shows
// in the processor time and nowhere else.
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { grow, growthOf, layerGrowing, makeCounter, type Stretch } from "../test/journal/growth.ts"

/** P33. */
const slopeMax = 1.1

const { values } = parseArgs({ options: { turns: { type: "string", default: "5000" } } })
const dataDir = mkdtempSync(join(tmpdir(), "turnstream-linear-"))
const counter = makeCounter()
try {
  const stretches = await Effect.runPromise(
    Effect.zipRight(grow(500, 100, counter), grow(Number(values.turns), 100, counter)).pipe(
      Effect.provide(layerGrowing(dataDir, counter))
    )
  )
  const [first, last] = [stretches[0], stretches.at(-1)]
  const measures: ReadonlyArray<readonly [name: string, measure: (stretch: Stretch) => number]> = [
    ["bytes on disk", ({ bytes }) => bytes],
    ["processor time (ms)", ({ cpuMs }) => cpuMs],
    ["statements", ({ statements }) => statements],
    ["rows read", ({ rows }) => rows]
  ]
  for (const [name, measure] of measures) {
    const growth = growthOf(stretches, measure)
    if (growth >= slopeMax) process.exitCode = 1
    const of = (stretch: Stretch | undefined) => stretch === undefined ? "" : measure(stretch).toFixed(1)
    console.log(
      `${name} a turn: ${of(first)} in turns 1 to 100, ${
        of(last)
      } in the last 100; the fit at turn ${values.turns} is ${growth.toFixed(3)} of turn 10 (below ${slopeMax})`
    )
  }
} finally {
  rmSync(dataDir, { recursive: true, force: true })
}
