/**
 * Which messages of a session count for a later context, and in what pairs. Pure; the journals bring the rows.
 *
 * - A question whose turns were all refused before a call is left out; of sibling answers the newest completed one
 *   counts, by order of commit. A partial answer enters only as the prefix of its resume.
 * - Imported messages pair up in order: an answer belongs to the question just before it. A message without a partner
 *   is an exchange of its own, so that nothing is lost or moved.
 * - `asOf` hides what was committed after that pos.
 * - An answer too long for any context is left out but for its size, which takes the place of its parts.
 */
import type { Exchange } from "../domain/History.ts"
import type { MessageId, TurnId } from "../domain/Ids.ts"
import { type Message, type Part, textOf } from "../domain/Message.ts"
import { refusalTags } from "../domain/TurnError.ts"
import type { AnswerRow } from "./Rows.ts"

/** Exchanges a page holds at most: 32 answers of a megabyte are the most that a context build has in hand. */
export const pageMax = 32

/** A question, or an imported message of either role. */
export type Turned = Pick<Message, "id" | "turnId" | "role" | "parts"> & { readonly position: number }

const refusals: ReadonlySet<string> = refusalTags

/** The answer to a question: the messages whose texts make it, oldest prefix first; undefined where it is left out. */
export interface Chosen {
  readonly messages: ReadonlyArray<MessageId>
}

export const choose = (turns: ReadonlyArray<AnswerRow>, asOf: number): Chosen | undefined => {
  const begun = turns.filter((turn) => turn.startPos !== null && turn.startPos < asOf)
  const ended = (turn: AnswerRow) => turn.endPos !== null && turn.endPos < asOf
  if (begun.length > 0 && begun.every((turn) => ended(turn) && refusals.has(turn.errorTag ?? ""))) return undefined
  let newest: AnswerRow | undefined
  for (const turn of begun) {
    if (turn.status === "completed" && ended(turn) && (turn.endPos ?? 0) > (newest?.endPos ?? 0)) newest = turn
  }
  const byId = new Map<TurnId, AnswerRow>(turns.map((turn) => [turn.id, turn]))
  const messages: Array<MessageId> = []
  for (
    let turn = newest;
    turn !== undefined;
    turn = turn.resumedFrom === null ? undefined : byId.get(turn.resumedFrom)
  ) {
    if (turn.messageId !== null) messages.unshift(turn.messageId)
  }
  return { messages }
}

/** Pieces of an answer as its parts: neighbours of one kind are one. */
export const merged = (pieces: Iterable<Part>): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  for (const piece of pieces) {
    const last = parts.at(-1)
    if (piece.type === "text" && last?.type === "text") {
      parts[parts.length - 1] = { ...last, text: last.text + piece.text }
    } else parts.push(piece)
  }
  return parts
}

/** What is read of one answer message. */
export interface AnswerRead {
  readonly parts: ReadonlyArray<Part>
  /** Above 0 where it was too long to be read. */
  readonly unreadChars: number
  /** Its parts are in its events, or in pieces. */
  readonly isLong?: boolean
}

/** An exchange with the rows it is made of, or a question that is left out. */
export interface Unit {
  /** Positions of its oldest and its newest row. */
  readonly position: number
  readonly top: number
  /** Questions and imported messages that it is made of. */
  readonly rows: 1 | 2
  /** Its newest row is an imported answer. */
  readonly isImportedAnswer: boolean
  /** Where turns answer it. */
  readonly question: MessageId | undefined
  readonly exchange: Exchange | undefined
  /** Its answer is read from its events, each time. */
  readonly isLong: boolean
}

/** One answer of a completed turn and the partials before it: the texts joined, the rest as the last one has it. */
const joined = (found: ReadonlyArray<AnswerRead>): Exchange["answer"] => {
  if (found.length === 0) return undefined
  const unreadChars = found.reduce((sum, one) => sum + one.unreadChars, 0)
  return unreadChars > 0
    ? { role: "assistant", parts: [], unreadChars }
    : { role: "assistant", parts: joinedParts(found.map((one) => one.parts)) }
}

const joinedParts = (parts: ReadonlyArray<ReadonlyArray<Part>>): ReadonlyArray<Part> => {
  const last = parts.at(-1) ?? []
  if (parts.length < 2) return last
  const text = parts.map(textOf).join("")
  const reasoning = last.filter((part) => part.type === "reasoning")
  const rest = last.filter((part) => part.type !== "reasoning" && part.type !== "text")
  return [...reasoning, ...(text === "" ? [] : [{ type: "text" as const, text }]), ...rest]
}

/**
 * What a page is made of, newest first. `rows` come newest first, as `taken` left them. `chosen` by question, `answers`
 * by answer message.
 */
export const units = (
  rows: ReadonlyArray<Turned>,
  chosen: ReadonlyMap<MessageId, Chosen | undefined>,
  answers: ReadonlyMap<MessageId, AnswerRead>
): ReadonlyArray<Unit> => {
  const found: Array<Unit> = []
  let answer: Turned | undefined
  for (const row of rows) {
    const { role, turnId } = row
    const isPair = turnId === null && role === "user" && answer !== undefined
    if (answer !== undefined && !isPair) found.push(alone(answer))
    if (turnId !== null) found.push(asked(row, chosen.get(row.id), answers))
    else if (role === "user") found.push(answer === undefined ? alone(row) : imported(row, answer))
    answer = turnId === null && role === "assistant" ? row : undefined
  }
  if (answer !== undefined) found.push(alone(answer))
  return found
}

/** The exchanges of `units`. */
export const pair = (...page: Parameters<typeof units>): ReadonlyArray<Exchange> => exchangesOf(units(...page))

export const exchangesOf = (found: ReadonlyArray<Unit>): ReadonlyArray<Exchange> =>
  found.flatMap(({ exchange }) => exchange === undefined ? [] : [exchange])

/** An imported message without a partner. */
const alone = (message: Turned): Unit => ({
  position: message.position,
  top: message.position,
  rows: 1,
  isImportedAnswer: message.role === "assistant",
  question: undefined,
  exchange: { user: plain(message), answer: undefined },
  isLong: false
})

const imported = (question: Turned, answer: Turned): Unit => ({
  position: question.position,
  top: answer.position,
  rows: 2,
  isImportedAnswer: true,
  question: undefined,
  exchange: { user: plain(question), answer: { role: "assistant", parts: answer.parts } },
  isLong: false
})

const asked = (
  question: Turned,
  counted: Chosen | undefined,
  answers: ReadonlyMap<MessageId, AnswerRead>
): Unit => {
  const found = (counted?.messages ?? []).flatMap((id) => {
    const own = answers.get(id)
    return own === undefined ? [] : [own]
  })
  return {
    position: question.position,
    top: question.position,
    rows: 1,
    isImportedAnswer: false,
    question: question.id,
    exchange: counted === undefined ? undefined : { user: plain(question), answer: joined(found) },
    isLong: found.some(({ isLong }) => isLong === true)
  }
}

const plain = ({ id, parts, role }: Turned): Exchange["user"] => ({ id, role, parts })

/**
 * Of up to `pageMax + 1` rows, newest first, those that make a page, and the cursor of the next: an imported answer at
 * the edge waits for its question.
 */
export const taken = <Row extends Turned>(
  rows: ReadonlyArray<Row>
): { readonly rows: ReadonlyArray<Row>; readonly cursor: number | undefined } => {
  if (rows.length <= pageMax) return { rows, cursor: undefined }
  let count = pageMax
  const edge = rows[count - 1]
  if (edge !== undefined && edge.turnId === null && edge.role === "assistant") count--
  return { rows: rows.slice(0, count), cursor: rows[count - 1]?.position }
}
