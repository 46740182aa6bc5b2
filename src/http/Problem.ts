/**
 * Errors on the wire: the one map from tag to status, and `application/problem+json` bodies
 * `{type, title, status, detail, code, retryable, instance, ...facts}`.
 *
 * `code` is the error's tag, except that a `JournalFailure` outside a turn is `StorageUnavailable`. The named members
 * win over facts of the same name. `instance` is the request's path, cut at 256 characters.
 */
import * as Schema from "effect/Schema"
import type {
  Draining,
  Gone,
  IdempotencyConflict,
  InvalidRequest,
  Overloaded,
  SessionNotFound,
  TurnConflict,
  TurnNotFound
} from "../domain/RequestError.ts"
import type { Turn } from "../domain/Resources.ts"
import { refusalTags, type TurnError } from "../domain/TurnError.ts"
import * as Address from "./Address.ts"
import * as Answer from "./Answer.ts"
import type { HttpError } from "./HttpError.ts"
import * as HttpMetrics from "./HttpMetrics.ts"

export const Problem = Schema.Struct(
  {
    type: Schema.String,
    title: Schema.String,
    status: Schema.Int,
    detail: Schema.String,
    /** The error's tag. */
    code: Schema.String,
    /** Whether the same request can succeed later. */
    retryable: Schema.Boolean,
    /** The path that was asked for. */
    instance: Schema.String
  },
  { key: Schema.String, value: Schema.Unknown }
).annotations({ identifier: "Problem" })

/** Everything that a request can be refused with. */
export type Refusal =
  | HttpError
  | InvalidRequest
  | SessionNotFound
  | TurnNotFound
  | TurnConflict
  | Gone
  | IdempotencyConflict
  | Overloaded
  | Draining
  | TurnError

export const statuses: Readonly<Record<Refusal["_tag"], number>> = {
  InvalidRequest: 400,
  Unauthorized: 401,
  ForbiddenOrigin: 403,
  SessionNotFound: 404,
  TurnNotFound: 404,
  NotFound: 404,
  MethodNotAllowed: 405,
  RequestTimeout: 408,
  TurnConflict: 409,
  Gone: 410,
  PayloadTooLarge: 413,
  UnsupportedMediaType: 415,
  ExpectationFailed: 417,
  MisdirectedHost: 421,
  IdempotencyConflict: 422,
  UnknownProvider: 422,
  UnknownModel: 422,
  ProviderBlocked: 422,
  ContextOverflow: 422,
  BudgetExceeded: 422,
  Overloaded: 429,
  HeadersTooLarge: 431,
  InternalError: 500,
  ProviderFailure: 502,
  Cancelled: 409,
  Interrupted: 503,
  Draining: 503,
  JournalFailure: 503,
  Fenced: 503
}

/** Of the refusals without a `retryable` fact: those that time cures. */
const passing: ReadonlySet<string> = new Set(["Overloaded", "Draining", "RequestTimeout", "InternalError"])

const codeOf = (tag: Refusal["_tag"]): string => tag === "JournalFailure" ? "StorageUnavailable" : tag

const retryableOf = (error: Refusal): boolean => {
  if ("retryable" in error) return error.retryable
  if (error._tag === "TurnConflict") return error.reason !== "parent-completed"
  return passing.has(error._tag)
}

/** `UnknownProvider` -> `Unknown provider`. */
const titleOf = (code: string): string => {
  const words = code.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

const members = (
  facts: object,
  known: { code: string; status: number; detail: string; retryable: boolean; url: string }
): typeof Problem.Type => {
  const { _tag: _, message: __, ...rest } = facts as { readonly _tag?: unknown; readonly message?: unknown }
  // a problem is made to be answered with, once
  HttpMetrics.rejected(known.code)
  return {
    ...rest,
    type: `urn:turnstream:problem:${known.code}`,
    title: titleOf(known.code),
    status: known.status,
    detail: known.detail,
    code: known.code,
    retryable: known.retryable,
    instance: Address.pathOf(known.url).slice(0, 256)
  }
}

export const fromError = (error: Refusal, url: string): typeof Problem.Type =>
  members({ ...error }, {
    code: codeOf(error._tag),
    status: statuses[error._tag],
    detail: error.message,
    retryable: retryableOf(error),
    url
  })

const oneSecond = "1"

/** Headers that belong to some errors. */
export const headersOf = (error: Refusal): Readonly<Record<string, string>> => {
  switch (error._tag) {
    case "Unauthorized":
      return { "www-authenticate": 'Bearer realm="turnstream"' }
    case "MethodNotAllowed":
      return { allow: error.allow.join(", ") }
    case "Overloaded":
    case "Draining":
      return { "retry-after": String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))) }
    case "JournalFailure":
      return error.retryable ? { "retry-after": oneSecond } : {}
    default:
      return {}
  }
}

const contentType = "application/problem+json"

export const answer = (error: Refusal, url: string): Answer.Answer => {
  const body = fromError(error, url)
  return Answer.whole(JSON.stringify(body), contentType, { status: body.status, headers: headersOf(error) })
}

/** A turn that was refused before any provider was called: the submit answers with its error and its id. */
export const isRefused = (turn: Turn): turn is Turn & { readonly error: NonNullable<Turn["error"]> } =>
  turn.status === "failed" && turn.attempts === 0 && turn.error !== undefined && refusalTags.has(turn.error._tag)

export const refusedTurn = (
  turn: Turn & { readonly error: NonNullable<Turn["error"]> },
  url: string
): Answer.Answer => {
  const { _tag: code, message: detail, retryable, ...facts } = turn.error
  const status = statuses[code]
  const body = members({ ...facts, turnId: turn.id, sessionId: turn.sessionId }, {
    code,
    status,
    detail,
    retryable,
    url
  })
  return Answer.whole(JSON.stringify(body), contentType, { status, headers: { location: `/v1/turns/${turn.id}` } })
}

/** A whole response in bytes, for a socket whose request the parser refused; the connection closes after it. */
export const rawResponse = (error: Refusal, headers: Readonly<Record<string, string>>): string => {
  const body = fromError(error, "")
  const text = JSON.stringify(body)
  const lines = Object.entries({
    ...headers,
    ...headersOf(error),
    "content-type": contentType,
    "content-length": String(Buffer.byteLength(text)),
    connection: "close"
  })
  return `HTTP/1.1 ${body.status} ${body.title}\r\n${
    lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")
  }\r\n${text}`
}
