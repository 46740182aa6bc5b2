/**
 * Identifiers. Each is a brand over one safe alphabet, so that an id can stand in a URL, an SSE id and a log line
 * without escaping. Ids made here sort by creation (`turn/IdGenerator.ts`); ids that arrive are only checked for shape.
 */
import * as Schema from "effect/Schema"

/** 1 to 64 characters of `A-Z a-z 0-9 _ -`. */
const idPattern = /^[A-Za-z0-9_-]{1,64}$/

const identifier = <const B extends string>(brand: B) =>
  Schema.String.pipe(
    Schema.pattern(idPattern, {
      identifier: brand,
      message: () => "an id is 1 to 64 characters of A-Z a-z 0-9 _ -"
    }),
    Schema.brand(brand)
  )

export const SessionId = identifier("SessionId")
export type SessionId = typeof SessionId.Type

export const TurnId = identifier("TurnId")
export type TurnId = typeof TurnId.Type

export const MessageId = identifier("MessageId")
export type MessageId = typeof MessageId.Type
