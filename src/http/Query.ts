/**
 * What a request says beside its body: page limits, cursors, offsets, media types, the idempotency key. All of it is
 * checked the same way on every route; what is malformed is `InvalidRequest` with the name of the parameter.
 */
import * as Effect from "effect/Effect"
import type { IncomingMessage } from "node:http"
import { InvalidRequest } from "../domain/RequestError.ts"
import type { PageRequest } from "../journal/Journal.ts"
import { searchOf } from "./Address.ts"
import type { PageParams } from "./Routes.ts"

const limitDefault = 200
const limitMax = 10_000

const invalid = (path: string, reason: string) => new InvalidRequest({ path, reason })

export const limitOf = (
  params: PageParams,
  fallback: number = limitDefault
): Effect.Effect<number, InvalidRequest> => {
  if (params.limit === undefined) return Effect.succeed(fallback)
  return /^-?\d+$/.test(params.limit)
    ? Effect.succeed(Math.min(limitMax, Math.max(1, Number(params.limit))))
    : Effect.fail(invalid("limit", "must be a whole number"))
}

export const pageOf = (params: PageParams, limitFallback?: number): Effect.Effect<PageRequest, InvalidRequest> =>
  Effect.flatMap(limitOf(params, limitFallback), (limit) => {
    const cursor = params.after ?? params.cursor
    const name = params.after === undefined ? "cursor" : "after"
    return cursor === undefined || /^\d{1,15}$/.test(cursor)
      ? Effect.succeed({ cursor, limit })
      : Effect.fail(invalid(name, "is not a cursor; use the nextCursor of the page before"))
  })

/** Characters of a stranger's parameter that a refusal repeats. */
const nameMax = 64

/** Refuses what a route does not know: where parameters are conditions, one that is passed over widens the answer. */
export const onlyKnown = (url: string, known: ReadonlyArray<string>): Effect.Effect<void, InvalidRequest> => {
  const unknown = [...searchOf(url)?.keys() ?? []].find((name) => !known.includes(name))
  return unknown === undefined
    ? Effect.void
    : Effect.fail(invalid(unknown.slice(0, nameMax), `is not a parameter here; there are ${known.join(", ")}`))
}

/** A header that Node joins where it comes more than once. */
const headerOf = ({ headers }: IncomingMessage, name: string): string | undefined => {
  const value = headers[name]
  return typeof value === "string" ? value : undefined
}

/** Where a reader of events stands: `Last-Event-ID`, else `after`. */
export const positionOf = (
  request: IncomingMessage,
  params: PageParams
): { readonly name: string; readonly value: string } | undefined => {
  const lastEventId = headerOf(request, "last-event-id")
  if (lastEventId !== undefined) return { name: "Last-Event-ID", value: lastEventId }
  const after = params.after ?? params.cursor
  return after === undefined ? undefined : { name: "after", value: after }
}

/** The seq after which to read: 0 to `lastSeq`. */
export const seqOf = (
  position: { readonly name: string; readonly value: string } | undefined,
  lastSeq: number
): Effect.Effect<number, InvalidRequest> => {
  if (position === undefined) return Effect.succeed(0)
  if (!/^\d{1,15}$/.test(position.value)) {
    return Effect.fail(invalid(position.name, "must be the seq of an event: a whole number from 0"))
  }
  const seq = Number(position.value)
  return seq <= lastSeq
    ? Effect.succeed(seq)
    : Effect.fail(invalid(position.name, `is beyond the last event; the turn's last seq is ${lastSeq}`))
}

/** Server-sent events only where `Accept` names them; a wildcard does not. */
export const wantsEventStream = (request: IncomingMessage): boolean =>
  (request.headers.accept ?? "").split(",").some((entry) => {
    const [type = "", ...parameters] = entry.split(";")
    return type.trim().toLowerCase() === "text/event-stream" &&
      !parameters.some((parameter) => /^\s*q\s*=\s*0(\.0*)?\s*$/i.test(parameter))
  })

/** 1 to 255 printable ASCII characters. */
export const idempotencyKeyOf = (request: IncomingMessage): Effect.Effect<string | undefined, InvalidRequest> => {
  const key = headerOf(request, "idempotency-key")
  return key === undefined || /^[\x20-\x7e]{1,255}$/.test(key)
    ? Effect.succeed(key)
    : Effect.fail(invalid("Idempotency-Key", "must be 1 to 255 printable ASCII characters"))
}

/** `true` or `false`; true when absent. */
export const liveOf = (value: string | undefined): Effect.Effect<boolean, InvalidRequest> =>
  value === undefined || value === "true"
    ? Effect.succeed(true)
    : value === "false"
    ? Effect.succeed(false)
    : Effect.fail(invalid("live", "must be true or false"))
