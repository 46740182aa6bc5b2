/**
 * Events as a JSON page `{items, nextCursor?}`. The items are the journal's own bytes, joined and not encoded again. A
 * page that is larger than one read is streamed, so that its size costs no memory.
 */
import * as Chunk from "effect/Chunk"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import { Draining, SessionNotFound, type TurnNotFound } from "../domain/RequestError.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import type { FollowEnded, Journal, JournaledEvent, SessionCursor } from "../journal/Journal.ts"
import * as Answer from "./Answer.ts"
import { sessionIdOf } from "./Sse.ts"

type Reader = Context.Tag.Service<typeof Journal>

/** Events of one read; a delta is small, a page of them some tens of KiB. */
const readMax = 256

/** Characters of a session's events after which a page ends, whatever its limit: it is held as a whole. */
const pageCharsMax = 4 * 1_048_576

const contentType = "application/json"

const join = (events: Iterable<JournaledEvent>): string => {
  let text = ""
  for (const event of events) text += text === "" ? event.json : `,${event.json}`
  return text
}

const closing = (nextCursor: string | undefined): string =>
  nextCursor === undefined ? "]}" : `],"nextCursor":${JSON.stringify(nextCursor)}}`

/** Retention came between the turn and its events: a page with gaps is refused, or broken off; it must not look whole. */
const foldedMeanwhile = new JournalFailure({
  operation: "read events",
  retryable: true,
  reason: "folded while it was read"
})

/** The events of a turn after `after`, at most `limit`, of those committed when `lastSeq` was read. */
export const turnPage = Effect.fnUntraced(function*(
  journal: Reader,
  id: TurnId,
  range: { readonly after: number; readonly limit: number; readonly lastSeq: number }
): Effect.fn.Return<Answer.Answer, TurnNotFound | JournalFailure> {
  const end = Math.min(range.lastSeq, range.after + range.limit)
  const read = (after: number) =>
    end === after
      ? Effect.succeed<ReadonlyArray<JournaledEvent>>([])
      : Effect.filterOrFail(
        journal.readAfter(id, after, Math.min(readMax, end - after)),
        (events) => events.at(-1)?.seq === after + events.length,
        () => foldedMeanwhile
      )
  const tail = closing(end < range.lastSeq ? String(end) : undefined)
  const first = yield* read(range.after)
  const reached = first.at(-1)?.seq ?? end
  if (reached >= end) return Answer.whole(`{"items":[${join(first)}${tail}`, contentType)
  const rest = Stream.paginateChunkEffect(reached, (after) =>
    Effect.map(read(after), (events) => {
      const seq = after + events.length
      return [Chunk.of(`,${join(events)}`), seq < end ? Option.some(seq) : Option.none()]
    }))
  const body = Stream.make(`{"items":[${join(first)}`).pipe(
    Stream.concat(rest),
    Stream.concat(Stream.make(tail))
  )
  return Answer.stream(body, contentType)
})

/** What retention left of a turn's events: their seqs have gaps, so a page is counted by its items. */
export const foldedPage = Effect.fnUntraced(function*(journal: Reader, id: TurnId, after: number, limit: number) {
  // one more than asked for tells whether there is more
  const events = yield* journal.readAfter(id, after, limit + 1)
  const items = events.slice(0, limit)
  const nextCursor = events.length > limit ? items.at(-1)?.seq.toString() : undefined
  return Answer.whole(`{"items":[${join(items)}${closing(nextCursor)}`, contentType)
})

/** A page is whole or refused: what would end a live stream is a refusal here. */
const refusalOf = (error: FollowEnded, sessionId: SessionId) => {
  switch (error.reason) {
    case "deleted":
      return new SessionNotFound({ sessionId })
    case "shutdown":
      return new Draining({ retryAfterMs: 1_000 })
    case "storage":
    case "fenced":
      return new JournalFailure({ operation: "read events", retryable: true, reason: error.reason })
  }
}

/** The events of a session's turns after a cursor, in commit order, at most `limit`. */
export const sessionPage = Effect.fnUntraced(function*(
  journal: Reader,
  id: SessionId,
  after: SessionCursor | undefined,
  limit: number
) {
  let chars = 0
  let isCut = false
  // one more than asked for tells whether there is more
  const events = yield* journal.followSession(id, after, false).pipe(
    Stream.takeWhile(({ json }) => {
      isCut = chars >= pageCharsMax
      chars += json.length
      return !isCut
    }),
    Stream.take(limit + 1),
    Stream.runCollect,
    Effect.map(Chunk.toReadonlyArray),
    Effect.catchTag("FollowEnded", (error) => Effect.fail(refusalOf(error, id)))
  )
  const items = events.slice(0, limit)
  const last = items.at(-1)
  const nextCursor = (isCut || events.length > limit) && last !== undefined ? sessionIdOf(last) : undefined
  return Answer.whole(`{"items":[${join(items)}${closing(nextCursor)}`, contentType)
})
