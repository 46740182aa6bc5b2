/** Many histories: run, count, and where one fails find the few steps that are enough to make it fail. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"
import { type Mode, type Result, run, workFolder } from "./Simulation.ts"
import { draw, type Step } from "./Steps.ts"

/** Some eight turns, two crashes, sixty events. */
export const stepsDefault = 40

/** Runs that shrinking may take. */
const shrinkRunsMax = 400

export interface Figures {
  /** Run: fewer than planned where it stopped at `failuresMax`. */
  seeds: number
  steps: number
  crashes: number
  turns: number
  events: number
  /** What came about, and how often. */
  readonly counts: Map<string, number>
  readonly failed: Array<{ readonly seed: number; readonly report: string }>
  /** Seeds whose second run wrote other rows. */
  readonly unequal: Array<number>
}

/** An empty database of this schema, made once: a history begins with a copy of its file. */
export const withTemplate = async <A>(body: (template: string) => Promise<A>): Promise<A> => {
  const folder = workFolder()
  const made = Path.join(folder, "template")
  try {
    await Effect.runPromise(
      Effect.scoped(Layer.build(DatabaseSqlite.layer({ dataDir: made, durability: "relaxed", takeOver: false })))
    )
    const template = Path.join(folder, "template.db")
    Fs.copyFileSync(Path.join(made, "turnstream.db"), template)
    return await body(template)
  } finally {
    Fs.rmSync(folder, { recursive: true, force: true })
  }
}

/** Leaves out steps, in ever smaller runs of them, while the same promise is still broken. */
export const shrink = async (
  steps: ReadonlyArray<Step>,
  fails: (steps: ReadonlyArray<Step>) => Promise<boolean>
): Promise<ReadonlyArray<Step>> => {
  let kept = steps
  let runs = 0
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < kept.length && runs < shrinkRunsMax;) {
      const fewer = [...kept.slice(0, from), ...kept.slice(from + size)]
      runs++
      if (await fails(fewer)) kept = fewer
      else from += size
    }
  }
  return kept
}

export const report = (seed: number, mode: Mode, count: number, of: number, { history, violations }: Result): string =>
  [
    `seed ${seed} (${mode}): ${
      violations.map(({ promise, seq, turnId, what }) =>
        `${promise} ${turnId}${seq === undefined ? "" : `.${seq}`}: ${what}`
      ).join("\n  ")
    }`,
    `history (${count} of ${of} steps):`,
    ...history.map((line) => `  ${line}`),
    `replay: npm run simulate -- --seed ${seed} --mode ${mode} --steps ${of}`
  ].join("\n")

export interface Plan {
  readonly first: number
  readonly seeds: number
  readonly mode: Mode
  readonly steps: number
  /** Run each seed twice and compare every row (P32). */
  readonly twice: boolean
  readonly failuresMax?: number
  /** Told after each seed. */
  readonly onSeed?: (figures: Figures) => void
}

export const runAll = (plan: Plan): Promise<Figures> =>
  withTemplate(async (template) => {
    const { failuresMax = 3, first, mode, onSeed, seeds, twice } = plan
    const figures: Figures = {
      seeds: 0,
      steps: 0,
      crashes: 0,
      turns: 0,
      events: 0,
      counts: new Map(),
      failed: [],
      unequal: []
    }
    for (let seed = first; seed < first + seeds && figures.failed.length < failuresMax; seed++) {
      const steps = draw(seed, plan.steps)
      const result = await run({ seed, mode, steps, template })
      figures.seeds += 1
      figures.steps += steps.length
      figures.crashes += result.crashes
      figures.turns += result.turns
      figures.events += result.events
      for (const [what, count] of result.counts) figures.counts.set(what, (figures.counts.get(what) ?? 0) + count)
      if (result.violations.length > 0) {
        const promises = new Set(result.violations.map(({ promise }) => promise))
        const again = (fewer: ReadonlyArray<Step>) => run({ seed, mode, steps: fewer, template })
        const fewest = await shrink(
          steps,
          async (fewer) => (await again(fewer)).violations.some(({ promise }) => promises.has(promise))
        )
        figures.failed.push({ seed, report: report(seed, mode, fewest.length, steps.length, await again(fewest)) })
      } else if (twice && (await run({ seed, mode, steps, template })).dump !== result.dump) figures.unequal.push(seed)
      onSeed?.(figures)
    }
    return figures
  })
