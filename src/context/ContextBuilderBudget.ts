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

/** An exchange as it is sent, and what a selection asks of it. */
interface Plain {
  readonly user: PromptMessage
  readonly answer: PromptMessage | undefined
  /** Of both, and of what was not read. */
  readonly tokens: number
  /** Ids that the user answers, and that the answer asks for. */
  readonly results: ReadonlySet<string>
  readonly calls: ReadonlySet<string>
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

/** Shared: nearly every message has none. */
const none: ReadonlySet<string> = new Set()

const idsOf = (message: PromptMessage, type: "tool-call" | "tool-result"): ReadonlySet<string> => {
  let ids: Set<string> | undefined
  for (const part of message.parts) if (part.type === type) (ids ??= new Set()).add(part.toolCallId)
  return ids ?? none
}

const read = ({ answer: said, user: asked }: Exchange): Plain => {
  const user = plain(asked)
  const answer = said === undefined ? undefined : plain(said)
  return {
    user,
    answer,
    tokens: Tokens.countMessage(user) + (answer === undefined ? 0 : Tokens.countMessage(answer)) +
      Tokens.countChars(said?.unreadChars ?? 0),
    results: idsOf(user, "tool-result"),
    calls: answer === undefined ? none : idsOf(answer, "tool-call")
  }
}

/** An exchange does not change, and the journal gives the same object for it as long as it can: weighed once. */
const known = new WeakMap<Exchange, Plain>()

const plainOf = (exchange: Exchange): Plain => {
  let found = known.get(exchange)
  if (found === undefined) known.set(exchange, found = read(exchange))
  return found
}

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
  required: none,
  full: selection.full
})

/** A unit of its own: nothing waits for it, and it waits for nothing. */
const isAlone = (selection: Selection, { results }: Plain): boolean =>
  selection.required.size === 0 && results.size === 0 && !selection.waiting && !selection.full

/** Offer the next older exchange; `limit` is what all of history may take. */
export const offer = (selection: Selection, exchange: Exchange, limit: number): Selection => {
  if (selection.full) return selection
  const next = plainOf(exchange)
  const keptTokens = selection.keptTokens + next.tokens
  return isAlone(selection, next) && keptTokens <= limit
    ? { ...selection, kept: List.cons(next, selection.kept), keptTokens }
    : offerUnit(selection, next, limit)
}

/**
 * The same for the exchanges from `from`, as far as each is kept as it comes, which is nearly all of a history. `taken`:
 * how many were.
 */
export const offerRow = (
  selection: Selection,
  exchanges: ReadonlyArray<Exchange>,
  from: number,
  limit: number
): { readonly selection: Selection; readonly taken: number } => {
  let { kept, keptTokens } = selection
  let index = from
  for (; index < exchanges.length; index++) {
    const exchange = exchanges[index]
    const next = exchange === undefined ? undefined : plainOf(exchange)
    if (next === undefined || !isAlone(selection, next) || keptTokens + next.tokens > limit) break
    kept = List.cons(next, kept)
    keptTokens += next.tokens
  }
  return { selection: index === from ? selection : { ...selection, kept, keptTokens }, taken: index - from }
}

const offerUnit = (selection: Selection, exchange: Plain, limit: number): Selection => {
  const { answer, calls, results } = exchange
  const pendingTokens = selection.pendingTokens + exchange.tokens
  const next = { ...selection, pending: List.prepend(selection.pending, exchange), pendingTokens }
  if (selection.keptTokens + pendingTokens > limit) {
    // The nearest answer knows none of the ids: they belong to no call, and nothing that was needed is lost.
    const foreign = answer !== undefined && ![...selection.required].some((id) => calls.has(id))
    return { ...next, full: true, required: foreign ? none : selection.required }
  }
  const waiting = (answer === undefined && selection.waiting) || results.size > 0
  const whole = selection.required.size > 0 ? answer !== undefined : !waiting
  return whole ? close(next) : { ...next, waiting }
}

/** History has ended: what still waits has no call anywhere; `messages` leaves its results out. */
export const end = (selection: Selection): Selection => (selection.full ? selection : close(selection))

/** Whether what this message answers had to be dropped. Asked after `end`. */
export const isOverflow = (selection: Selection): boolean => selection.full && selection.required.size > 0

/** The same object where nothing of it is left out: what is known of it stays known. */
const filtered = (message: PromptMessage, keep: (part: Part) => boolean): PromptMessage => {
  const parts = message.parts.filter(keep)
  return parts.length === message.parts.length ? message : { role: message.role, parts }
}

/** An answer with calls, and the user messages that follow it before the next answer. */
interface Called {
  readonly answer: PromptMessage
  readonly calls: ReadonlySet<string>
  readonly users: Array<PromptMessage>
}

/** The parts that make pairs; of two results for one call the newest counts. */
const paired = ({ answer, calls, users }: Called, claimed: Set<string>): ReadonlyArray<PromptMessage> => {
  const kept = users.toReversed().map((user) =>
    filtered(user, (part) => {
      if (part.type !== "tool-result") return true
      if (!calls.has(part.toolCallId) || claimed.has(part.toolCallId)) return false
      claimed.add(part.toolCallId)
      return true
    })
  ).toReversed()
  return [filtered(answer, (part) => part.type !== "tool-call" || claimed.has(part.toolCallId)), ...kept]
}

const isNoResult = (part: Part): boolean => part.type !== "tool-result"

/** The kept exchanges as messages, ascending, without parts that lost their other half and without empty messages. */
export const messages = (selection: Selection, message: PromptMessage): ReadonlyArray<PromptMessage> => {
  const found: Array<PromptMessage> = []
  const push = (one: PromptMessage) => {
    if (one.parts.length > 0) found.push(one)
  }
  let called: Called | undefined
  for (const { answer, calls, results, user } of selection.kept) {
    if (called !== undefined) called.users.push(user)
    else push(results.size === 0 ? user : filtered(user, isNoResult))
    if (answer === undefined) continue
    if (called !== undefined) paired(called, new Set()).forEach(push)
    called = calls.size === 0 ? undefined : { answer, calls, users: [] }
    if (called === undefined) push(answer)
  }
  if (called !== undefined) paired(called, new Set(idsOf(message, "tool-result"))).forEach(push)
  return found
}
