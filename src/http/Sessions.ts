/** Handlers of `/v1/sessions`: requests are checked here; what happens is the runtime's and the journal's. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Settings } from "../config/Settings.ts"
import { type SessionId, TurnId } from "../domain/Ids.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import { goneOf } from "../domain/Resources.ts"
import { Journal, type SessionCursor } from "../journal/Journal.ts"
import * as Transcript from "../journal/Transcript.ts"
import { TurnRuntime } from "../turn/TurnRuntime.ts"
import * as Answer from "./Answer.ts"
import { CreateSessionBody, PreviewBody, UpdateSessionBody } from "./Bodies.ts"
import * as Body from "./Body.ts"
import * as EventPages from "./EventPages.ts"
import type { Exchange } from "./Exchange.ts"
import type { Handlers } from "./Handlers.ts"
import * as LongJson from "./LongJson.ts"
import * as Query from "./Query.ts"
import { bodyLimits, createdSession, importLimits } from "./Respond.ts"
import type * as Routes from "./Routes.ts"
import * as Sse from "./Sse.ts"

type Reader = Context.Tag.Service<typeof Journal>

const isTurnId = Schema.is(TurnId)

/** `<turnId>.<seq>` of an event of this session. */
const cursorOf = Effect.fnUntraced(function*(
  journal: Reader,
  sessionId: SessionId,
  position: { readonly name: string; readonly value: string } | undefined
) {
  if (position === undefined) return undefined
  const dot = position.value.indexOf(".")
  const turnId = position.value.slice(0, Math.max(0, dot))
  const digits = position.value.slice(dot + 1)
  if (!isTurnId(turnId) || !/^[1-9]\d{0,14}$/.test(digits)) {
    return yield* new InvalidRequest({ path: position.name, reason: "must be the id of an event: <turnId>.<seq>" })
  }
  const unknown = new InvalidRequest({ path: position.name, reason: "names no event of this session" })
  const { turn } = yield* journal.turn(turnId).pipe(Effect.catchTag("TurnNotFound", () => unknown))
  const cursor: SessionCursor = { turnId, seq: Number(digits) }
  if (turn.foldedAt !== undefined && turn.sessionId === sessionId && cursor.seq < turn.lastSeq) {
    return yield* goneOf(turn, turn.foldedAt)
  }
  return turn.sessionId === sessionId && cursor.seq <= turn.lastSeq ? cursor : yield* unknown
})

const json = (value: unknown) => Answer.json(value)

export const handlers = Effect.gen(function*() {
  const { limits } = yield* Settings
  const journal = yield* Journal
  const runtime = yield* TurnRuntime
  const streams = yield* Sse.EventStreams
  const readCreate = Body.reader(CreateSessionBody, bodyLimits(limits), { optional: true })
  const readUpdate = Body.reader(UpdateSessionBody, bodyLimits(limits))
  const readImport = Body.transcriptReader(importLimits(limits))
  const readPreview = Body.reader(PreviewBody, bodyLimits(limits))

  const events = Effect.fnUntraced(function*(
    asked: Exchange<{ readonly id: SessionId }, Routes.PageParams & { readonly live?: string | undefined }>
  ) {
    const { path: { id }, query, request } = asked
    yield* journal.session(id)
    const cursor = yield* cursorOf(journal, id, Query.positionOf(request, query))
    const live = yield* Query.liveOf(query.live)
    if (!Query.wantsEventStream(request)) {
      return yield* EventPages.sessionPage(journal, id, cursor, yield* Query.limitOf(query))
    }
    const follower = Sse.streaming(journal.followSession(id, cursor, live))
    return yield* streams.within(Sse.respond(asked, Sse.ofSession, follower, streams))
  })

  return {
    create: ({ request }) =>
      readCreate(request).pipe(Effect.flatMap((body) => runtime.createSession(body)), Effect.map(createdSession)),
    list: ({ query }) => Query.pageOf(query).pipe(Effect.flatMap(journal.sessions), Effect.map(json)),
    import: ({ request }) =>
      readImport(request).pipe(
        Effect.flatMap(({ messages, session }) => runtime.createSession(session, messages)),
        Effect.map(createdSession)
      ),
    get: ({ path }) => Effect.map(journal.session(path.id), json),
    update: ({ path, request }) =>
      readUpdate(request).pipe(Effect.flatMap((patch) => runtime.updateSession(path.id, patch)), Effect.map(json)),
    delete: (asked) => Effect.as(asked.toItsEnd(runtime.deleteSession(asked.path.id)), Answer.empty(204)),
    messages: ({ path, query }) =>
      Query.pageOf(query).pipe(
        Effect.flatMap((page) => journal.messages(path.id, page)),
        Effect.map((page) => LongJson.answer(LongJson.page(page, LongJson.message(journal))))
      ),
    turns: ({ path, query }) =>
      Query.pageOf(query).pipe(
        Effect.flatMap((page) => journal.turns(path.id, page)),
        Effect.map((page) => LongJson.answer(LongJson.page(page, LongJson.turn(journal))))
      ),
    events,
    export: ({ path }) =>
      journal.session(path.id).pipe(
        Effect.flatMap((session) => Transcript.encode(journal, session)),
        Effect.map((text) => Answer.stream(text, "application/json"))
      ),
    preview: ({ path, request }) =>
      readPreview(request).pipe(
        Effect.flatMap((body) => runtime.preview({ ...body, sessionId: path.id })),
        Effect.map(json)
      )
  } satisfies Handlers<typeof Routes.sessions>
})
