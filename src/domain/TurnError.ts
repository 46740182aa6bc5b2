/**
 * Why a turn failed: a closed union. Fields are facts; `message` says what happened, to what, and what to do next.
 * `toInfo` is the one JSON form (journal, HTTP and page all show it), `fromInfo` its inverse: a turn's stream fails with
 * the same value that its journal holds.
 */
import * as Schema from "effect/Schema"

const tag = <const T extends string>(name: T) => `turnstream/${name}` as const

const list = (items: ReadonlyArray<string>) => items.join(", ") || "none"

export const ProviderFailureKind = Schema.Literal(
  "authentication",
  "permission",
  "not_found",
  "invalid_request",
  "context_length",
  "content_filter",
  "quota",
  "rate_limit",
  "overloaded",
  "server",
  "timeout",
  "stalled",
  "incomplete_stream",
  "protocol",
  "network"
)
export type ProviderFailureKind = typeof ProviderFailureKind.Type

/** Whether trying again can help, by kind (`spec/wire.md`, "Finish reasons and errors"). */
export const retryableKinds: Readonly<Record<ProviderFailureKind, boolean>> = {
  authentication: false,
  permission: false,
  not_found: false,
  invalid_request: false,
  context_length: false,
  content_filter: false,
  quota: false,
  rate_limit: true,
  overloaded: true,
  server: true,
  timeout: true,
  stalled: true,
  incomplete_stream: true,
  protocol: true,
  network: true
}

const nextStep: Readonly<Record<ProviderFailureKind, string>> = {
  authentication: "Check the key that the provider is given.",
  permission: "Check that this key may use the model.",
  not_found: "Check the model id and the provider's baseUrl or recording.",
  invalid_request: "Change the request; sending it again as it is will fail again.",
  context_length: "Shorten the message or choose a model with a larger context window.",
  content_filter: "The provider's policy refused it; change the message.",
  quota: "The account is out of credit or over its quota; a retry does not help.",
  rate_limit: "Wait, then retry the turn.",
  overloaded: "Wait, then retry the turn.",
  server: "Retry the turn; if it goes on, look at the provider's status page.",
  timeout: "Retry the turn, or raise limits.connectMs, limits.firstTokenMs or limits.totalMs.",
  stalled: "Resume the turn to continue the answer, or raise limits.idleMs.",
  incomplete_stream: "Resume the turn to continue the answer.",
  protocol:
    "The provider broke its protocol or exceeded limits.outputBytesPerTurn; retry, or report it with the request id.",
  network: "Check the network path to the provider, then retry the turn."
}

/** For a failure of a kind that a retry mostly helps, where this one it does not. */
const mendFirst = "Trying again does not help before that is mended."

/** Reasons for which a provider is blocked that decide what to do about it; `ProviderBlocked.reason` holds them. */
export const networkOff = "live network is off (network.live in the configuration file)"
export const loopbackOff = "its baseUrl is on this machine, and network.allowLoopback is off"
export const noAdapter = "this version has no adapter"

export class UnknownProvider extends Schema.TaggedError<UnknownProvider>(tag("UnknownProvider"))("UnknownProvider", {
  providerId: Schema.String,
  known: Schema.Array(Schema.String),
  suggestion: Schema.optional(Schema.String)
}) {
  readonly retryable = false
  override get message() {
    const hint = this.suggestion === undefined ? "" : ` Did you mean "${this.suggestion}"?`
    return `No provider "${this.providerId}".${hint} Known: ${
      list(this.known)
    }. Check the provider id or add it to the configuration.`
  }
}

export class UnknownModel extends Schema.TaggedError<UnknownModel>(tag("UnknownModel"))("UnknownModel", {
  providerId: Schema.String,
  modelId: Schema.String,
  known: Schema.Array(Schema.String),
  suggestion: Schema.optional(Schema.String)
}) {
  readonly retryable = false
  override get message() {
    if (this.modelId === "") {
      return `No model is named for provider "${this.providerId}". Name one in the request, in the session, or as defaults.model of the configuration. Known: ${
        list(this.known)
      }.`
    }
    const hint = this.suggestion === undefined ? "" : ` Did you mean "${this.suggestion}"?`
    return `Provider "${this.providerId}" has no model "${this.modelId}".${hint} Known: ${
      list(this.known)
    }. Check the model id or list it under the provider's models.`
  }
}

export class ProviderBlocked extends Schema.TaggedError<ProviderBlocked>(tag("ProviderBlocked"))("ProviderBlocked", {
  providerId: Schema.String,
  missingEnv: Schema.Array(Schema.String),
  reason: Schema.String
}) {
  readonly retryable = false
  override get message() {
    const steps = [
      ...(this.reason.includes(networkOff) ? ["set network.live to true"] : []),
      ...(this.reason.includes(loopbackOff) ? ["set network.allowLoopback to true"] : []),
      ...(this.missingEnv.length > 0 ? [`set ${this.missingEnv.join(" and ")}`] : [])
    ]
    const step = steps.length === 0 ? "change the configuration" : steps.join(", ")
    // what no setting cures is not to be tried
    const next = this.reason.includes(noAdapter)
      ? 'Use the provider "deterministic".'
      : `${step.charAt(0).toUpperCase()}${step.slice(1)} and start again, or use the provider "deterministic".`
    return `Provider "${this.providerId}" is blocked: ${this.reason}. ${next}`
  }
}

export class ProviderFailure extends Schema.TaggedError<ProviderFailure>(tag("ProviderFailure"))("ProviderFailure", {
  providerId: Schema.String,
  kind: ProviderFailureKind,
  retryable: Schema.Boolean,
  /** What the provider or the engine saw, without prompt text, headers or keys. */
  detail: Schema.optional(Schema.String),
  status: Schema.optional(Schema.Int),
  retryAfterMs: Schema.optional(Schema.Int.pipe(Schema.nonNegative())),
  requestId: Schema.optional(Schema.String)
}) {
  override get message() {
    const status = this.status === undefined ? "" : ` (HTTP ${this.status})`
    const detail = this.detail === undefined ? "" : `: ${this.detail}`
    const id = this.requestId === undefined ? "" : ` Request id ${this.requestId}.`
    return `Provider "${this.providerId}" failed with ${this.kind}${status}${detail}. ${
      !this.retryable && retryableKinds[this.kind] ? mendFirst : nextStep[this.kind]
    }${id}`
  }
}

/** Facts of a failure beyond its kind; `retryable` follows the kind unless the wire said otherwise. */
type FailureFacts = Partial<
  Omit<typeof ProviderFailure.Type, "_tag" | "kind" | "providerId" | "message" | "name" | "stack" | "cause">
>

export const providerFailure = (
  providerId: string,
  kind: ProviderFailureKind,
  facts: FailureFacts = {}
): ProviderFailure => {
  const { retryAfterMs, ...others } = facts
  // what a wire calls a wait may be anything; only a number that can be waited is a fact
  const wait = retryAfterMs !== undefined && retryAfterMs >= 0 && Number.isFinite(retryAfterMs)
    ? { retryAfterMs: Math.min(Math.ceil(retryAfterMs), Number.MAX_SAFE_INTEGER) }
    : {}
  return new ProviderFailure({
    providerId,
    kind,
    ...others,
    ...wait,
    retryable: facts.retryable ?? retryableKinds[kind]
  })
}

export class ContextOverflow extends Schema.TaggedError<ContextOverflow>(tag("ContextOverflow"))("ContextOverflow", {
  tokens: Schema.Int,
  budget: Schema.Int
}) {
  readonly retryable = false
  override get message() {
    return `The instructions and this message need about ${this.tokens} tokens; the context budget is ${this.budget}. Shorten them or choose a model with a larger window.`
  }
}

export class Cancelled extends Schema.TaggedError<Cancelled>(tag("Cancelled"))("Cancelled", {
  cause: Schema.Literal("user_stop", "deadline", "superseded", "shutdown")
}) {
  readonly retryable = false
  override get message() {
    switch (this.cause) {
      case "user_stop":
        return "Cancelled on request. What was received, if anything, is kept; resume the turn to go on with it."
      case "deadline":
        return "Cancelled: options.deadlineMs passed. What was received, if anything, is kept; resume it or allow more time."
      case "superseded":
        return "Cancelled: a newer message took this turn's place. What was received, if anything, is kept."
      case "shutdown":
        return "Cancelled: the service shut down. What was received, if anything, is kept; resume the turn to go on with it."
    }
  }
}

export class Interrupted extends Schema.TaggedError<Interrupted>(tag("Interrupted"))("Interrupted", {
  cause: Schema.Literal("crash", "shutdown")
}) {
  readonly retryable = true
  override get message() {
    return this.cause === "crash"
      ? "The process that ran this turn died. What was received, if anything, is kept; resume the turn to go on with it, or retry it."
      : "The service shut down before this turn ended. What was received, if anything, is kept; resume the turn to go on with it, or retry it."
  }
}

export class JournalFailure extends Schema.TaggedError<JournalFailure>(tag("JournalFailure"))("JournalFailure", {
  operation: Schema.String,
  retryable: Schema.Boolean,
  /** The storage's own code or the rule that refused, for example `SQLITE_FULL`. */
  reason: Schema.String
}) {
  override get message() {
    const refused = `Storage refused "${this.operation}" (${this.reason}).`
    if (/^SQLITE_(CORRUPT|NOTADB)/.test(this.reason)) {
      return `${refused} The database file is damaged, and what was written may be lost. Stop the service, check the file with: turnstream doctor, and restore a backup.`
    }
    return `${refused} Nothing acknowledged is lost. ${
      this.retryable ? "Try again shortly." : "Check the disk and the database file with: turnstream doctor."
    }`
  }
}

/** What to do next, by budget. */
const budgetAdvice: ReadonlyMap<string, string> = new Map([
  ["tokensPerSession", "Start a new session, or raise it in the configuration."],
  ["tokensPerDay", "Wait until midnight UTC, or raise it in the configuration."],
  ["databaseBytes", "Delete sessions, set retention.days, or raise it in the configuration."]
])

export class BudgetExceeded extends Schema.TaggedError<BudgetExceeded>(tag("BudgetExceeded"))("BudgetExceeded", {
  budget: Schema.String,
  used: Schema.Number,
  limit: Schema.Number
}) {
  readonly retryable = false
  override get message() {
    return `The budget limits.${this.budget} is used up: ${this.used} of ${this.limit}. ${
      budgetAdvice.get(this.budget) ?? "Raise it in the configuration."
    }`
  }
}

export class Fenced extends Schema.TaggedError<Fenced>(tag("Fenced"))("Fenced", { ownerEpoch: Schema.Int }) {
  readonly retryable = false
  override get message() {
    return `Another process owns the database now (epoch ${this.ownerEpoch}). This process stopped writing; send the request to the new owner.`
  }
}

const classes = [
  UnknownProvider,
  UnknownModel,
  ProviderBlocked,
  ProviderFailure,
  ContextOverflow,
  Cancelled,
  Interrupted,
  JournalFailure,
  BudgetExceeded,
  Fenced
] as const

export const TurnError = Schema.Union(...classes)
export type TurnError = typeof TurnError.Type

/** Tags of turns that end before any provider is called; the submit answers 422. */
export const refusalTags: ReadonlySet<TurnError["_tag"]> = new Set([
  "UnknownProvider",
  "UnknownModel",
  "ProviderBlocked",
  "ContextOverflow",
  "BudgetExceeded"
])

/** The JSON form: `_tag`, `message`, `retryable` and the facts. */
const infoOf = <F extends Schema.Struct.Fields>(name: string, fields: F) =>
  Schema.Struct({ ...fields, message: Schema.String, retryable: Schema.Boolean }).annotations({ identifier: name })

export const TurnErrorInfo = Schema.Union(
  infoOf("UnknownProviderInfo", UnknownProvider.fields),
  infoOf("UnknownModelInfo", UnknownModel.fields),
  infoOf("ProviderBlockedInfo", ProviderBlocked.fields),
  infoOf("ProviderFailureInfo", ProviderFailure.fields),
  infoOf("ContextOverflowInfo", ContextOverflow.fields),
  infoOf("CancelledInfo", Cancelled.fields),
  infoOf("InterruptedInfo", Interrupted.fields),
  infoOf("JournalFailureInfo", JournalFailure.fields),
  infoOf("BudgetExceededInfo", BudgetExceeded.fields),
  infoOf("FencedInfo", Fenced.fields)
).annotations({ identifier: "TurnError" })
export type TurnErrorInfo = typeof TurnErrorInfo.Type

const encode = Schema.encodeSync(TurnError)
const decode = Schema.decodeUnknownSync(TurnError)

export const toInfo = (error: TurnError): TurnErrorInfo => ({
  ...encode(error),
  message: error.message,
  retryable: error.retryable
})

/** The typed error that `toInfo` wrote. `message` is derived again, the other facts are kept. */
export const fromInfo = (info: TurnErrorInfo): TurnError => decode(info)
