/** The few shapes of answers that handlers give, and the limits under which they read. */
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Limits } from "../config/Settings.ts"
import type { TurnId } from "../domain/Ids.ts"
import type { Session } from "../domain/Resources.ts"
import type { Submitted } from "../turn/TurnRuntime.ts"
import type { BodyLimits } from "./Body.ts"
import * as LongJson from "./LongJson.ts"
import * as Problem from "./Problem.ts"

export const bodyLimits = (limits: Limits): BodyLimits => ({
  bytes: limits.bodyBytes,
  setting: "limits.bodyBytes",
  depth: limits.jsonDepth
})

export const importLimits = (limits: Limits): BodyLimits => ({
  bytes: limits.importBytes,
  setting: "limits.importBytes",
  depth: limits.jsonDepth
})

export const json = (body: unknown, status = 200, location?: string): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(body, { status, ...(location === undefined ? {} : { headers: { location } }) })

export const createdSession = (session: Session) => json(session, 201, `/v1/sessions/${session.id}`)

export const locationOf = (id: TurnId): string => `/v1/turns/${id}`

/** A turn that was started, resumed or retried: 202, or 422 where it was refused before a call. */
export const submitted = (
  journal: Parameters<typeof LongJson.turn>[0],
  { turn }: Submitted,
  request: HttpServerRequest
) =>
  Problem.isRefused(turn)
    ? Problem.refusedTurn(turn, request.url)
    : LongJson.response(LongJson.turn(journal)(turn), { status: 202, headers: { location: locationOf(turn.id) } })

/**
 * Runs `command` in the server's scope and waits for it: a client that leaves in the middle only stops waiting. (Making
 * it uninterruptible would do so too, and would pass that on to the turn that it forks.)
 */
export const toItsEnd = <A, E, R>(scope: Scope.Scope, command: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.forkIn(command, scope), Fiber.join)

/** Answers a refusal with its problem. */
export const orProblem = <R>(
  request: HttpServerRequest,
  effect: Effect.Effect<HttpServerResponse.HttpServerResponse, Problem.Refusal, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R> =>
  Effect.catchAll(effect, (error) => Effect.succeed(Problem.response(error, request.url)))
