/**
 * The engine beside a hand-written floor, on the same loads: `npm run bench -- --help`. What it prints is read as
 * bench/README.md says.
 */
import * as Fs from "node:fs"
import * as Floor from "./engines/Floor.ts"
import * as Turnstream from "./engines/Turnstream.ts"
import * as Arguments from "./kit/Arguments.ts"
import * as ProcessUse from "./kit/ProcessUse.ts"
import type { Load } from "./loads/Load.ts"
import { gated, loads } from "./loads/Loads.ts"
import * as Sizes from "./loads/Sizes.ts"
import { figuresOf, type Samples } from "./report/Figures.ts"
import * as Gate from "./report/Gate.ts"
import * as Options from "./report/Options.ts"
import * as Report from "./report/Report.ts"
import * as Rounds from "./report/Rounds.ts"

interface Measured {
  /** By load. */
  readonly samples: Readonly<Record<string, Samples>>
  /** A line for each load that failed; the others go on. */
  readonly failures: ReadonlyArray<string>
}

const measure = async (loads: ReadonlyArray<Load>, how: Omit<Rounds.Run, "load" | "say">): Promise<Measured> => {
  const samples: Record<string, Samples> = {}
  const failures: Array<string> = []
  for (const load of loads) {
    try {
      samples[load.name] = await Rounds.run({ ...how, load, say: console.error })
    } catch (fault) {
      failures.push(`${load.name} failed: ${fault instanceof Error ? fault.message : String(fault)}`)
    }
  }
  return { samples, failures }
}

const allFiguresOf = ({ samples }: Measured) => Object.values(samples).flatMap(figuresOf)

const compare = async ({ json, only, quick, rounds }: Options.Options): Promise<boolean> => {
  const absent = ProcessUse.missing()
  if (absent !== undefined) console.error(`no figure of processor time: ${absent}`)
  const measured = await measure(loads.filter(({ name }) => only.includes(name)), {
    sizes: quick ? Sizes.quick : Sizes.whole,
    engines: [Floor.engine, Turnstream.engine("relaxed"), Turnstream.engine("full")],
    more: (done) => done < rounds
  })
  const figures = allFiguresOf(measured)
  console.log(
    [Report.machine(), "", Report.table(figures), "", ...Report.warnings(figures), ...measured.failures].join("\n")
  )
  if (json !== undefined) Fs.writeFileSync(json, `${Report.json(figures, measured.samples)}\n`)
  return measured.failures.length === 0
}

const gate = async (): Promise<boolean> => {
  const absent = ProcessUse.missing()
  if (absent !== undefined) {
    console.log(`gate: skipped, ${absent}`)
    return true
  }
  const begun = performance.now()
  const measured = await measure(gated, {
    sizes: Sizes.gate,
    engines: [Floor.engine, Turnstream.engine("relaxed")],
    more: (done, samples) => Gate.wantsMore(done, figuresOf(samples), performance.now() - begun)
  })
  const { lines, ok, over } = Gate.decide(allFiguresOf(measured))
  console.log([...measured.failures, ...lines, `gate: ${ok} ok, ${over} over`].join("\n"))
  return over === 0
}

const names = loads.map(({ name }) => name)
const options = Arguments.orExit(Options.usageOf(names), Options.parse(names))
process.exitCode = await (options.gate ? gate() : compare(options)) ? 0 : 1
