/** Figures as a table for people, and as JSON for programs. */
import * as Os from "node:os"
import * as Table from "../kit/Table.ts"
import { type Bound, type Figure, type Samples, verdictOf } from "./Figures.ts"

/** A larger share of the time than this without a core, and the figure says more of the machine than of the engine. */
const waitingMax = 0.2

const boundText = (bound: Bound | undefined): string =>
  [
    ...(bound?.ratio === undefined ? [] : [`${bound.ratio}x`]),
    ...(bound?.value === undefined ? [] : [Table.number(bound.value)]),
    ...(bound?.atLeast === undefined ? [] : [`at least ${Table.number(bound.atLeast)}`])
  ].join(", ")

const ratioText = (ratio: number | undefined): string => ratio === undefined ? "" : `${ratio.toFixed(2)}x`

const columns: ReadonlyArray<Table.Column> = [
  { title: "figure" },
  { title: "unit" },
  { title: "floor", align: "right" },
  { title: "relaxed", align: "right" },
  { title: "ratio", align: "right" },
  { title: "full", align: "right" },
  { title: "ratio", align: "right" },
  { title: "must", align: "right" },
  { title: "stretch", align: "right" },
  { title: "verdict" }
]

const cells = (figure: Figure): ReadonlyArray<string> => {
  const { ratios, row, values } = figure
  return [
    row.title,
    row.unit,
    Table.number(values.floor),
    Table.number(values.relaxed),
    ratioText(ratios.relaxed),
    Table.number(values.full),
    ratioText(ratios.full),
    boundText(row.must),
    boundText(row.stretch),
    verdictOf(figure)
  ]
}

export const table = (figures: ReadonlyArray<Figure>): string => Table.render(columns, figures.map(cells))

/** Of what a busy machine moves: neither sizes nor shares. */
export const warnings = (figures: ReadonlyArray<Figure>): ReadonlyArray<string> => {
  const busy = figures.flatMap(({ row, waiting = 0 }) =>
    waiting > waitingMax && row.unit !== "B" ? [`${row.id} ${(waiting * 100).toFixed(0)} %`] : []
  )
  return busy.length === 0
    ? []
    : [`warning: a server was ready to run and had no core, of the time of these figures: ${busy.join(", ")}`]
}

export const machine = (): string =>
  `Node ${process.versions.node}, ${process.platform} ${process.arch}, ${Os.cpus().length} cores (${
    Os.cpus()[0]?.model.trim() ?? "unknown"
  }), load ${Os.loadavg().map((load) => load.toFixed(1)).join(" ")}`

export const json = (figures: ReadonlyArray<Figure>, samples: Readonly<Record<string, Samples>>): string =>
  JSON.stringify(
    { machine: machine(), figures: figures.map((figure) => ({ ...figure, verdict: verdictOf(figure) })), samples },
    null,
    2
  )
