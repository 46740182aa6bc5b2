/**
 * Turns, messages and checkpoints as JSON, of which an answer that is too long for one string (`whole: false`) is
 * streamed from the journal, so that a client gets it in full and this process never holds it. `whole` itself is not shown:
 * on the wire nothing is left out.
 *
 * What breaks off in the middle leaves JSON that does not parse: nobody takes a part for the whole.
 */
import type * as Context from "effect/Context"
import * as Stream from "effect/Stream"
import type { TurnId } from "../domain/Ids.ts"
import type { Message, Part } from "../domain/Message.ts"
import type { TurnNotFound } from "../domain/RequestError.ts"
import type { Checkpoint, Page, Turn } from "../domain/Resources.ts"
import type { JournalFailure } from "../domain/TurnError.ts"
import type { Journal } from "../journal/Journal.ts"
import * as Answer from "./Answer.ts"

type Reader = Pick<Context.Tag.Service<typeof Journal>, "answer">
type Text = Stream.Stream<string, TurnNotFound | JournalFailure>

/** JSON in order: what is known, and what is read when its turn comes. */
export type Json = ReadonlyArray<string | Text>

/** What stands between the quotes. Halves of a character that two pieces share stay escaped, and meet again in a parser. */
const escaped = (text: string): string => JSON.stringify(text).slice(1, -1)

const textOf = (part: Part): string => part.type === "text" || part.type === "reasoning" ? escaped(part.text) : ""

const saidJson = (journal: Reader, rest: object, id: TurnId, upTo?: number): Json => [
  `${JSON.stringify(rest).slice(0, -1)},"text":"`,
  Stream.map(journal.answer(id, "text", upTo), textOf),
  '","reasoning":"',
  Stream.map(journal.answer(id, "reasoning", upTo), textOf),
  '"}'
]

export const turn = (journal: Reader) => (turn: Turn): Json => {
  if (turn.whole !== false) return [JSON.stringify(turn)]
  const { reasoning: _, text: __, whole: ___, ...rest } = turn
  return saidJson(journal, rest, turn.id)
}

export const checkpoint = (journal: Reader) => (checkpoint: Checkpoint): Json => {
  if (checkpoint.whole !== false) return [JSON.stringify(checkpoint)]
  const { reasoning: _, text: __, whole: ___, ...rest } = checkpoint
  return saidJson(journal, rest, checkpoint.turnId, checkpoint.seq)
}

/** Pieces as parts: those of one kind are one part, calls are parts of their own. */
const partsJson = (journal: Reader, id: TurnId): Text =>
  Stream.suspend(() => {
    let open: Part["type"] | undefined
    let begun = false
    const piece = (part: Part): string => {
      const joins = part.type === open
      const closing = joins || open === undefined ? "" : '"}'
      const comma = begun && !joins ? "," : ""
      begun = true
      if (part.type !== "text" && part.type !== "reasoning") {
        open = undefined
        return closing + comma + JSON.stringify(part)
      }
      open = part.type
      return joins ? textOf(part) : `${closing}${comma}{"type":"${part.type}","text":"${textOf(part)}`
    }
    const kinds = ["reasoning", "text", "tool-call"] as const
    return Stream.concat(
      Stream.map(Stream.flatMap(Stream.fromIterable(kinds), (kind) => journal.answer(id, kind)), piece),
      Stream.suspend(() => open === undefined ? Stream.empty : Stream.make('"}'))
    )
  })

export const message = (journal: Reader) => (message: Message): Json => {
  if (message.whole !== false || message.turnId === null) return [JSON.stringify(message)]
  const { parts: _, whole: __, ...rest } = message
  return [`${JSON.stringify(rest).slice(0, -1)},"parts":[`, partsJson(journal, message.turnId), "]}"]
}

export const page = <A>({ items, nextCursor }: Page<A>, item: (item: A) => Json): Json => [
  '{"items":[',
  ...items.flatMap((one, index) => index === 0 ? item(one) : [",", ...item(one)]),
  nextCursor === undefined ? "]}" : `],"nextCursor":${JSON.stringify(nextCursor)}}`
]

/** The JSON as a stream of texts. */
export const stream = (json: Json): Text =>
  Stream.flatMap(Stream.fromIterable(json), (piece) => typeof piece === "string" ? Stream.make(piece) : piece)

const contentType = "application/json"

/** Answers with it: at once where all of it is known. */
export const answer = (json: Json, options?: Parameters<typeof Answer.whole>[2]): Answer.Answer =>
  json.every((piece) => typeof piece === "string")
    ? Answer.whole(json.join(""), contentType, options)
    : Answer.stream(stream(json), contentType, options)
