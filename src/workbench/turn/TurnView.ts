/**
 * What a turn looks like in words: its status, what can be done with it, what went wrong. Pure: the elements show exactly
 * this, and a test can read it.
 */
import type { Command } from "../../client/Api.ts"
import type { Turn } from "../../client/Resources.ts"
import type { TurnErrorInfo, Usage } from "../../domain/Protocol.ts"
import * as Words from "../kit/Words.ts"
import type { TurnEntry, TurnLog } from "../session/TurnEntry.ts"
import type { TurnFacts } from "../session/TurnFacts.ts"

/** How a status is coloured; the icon and the word say the same. */
export type Tone = "running" | "completed" | "failed" | "stopped" | "blocked"

export interface Status {
  readonly tone: Tone
  readonly icon: string
  readonly word: string
  /** More of it, for example which attempt follows and when; empty where the word is all. */
  readonly detail: string
}

/** A running turn without an event for this long is shown as stalled: far longer than any pause between two deltas. */
const stalledMs = 5_000

/** What the status depends on beside the turn itself. */
export interface Surroundings {
  /** Turns of the session that run, or wait, before this one. */
  readonly before: number
  /** Server time, milliseconds since 1970. */
  readonly nowMs: number
  /** When the turn's last event was journaled, server time; undefined where that is not known. */
  readonly lastEventMs: number | undefined
  readonly limits: { readonly firstTokenMs: number; readonly idleMs: number } | undefined
}

const status = (tone: Tone, icon: string, word: string, detail = ""): Status => ({ tone, icon, word, detail })

const retryingDetail = (facts: TurnFacts, nowMs: number): string => {
  const last = facts.failures.at(-1)
  const next = `attempt ${facts.attempts + 1}`
  if (last?.data.retryInMs === undefined) return next
  const left = Date.parse(last.at) + last.data.retryInMs - nowMs
  return left > 0 ? `${next} in ${Words.seconds(left)}` : next
}

const stalledDetail = (facts: TurnFacts, quietMs: number, limits: Surroundings["limits"]): string => {
  const limitMs = facts.phase === "streaming" ? limits?.idleMs : limits?.firstTokenMs
  const end = limitMs === undefined ? "" : `; the server gives up after ${Words.seconds(limitMs)}`
  return `no word for ${Words.seconds(quietMs)}${end}`
}

const runningStatus = (facts: TurnFacts, around: Surroundings): Status => {
  const quietMs = around.lastEventMs === undefined ? 0 : around.nowMs - around.lastEventMs
  switch (facts.phase) {
    case "accepted":
      return around.before > 0
        ? status("running", "○", "Queued", around.before === 1 ? "next" : `${around.before} turns before it`)
        : status("running", "○", "Accepted")
    case "building-context":
      return status("running", "◔", "Building context")
    case "committing":
      return status("running", "◕", "Committing")
    default:
      if (!facts.attemptOpen && facts.attempts > 0) {
        return status("running", "↻", "Retrying", retryingDetail(facts, around.nowMs))
      }
      if (quietMs >= stalledMs) {
        return status("stopped", "◌", "Stalled", stalledDetail(facts, quietMs, around.limits))
      }
      return facts.phase === "streaming"
        ? status("running", "◐", "Streaming")
        : status("running", "◔", "Calling the model")
  }
}

const failedStatus = (error: TurnErrorInfo | undefined): Status => {
  switch (error?._tag) {
    case "Cancelled":
      return status("stopped", "■", "Cancelled", error.cause === "user_stop" ? "" : error.cause)
    case "Interrupted":
      return status("stopped", "‖", "Interrupted", error.cause)
    case "ProviderBlocked":
      return status("blocked", "⊘", "Blocked")
    default:
      return status("failed", "✕", "Failed", error === undefined ? "" : error._tag)
  }
}

export const statusOf = (facts: TurnFacts, around: Surroundings): Status => {
  if (facts.status === "running") return runningStatus(facts, around)
  if (facts.status === "failed") return failedStatus(facts.error)
  const reason = facts.finishReason
  return status("completed", "✓", "Completed", reason === undefined || reason === "stop" ? "" : reason)
}

/** Numbers of the turns that came of a turn. */
export interface Children {
  readonly retriedIn: number | undefined
  readonly resumedIn: number | undefined
}

/** Read from the entry's signals. */
export const childrenOf = ({ resumedIn, retriedIn }: Pick<TurnEntry, keyof Children>): Children => ({
  retriedIn: retriedIn.value,
  resumedIn: resumedIn.value
})

/**
 * The commands that this state has. One that was given already is left out: a turn has at most one child of each kind,
 * and the card names it.
 */
export const verbsOf = (
  facts: TurnFacts,
  children: Children
): ReadonlyArray<Command> => {
  if (facts.status === "running") return ["cancel"]
  const tag = facts.error?._tag
  const isResumable = tag === "Interrupted" || tag === "Cancelled" || (facts.status === "failed" && facts.textChars > 0)
  return [
    ...(isResumable && children.resumedIn === undefined ? ["resume"] as const : []),
    ...(children.retriedIn === undefined ? ["retry"] as const : [])
  ]
}

export interface Note {
  readonly tone: "bad" | "warn" | ""
  readonly title: string
  readonly text: string
  /** Of a blocked provider: the environment variables that the text names. */
  readonly names?: ReadonlyArray<string>
}

const keptText = (facts: TurnFacts): string =>
  facts.textChars === 0 ? "No text had come." : `${Words.characters(facts.textChars)} kept.`

const endNote = (facts: TurnFacts): ReadonlyArray<Note> => {
  const { error } = facts
  if (error === undefined) return []
  switch (error._tag) {
    case "Cancelled":
      return [{ tone: "warn", title: "Cancelled", text: `${error.message} ${keptText(facts)}` }]
    case "Interrupted":
      return [{ tone: "warn", title: "Interrupted", text: `${error.message} ${keptText(facts)}` }]
    case "ProviderBlocked":
      return [{ tone: "bad", title: "Blocked", text: error.message, names: error.missingEnv }]
    default:
      return [{ tone: "bad", title: error._tag, text: error.message }]
  }
}

const foldedNote = ({ foldedAt }: TurnFacts): ReadonlyArray<Note> =>
  foldedAt === undefined ? [] : [{
    tone: "",
    title: "Folded",
    text: `Retention removed the deltas of this turn at ${
      Words.minute(foldedAt)
    }. Its messages and what it used are kept.`
  }]

/** The message of an error says what to do at the end of a turn; before another attempt nobody has to do anything. */
const triedAgain = (error: TurnErrorInfo): string => {
  // of a provider that failed, and of no other error
  const { detail, kind, status } = error as Extract<TurnErrorInfo, { readonly _tag: "ProviderFailure" }>
  return `${[kind, status && `HTTP ${status}`, detail].filter(Boolean).join(", ")}. It is tried again by itself.`
}

/** What a reader should know beside the answer: failed attempts, what became of the turn, what is not shown. */
export const notesOf = (facts: TurnFacts): ReadonlyArray<Note> => {
  const failed = facts.failures.filter(({ data }) => data.retryInMs !== undefined).map(({ data }) => ({
    tone: "warn" as const,
    title: `Attempt ${data.attempt} failed`,
    text: triedAgain(data.error)
  }))
  const long = facts.whole ? [] : [{
    tone: "" as const,
    title: "A long answer",
    text: `It is longer than this page shows. GET /v1/turns/${facts.id} has the whole.`
  }]
  return [...failed, ...endNote(facts), ...foldedNote(facts), ...long]
}

/** What is not here of the events. `all`: also what belongs to reading a turn that ended, and is no fault. */
export const logNotes = (log: TurnLog, facts: TurnFacts, all: boolean): ReadonlyArray<Note> => {
  const held = log.events.length
  if (log.state === "broken") {
    const where = held === 0 ? "" : `The events after seq ${Words.number(held)} are not here. `
    return [{ tone: "bad", title: "The events could not be read", text: where + (log.fault ?? "") }]
  }
  if (log.state === "folded") return all ? foldedNote(facts) : []
  if (log.missing !== undefined && facts.status === "running" && held > 0) {
    const { from, to } = log.missing
    const text = `Seq ${
      from === to ? from : `${from}–${to}`
    } did not reach this page, and is being read from the journal.`
    return [{ tone: "warn", title: "Gap", text }]
  }
  return all && log.missing !== undefined ? [{ tone: "", title: "Reading the events …", text: "" }] : []
}

/** How this turn relates to others, by their numbers. */
export const relationsOf = (
  facts: TurnFacts,
  children: Children,
  numberOf: (turnId: string) => number | undefined
): ReadonlyArray<string> => {
  const named = (id: string) => `turn ${numberOf(id) ?? id}`
  return [
    ...(facts.retryOf === undefined ? [] : [`retry of ${named(facts.retryOf)}`]),
    ...(facts.resumedFrom === undefined ? [] : [`continues ${named(facts.resumedFrom)}`]),
    ...(children.resumedIn === undefined ? [] : [`resumed in turn ${children.resumedIn}`]),
    ...(children.retriedIn === undefined ? [] : [`retried in turn ${children.retriedIn}`])
  ]
}

const count = (tokens: number | null, what: string): ReadonlyArray<string> =>
  tokens === null ? [] : [`${Words.number(tokens)} ${what}`]

/** Tokens in few words; empty where nobody counted. */
export const usageText = (usage: Usage | null): string =>
  usage === null ? "" : [
    ...count(usage.inputTokens, "in"),
    ...count(usage.outputTokens, "out"),
    ...count(usage.cacheReadTokens, "cached")
  ].join(" · ")

/** Time to the first token, of the attempt that counts, from the begin of the turn; and in all. */
export const timesOf = (facts: TurnFacts): { readonly firstTokenMs?: number; readonly totalMs?: number } => {
  const start = Date.parse(facts.startedAt)
  return {
    ...(facts.firstDeltaAt === undefined ? {} : { firstTokenMs: Date.parse(facts.firstDeltaAt) - start }),
    ...(facts.endedAt === undefined ? {} : { totalMs: Date.parse(facts.endedAt) - start })
  }
}

/** What a listener is told of a turn; empty while nothing worth a word happened. Never changes with a delta. */
export const announcement = (number: number, facts: TurnFacts, { detail, word }: Status): string => {
  if (facts.status === "running") {
    return facts.phase === "streaming" || word === "Retrying" || word === "Queued"
      ? `Turn ${number}: ${word.toLowerCase()}.`
      : ""
  }
  const why = facts.error?.message ?? detail
  return `Turn ${number}: ${word.toLowerCase()}.${why === "" ? "" : ` ${why}`}`
}

/** What the server confirmed about a cancel: the end that it committed. */
export const cancelConfirmed = (turn: Pick<Turn, "status" | "text" | "error">): string => {
  if (turn.error?._tag === "Cancelled") {
    return `The server confirmed the cancel; ${Words.characters(turn.text.length)} kept.`
  }
  return turn.status === "completed"
    ? "The server answered that the turn had completed before the cancel."
    : `The server answered that the turn had already ended: ${turn.error?.message ?? turn.status}`
}
