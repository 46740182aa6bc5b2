/** Runs a load on its engines: all are warm before the first round, and each round begins with another one. */
import type { Engine, SubjectName } from "../engines/Engine.ts"
import type { Context, Load, Sample } from "../loads/Load.ts"
import type { Samples } from "./Figures.ts"

export interface Run {
  readonly load: Load
  readonly engines: ReadonlyArray<Engine>
  readonly context: Context
  readonly say: (line: string) => void
}

export interface Rounds {
  /** One more sample of each. */
  readonly next: () => Promise<void>
  readonly samples: () => Samples
  readonly end: () => Promise<void>
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

export const begin = async ({ context, engines, load, say }: Run): Promise<Rounds> => {
  const { direct } = load
  const lanes: Array<Lane> = direct === undefined
    ? []
    : [{ name: "direct", round: () => direct(context), samples: [] }]
  const ends: Array<() => Promise<void>> = []
  for (const engine of engines) {
    const subject = await load.begin(engine, context)
    lanes.push({ name: engine.name, round: subject.round, samples: [] })
    ends.push(subject.end)
  }
  let rounds = 0
  return {
    next: async () => {
      const first = rounds++ % lanes.length
      for (const lane of [...lanes.slice(first), ...lanes.slice(0, first)]) {
        const sample = await lane.round()
        lane.samples.push(sample)
        say(`${load.name} ${rounds}, ${lane.name}: ${told(sample)}`)
      }
    },
    samples: () => Object.fromEntries(lanes.map(({ name, samples }) => [name, samples])),
    end: async () => {
      for (const end of ends) await end()
    }
  }
}
