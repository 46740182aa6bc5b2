/**
 * Hashes of context contents: SHA-256 over canonical JSON, so that equal content has one hash on every machine.
 *
 * A history grows at its end. The hash of what it began with is kept and gone on with, as long as its messages are the
 * same objects, which never change: a turn then hashes what is new, not all that was ever said.
 */
import { createHash, type Hash } from "node:crypto"
import * as Beginnings from "../domain/Beginnings.ts"
import type { PromptMessage } from "../domain/Message.ts"
import * as Tokens from "./Tokens.ts"

/** Keys in code-unit order at every depth; absent values left out. */
const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)])
  )
}

const canonicalJson = (value: unknown): string => JSON.stringify(sorted(value))

const sha256 = (text: string): string => createHash("sha256").update(text, "utf8").digest("hex")

export const hashOf = (content: unknown): string => sha256(canonicalJson(content))

/** Canonical JSON of a message; written down directly where it is one text, as nearly all are. */
const messageJson = (message: PromptMessage): string => {
  const [part, ...more] = message.parts
  return part?.type === "text" && more.length === 0 && Object.keys(part).length === 2 &&
      Object.keys(message).length === 2
    ? `{"parts":[{"text":${JSON.stringify(part.text)},"type":"text"}],"role":${JSON.stringify(message.role)}}`
    : canonicalJson(message)
}

/** Characters that are hashed at once: a call of the hash costs as much as some hundred of them. */
const pieceChars = 65_536

/** What a history is told by in a manifest. */
export interface Sum {
  readonly tokens: number
  /** `hashOf(messages)` */
  readonly hash: string
}

interface Begun {
  readonly items: ReadonlyArray<PromptMessage>
  readonly tokens: number
  /** Over the opening bracket and the messages, without the closing one. */
  readonly hash: Hash
}

/** Messages of all histories: each is a place in a list, and no text. */
const begun = Beginnings.make<PromptMessage, Begun>(262_144)

/** Going on from the last time where it can. */
export const sumOf = (messages: ReadonlyArray<PromptMessage>): Sum => {
  if (messages.length === 0) return { tokens: 0, hash: hashOf(messages) }
  const last = begun.find(messages, messages.length)
  // a hash has no beginning that could be left out
  const known = last?.skip === 0 ? last.value : undefined
  const hash = known === undefined ? createHash("sha256") : known.hash.copy()
  let tokens = known?.tokens ?? 0
  let piece = ""
  for (let index = known?.items.length ?? 0; index < messages.length; index++) {
    const message = messages[index]
    if (message === undefined) continue
    tokens += Tokens.countMessage(message)
    piece += (index === 0 ? "[" : ",") + messageJson(message)
    if (piece.length < pieceChars) continue
    hash.update(piece, "utf8")
    piece = ""
  }
  hash.update(piece, "utf8")
  begun.put({ items: messages, tokens, hash }, messages.length, last?.value)
  return { tokens, hash: hash.copy().update("]", "utf8").digest("hex") }
}
