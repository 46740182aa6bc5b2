/**
 * Events in words: the short detail of a row, what a search looks at, and the whole as JSON. Pure. A detail is cut at
 * `detailMax`, a long value of the JSON that is drawn at `valueMax`; what is copied is whole.
 */
import type { TurnEvent, Usage, UsageSource } from "../../domain/Protocol.ts"
import * as Words from "../kit/Words.ts"

/** Characters of a value in a row. */
const detailMax = 120

/** Characters of one string in JSON that is drawn: far more than is read, far less than slows a page. */
const valueMax = 4_000

const cut = (text: string): string => text.length <= detailMax ? text : `${text.slice(0, detailMax)}…`

/** One seq, or the first and the last. */
export const span = (from: number, to: number): string => from === to ? String(from) : `${from}–${to}`

const usageText = (usage: Usage, source: UsageSource): string => {
  const count = (tokens: number | null) => tokens === null ? "unknown" : Words.number(tokens)
  return usage.inputTokens === null && usage.outputTokens === null && usage.totalTokens === null
    ? `tokens unknown (${source})`
    : `${count(usage.inputTokens)} in, ${count(usage.outputTokens)} out, ${count(usage.totalTokens)} total (${source})`
}

const deltaText = (kind: string, chars: number): string => `${kind}, ${Words.characters(chars)}`

const detailOfEvent = (event: TurnEvent): string => {
  switch (event.type) {
    case "turn.started": {
      const { model, provider, resumedFrom, retryOf } = event.data
      const parent = retryOf !== undefined ? ", a retry" : resumedFrom !== undefined ? ", resumes another turn" : ""
      return `${provider} / ${model}${parent}`
    }
    case "context.built":
      return `${Words.number(event.data.total)} of ${Words.number(event.data.budget)} tokens, hash ${
        event.data.hash.slice(0, 12)
      }`
    case "attempt.started":
      return `attempt ${event.data.attempt}, ${event.data.provider} / ${event.data.model}`
    case "attempt.failed": {
      const again = event.data.retryInMs === undefined ? "" : `, again in ${Words.number(event.data.retryInMs)} ms`
      return cut(`attempt ${event.data.attempt}${again}: ${event.data.error.message}`)
    }
    case "model.delta":
      return deltaText(event.data.kind, event.data.text.length)
    case "model.tool-call":
      return cut(`${event.data.toolName} ${JSON.stringify(event.data.arguments)}`)
    case "model.reset":
      return `seq ${span(event.data.fromSeq, event.data.toSeq)} no longer count`
    case "telemetry.usage":
      return usageText(event.data.usage, event.data.source)
    case "checkpoint.saved":
      return `checkpoint ${event.data.checkpoint}, ${event.data.phase}, covers seq ${event.data.seq}`
    case "turn.completed":
      return `finish reason ${event.data.finishReason}`
    case "turn.failed":
      return cut(`${event.data.error._tag}: ${event.data.error.message}`)
  }
}

/** The detail of a row by its first event; `chars` of all its deltas, where it has any. */
export const detailOf = (first: TurnEvent, chars: number): string =>
  first.type === "model.delta" ? deltaText(first.data.kind, chars) : detailOfEvent(first)

/** What a row holds: an event as it is, or of a run of deltas the first with the text of all. */
export const contentOf = (events: ReadonlyArray<TurnEvent>, fromSeq: number, toSeq: number): unknown => {
  const first = events[fromSeq - 1]
  if (fromSeq === toSeq || first?.type !== "model.delta") return first
  const text = events.slice(fromSeq - 1, toSeq).map((event) => event.type === "model.delta" ? event.data.text : "")
  return { ...first, toSeq, data: { ...first.data, text: text.join("") } }
}

/** A text as far as it is drawn. */
const short = (text: string): string =>
  text.length <= valueMax
    ? text
    : `${text.slice(0, valueMax)}… and ${Words.number(text.length - valueMax)} characters more; Copy gives all of it`

export const json = (value: unknown): string => JSON.stringify(value, null, 2)

/** The same with long texts cut. */
export const shownJson = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => typeof inner === "string" ? short(inner) : inner, 2)
