/**
 * The engine beside a hand-written floor, on the same loads: `npm run bench -- --help`. What it prints is read as
 * bench/README.md says.
 */
import * as Fs from "node:fs"
import * as Floor from "./engines/Floor.ts"
import * as Turnstream from "./engines/Turnstream.ts"
import * as Upstream from "./engines/Upstream.ts"
import * as Arguments from "./kit/Arguments.ts"
import * as ProcessUse from "./kit/ProcessUse.ts"
import { gated, loads } from "./loads/Loads.ts"
import * as Sizes from "./loads/Sizes.ts"
import { figuresOf, type Samples } from "./report/Figures.ts"
import * as Gate from "./report/Gate.ts"
import * as Options from "./report/Options.ts"
import * as Report from "./report/Report.ts"
import * as Rounds from "./report/Rounds.ts"

const say = (line: string): void => console.error(line)

const compare = async ({ json, only, quick, rounds }: Options.Options): Promise<boolean> => {
  const absent = ProcessUse.missing()
  if (absent !== undefined) say(`no figure of processor time: ${absent}`)
  const context = { upstream: await Upstream.start(), sizes: quick ? Sizes.quick : Sizes.whole }
  const engines = [Floor.engine, Turnstream.engine("relaxed"), Turnstream.engine("full")]
  const samples: Record<string, Samples> = {}
  const failures: Array<string> = []
  for (const load of loads.filter(({ name }) => only.includes(name))) {
    try {
      const run = await Rounds.begin({ load, engines, context, say })
      for (let round = 0; round < rounds; round++) await run.next()
      await run.end()
      samples[load.name] = run.samples()
    } catch (fault) {
      failures.push(`${load.name} failed: ${fault instanceof Error ? fault.message : String(fault)}`)
      say(failures.at(-1) ?? "")
    }
  }
  const figures = Object.values(samples).flatMap(figuresOf)
  console.log([Report.machine(), "", Report.table(figures), "", ...Report.warnings(figures), ...failures].join("\n"))
  if (json !== undefined) Fs.writeFileSync(json, `${Report.json(figures, samples)}\n`)
  return failures.length === 0
}

const gate = async (): Promise<boolean> => {
  const absent = ProcessUse.missing()
  if (absent !== undefined) {
    console.log(`gate: skipped, ${absent}`)
    return true
  }
  const context = { upstream: await Upstream.start(), sizes: Sizes.gate }
  const figures = []
  for (const load of gated) {
    const run = await Rounds.begin({ load, engines: [Floor.engine, Turnstream.engine("relaxed")], context, say })
    for (let round = 0; round < Gate.roundsMax; round++) {
      if (round >= Gate.roundsMin && !figuresOf(run.samples()).some(Gate.isOver)) break
      await run.next()
    }
    await run.end()
    figures.push(...figuresOf(run.samples()))
  }
  const { lines, ok, over } = Gate.decide(figures)
  console.log([...lines, `gate: ${ok} ok, ${over} over`].join("\n"))
  return over === 0
}

const names = loads.map(({ name }) => name)
const options = Arguments.orExit(Options.usageOf(names), Options.parse(names))
// what was started ends with this process
process.exit(await (options.gate ? gate() : compare(options)) ? 0 : 1)
