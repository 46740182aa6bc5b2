/** `npm run simulate -- [--seeds N] [--first N] [--seed N] [--mode safety|liveness] [--steps K] [--twice] [--counts]` */
import { parseArgs } from "node:util"
import { report, runAll, stepsDefault, withTemplate } from "./Seeds.ts"
import { type Mode, run } from "./Simulation.ts"
import { draw } from "./Steps.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10000" },
    first: { type: "string", default: "1" },
    seed: { type: "string" },
    mode: { type: "string" },
    steps: { type: "string", default: String(stepsDefault) },
    twice: { type: "boolean", default: false },
    counts: { type: "boolean", default: false }
  }
})

const modes: ReadonlyArray<Mode> = values.mode === undefined
  ? ["safety", "liveness"]
  : values.mode === "safety" || values.mode === "liveness"
  ? [values.mode]
  : []
if (modes.length === 0) throw new Error(`no mode "${values.mode}": safety or liveness`)
const steps = Number(values.steps)

/** Seeds between two lines of progress: about half a minute. */
const tellEvery = 500

for (const mode of modes) {
  if (values.seed !== undefined) {
    const seed = Number(values.seed)
    const result = await withTemplate((template) => run({ seed, mode, steps: draw(seed, steps), template }))
    console.log(report(seed, mode, steps, steps, result))
    if (result.violations.length > 0) process.exitCode = 1
    continue
  }
  const begun = performance.now()
  const figures = await runAll({
    first: Number(values.first),
    seeds: Number(values.seeds),
    mode,
    steps,
    twice: values.twice,
    onSeed: ({ failed, seeds }) => {
      if (seeds % tellEvery === 0) {
        console.error(`${mode}: ${seeds} of ${values.seeds} seeds, ${failed.length} violations`)
      }
    }
  })
  const seconds = (performance.now() - begun) / 1000
  for (const failure of figures.failed) console.log(`${failure.report}\n`)
  if (figures.unequal.length > 0) console.log(`other rows when run again (P32): seeds ${figures.unequal.join(", ")}`)
  console.log(
    `${mode}: ${figures.seeds} seeds${
      values.twice ? " run twice" : ""
    }, ${figures.steps} steps, ${figures.crashes} crashes, ` +
      `${figures.turns} turns, ${figures.events} events, ${figures.failed.length} violations, ${figures.unequal.length} unequal, ` +
      `${seconds.toFixed(1)} s`
  )
  if (values.counts) { for (const [what, count] of [...figures.counts].sort()) console.log(`  ${count} x ${what}`) }
  if (figures.failed.length > 0 || figures.unequal.length > 0) process.exitCode = 1
}
