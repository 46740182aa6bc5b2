/** Handlers of `/v1/sessions`: requests are checked here; what happens is the runtime's and the journal's. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Settings } from "../config/Settings.ts"
import { type SessionId, TurnId } from "../domain/Ids.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import { goneOf, type Session } from "../domain/Resources.ts"
import { Journal, type SessionCursor } from "../journal/Journal.ts"
import * as Transcript from "../journal/Transcript.ts"
import { TurnRuntime } from "../turn/TurnRuntime.ts"
import { Api, CreateSessionBody, PreviewBody, UpdateSessionBody } from "./Api.ts"
import * as Body from "./Body.ts"
import * as EventPages from "./EventPages.ts"
import * as LongJson from "./LongJson.ts"
import * as Query from "./Query.ts"
import { bodyLimits, createdSession, importLimits, json, orProblem, toItsEnd } from "./Respond.ts"
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

const exported = (journal: Reader, session: Session) =>
  Effect.map(
    Transcript.encode(journal, session),
    (text) => HttpServerResponse.stream(Stream.encodeText(text), { contentType: "application/json" })
  )

export const layer = HttpApiBuilder.group(Api, "sessions", (handlers) =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const { limits } = yield* Settings
    const journal = yield* Journal
    const runtime = yield* TurnRuntime
    const streams = yield* Sse.EventStreams
    const readCreate = Body.reader(CreateSessionBody, bodyLimits(limits), { optional: true })
    const readUpdate = Body.reader(UpdateSessionBody, bodyLimits(limits))
    const readImport = Body.transcriptReader(importLimits(limits))
    const readPreview = Body.reader(PreviewBody, bodyLimits(limits))

    const events = Effect.fnUntraced(function*(
      id: SessionId,
      request: Parameters<typeof Query.positionOf>[0],
      params: Query.PageParams & { readonly live?: string | undefined }
    ) {
      yield* journal.session(id)
      const cursor = yield* cursorOf(journal, id, Query.positionOf(request, params))
      const live = yield* Query.liveOf(params.live)
      if (!Query.wantsEventStream(request)) {
        return yield* EventPages.sessionPage(journal, id, cursor, yield* Query.limitOf(params))
      }
      yield* streams.open
      return yield* Sse.respond(request, Sse.streaming(journal.followSession(id, cursor, live)), {
        idOf: Sse.sessionIdOf,
        streams
      })
    })

    return handlers
      .handleRaw("create", ({ request }) =>
        orProblem(request, readCreate(request).pipe(Effect.flatMap(runtime.createSession), Effect.map(createdSession))))
      .handleRaw("list", ({ request, urlParams }) =>
        orProblem(
          request,
          Query.pageOf(urlParams).pipe(
            Effect.flatMap(journal.sessions),
            Effect.map((page) =>
              json(page)
            )
          )
        ))
      .handleRaw("import", ({ request }) =>
        orProblem(
          request,
          readImport(request).pipe(
            Effect.flatMap(({ messages, session }) => runtime.createSession(session, messages)),
            Effect.map(createdSession)
          )
        ))
      .handleRaw("get", ({ path, request }) =>
        orProblem(
          request,
          Effect.map(journal.session(path.id), (session) => json(session))
        ))
      .handleRaw("update", ({ path, request }) =>
        orProblem(
          request,
          readUpdate(request).pipe(
            Effect.flatMap((patch) => runtime.updateSession(path.id, patch)),
            Effect.map((session) => json(session))
          )
        ))
      .handleRaw("delete", ({ path, request }) =>
        orProblem(
          request,
          toItsEnd(scope, runtime.deleteSession(path.id)).pipe(
            Effect.as(HttpServerResponse.empty({ status: 204 }))
          )
        ))
      .handleRaw("messages", ({ path, request, urlParams }) =>
        orProblem(
          request,
          Query.pageOf(urlParams).pipe(
            Effect.flatMap((page) => journal.messages(path.id, page)),
            Effect.map((page) => LongJson.response(LongJson.page(page, LongJson.message(journal))))
          )
        ))
      .handleRaw("turns", ({ path, request, urlParams }) =>
        orProblem(
          request,
          Query.pageOf(urlParams).pipe(
            Effect.flatMap((page) => journal.turns(path.id, page)),
            Effect.map((page) => LongJson.response(LongJson.page(page, LongJson.turn(journal))))
          )
        ))
      .handleRaw("events", ({ path, request, urlParams }) => orProblem(request, events(path.id, request, urlParams)))
      .handleRaw("export", ({ path, request }) =>
        orProblem(
          request,
          Effect.flatMap(journal.session(path.id), (session) => exported(journal, session))
        ))
      .handleRaw("preview", ({ path, request }) =>
        orProblem(
          request,
          readPreview(request).pipe(
            Effect.flatMap((body) => runtime.preview({ ...body, sessionId: path.id })),
            Effect.map((manifest) => json(manifest))
          )
        ))
  }))
