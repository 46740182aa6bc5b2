/**
 * What turns and their calls measure. Labels are closed sets: providers are configured, and so are models; of those that
 * clients name beside them, where a list is open, the first `modelsMax` have a name and the others share one.
 */
import * as Instrument from "../domain/Instrument.ts"
import { keyLike, mask } from "../domain/Secrets.ts"
import type { TurnState } from "../domain/TurnState.ts"

const seconds = (description: string) => ({ unit: "s", description })
const count = (of: string, description: string) => ({ unit: `{${of}}`, description })

/** As the GenAI conventions advise. */
const durations = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
const tokens = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]
/** A chunk comes sooner after the one before it than the first one after the call. */
const chunks = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

const callDuration = Instrument.histograms(
  "gen_ai.client.operation.duration",
  seconds("Duration of a call of a provider."),
  durations
)
const timeToFirstChunk = Instrument.histograms(
  "gen_ai.client.operation.time_to_first_chunk",
  seconds("From a call to the first chunk of its answer."),
  durations
)
const timePerChunk = Instrument.histograms(
  "gen_ai.client.operation.time_per_output_chunk",
  seconds("From a chunk of an answer to the next one."),
  chunks
)
const tokenUsage = Instrument.histograms(
  "gen_ai.client.token.usage",
  count("token", "Tokens of a call, where its provider counted them."),
  tokens
)
const cost = Instrument.counters("turnstream.cost", {
  unit: "{currency}",
  description: "What calls cost, in the currency of the configured prices; calls of unknown cost are not in it."
})
const retries = Instrument.counters(
  "turnstream.retries",
  count("retry", "Calls that failed and were tried again, by what failed.")
)
const stalls = Instrument.counters(
  "turnstream.stalls",
  count("stall", "Calls that fell silent: before their first token (timeout) or after it (stalled).")
)

export interface CallMetrics {
  /** `errorType` is absent for a call that ended well. */
  readonly ended: (elapsedSeconds: number, errorType: string | undefined) => void
  readonly firstChunk: Instrument.Instrument
  readonly chunk: Instrument.Instrument
  readonly inputTokens: Instrument.Instrument
  readonly outputTokens: Instrument.Instrument
  readonly cost: Instrument.Instrument
  readonly retried: (errorType: string) => void
  readonly stalled: (kind: string) => void
}

/** Pairs of provider and model that have series of their own. */
const modelsMax = 64
const otherModel = "other"

const made = new Map<string, CallMetrics>()
/** What the configuration lists: named whatever clients name beside it. */
const reserved = new Set<string>()
const keyOf = (provider: string, model: string): string => JSON.stringify([provider, model])
export const reserve = (provider: string, model: string): void => void reserved.add(keyOf(provider, model))
let unreserved = 0

const make = (provider: string, model: string): CallMetrics => {
  const labels = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": provider,
    "gen_ai.request.model": model
  }
  return {
    ended: (elapsedSeconds, errorType) =>
      callDuration(errorType === undefined ? labels : { ...labels, "error.type": errorType })(elapsedSeconds),
    firstChunk: timeToFirstChunk(labels),
    chunk: timePerChunk(labels),
    inputTokens: tokenUsage({ ...labels, "gen_ai.token.type": "input" }),
    outputTokens: tokenUsage({ ...labels, "gen_ai.token.type": "output" }),
    cost: cost(labels),
    retried: (errorType) => retries({ ...labels, "error.type": errorType })(1),
    stalled: (kind) => stalls({ ...labels, "error.type": kind })(1)
  }
}

/** The instruments of calls of one model. A client may name a model like a key: that is no label. */
export const ofCalls = (provider: string, named: string): CallMetrics => {
  const model = named.replace(keyLike, mask)
  const key = keyOf(provider, model)
  const known = made.get(key)
  if (known !== undefined) return known
  if (!reserved.has(key) && model !== otherModel) {
    if (unreserved >= modelsMax) return ofCalls(provider, otherModel)
    unreserved += 1
  }
  const metrics = make(provider, model)
  made.set(key, metrics)
  return metrics
}

const turns = Instrument.counters(
  "turnstream.turns",
  count("turn", "Turns that ended, by how: completed, or the error.")
)
export const ended = (outcome: string): void => turns({ outcome })(1)

const startsOf = Instrument.counters(
  "turnstream.turns.started",
  count("turn", "Turns that were accepted: new ones, and those that resume or retry another.")
)
const starts = {
  new: startsOf({ kind: "new" }),
  resume: startsOf({ kind: "resume" }),
  retry: startsOf({ kind: "retry" })
} as const
export const started = ({ resumedFrom, retryOf }: Pick<TurnState, "resumedFrom" | "retryOf">): void =>
  starts[resumedFrom !== undefined ? "resume" : retryOf !== undefined ? "retry" : "new"](1)

export const turnDuration = Instrument.histogram(
  "turnstream.turn.duration",
  seconds("From the acceptance of a turn to its terminal event, waiting included."),
  durations
)
export const running = Instrument.gauge("turnstream.turns.running", count("turn", "Turns that hold their session."))
export const queued = Instrument.gauge(
  "turnstream.turns.queued",
  count("turn", "Turns that wait behind another of their session.")
)
export const orphansClosed = Instrument.counter(
  "turnstream.orphans.closed",
  count("turn", "Turns that a dead process left behind and a start closed.")
)
export const cancelToClose = Instrument.histogram(
  "turnstream.cancel.upstream_close.duration",
  seconds("From the interruption of a turn to the end of its call of the provider, socket included."),
  [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]
)

const budgetRatio = Instrument.gauges("turnstream.budget.used", {
  unit: "1",
  description: "Used part of a configured budget; of sessions, the one that is nearest to it."
})
export const budgetUsed = (budget: string, ratio: number): void => budgetRatio({ budget })(ratio)

export const databaseSize = Instrument.gauge("turnstream.database.size", {
  unit: "By",
  description: "Bytes in use in the database file."
})
