// What a log line costs: npm run bench:log
// Processor time of this process a line like that of a turn's end, 11 annotations and 6 secrets, beyond a call that its
// level suppresses. The median of rounds, after one that warms up.
import * as Effect from "effect/Effect"
import * as Log from "../src/telemetry/Log.ts"
import * as Redaction from "../src/telemetry/Redaction.ts"

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
  const before = process.cpuUsage()
  const layer = Log.layer({ sink, form, colours: false }, { level: "info", redaction })
  await Effect.runPromise(Effect.provide(Effect.repeatN(Effect.annotateLogs(call, notes), lines - 1), layer))
  const { system, user } = process.cpuUsage(before)
  return (user + system) / lines
}

const median = (numbers: ReadonlyArray<number>): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? NaN

for (const form of ["json", "readable"] as const) {
  const costs: Array<number> = []
  for (let round = 0; round <= rounds; round++) {
    const suppressed = await once(Effect.logDebug("Turn completed"), form)
    const written = await once(Effect.logInfo("Turn completed"), form)
    if (round > 0) costs.push(written - suppressed)
  }
  console.log(`${form.padEnd(9)} ${median(costs).toFixed(1)} µs a line`)
}
