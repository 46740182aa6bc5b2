/**
 * A session as a file: `{v: 1, session: {title?}, messages: [{role, parts: [{type: "text", text}]}]}`, what
 * `GET /v1/sessions/{id}/export` answers with and `POST /v1/sessions/import` takes. Text only: no reasoning, no tools.
 *
 * Writing goes page by page, so an export needs no more memory than a page. Reading takes the whole file, at most
 * `limits.importBytes`; unknown fields are refused, so that nothing is lost in silence.
 */
import * as Chunk from "effect/Chunk"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ArrayFormatter } from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type Message, Role, TextPart } from "../domain/Message.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import type { Session } from "../domain/Resources.ts"
import type { Journal } from "../journal/Journal.ts"

export const Transcript = Schema.Struct({
  v: Schema.Literal(1),
  session: Schema.Struct({ title: Schema.optional(Schema.String.pipe(Schema.maxLength(512))) }),
  messages: Schema.Array(Schema.Struct({ role: Role, parts: Schema.Array(TextPart).pipe(Schema.minItems(1)) }))
})
export type Transcript = typeof Transcript.Type

const decode = Schema.decodeUnknown(Transcript, { onExcessProperty: "error" })

const invalid = (path: string, reason: string) => new InvalidRequest({ path, reason })

export const parse = (source: string, text: string): Effect.Effect<Transcript, InvalidRequest> =>
  Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: () => invalid(source, "is not valid JSON. Name a file that `turnstream export` wrote.")
  }).pipe(
    Effect.flatMap((json) =>
      Effect.mapError(decode(json), (error) => {
        const [first] = ArrayFormatter.formatErrorSync(error)
        const where = first === undefined ? "" : first.path.join(".")
        return invalid(source, `is not a transcript: ${where}: ${first?.message ?? "wrong shape"}`)
      })
    )
  )

/** Messages read at a time. */
const pageSize = 200

/** The message as JSON, or nothing where it has no text. */
const line = (message: Message): ReadonlyArray<string> => {
  const parts = message.parts.filter((part) => part.type === "text")
  return parts.length === 0 ? [] : [JSON.stringify({ role: message.role, parts })]
}

/** The session's transcript as text, in pieces. */
export const encode = (journal: Context.Tag.Service<typeof Journal>, session: Session) => {
  const messages = Stream.paginateChunkEffect(
    undefined as string | undefined,
    (cursor) =>
      Effect.map(journal.messages(session.id, { cursor, limit: pageSize }), (page) => [
        Chunk.unsafeFromArray(page.items.flatMap(line)),
        Option.map(Option.fromNullable(page.nextCursor), (next): string | undefined => next)
      ])
  )
  return Stream.make(`{"v":1,"session":${JSON.stringify({ title: session.title })},"messages":[`).pipe(
    Stream.concat(Stream.intersperse(messages, ",")),
    Stream.concat(Stream.make("]}\n")),
    Stream.mapChunks((texts) => Chunk.of(Chunk.join(texts, "")))
  )
}
