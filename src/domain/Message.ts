/** Messages and their parts: what a session remembers, and what a provider is sent. */
import * as Schema from "effect/Schema"
import { MessageId, TurnId } from "./Ids.ts"

export const TextPart = Schema.Struct({ type: Schema.Literal("text"), text: Schema.String })
  .annotations({ identifier: "TextPart" })

export const ReasoningPart = Schema.Struct({ type: Schema.Literal("reasoning"), text: Schema.String })
  .annotations({ identifier: "ReasoningPart" })

/** A complete call that a model asked for; `arguments` is parsed JSON. */
export const ToolCallPart = Schema.Struct({
  type: Schema.Literal("tool-call"),
  toolCallId: Schema.String,
  toolName: Schema.String,
  arguments: Schema.Unknown
}).annotations({ identifier: "ToolCallPart" })
export type ToolCallPart = typeof ToolCallPart.Type

/** A client's answer to a call of an earlier turn; `content` is text or any JSON. */
export const ToolResultPart = Schema.Struct({
  type: Schema.Literal("tool-result"),
  toolCallId: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(256)),
  content: Schema.Unknown
}).annotations({ identifier: "ToolResultPart" })

/** What a person or a client may send. */
export const UserPart = Schema.Union(TextPart, ToolResultPart)
export type UserPart = typeof UserPart.Type

export const Part = Schema.Union(TextPart, ReasoningPart, ToolCallPart, ToolResultPart)
export type Part = typeof Part.Type

export const Role = Schema.Literal("user", "assistant")
export type Role = typeof Role.Type

/**
 * UTF-16 units of an answer that rows and memory hold as one: the default output cap, so that with the defaults every
 * answer is held whole. A longer one stays in its events, from which it is read in pieces.
 */
export const heldCharsMax = 1_048_576

/**
 * False on what holds an answer of more than `heldCharsMax` characters: its text is left empty in memory, `Journal.answer`
 * streams it, and over HTTP it is there in full. Absent otherwise.
 */
export const whole = Schema.optional(Schema.Literal(false))

/** `turnId` is null for imported messages: no turn of this engine made them. */
export const Message = Schema.Struct({
  id: MessageId,
  turnId: Schema.NullOr(TurnId),
  role: Role,
  parts: Schema.Array(Part),
  whole,
  state: Schema.Literal("complete", "partial"),
  createdAt: Schema.String
}).annotations({ identifier: "Message" })
export type Message = typeof Message.Type

/** One message as a provider sees it. */
export type PromptMessage = Pick<Message, "role" | "parts">

/** The text parts, joined. */
export const textOf = (parts: ReadonlyArray<Part>): string => {
  let text = ""
  for (const part of parts) if (part.type === "text") text += part.text
  return text
}
