/**
 * The events of a turn as short lines. Of a run of deltas the log keeps one line, so that it grows with what a turn did
 * and not with what it said; a value is cut at `detailMax` characters.
 */
import type { TurnEvent } from "../../domain/TurnEvent.ts"
import type { Usage, UsageSource } from "../../domain/Usage.ts"

/** One line of a turn's log: an event, or a run of deltas of one kind. */
export interface EventRow {
  readonly type: TurnEvent["type"]
  readonly fromSeq: number
  toSeq: number
  detail: string
  /** Of deltas: their kind and characters. */
  readonly kind: string | undefined
  chars: number
}

/** Characters of a value in a log row. */
const detailMax = 120

const cut = (text: string): string => text.length <= detailMax ? text : `${text.slice(0, detailMax)}…`

const span = (from: number, to: number): string => from === to ? String(from) : `${from}–${to}`

export const seqText = (row: EventRow): string => span(row.fromSeq, row.toSeq)

const deltaText = (kind: string, count: number, chars: number): string =>
  `${kind}, ${count} ${count === 1 ? "delta" : "deltas"}, ${chars} characters`

const count = (tokens: number | null): string => tokens === null ? "unknown" : String(tokens)

export const usageText = (usage: Usage, source: UsageSource): string =>
  usage.inputTokens === null && usage.outputTokens === null && usage.totalTokens === null ?
    `tokens unknown (${source})` :
    `${count(usage.inputTokens)} in, ${count(usage.outputTokens)} out, ${
      count(usage.totalTokens)
    } total tokens (${source})`

const detailOf = (event: TurnEvent): string => {
  switch (event.type) {
    case "turn.started": {
      const { model, provider, resumedFrom, retryOf } = event.data
      const parent = retryOf !== undefined
        ? `, retry of ${retryOf}`
        : resumedFrom !== undefined
        ? `, resumes ${resumedFrom}`
        : ""
      return `${provider} / ${model}${parent}`
    }
    case "context.built":
      return `${event.data.total} of ${event.data.budget} tokens, ${event.data.slots.length} slots, hash ${
        event.data.hash.slice(0, 12)
      }`
    case "attempt.started":
      return `attempt ${event.data.attempt}, ${event.data.provider} / ${event.data.model}`
    case "attempt.failed": {
      const again = event.data.retryInMs === undefined ? "" : `, again in ${event.data.retryInMs} ms`
      return cut(`attempt ${event.data.attempt}${again}: ${event.data.error.message}`)
    }
    case "model.delta":
      return deltaText(event.data.kind, 1, event.data.text.length)
    case "model.tool-call":
      return cut(`${event.data.toolName} ${JSON.stringify(event.data.arguments)}`)
    case "model.reset":
      return `seq ${span(event.data.fromSeq, event.data.toSeq)} no longer count`
    case "telemetry.usage":
      return usageText(event.data.usage, event.data.source)
    case "checkpoint.saved":
      return `checkpoint ${event.data.checkpoint} in phase ${event.data.phase}, covers seq ${event.data.seq}`
    case "turn.completed":
      return `finish reason ${event.data.finishReason}`
    case "turn.failed":
      return cut(`${event.data.error._tag}: ${event.data.error.message}`)
  }
}

/** Adds an event, to the last line where it belongs to a run. */
export const add = (rows: Array<EventRow>, event: TurnEvent): void => {
  const kind = event.type === "model.delta" ? event.data.kind : undefined
  const chars = event.type === "model.delta" ? event.data.text.length : 0
  const last = rows.at(-1)
  if (kind !== undefined && last?.kind === kind) {
    last.toSeq = event.seq
    last.chars += chars
    last.detail = deltaText(kind, last.toSeq - last.fromSeq + 1, last.chars)
  } else {
    rows.push({ type: event.type, fromSeq: event.seq, toSeq: event.seq, detail: detailOf(event), kind, chars })
  }
}
