/**
 * Rows of a history, decoded. A context may be made of thousands, and nearly all hold one text: those are checked by hand,
 * because a schema costs many times the parse. What is not of that plain shape is for the schema of its row to judge.
 */
import * as Schema from "effect/Schema"
import { MessageId, TurnId } from "../domain/Ids.ts"
import type { Part } from "../domain/Message.ts"
import * as Rows from "./Rows.ts"
import { rows } from "./Storage.ts"

type Fields = { readonly [key: string]: unknown }

const isMessageId = Schema.is(MessageId)
const isTurnId = Schema.is(TurnId)
const isTurnIdOrNull = (value: unknown): value is TurnId | null => value === null || isTurnId(value)
const isPosition = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value)
const isPositionOrNull = (value: unknown): value is number | null => value === null || isPosition(value)

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null

/** Texts alone; anything else is undefined, what is no JSON too. */
const textsOf = (json: unknown): ReadonlyArray<Part> | undefined => {
  if (typeof json !== "string") return undefined
  let parts: unknown
  try {
    parts = JSON.parse(json)
  } catch {
    return undefined
  }
  if (!Array.isArray(parts)) return undefined
  const texts: Array<Part> = []
  for (const part of parts) {
    if (!isFields(part) || part.type !== "text" || typeof part.text !== "string") return undefined
    texts.push({ type: "text", text: part.text })
  }
  return texts
}

const questionOf = (row: unknown): typeof QuestionRow.Type | undefined => {
  if (!isFields(row)) return undefined
  const { id, position, role, turnId } = row
  if (!isMessageId(id) || !isTurnIdOrNull(turnId) || !isPosition(position)) return undefined
  if (role !== "user" && role !== "assistant") return undefined
  const parts = textsOf(row.parts)
  return parts === undefined ? undefined : { id, turnId, position, role, parts }
}

/** A question, or an imported message of either role. */
const QuestionRow = Rows.MessageRow.pick("id", "turnId", "position", "role", "parts")
export const questionRows = rows(QuestionRow, questionOf)

const answerOf = (row: unknown): Rows.AnswerRow | undefined => {
  if (!isFields(row)) return undefined
  const { endPos, errorTag, id, messageId, resumedFrom, startPos, status, userMessageId } = row
  return isTurnId(id) && isMessageId(userMessageId) && status === "completed" && errorTag === null &&
      isMessageId(messageId) && isTurnIdOrNull(resumedFrom) && isPositionOrNull(startPos) && isPositionOrNull(endPos)
    ? { id, userMessageId, status, errorTag, messageId, resumedFrom, startPos, endPos }
    : undefined
}

export const answerRows = rows(Rows.AnswerRow, answerOf)

export const partsRows = rows(Rows.PartsRow, (row) => {
  if (!isFields(row)) return undefined
  const { chars, id, turnId } = row
  if (!isMessageId(id) || !isTurnIdOrNull(turnId) || !isPositionOrNull(chars)) return undefined
  const parts = textsOf(row.parts)
  return parts === undefined ? undefined : { id, turnId, parts, chars }
})

/** The message that a history ends at, and who owns the database. */
export const startRows = rows(
  Schema.Struct({ position: Schema.Int, turnId: Schema.NullOr(TurnId), epoch: Schema.NullOr(Schema.Int) })
)
