/**
 * The bounds that every change must keep: processor time of `relaxed` against the floor's of the same run. They are wide,
 * so that a busy machine does not decide: it is a regression that they catch, not a noisy minute. What they should be
 * moved to with time is in the table of `Figures.ts`.
 */
import type { Figure } from "./Figures.ts"

export const bounds: Readonly<Record<string, number>> = {
  "burst-cpu": 6.5,
  "paced-cpu": 4.5,
  "single-cpu": 6.5,
  "turn-cpu": 9
}

const roundsMin = 2
/** A load with a figure that is over gets so many, while that many milliseconds have not passed: a gate is short. */
const roundsMax = 3
const patienceMs = 30_000

export interface Decision {
  readonly lines: ReadonlyArray<string>
  readonly ok: number
  readonly over: number
}

/** A figure without a ratio is over: it was not measured. */
const isOver = ({ ratios, row }: Figure): boolean => {
  const bound = bounds[row.id]
  return bound !== undefined && !((ratios.relaxed ?? Number.NaN) <= bound)
}

export const wantsMore = (rounds: number, figures: ReadonlyArray<Figure>, elapsedMs: number): boolean =>
  rounds < roundsMin || (rounds < roundsMax && elapsedMs < patienceMs && figures.some(isOver))

export const decide = (figures: ReadonlyArray<Figure>): Decision => {
  const judged = Object.keys(bounds).map((id) => ({ id, figure: figures.find(({ row }) => row.id === id) }))
  const over = judged.filter(({ figure }) => figure === undefined || isOver(figure))
  return {
    lines: over.map(({ figure, id }) => {
      const { ratios, row, values } = figure ?? { ratios: {}, row: { title: id, unit: "" }, values: {} }
      return ratios.relaxed === undefined
        ? `over: ${row.title}: not measured`
        : `over: ${row.title}: ${ratios.relaxed.toFixed(2)}x the floor (${values.relaxed?.toFixed(1)} against ${
          values.floor?.toFixed(1)
        } ${row.unit}), at most ${bounds[id]}x`
    }),
    ok: judged.length - over.length,
    over: over.length
  }
}
