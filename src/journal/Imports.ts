/** An import in pieces: so many messages of it as one transaction holds without anybody noticing. */
import type { ImportedMessage } from "./Journal.ts"

/** Rows, and characters of text, of one transaction: some milliseconds. */
const rowsMax = 512
const charsMax = 262_144

export interface Piece {
  /** The place of the first message in the session, from 1. */
  readonly first: number
  readonly messages: ReadonlyArray<ImportedMessage>
  /** Nothing comes after it. The last piece may be empty. */
  readonly last: boolean
}

const charsOf = ({ parts }: ImportedMessage): number => {
  let chars = 0
  for (const part of parts) if (part.type === "text") chars += part.text.length
  return chars
}

/** One piece at least. A message is never divided. */
export const piecesOf = function*(messages: Iterable<ImportedMessage>): Generator<Piece, void> {
  let piece: Array<ImportedMessage> = []
  let first = 1
  let chars = 0
  for (const message of messages) {
    if (piece.length >= rowsMax || chars >= charsMax) {
      yield { first, messages: piece, last: false }
      first += piece.length
      piece = []
      chars = 0
    }
    piece.push(message)
    chars += charsOf(message)
  }
  yield { first, messages: piece, last: true }
}
