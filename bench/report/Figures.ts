/**
 * Every figure of the benchmark with its target, in the order of the report, and what samples say of it. Targets hold for
 * `relaxed`, whose promise on power loss is that of the floor; `full` stands beside it.
 */
import { type EngineName, names, type SubjectName } from "../engines/Engine.ts"
import type { Sample } from "../loads/Load.ts"
import { lengths } from "../loads/Turns.ts"

/** At most: of the floor's figure in the same run, and in the figure's own unit. `atLeast` is for what must not be less. */
export interface Bound {
  readonly ratio?: number
  readonly value?: number
  readonly atLeast?: number
}

export interface Row {
  readonly id: string
  readonly title: string
  readonly unit: string
  readonly must?: Bound
  readonly stretch?: Bound
  /** What an engine adds to the client straight at the upstream. */
  readonly overDirect?: boolean
  /** The last round has the sum of all. */
  readonly summed?: boolean
}

const historyTargets: Readonly<Record<number, Pick<Row, "must" | "stretch">>> = {
  5_000: { must: { ratio: 1.3 }, stretch: { ratio: 1.1 } }
}

export const rows: ReadonlyArray<Row> = [
  {
    id: "burst-cpu",
    title: "CPU per delta, 100 streams x 200 unpaced",
    unit: "µs",
    must: { ratio: 2.5 },
    stretch: { ratio: 1.6 }
  },
  {
    id: "paced-cpu",
    title: "CPU per delta, 100 streams at 20 ms",
    unit: "µs",
    must: { ratio: 1.8 },
    stretch: { ratio: 1.2 }
  },
  {
    id: "paced-p99",
    title: "delta delay p99, 100 streams at 20 ms",
    unit: "ms",
    must: { ratio: 1.3 },
    stretch: { ratio: 1.1 }
  },
  {
    id: "crowd-wall",
    title: "500 streams at 20 ms, wall / ideal",
    unit: "",
    must: { value: 1.3 },
    stretch: { value: 1.15 }
  },
  {
    id: "single-cpu",
    title: "CPU per delta, one stream of 20,000",
    unit: "µs",
    must: { ratio: 1.5 },
    stretch: { ratio: 1 }
  },
  {
    id: "first-delta",
    title: "first-delta overhead p50",
    unit: "ms",
    must: { ratio: 1.8, value: 2.5 },
    stretch: { ratio: 1.3 },
    overDirect: true
  },
  { id: "turn-cpu", title: "CPU per 20-delta turn", unit: "µs", must: { ratio: 3 }, stretch: { ratio: 2 } },
  ...lengths.map((length): Row => ({
    id: `history-${length}`,
    title: `turn p50 after ${length.toLocaleString("en")} messages, all sent`,
    unit: "ms",
    ...historyTargets[length]
  })),
  ...lengths.map((length): Row => ({
    id: `disk-${length}`,
    title: `disk per 20-delta turn after ${length.toLocaleString("en")} messages`,
    unit: "B",
    must: { value: 4_000 },
    stretch: { value: 2_000 },
    summed: true
  })),
  { id: "idle-rss", title: "idle RSS", unit: "MB", must: { value: 80 }, stretch: { value: 66 } },
  { id: "boot-ms", title: "start to ready", unit: "ms" },
  { id: "boot-cpu", title: "start to ready, CPU", unit: "ms", must: { value: 350 }, stretch: { value: 280 } },
  {
    id: "kept",
    title: "kept of what was shown, after kill -9",
    unit: "%",
    must: { atLeast: 100 },
    stretch: { atLeast: 100 }
  },
  { id: "cancel", title: "cancel to the upstream's socket closed, p50", unit: "ms" }
]

export type Samples = Readonly<Partial<Record<SubjectName, ReadonlyArray<Sample>>>>

export interface Figure {
  readonly row: Row
  readonly values: Readonly<Partial<Record<EngineName, number>>>
  /** Of the floor's. */
  readonly ratios: Readonly<Partial<Record<EngineName, number>>>
  /** Of the rounds that gave the values, the largest. */
  readonly waiting: number | undefined
}

interface Picked {
  readonly value: number
  readonly waiting: number | undefined
}

/** The quietest round: noise only adds. What must not be less is judged by its worst, which is the least as well. */
const pick = (row: Row, samples: ReadonlyArray<Sample> = []): Picked | undefined => {
  const picked = samples.flatMap(({ values, waiting }) => {
    const value = values[row.id]
    return value === undefined || Number.isNaN(value) ? [] : [{ value, waiting }]
  })
  return row.summed === true
    ? picked.at(-1)
    : picked.reduce<Picked | undefined>(
      (least, one) => least === undefined || one.value < least.value ? one : least,
      undefined
    )
}

const figureOf = (row: Row, samples: Samples): Figure | undefined => {
  const direct = row.overDirect === true ? pick(row, samples.direct)?.value ?? Number.NaN : 0
  const picks = names.flatMap((name) => {
    const picked = pick(row, samples[name])
    return picked === undefined ? [] : [{ name, ...picked, value: picked.value - direct }]
  })
  if (picks.length === 0) return undefined
  const floor = picks.find(({ name }) => name === "floor")?.value ?? Number.NaN
  const waits = picks.flatMap(({ waiting }) => waiting ?? [])
  return {
    row,
    values: Object.fromEntries(picks.map(({ name, value }) => [name, value])),
    ratios: Object.fromEntries(
      picks.flatMap(({ name, value }) => name === "floor" || !(floor > 0) ? [] : [[name, value / floor]])
    ),
    waiting: waits.length === 0 ? undefined : Math.max(...waits)
  }
}

/** What was measured, in the order of the report. */
export const figuresOf = (samples: Samples): ReadonlyArray<Figure> =>
  rows.flatMap((row) => figureOf(row, samples) ?? [])

/** Undefined where nothing is asked or nothing was measured. */
export const holds = (bound: Bound | undefined, { ratios, values }: Figure): boolean | undefined => {
  const { relaxed: value } = values
  if (bound === undefined || value === undefined) return undefined
  const { relaxed: ratio = Number.POSITIVE_INFINITY } = ratios
  return (bound.ratio === undefined || ratio <= bound.ratio) &&
    (bound.value === undefined || value <= bound.value) &&
    (bound.atLeast === undefined || value >= bound.atLeast)
}

export const verdictOf = (figure: Figure): string => {
  const must = holds(figure.row.must, figure)
  if (must === undefined) return ""
  if (!must) return "must missed"
  return holds(figure.row.stretch, figure) === true ? "ok, stretch" : "ok"
}
