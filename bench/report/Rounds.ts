/**
 * Runs a load on its engines: all are warm before the first round, and each round begins with another one. Afterwards, and
 * where something failed, nothing of it runs any more.
 */
import type { Engine, SubjectName } from "../engines/Engine.ts"
import * as Upstream from "../engines/Upstream.ts"
import * as Program from "../kit/Program.ts"
import type { Load, Sample } from "../loads/Load.ts"
import type { Sizes } from "../loads/Sizes.ts"
import type { Samples } from "./Figures.ts"

export interface Run {
  readonly load: Load
  readonly sizes: Sizes
  readonly engines: ReadonlyArray<Engine>
  /** Whether one round more is wanted. */
  readonly more: (rounds: number, samples: Samples) => boolean
  readonly say: (line: string) => void
}

interface Lane {
  readonly name: SubjectName
  readonly round: () => Promise<Sample>
  readonly samples: Array<Sample>
}

const told = ({ values, waiting }: Sample): string => {
  const figures = Object.entries(values).map(([id, value]) => `${id} ${value.toPrecision(4)}`)
  return [...figures, ...(waiting === undefined ? [] : [`waiting ${(waiting * 100).toFixed(0)} %`])].join(", ")
}

const lanesOf = async ({ engines, load, sizes }: Run): Promise<ReadonlyArray<Lane>> => {
  const context = { upstream: await Upstream.start(), sizes }
  const { direct } = load
  const lanes: Array<Lane> = direct === undefined
    ? []
    : [{ name: "direct", round: () => direct(context), samples: [] }]
  for (const engine of engines) {
    lanes.push({ name: engine.name, round: await load.begin(engine, context), samples: [] })
  }
  return lanes
}

export const run = async (run: Run): Promise<Samples> => {
  try {
    const lanes = await lanesOf(run)
    const samples = Object.fromEntries(lanes.map(({ name, samples }) => [name, samples]))
    for (let rounds = 0; run.more(rounds, samples); rounds++) {
      const first = rounds % lanes.length
      for (const lane of [...lanes.slice(first), ...lanes.slice(0, first)]) {
        const sample = await lane.round()
        lane.samples.push(sample)
        run.say(`${run.load.name} ${rounds + 1}, ${lane.name}: ${told(sample)}`)
      }
    }
    return samples
  } finally {
    await Program.endAll()
  }
}
