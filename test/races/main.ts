/**
 * `npm run races -- [--rounds N] [--only TEXT]`: N cancels against completion, 5 N joins and resumed answers, the rest fewer
 * (2,000: the figures of P8, P9, P12, P13 and P15). `--only` runs those whose name holds the text.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { parseArgs } from "node:util"
import { type JournalKind, journals } from "./engine.ts"
import * as Latency from "./latency.ts"
import * as Races from "./races.ts"
import * as Readers from "./readers.ts"
import type { Figures } from "./rounds.ts"

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "2000" }, only: { type: "string", default: "" } }
})
const rounds = Number(values.rounds)
const part = (share: number) => Math.max(1, Math.ceil(rounds * share))

const run = async (name: string, race: Effect.Effect<Figures, unknown>): Promise<void> => {
  if (!name.includes(values.only)) return
  const begun = performance.now()
  const { counts, rounds, wrong } = await Effect.runPromise(Logger.withMinimumLogLevel(race, LogLevel.None))
  const facts = Object.entries(counts).map(([key, value]) => `${value} ${key}`).join(", ")
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  console.log(`${name}: ${rounds} rounds, ${facts}, ${wrong.length} violations, ${seconds} s`)
  for (const what of wrong.slice(0, 5)) console.log(`  ${what}`)
  if (wrong.length > 0) process.exitCode = 1
}

const onBoth = async (name: string, race: (kind: JournalKind) => Effect.Effect<Figures, unknown>) => {
  for (const kind of journals) await run(`${name}, ${kind}`, race(kind))
}

await onBoth("P12 cancel against completion", (kind) => Races.cancelAgainstCompletion(kind, rounds))
await onBoth("P15 followers that join", (kind) => Readers.joins(kind, rounds * 5))
await run("P8 cut and resumed answers, memory", Races.continuations("memory", rounds * 5))
await run("P8 cut and resumed answers, sqlite", Races.continuations("sqlite", part(0.5)))
await run("P9 100 callers with one key", Races.sameKey(part(0.5)))
await onBoth("P13 readers that leave", (kind) => Readers.leavers(kind, part(0.25)))
await onBoth("deletion against a running turn", (kind) => Readers.deletes(kind, part(0.25)))
await onBoth("P22 submits against a drain", (kind) => Races.submitsAgainstDrain(kind, part(0.1)))
await onBoth("P10 supersede storms of 20", (kind) => Races.supersedes(kind, part(0.1)))
await onBoth("P8, P9 resumes and retries at once", (kind) => Races.children(kind, part(0.1)))

const latency = async (name: string, limitMs: number, measure: Effect.Effect<Latency.Latencies, unknown>) => {
  if (!`P11 cancel ${name}`.includes(values.only)) return
  const { ms, wrong } = await Effect.runPromise(Logger.withMinimumLogLevel(measure, LogLevel.None))
  const round = (value: number) => Math.round(value * 10) / 10
  for (const phase of Latency.phases) {
    const [median, p99] = [Latency.quantile(ms[phase], 0.5), Latency.quantile(ms[phase], 0.99)]
    console.log(
      `P11 cancel ${name}, ${phase}: ${ms[phase].length} rounds, median ${round(median)} ms, p99 ${round(p99)} ms`
    )
    if (p99 >= limitMs) process.exitCode = 1
  }
  for (const what of wrong.slice(0, 5)) console.log(`  ${what}`)
  if (wrong.length > 0) process.exitCode = 1
}

await latency("in process", 50, Latency.inProcess(part(0.1)))
await latency("over HTTP", 250, Latency.overHttp(part(0.1)))
