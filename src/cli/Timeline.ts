/**
 * What happened in a turn and when, told from its events: phases, first token, pauses, attempts, usage, checkpoints, the
 * end. Pure. Runs of deltas are one entry, so the size follows the attempts and tool calls; pauses are listed up to a
 * number and then only counted.
 */
import type { EventOf, TurnEvent } from "../domain/TurnEvent.ts"
import type { Usage, UsageSource } from "../domain/Usage.ts"
import * as Amounts from "./Amounts.ts"

/** A gap between two deltas that a reader notices. */
export const pauseMs = 1_000
/** Pauses in the list. */
const pausesMax = 100

export interface Entry {
  readonly seq: number
  /** Milliseconds since the turn was accepted, by the recorded times. */
  readonly atMs: number
  readonly what: string
  readonly detail: string
}

/** What one attempt used, and who counted it. */
export interface AttemptUsage {
  readonly attempt?: number
  readonly source: UsageSource
  readonly usage: Usage
  /** Null where a count is unknown. */
  readonly contextPercent: number | null
  /** Absent where it is not known. */
  readonly cost?: number
}

export interface Timeline {
  readonly entries: ReadonlyArray<Entry>
  readonly usages: ReadonlyArray<AttemptUsage>
  /** From acceptance to the first delta; absent where none came. */
  readonly firstTokenMs?: number
  readonly pauses: number
  readonly longestPauseMs: number
  readonly deltas: number
}

const usageOf = ({ attempt, data }: EventOf<"telemetry.usage">): AttemptUsage => {
  const { contextPercent, cost, source, usage } = data
  return {
    ...(attempt === undefined ? {} : { attempt }),
    source,
    usage,
    contextPercent,
    ...(cost === undefined ? {} : { cost })
  }
}

const usageText = ({ contextPercent, cost, source, usage }: AttemptUsage): string => {
  const estimated = source === "estimated"
  return `${Amounts.usage(usage, estimated)} (${source}), context ${Amounts.percent(contextPercent, estimated)}, cost ${
    Amounts.cost(cost, estimated)
  }`
}

/** Words for every event but a delta. */
const describe = (event: Exclude<TurnEvent, EventOf<"model.delta">>): readonly [what: string, detail: string] => {
  switch (event.type) {
    case "turn.started":
      return ["accepted", `${event.data.provider}/${event.data.model}`]
    case "context.built":
      return ["context built", `${event.data.total} of ${event.data.budget} tokens`]
    case "attempt.started":
      return [`attempt ${event.data.attempt}`, `${event.data.provider}/${event.data.model}`]
    case "attempt.failed": {
      const { attempt, error, retryInMs } = event.data
      return [
        `attempt ${attempt} failed`,
        retryInMs === undefined ? error.message : `${error.message} Again in ${retryInMs} ms.`
      ]
    }
    case "model.tool-call":
      return ["tool call", `${event.data.toolName} (${event.data.toolCallId})`]
    case "model.reset":
      return ["reset", `seq ${event.data.fromSeq} to ${event.data.toSeq} no longer count`]
    case "telemetry.usage":
      return ["usage", usageText(usageOf(event))]
    case "checkpoint.saved":
      return [`checkpoint ${event.data.checkpoint}`, `${event.data.phase}, up to seq ${event.data.seq}`]
    case "turn.completed":
      return ["completed", event.data.finishReason]
    case "turn.failed":
      return ["failed", `${event.data.error._tag}: ${event.data.error.message}`]
  }
}

interface Run {
  readonly seq: number
  readonly atMs: number
  deltas: number
  characters: number
  lastMs: number
}

/** Takes the events in order; `done` answers with what they came to. */
export const make = () => {
  const entries: Array<Entry> = []
  const usages: Array<AttemptUsage> = []
  let startMs: number | undefined
  let firstTokenMs: number | undefined
  let run: Run | undefined
  let pauses = 0
  let longestPauseMs = 0
  let deltas = 0

  const endRun = () => {
    if (run === undefined) return
    const seconds = (run.lastMs - run.atMs) / 1000
    const detail = `${run.deltas} deltas, ${run.characters} characters in ${seconds.toFixed(2)} s`
    entries.push({ seq: run.seq, atMs: run.atMs, what: "streamed", detail })
    run = undefined
  }

  const addDelta = (event: EventOf<"model.delta">, atMs: number) => {
    deltas++
    if (firstTokenMs === undefined) {
      firstTokenMs = atMs
      entries.push({ seq: event.seq, atMs, what: "first token", detail: event.data.kind })
    }
    const gapMs = run === undefined ? 0 : atMs - run.lastMs
    if (gapMs >= pauseMs) {
      pauses++
      longestPauseMs = Math.max(longestPauseMs, gapMs)
      if (pauses <= pausesMax) {
        endRun()
        entries.push({ seq: event.seq, atMs, what: "pause", detail: `${(gapMs / 1000).toFixed(2)} s before it` })
      }
    }
    run ??= { seq: event.seq, atMs, deltas: 0, characters: 0, lastMs: atMs }
    run.deltas++
    run.characters += event.data.text.length
    run.lastMs = atMs
  }

  return {
    add: (event: TurnEvent): void => {
      const at = Date.parse(event.at)
      startMs ??= at
      const atMs = at - startMs
      if (event.type === "model.delta") return addDelta(event, atMs)
      endRun()
      if (event.type === "telemetry.usage") usages.push(usageOf(event))
      const [what, detail] = describe(event)
      entries.push({ seq: event.seq, atMs, what, detail })
    },
    done: (): Timeline => {
      endRun()
      return {
        entries,
        usages,
        ...(firstTokenMs === undefined ? {} : { firstTokenMs }),
        pauses,
        longestPauseMs,
        deltas
      }
    }
  }
}
