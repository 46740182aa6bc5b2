/**
 * What a log line costs: `npm run bench:log`. Processor time of this process a line like that of a turn's end, 11
 * annotations and 6 secrets, beyond a call that its level suppresses. The median of rounds, after one that warms up.
 */
import * as Effect from "effect/Effect"
import * as Log from "../src/telemetry/Log.ts"
import * as Redaction from "../src/telemetry/Redaction.ts"
import * as Arguments from "./kit/Arguments.ts"
import { ownCpuMicros } from "./kit/ProcessUse.ts"
import { median } from "./kit/Statistics.ts"
import * as Table from "./kit/Table.ts"

Arguments.orExit("npm run bench:log", (args) => Arguments.parse(args, {}))

const lines = 20_000
const rounds = 5
const sink = { write: () => true, writableLength: 0, on: () => {}, off: () => {} }
const redaction = Redaction.make(() => Array.from({ length: 6 }, (_, i) => `secret-number-${i}-abcdefghijk`))
const notes = {
  turnId: "t_01jdf3q5kzaaaa8w3hq2ze",
  sessionId: "s_01jdf3q5kzaaab8w3hq2zf",
  provider: "anthropic",
  model: "claude-x",
  status: "completed",
  finishReason: "stop",
  durationMs: 1234.5,
  inputTokens: 1200,
  outputTokens: 400,
  cost: 0.001234,
  attempts: 1
}

/** Microseconds of processor time a call. */
const once = async (call: Effect.Effect<void>, form: Log.Console["form"]): Promise<number> => {
  const layer = Log.layer({ sink, form, colours: false }, { level: "info", redaction })
  const all = Effect.repeatN(Effect.annotateLogs(call, notes), lines - 1)
  return await ownCpuMicros(() => Effect.runPromise(Effect.provide(all, layer))) / lines
}

const costOf = async (form: Log.Console["form"]): Promise<number> => {
  const costs: Array<number> = []
  for (let round = 0; round <= rounds; round++) {
    const suppressed = await once(Effect.logDebug("Turn completed"), form)
    const written = await once(Effect.logInfo("Turn completed"), form)
    if (round > 0) costs.push(written - suppressed)
  }
  return median(costs)
}

const rows: Array<ReadonlyArray<string>> = []
for (const form of ["json", "readable"] as const) rows.push([form, (await costOf(form)).toFixed(1)])
console.log(Table.render([{ title: "form" }, { title: "µs a line", align: "right" }], rows))
