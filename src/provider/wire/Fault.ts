/**
 * What went wrong on the wire, in the closed list of `ProviderFailure` kinds. One table for every family
 * (sources of the names: docs/providers.md): a name that says it exactly, then the HTTP status, then a name that says it
 * roughly, then the words of the message.
 */
import type { ProviderFailureKind } from "../../domain/TurnError.ts"
import { type JsonObject, listOf, nameOf, objectOf } from "./Json.ts"

/** A failure before it is known to which provider it belongs. */
export interface Fault {
  readonly kind: ProviderFailureKind
  /** What the wire said, in its own words or ours. */
  readonly detail?: string
  /** Only where the wire contradicts the kind's own rule. */
  readonly retryable?: boolean
  readonly status?: number
  readonly retryAfterMs?: number
  readonly requestId?: string
}

/** `RateLimitReached`, `rate_limit_reached`, `ns#ThrottlingException` and `throttlingException:http://...` in one spelling. */
const normal = (name: string): string =>
  name.replace(/:.*$/s, "").replace(/^.*#/s, "").replace(/exception$/i, "").replace(/[^A-Za-z0-9]/g, "").toLowerCase()

const table = (
  kinds: Partial<Record<ProviderFailureKind, ReadonlyArray<string>>>
): ReadonlyMap<string, ProviderFailureKind> =>
  new Map(
    Object.entries(kinds).flatMap(([kind, names]) =>
      names.map((name) => [normal(name), kind as ProviderFailureKind] as const)
    )
  )

/** Names that mean one thing, whatever the status. */
const exact = table({
  authentication: [
    "authentication_error",
    "invalid_api_key",
    "invalid_authentication",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "IncompleteSignatureException",
    "MissingAuthenticationTokenException",
    "ExpiredTokenException"
  ],
  permission: ["permission_error", "AccessDeniedException", "permission_denied"],
  not_found: ["model_not_found", "DeploymentNotFound", "not_found_error", "ResourceNotFoundException"],
  context_length: ["context_length_exceeded", "context_window_exceeded", "exceed_context_size_error"],
  content_filter: ["content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"],
  quota: [
    "insufficient_quota",
    "billing_error",
    "insufficient_balance",
    "billing_hard_limit_reached",
    "ServiceQuotaExceededException"
  ],
  rate_limit: [
    "rate_limit_exceeded",
    "rate_limit_error",
    "RateLimitReached",
    "ThrottlingException",
    "too_many_requests"
  ],
  overloaded: [
    "overloaded_error",
    "server_is_overloaded",
    "ServiceUnavailableException",
    "ModelNotReadyException",
    "slow_down"
  ],
  timeout: ["timeout_error", "ModelTimeoutException"],
  server: ["ModelStreamErrorException", "InternalServerException"],
  invalid_request: ["ValidationException", "request_too_large", "tool_use_failed"]
})

/** Names that say less than a status does: Ollama's cloud calls a 401 `api_error`. */
const rough = table({
  invalid_request: ["invalid_request_error", "BadRequestError", "invalid_request", "invalid_prompt"],
  server: [
    "api_error",
    "server_error",
    "internal_server_error",
    "internal_error",
    "InternalServerError",
    "model_error"
  ],
  overloaded: ["overloaded", "engine_overloaded"],
  authentication: ["unauthorized", "AuthenticationError"],
  permission: ["forbidden", "PermissionDeniedError"],
  not_found: ["not_found", "NotFoundError"],
  timeout: ["timeout", "request_timeout", "gateway_timeout"],
  rate_limit: ["rate_limit", "RateLimitError", "requests", "tokens"]
})

const byStatus: ReadonlyMap<number, ProviderFailureKind> = new Map([
  [400, "invalid_request"],
  [401, "authentication"],
  [402, "quota"],
  [403, "permission"],
  [404, "not_found"],
  [408, "timeout"],
  [409, "server"],
  [410, "not_found"],
  [413, "invalid_request"],
  [422, "invalid_request"],
  [424, "server"],
  [429, "rate_limit"],
  [503, "overloaded"],
  [504, "timeout"],
  [524, "timeout"],
  [529, "overloaded"]
])

const ofStatus = (status: number): ProviderFailureKind | undefined =>
  byStatus.get(status) ??
    (status >= 500 && status < 600 ? "server" : status >= 400 && status < 500 ? "invalid_request" : undefined)

/** What a refused request means beyond its status, where only the message tells. First match counts. */
const byMessage: ReadonlyArray<readonly [pattern: RegExp, kind: ProviderFailureKind]> = [
  [
    /prompt is too long|maximum context length|input tokens exceeded|too many (input )?tokens|context (window|length|size)|input is too long|exceeds? the (model'?s )?(maximum )?context/i,
    "context_length"
  ],
  [
    /(incorrect|invalid|missing|malformed|wrong) (x-)?api[- _]?key|api[- _]?key (is |was )?(not |in)valid|no api[- _]?key|invalid bearer token/i,
    "authentication"
  ],
  [
    // one that ends by itself is a rate: Google says both in one sentence
    /^(?!.*\bretry in \d).*exceeded your current quota|insufficient (quota|balance|credits?|funds)|credit balance is too low|out of credits?/is,
    "quota"
  ],
  [/content (management|filter)|content policy|was flagged|safety system/i, "content_filter"],
  [/server (is )?(busy|overloaded)/i, "overloaded"],
  [/does not support (tools|thinking|chat)|requires more system memory/i, "invalid_request"],
  [/model .*(does not exist|not found|not exist)|no such model|unknown model/i, "not_found"]
]

/** Kinds of a status or a rough name that a message may sharpen: a refused request, and a refused payment in disguise. */
const vague: ReadonlySet<ProviderFailureKind> = new Set(["invalid_request", "rate_limit", "permission", "server"])

const sharpened = (kind: ProviderFailureKind, message: string): ProviderFailureKind => {
  if (!vague.has(kind)) return kind
  const found = byMessage.find(([pattern]) => pattern.test(message))?.[1]
  if (found === undefined) return kind
  // a busy or broken server says many things; only a payment is not what it seems
  return kind === "invalid_request" || (kind === "permission" && found === "content_filter") || found === "quota"
    ? found
    : kind
}

export interface ErrorFacts {
  readonly status?: number | undefined
  /** Codes, types and exception names, the most specific first. */
  readonly names: ReadonlyArray<string>
  readonly message: string
}

/** Of a message as much as any vendor says: what is searched for patterns has a bound. */
const messageCharsMax = 2_048

export const kindOf = ({ message: whole, names, status }: ErrorFacts): ProviderFailureKind => {
  const message = whole.slice(0, messageCharsMax)
  const spelled = names.map(normal)
  const from = (kinds: ReadonlyMap<string, ProviderFailureKind>) =>
    spelled.map((name) => kinds.get(name)).find((kind) => kind !== undefined)
  const named = from(exact)
  if (named !== undefined) return sharpened(named, message)
  const found = (status === undefined ? undefined : ofStatus(status)) ?? from(rough)
  if (found !== undefined) return sharpened(found, message)
  return byMessage.find(([pattern]) => pattern.test(message))?.[1] ?? "server"
}

/** A code that is an HTTP status in disguise: `429`, `"502"`. */
const statusIn = (value: unknown): number | undefined => {
  const status = typeof value === "string" && /^\d{3}$/.test(value) ? Number(value) : value
  return typeof status === "number" && Number.isInteger(status) && status >= 400 && status < 600 ? status : undefined
}

/** The object that tells the error, in any of the shapes that were seen; undefined where there is none. */
export const errorIn = (body: unknown): JsonObject | undefined => {
  const root = objectOf(Array.isArray(body) ? body[0] : body)
  if (root === undefined) return undefined
  const error = root["error"]
  if (typeof error === "string" && error !== "") return { ...root, message: error }
  const nested = objectOf(error)
  if (nested !== undefined) return nested
  return root["object"] === "error" || root["type"] === "error" ? root : undefined
}

/** The words of a validation error's list (`{detail: [{msg}]}`). */
const detailText = (detail: unknown): string | undefined =>
  nameOf(detail) ??
    (listOf(detail).map((item) => nameOf(objectOf(item)?.["msg"]) ?? "").filter((text) => text !== "").join("; ") ||
      undefined)

/** What an error object says, whatever its family calls the fields. */
export const factsOf = (
  error: JsonObject,
  status?: number
): Required<Pick<ErrorFacts, "names" | "message">> & ErrorFacts => {
  const { code, detail, message, type } = error
  const inner = objectOf(error["metadata"])
  return {
    status: status ?? statusIn(code) ?? statusIn(error["status"]),
    names: [code, type, error["__type"], error["status"], inner?.["error_type"]].flatMap((name) => {
      const text = nameOf(name)
      return text === undefined || statusIn(text) !== undefined || text === "error" ? [] : [text]
    }),
    message: nameOf(message) ?? nameOf(error["Message"]) ?? detailText(objectOf(message)?.["detail"]) ??
      detailText(detail) ?? nameOf(code) ?? ""
  }
}

/** A failure that came inside a stream. */
export const fromError = (error: JsonObject): Fault => {
  const facts = factsOf(error)
  return { kind: kindOf(facts), ...(facts.message === "" ? {} : { detail: facts.message }) }
}

/** The body ended before the wire said how the answer did. */
export const incomplete: Fault = { kind: "incomplete_stream", detail: "the stream ended before the answer did" }

/**
 * A whole frame that is not JSON. At the very end of a body the same is a cut, and the framing asks the decoder whether
 * that matters: this very value tells it from every other fault.
 */
export const unreadable: Fault = { kind: "protocol", detail: "an event of the answer is not JSON" }

export const protocol = (detail: string): Fault => ({ kind: "protocol", detail })
