/**
 * Which exchanges of history fit, and what of them is sent. Pure, and fed one exchange at a time from the newest, so
 * that the caller reads no further than the answer needs.
 *
 * Invariants:
 * - kept exchanges are the newest ones without a gap, and their tokens never pass the limit;
 * - a tool result answers a call of the nearest older answer (no provider takes it elsewhere). An exchange with such a
 *   result is kept together with the exchange of that answer or dropped with it: the two are one unit;
 * - a call without its result before the next answer, and a result without its call, are left out, only that part;
 * - the exchange with the calls that this message answers is required: it is kept or the context is an overflow. What
 *   that exchange answers in turn is not: a long loop of tools is clipped like any history.
 *
 * Limits: a weight counts whole exchanges, also parts that are left out later: it errs to the safe side. Reasoning is
 * never sent again: providers refuse or ignore it without a signature of their own.
 */
import * as List from "effect/List"
import type { Exchange } from "../domain/History.ts"
import type { Part, PromptMessage } from "../domain/Message.ts"
import * as Tokens from "./Tokens.ts"

/** An exchange as it is sent. */
interface Plain {
  readonly user: PromptMessage
  readonly answer: PromptMessage | undefined
}

/** One key order for every source, so that a rebuild from other rows gives the same bytes. */
const plainPart = (part: Part): ReadonlyArray<Part> => {
  switch (part.type) {
    case "text":
      return [{ type: part.type, text: part.text }]
    case "reasoning":
      return []
    case "tool-call":
      return [{ type: part.type, toolCallId: part.toolCallId, toolName: part.toolName, arguments: part.arguments }]
    case "tool-result":
      return [{ type: part.type, toolCallId: part.toolCallId, content: part.content }]
  }
}

/** A message with what a provider is sent, and nothing else. */
export const plain = (message: PromptMessage): PromptMessage => ({
  role: message.role,
  parts: message.parts.flatMap(plainPart)
})

const idsOf = (message: PromptMessage, type: "tool-call" | "tool-result"): ReadonlySet<string> =>
  new Set(message.parts.flatMap((part) => (part.type === type ? [part.toolCallId] : [])))

const weigh = (exchange: Plain): number =>
  Tokens.countMessage(exchange.user) + (exchange.answer === undefined ? 0 : Tokens.countMessage(exchange.answer))

export interface Selection {
  /** Oldest first; every one fits. A list, because each offer prepends one. */
  readonly kept: List.List<Plain>
  readonly keptTokens: number
  /** A unit that still waits for the answer which its results belong to, oldest first. */
  readonly pending: List.List<Plain>
  readonly pendingTokens: number
  /** Results of the pending unit wait for the next older answer. */
  readonly waiting: boolean
  /** The ids that this message answers, until the answer with their calls is found. */
  readonly required: ReadonlySet<string>
  /** Something did not fit: from here on nothing is kept. */
  readonly full: boolean
}

export const start = (message: PromptMessage): Selection => ({
  kept: List.empty(),
  keptTokens: 0,
  pending: List.empty(),
  pendingTokens: 0,
  waiting: false,
  required: idsOf(message, "tool-result"),
  full: false
})

const close = (selection: Selection): Selection => ({
  kept: List.prependAll(selection.kept, selection.pending),
  keptTokens: selection.keptTokens + selection.pendingTokens,
  pending: List.empty(),
  pendingTokens: 0,
  waiting: false,
  required: new Set(),
  full: selection.full
})

/** Offer the next older exchange; `limit` is what all of history may take. */
export const offer = (selection: Selection, exchange: Exchange, limit: number): Selection => {
  if (selection.full) return selection
  const user = plain(exchange.user)
  const answer = exchange.answer === undefined ? undefined : plain(exchange.answer)
  const unread = Tokens.countChars(exchange.answer?.unreadChars ?? 0)
  const pendingTokens = selection.pendingTokens + weigh({ user, answer }) + unread
  const next = { ...selection, pending: List.prepend(selection.pending, { user, answer }), pendingTokens }
  if (selection.keptTokens + pendingTokens > limit) {
    // The nearest answer knows none of the ids: they belong to no call, and nothing that was needed is lost.
    const calls = answer === undefined ? undefined : idsOf(answer, "tool-call")
    const foreign = calls !== undefined && ![...selection.required].some((id) => calls.has(id))
    return { ...next, full: true, required: foreign ? new Set() : selection.required }
  }
  const waiting = (answer === undefined && selection.waiting) || idsOf(user, "tool-result").size > 0
  const whole = selection.required.size > 0 ? answer !== undefined : !waiting
  return whole ? close(next) : { ...next, waiting }
}

/** History has ended: what still waits has no call anywhere; `messages` leaves its results out. */
export const end = (selection: Selection): Selection => (selection.full ? selection : close(selection))

/** Whether what this message answers had to be dropped. Asked after `end`. */
export const isOverflow = (selection: Selection): boolean => selection.full && selection.required.size > 0

/** An answer with the user messages that follow it before the next answer. */
interface Segment {
  readonly answer: PromptMessage | undefined
  readonly users: ReadonlyArray<PromptMessage>
}

const segmentsOf = (kept: List.List<Plain>): ReadonlyArray<Segment> => {
  const segments: Array<Segment> = []
  let answer: PromptMessage | undefined
  let users: Array<PromptMessage> = []
  for (const exchange of kept) {
    users.push(exchange.user)
    if (exchange.answer === undefined) continue
    segments.push({ answer, users })
    answer = exchange.answer
    users = []
  }
  return [...segments, { answer, users }]
}

/** The parts of one segment that make pairs; of two results for one call the newest counts. */
const paired = ({ answer, users }: Segment, claimed: Set<string>): ReadonlyArray<PromptMessage> => {
  const calls = answer === undefined ? new Set<string>() : idsOf(answer, "tool-call")
  const kept = users.toReversed().map((user) => ({
    role: user.role,
    parts: user.parts.filter((part) => {
      if (part.type !== "tool-result") return true
      if (!calls.has(part.toolCallId) || claimed.has(part.toolCallId)) return false
      claimed.add(part.toolCallId)
      return true
    })
  })).toReversed()
  if (answer === undefined) return kept
  const parts = answer.parts.filter((part) => part.type !== "tool-call" || claimed.has(part.toolCallId))
  return [{ role: answer.role, parts }, ...kept]
}

/** The kept exchanges as messages, ascending, without parts that lost their other half and without empty messages. */
export const messages = (selection: Selection, message: PromptMessage): ReadonlyArray<PromptMessage> => {
  const segments = segmentsOf(selection.kept)
  return segments
    .flatMap((segment, index) =>
      paired(segment, index === segments.length - 1 ? new Set(idsOf(message, "tool-result")) : new Set())
    )
    .filter(({ parts }) => parts.length > 0)
}
