/**
 * A session as a document: `{v: 1, session: {title?}, messages: [{role, parts: [{type: "text", text}]}]}`, what an
 * export gives and an import takes, over HTTP and on the command line. Text only: no reasoning, no tools.
 *
 * Writing goes page by page, so an export needs no more memory than a page.
 */
import * as Chunk from "effect/Chunk"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type Message as SessionMessage, Role, TextPart } from "../domain/Message.ts"
import type { SessionNotFound, TurnNotFound } from "../domain/RequestError.ts"
import type { Session } from "../domain/Resources.ts"
import type { JournalFailure } from "../domain/TurnError.ts"
import type { Journal } from "./Journal.ts"

/** Messages of one import; a body of `limits.importBytes` holds no more that mean anything. */
export const messagesMax = 1_000_000

export const Message = Schema.Struct({ role: Role, parts: Schema.Array(TextPart).pipe(Schema.minItems(1)) })
export type Message = typeof Message.Type

export const Transcript = Schema.Struct({
  v: Schema.Literal(1),
  session: Schema.Struct({ title: Schema.optional(Schema.String.pipe(Schema.maxLength(512))) }),
  messages: Schema.Array(Message).pipe(Schema.maxItems(messagesMax))
}).annotations({ identifier: "Transcript" })
export type Transcript = typeof Transcript.Type

/** The same with messages that are made one after another, as they are taken (`TranscriptReader.ts`). */
export type Pieced = Omit<Transcript, "messages"> & { readonly messages: Iterable<Message> }

/** Messages read at a time. */
const pageSize = 200

type Reader = Pick<Context.Tag.Service<typeof Journal>, "messages" | "answer">
type Text = Stream.Stream<string, TurnNotFound | JournalFailure>

/** A message as JSON; nothing where it has no text. A long one is read when its turn comes. */
const messageJson = (journal: Reader, message: SessionMessage): ReadonlyArray<string | Text> => {
  const { role, turnId } = message
  if (message.whole === false && turnId !== null) {
    const text = Stream.map(
      journal.answer(turnId, "text"),
      (part) => part.type === "text" ? JSON.stringify(part.text).slice(1, -1) : ""
    )
    return [`{"role":"${role}","parts":[{"type":"text","text":"`, text, '"}]}']
  }
  const parts = message.parts.filter((part) => part.type === "text")
  return parts.length === 0 ? [] : [JSON.stringify({ role, parts })]
}

/** Messages as list items; one text as far as no long message parts it. `begun`: there are items before them. */
const itemsJson = (
  journal: Reader,
  messages: ReadonlyArray<SessionMessage>,
  begun: boolean
): Stream.Stream<string, Failure> => {
  const pieces: Array<string | Text> = []
  let text = ""
  let comma = begun
  for (const message of messages) {
    const json = messageJson(journal, message)
    if (json.length > 0 && comma) text += ","
    comma ||= json.length > 0
    for (const piece of json) {
      if (typeof piece === "string") text += piece
      else {
        pieces.push(text, piece)
        text = ""
      }
    }
  }
  pieces.push(text)
  return Stream.flatMap(Stream.fromIterable(pieces), (piece) => typeof piece === "string" ? Stream.make(piece) : piece)
}

type Failure = SessionNotFound | TurnNotFound | JournalFailure

const hasText = (message: SessionMessage) =>
  message.whole === false || message.parts.some((part) => part.type === "text")

/** The session's document as text, in pieces. The first page is read at once: storage that refuses is told before any piece. */
export const encode = (
  journal: Reader,
  session: Session
): Effect.Effect<Stream.Stream<string, Failure>, SessionNotFound | JournalFailure> =>
  Effect.gen(function*() {
    const read = (cursor: string | undefined) => journal.messages(session.id, { cursor, limit: pageSize })
    const first = yield* read(undefined)
    const rest = first.nextCursor === undefined ? Stream.empty : Stream.paginateChunkEffect(
      first.nextCursor,
      (cursor) => Effect.map(read(cursor), (page) => [Chunk.of(page.items), Option.fromNullable(page.nextCursor)])
    )
    const items = Stream.suspend(() => {
      let begun = false
      return Stream.flatMap(Stream.concat(Stream.make(first.items), rest), (messages) => {
        const before = begun
        begun ||= messages.some(hasText)
        return itemsJson(journal, messages, before)
      })
    })
    return Stream.make(`{"v":1,"session":${JSON.stringify({ title: session.title })},"messages":[`).pipe(
      Stream.concat(items),
      Stream.concat(Stream.make("]}"))
    )
  })

/** As UTF-8; no string holds it all. */
export const bytesOf = ({ messages, session, v }: Pieced): Uint8Array => {
  const pieces = [Buffer.from(`{"v":${v},"session":${JSON.stringify(session)},"messages":[`)]
  let comma = ""
  for (const message of messages) {
    pieces.push(Buffer.from(comma + JSON.stringify(message)))
    comma = ","
  }
  pieces.push(Buffer.from("]}"))
  return Buffer.concat(pieces)
}
