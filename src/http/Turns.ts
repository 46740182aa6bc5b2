/**
 * Handlers of `/v1/turns` and of submitting. A client that leaves changes nothing: commands run to their end once they
 * have begun, and a stream is only a reader of the journal.
 */
import * as Effect from "effect/Effect"
import { Settings } from "../config/Settings.ts"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import { goneOf, type Turn } from "../domain/Resources.ts"
import { Journal } from "../journal/Journal.ts"
import { type Begun, type ChildError, SubmitBody, type Submitted, TurnRuntime } from "../turn/TurnRuntime.ts"
import * as Answer from "./Answer.ts"
import { CommandBody } from "./Bodies.ts"
import * as Body from "./Body.ts"
import * as EventPages from "./EventPages.ts"
import type { Exchange } from "./Exchange.ts"
import type { Handlers } from "./Handlers.ts"
import { NotFound } from "./HttpError.ts"
import * as LongJson from "./LongJson.ts"
import * as Problem from "./Problem.ts"
import * as Query from "./Query.ts"
import { bodyLimits, locationOf, submitted } from "./Respond.ts"
import type * as Routes from "./Routes.ts"
import * as Sse from "./Sse.ts"

type OfTurn = Exchange<{ readonly id: TurnId }, unknown>

export const handlers = Effect.gen(function*() {
  const { limits } = yield* Settings
  const journal = yield* Journal
  const runtime = yield* TurnRuntime
  const streams = yield* Sse.EventStreams
  const readSubmit = Body.reader(SubmitBody, bodyLimits(limits))
  const readCommand = Body.reader(CommandBody, bodyLimits(limits), { optional: true })

  const shown = (turn: Turn) => LongJson.answer(LongJson.turn(journal)(turn))

  const start = Effect.fnUntraced(function*(asked: Exchange<{ readonly id: SessionId }, unknown>) {
    const idempotencyKey = yield* Query.idempotencyKeyOf(asked.request)
    const body = yield* readSubmit(asked.request)
    const ask = { ...body, sessionId: asked.path.id, idempotencyKey }
    return yield* Query.wantsEventStream(asked.request)
      // the slot before the submit: a turn that nobody could be shown is not journaled
      ? streams.within(Effect.flatMap(asked.toItsEnd(runtime.begin(ask)), (begun) => begunAnswer(asked, begun)))
      : Effect.map(asked.toItsEnd(runtime.submit(ask)), (done) => submitted(journal, done, asked.url))
  })

  const begunAnswer = (asked: Exchange<unknown, unknown>, { ended, id }: Begun) =>
    ended !== undefined && Problem.isRefused(ended)
      ? Effect.succeed(Problem.refusedTurn(ended, asked.url))
      : follow(asked, id, 0, { location: locationOf(id) })

  const follow = (
    asked: Exchange<unknown, unknown>,
    id: TurnId,
    after: number,
    headers?: Readonly<Record<string, string>>
  ) => Sse.respond(asked, Sse.ofTurn, (sink) => journal.followInto(id, after, sink), streams, headers)

  const events = Effect.fnUntraced(function*(asked: Exchange<{ readonly id: TurnId }, Routes.PageParams>) {
    const { path: { id }, query, request } = asked
    const { turn } = yield* journal.turn(id)
    const after = yield* Query.seqOf(Query.positionOf(request, query), turn.lastSeq)
    if (!Query.wantsEventStream(request)) {
      const limit = yield* Query.limitOf(query)
      return turn.foldedAt === undefined
        ? yield* EventPages.turnPage(journal, id, { after, limit, lastSeq: turn.lastSeq })
        : yield* EventPages.foldedPage(journal, id, after, limit)
    }
    if (turn.status !== "running" && after === turn.lastSeq) return Answer.empty(204)
    if (turn.foldedAt !== undefined) return yield* goneOf(turn, turn.foldedAt)
    return yield* streams.within(follow(asked, id, after))
  })

  const checkpoint = Effect.fnUntraced(function*(id: TurnId, n: number) {
    const checkpoints = yield* journal.checkpoints(id)
    const found = checkpoints.find((entry) => entry.checkpoint === n)
    const last = checkpoints.at(-1)?.checkpoint ?? 0
    return found === undefined
      ? yield* new NotFound({ checkpoint: n, last })
      : LongJson.answer(LongJson.checkpoint(journal)(found))
  })

  const checkpointPage = Effect.fnUntraced(function*(id: TurnId, params: Routes.PageParams) {
    const { cursor, limit } = yield* Query.pageOf(params)
    const rest = (yield* journal.checkpoints(id)).filter(({ checkpoint }) => checkpoint > Number(cursor ?? 0))
    const items = rest.slice(0, limit)
    const last = items.at(-1)
    return LongJson.answer(LongJson.page(
      { items, ...(rest.length > limit && last !== undefined ? { nextCursor: String(last.checkpoint) } : {}) },
      LongJson.checkpoint(journal)
    ))
  })

  /** A command of its body's shape, carried out. */
  const command = <A, E>(asked: OfTurn, run: (id: TurnId) => Effect.Effect<A, E>) =>
    Effect.zipRight(readCommand(asked.request), asked.toItsEnd(run(asked.path.id)))

  const child = (asked: OfTurn, run: (id: TurnId) => Effect.Effect<Submitted, ChildError>) =>
    Effect.map(command(asked, run), (made) => submitted(journal, made, asked.url))

  return {
    start,
    get: ({ path }) => Effect.map(journal.turn(path.id), ({ turn }) => shown(turn)),
    events,
    cancel: (asked) => Effect.map(command(asked, runtime.cancel), shown),
    resume: (asked) => child(asked, runtime.resume),
    retry: (asked) => child(asked, runtime.retry),
    checkpoints: ({ path, query }) => checkpointPage(path.id, query),
    checkpoint: ({ path }) => checkpoint(path.id, Number(path.n))
  } satisfies Handlers<typeof Routes.turns>
})
