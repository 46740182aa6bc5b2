/**
 * What a turn looks like in words: its status, what can be done with it, what it cost. Pure: the elements show exactly
 * this, and a test can read it.
 */
import type { TurnState } from "../domain/TurnState.ts"
import { usageText } from "./EventLog.ts"
import type { Verb } from "./Server.ts"
import type { TurnEntry } from "./SessionModel.ts"

/** How a state is drawn; the word says the rest. */
export type Tone = "running" | "completed" | "failed" | "stopped" | "blocked"

export interface TurnView {
  readonly tone: Tone
  readonly status: string
  readonly verbs: ReadonlyArray<Verb>
  /** What went wrong, with what to do next; empty where nothing did. */
  readonly error: string
  readonly source: string
  readonly usage: string
  /** How this turn relates to others. */
  readonly relation: string
}

const runningWord = (state: TurnState, waiting: boolean): string => {
  switch (state.phase) {
    case "accepted":
      return waiting ? "Queued" : "Accepted"
    case "building-context":
      return "Building context"
    case "calling-model":
      return state.attempts > 1 || (state.attempts === 1 && !state.attemptOpen)
        ? `Calling the model, attempt ${state.attemptOpen ? state.attempts : state.attempts + 1}`
        : "Calling the model"
    case "streaming":
      return "Streaming"
    default:
      return "Committing"
  }
}

const failedAs = (
  state: TurnState
): { readonly tone: Tone; readonly status: string; readonly verbs: ReadonlyArray<Verb> } => {
  switch (state.error?._tag) {
    case "Cancelled":
      return { tone: "stopped", status: "Cancelled", verbs: ["resume", "retry"] }
    case "Interrupted":
      return { tone: "stopped", status: "Interrupted", verbs: ["resume", "retry"] }
    case "ProviderBlocked":
      return { tone: "blocked", status: "Blocked", verbs: ["retry"] }
    default:
      return { tone: "failed", status: "Failed", verbs: state.text === "" ? ["retry"] : ["resume", "retry"] }
  }
}

const statusOf = (state: TurnState, waiting: boolean) => {
  switch (state.status) {
    case "running":
      return { tone: "running", status: runningWord(state, waiting), verbs: ["cancel"] } as const
    case "completed":
      return { tone: "completed", status: "Completed", verbs: ["retry"] } as const
    case "failed":
      return failedAs(state)
  }
}

const finishText = (state: TurnState): string =>
  state.finishReason === undefined || state.finishReason === "stop" ? "" : ` (${state.finishReason})`

const relationOf = (entry: TurnEntry, numberOf: (turnId: string) => number | undefined): string => {
  const named = (id: string) => `turn ${numberOf(id) ?? id}`
  return [
    entry.state.retryOf === undefined ? "" : `Retry of ${named(entry.state.retryOf)}.`,
    entry.state.resumedFrom === undefined ? "" : `Continues ${named(entry.state.resumedFrom)}.`,
    entry.resumedIn === undefined ? "" : `Resumed in turn ${entry.resumedIn}.`,
    entry.retriedIn === undefined ? "" : `Retried in turn ${entry.retriedIn}.`
  ].filter((text) => text !== "").join(" ")
}

const usageOf = (state: TurnState): string =>
  state.usages.map(({ attempt, source, usage }) =>
    `${state.usages.length > 1 ? `attempt ${attempt}: ` : ""}${usageText(usage, source)}`
  ).join("; ")

/** `waiting`: another turn of the session runs before this one. */
export const view = (
  entry: TurnEntry,
  waiting: boolean,
  numberOf: (turnId: string) => number | undefined
): TurnView => {
  const { state } = entry
  const { status, tone, verbs } = statusOf(state, waiting)
  // a turn has at most one child of each kind; the relation names the one that is there
  const open = verbs.filter((verb) =>
    verb === "retry" ? entry.retriedIn === undefined : verb === "resume" ? entry.resumedIn === undefined : true
  )
  return {
    tone,
    status: status + finishText(state),
    verbs: open,
    error: entry.fault === undefined
      ? state.error?.message ?? ""
      : `The page could not follow this turn (${entry.fault}). Reload the page; GET /v1/turns/${entry.id} has the whole.`,
    source: `${state.provider} / ${state.model}`,
    usage: usageOf(state),
    relation: relationOf(entry, numberOf)
  }
}

/** What a listener is told of a turn; empty while nothing worth a word happened. Never changes with a delta. */
export const announcement = (entry: TurnEntry, turn: TurnView): string => {
  if (turn.tone === "running") {
    return entry.state.phase === "streaming" ? `Turn ${entry.number} is streaming.` : ""
  }
  return `Turn ${entry.number}: ${turn.status.toLowerCase()}. ${turn.error}`.trim()
}

/** What the server confirmed about a cancel: the end that it committed. */
export const cancelConfirmed = (turn: {
  readonly status: string
  readonly text: string
  readonly error?: { readonly _tag: string; readonly cause?: string; readonly message: string } | undefined
}): string => {
  if (turn.error?._tag === "Cancelled") {
    return `The server confirmed the cancel (${turn.error.cause}); ${turn.text.length} characters are kept.`
  }
  return turn.status === "completed"
    ? "The server answered that the turn had completed before the cancel."
    : `The server answered that the turn had already ended: ${turn.error?.message ?? turn.status}`
}
