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
import { type Message, Role, TextPart } from "../domain/Message.ts"
import type { SessionNotFound } from "../domain/RequestError.ts"
import type { Page, Session } from "../domain/Resources.ts"
import type { JournalFailure } from "../domain/TurnError.ts"
import type { Journal } from "./Journal.ts"

/** Messages of one import; a body of `limits.importBytes` holds no more that mean anything. */
const messagesMax = 1_000_000

export const Transcript = Schema.Struct({
  v: Schema.Literal(1),
  session: Schema.Struct({ title: Schema.optional(Schema.String.pipe(Schema.maxLength(512))) }),
  messages: Schema.Array(
    Schema.Struct({ role: Role, parts: Schema.Array(TextPart).pipe(Schema.minItems(1)) })
  ).pipe(Schema.maxItems(messagesMax))
}).annotations({ identifier: "Transcript" })
export type Transcript = typeof Transcript.Type

/** Messages read at a time. */
const pageSize = 200

/** The messages of a page as JSON, without those that have no text. */
const linesOf = (page: Page<Message>): ReadonlyArray<string> =>
  page.items.flatMap((message) => {
    const parts = message.parts.filter((part) => part.type === "text")
    return parts.length === 0 ? [] : [JSON.stringify({ role: message.role, parts })]
  })

/** The session's document as text, in pieces. The first page is read at once: storage that refuses is told before any piece. */
export const encode = (
  journal: Pick<Context.Tag.Service<typeof Journal>, "messages">,
  session: Session
): Effect.Effect<
  Stream.Stream<string, SessionNotFound | JournalFailure>,
  SessionNotFound | JournalFailure
> =>
  Effect.gen(function*() {
    const read = (cursor: string | undefined) => journal.messages(session.id, { cursor, limit: pageSize })
    const first = yield* read(undefined)
    const rest = first.nextCursor === undefined ? Stream.empty : Stream.paginateChunkEffect(
      first.nextCursor,
      (cursor) =>
        Effect.map(read(cursor), (page) => [
          Chunk.unsafeFromArray(linesOf(page)),
          Option.fromNullable(page.nextCursor)
        ])
    )
    return Stream.make(`{"v":1,"session":${JSON.stringify({ title: session.title })},"messages":[`).pipe(
      Stream.concat(Stream.intersperse(Stream.concat(Stream.fromIterable(linesOf(first)), rest), ",")),
      Stream.concat(Stream.make("]}")),
      Stream.mapChunks((texts) => Chunk.of(Chunk.join(texts, "")))
    )
  })
