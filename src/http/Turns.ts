/**
 * Handlers of `/v1/turns` and of submitting. A client that leaves changes nothing: commands run to their end once they
 * have begun, and a stream is only a reader of the journal.
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import { Settings } from "../config/Settings.ts"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import { goneOf, type Turn } from "../domain/Resources.ts"
import { Journal } from "../journal/Journal.ts"
import { SubmitBody, TurnRuntime } from "../turn/TurnRuntime.ts"
import { Api, CommandBody } from "./Api.ts"
import * as Body from "./Body.ts"
import * as EventPages from "./EventPages.ts"
import { NotFound } from "./HttpError.ts"
import * as LongJson from "./LongJson.ts"
import * as Problem from "./Problem.ts"
import * as Query from "./Query.ts"
import { bodyLimits, locationOf, orProblem, submitted, toItsEnd } from "./Respond.ts"
import * as Sse from "./Sse.ts"

export const layer = HttpApiBuilder.group(Api, "turns", (handlers) =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const { limits } = yield* Settings
    const journal = yield* Journal
    const runtime = yield* TurnRuntime
    const streams = yield* Sse.EventStreams
    const readSubmit = Body.reader(SubmitBody, bodyLimits(limits))
    const readCommand = Body.reader(CommandBody, bodyLimits(limits), { optional: true })

    const shown = (turn: Turn) => LongJson.response(LongJson.turn(journal)(turn))

    const start = Effect.fnUntraced(function*(sessionId: SessionId, request: HttpServerRequest) {
      const idempotencyKey = yield* Query.idempotencyKeyOf(request)
      const body = yield* readSubmit(request)
      const streaming = Query.wantsEventStream(request)
      const ask = { ...body, sessionId, idempotencyKey }
      if (!streaming) return submitted(journal, yield* toItsEnd(scope, runtime.submit(ask)), request)
      // before the submit: a turn that nobody could be shown is not journaled
      yield* streams.open
      const { ended, id } = yield* toItsEnd(scope, runtime.begin(ask))
      if (ended !== undefined && Problem.isRefused(ended)) return Problem.refusedTurn(ended, request.url)
      return yield* Sse.respond(request, (sink) => journal.followInto(id, 0, sink), {
        idOf: Sse.turnIdOf,
        streams,
        headers: { location: locationOf(id) }
      })
    })

    const events = Effect.fnUntraced(function*(id: TurnId, request: HttpServerRequest, params: Query.PageParams) {
      const { turn } = yield* journal.turn(id)
      const after = yield* Query.seqOf(Query.positionOf(request, params), turn.lastSeq)
      if (!Query.wantsEventStream(request)) {
        const limit = yield* Query.limitOf(params)
        return turn.foldedAt === undefined
          ? yield* EventPages.turnPage(journal, id, { after, limit, lastSeq: turn.lastSeq })
          : yield* EventPages.foldedPage(journal, id, after, limit)
      }
      if (turn.status !== "running" && after === turn.lastSeq) return HttpServerResponse.empty({ status: 204 })
      if (turn.foldedAt !== undefined) return yield* goneOf(turn, turn.foldedAt)
      yield* streams.open
      return yield* Sse.respond(request, (sink) => journal.followInto(id, after, sink), {
        idOf: Sse.turnIdOf,
        streams
      })
    })

    const checkpoint = Effect.fnUntraced(function*(id: TurnId, n: number) {
      const checkpoints = yield* journal.checkpoints(id)
      const found = checkpoints.find((entry) => entry.checkpoint === n)
      const last = checkpoints.at(-1)?.checkpoint ?? 0
      return found === undefined
        ? yield* new NotFound({ checkpoint: n, last })
        : LongJson.response(LongJson.checkpoint(journal)(found))
    })

    const checkpointPage = Effect.fnUntraced(function*(id: TurnId, params: Query.PageParams) {
      const { cursor, limit } = yield* Query.pageOf(params)
      const rest = (yield* journal.checkpoints(id)).filter(({ checkpoint }) => checkpoint > Number(cursor ?? 0))
      const items = rest.slice(0, limit)
      const last = items.at(-1)
      return LongJson.response(LongJson.page(
        { items, ...(rest.length > limit && last !== undefined ? { nextCursor: String(last.checkpoint) } : {}) },
        LongJson.checkpoint(journal)
      ))
    })

    return handlers
      .handleRaw("start", ({ path, request }) => orProblem(request, start(path.id, request)))
      .handleRaw(
        "get",
        ({ path, request }) => orProblem(request, Effect.map(journal.turn(path.id), ({ turn }) => shown(turn)))
      )
      .handleRaw("events", ({ path, request, urlParams }) => orProblem(request, events(path.id, request, urlParams)))
      .handleRaw("cancel", ({ path, request }) =>
        orProblem(
          request,
          readCommand(request).pipe(
            Effect.zipRight(toItsEnd(scope, runtime.cancel(path.id))),
            Effect.map(shown)
          )
        ))
      .handleRaw("resume", ({ path, request }) =>
        orProblem(
          request,
          readCommand(request).pipe(
            Effect.zipRight(toItsEnd(scope, runtime.resume(path.id))),
            Effect.map((result) => submitted(journal, result, request))
          )
        ))
      .handleRaw("retry", ({ path, request }) =>
        orProblem(
          request,
          readCommand(request).pipe(
            Effect.zipRight(toItsEnd(scope, runtime.retry(path.id))),
            Effect.map((result) => submitted(journal, result, request))
          )
        ))
      .handleRaw(
        "checkpoints",
        ({ path, request, urlParams }) => orProblem(request, checkpointPage(path.id, urlParams))
      )
      .handleRaw("checkpoint", ({ path, request }) => orProblem(request, checkpoint(path.id, Number(path.n))))
  }))
