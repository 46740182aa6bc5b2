/** What vendors call their failures, in the closed list of kinds. */
import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { ProviderFailureKind, retryableKinds } from "../../../src/domain/TurnError.ts"
import {
  errorIn,
  factsOf,
  fromError,
  incomplete,
  kindOf,
  protocol,
  unreadable
} from "../../../src/provider/wire/Fault.ts"
import type { JsonObject } from "../../../src/provider/wire/Json.ts"

/** An error body of HTTP as an adapter reads it. */
const kindAt = (status: number, body: unknown) => {
  const error = errorIn(body)
  return kindOf(factsOf(error ?? (body as JsonObject), status))
}
const kindIn = (body: unknown) => fromError(errorIn(body) ?? {}).kind
const said = (message: string, more: object = {}) => ({ error: { message, ...more } })

describe("kinds of failure", () => {
  it("by status alone", () => {
    const kinds: ReadonlyArray<readonly [ProviderFailureKind, ReadonlyArray<number>, boolean]> = [
      ["authentication", [401], false],
      ["permission", [403], false],
      ["not_found", [404, 410], false],
      ["invalid_request", [400, 413, 422, 405, 415, 418, 451], false],
      ["quota", [402], false],
      ["rate_limit", [429], true],
      ["overloaded", [503, 529], true],
      ["server", [500, 502, 424, 409, 501, 520, 599], true],
      ["timeout", [408, 504, 524], true]
    ]
    for (const [kind, statuses, retryable] of kinds) {
      for (const status of statuses) assert.strictEqual(kindAt(status, {}), kind, `${status}`)
      assert.strictEqual(retryableKinds[kind], retryable)
    }
    assert.isTrue(retryableKinds.incomplete_stream && retryableKinds.protocol)
    assert.isFalse(retryableKinds.context_length || retryableKinds.content_filter)
  })

  it("by names that mean one thing, as code or type, in any spelling, in a stream and over HTTP", () => {
    const names: Partial<Record<ProviderFailureKind, ReadonlyArray<string>>> = {
      authentication: [
        "authentication_error",
        "invalid_api_key",
        "UnrecognizedClientException",
        "ExpiredTokenException"
      ],
      permission: ["permission_error", "AccessDeniedException", "accessDeniedException", "PERMISSION_DENIED"],
      not_found: ["model_not_found", "not_found_error", "DeploymentNotFound", "ResourceNotFoundException"],
      invalid_request: ["request_too_large", "validationException", "ValidationException", "tool_use_failed"],
      context_length: ["context_length_exceeded", "exceed_context_size_error"],
      content_filter: ["content_filter", "content_policy_violation"],
      quota: ["insufficient_quota", "billing_error", "ServiceQuotaExceededException"],
      rate_limit: ["rate_limit_error", "rate_limit_exceeded", "RateLimitReached", "throttlingException"],
      overloaded: ["overloaded_error", "server_is_overloaded", "serviceUnavailableException", "service_unavailable"],
      server: ["internalServerException", "modelStreamErrorException"],
      timeout: ["timeout_error", "modelTimeoutException"]
    }
    for (const [kind, spellings] of Object.entries(names)) {
      for (const name of spellings) {
        assert.strictEqual(kindIn(said("words", { code: name })), kind, name)
        assert.strictEqual(kindIn(said("words", { type: name, code: null })), kind, name)
        assert.strictEqual(kindIn(said("words", { type: `${name}:http://internal.example/coral/` })), kind, name)
        for (const status of [400, 403, 429, 500]) {
          assert.strictEqual(kindAt(status, said("words", { code: name })), kind)
        }
      }
    }
  })

  it("by names that say less than a status does", () => {
    const names = {
      invalid_request_error: "invalid_request",
      BadRequestError: "invalid_request",
      api_error: "server",
      server_error: "server",
      internal_server_error: "server",
      engine_overloaded: "overloaded",
      not_found: "not_found",
      unauthorized: "authentication",
      forbidden: "permission",
      timeout: "timeout",
      tokens: "rate_limit"
    }
    for (const [type, kind] of Object.entries(names)) {
      assert.strictEqual(kindIn(said("words", { type })), kind, type)
      assert.strictEqual(kindAt(404, said("words", { type })), "not_found", type)
    }
    // Ollama's cloud
    assert.strictEqual(kindAt(401, said("unauthorized", { type: "api_error", code: null })), "authentication")
    assert.strictEqual(kindAt(503, said("busy", { type: "api_error" })), "overloaded")
  })

  it("the code is more specific than the type", () => {
    const refused = { type: "invalid_request_error", param: "input" }
    assert.strictEqual(kindAt(400, said("w", { ...refused, code: "context_length_exceeded" })), "context_length")
    assert.strictEqual(kindAt(400, said("w", { ...refused, code: "model_not_found" })), "not_found")
    assert.strictEqual(kindAt(401, said("w", { ...refused, code: "invalid_api_key" })), "authentication")
    assert.strictEqual(kindAt(429, said("w", { type: "requests", code: "rate_limit_exceeded" })), "rate_limit")
    assert.strictEqual(kindIn(said("w", { type: "insufficient_quota", code: "insufficient_quota" })), "quota")
    assert.strictEqual(kindIn(said("w", { type: "rate_limit_error", code: "insufficient_quota" })), "quota")
    assert.strictEqual(
      kindIn(said("w", { code: "nobody_knows", metadata: { error_type: "overloaded" } })),
      "overloaded"
    )
  })

  it("a refused request by its words, where nothing else tells", () => {
    const words: ReadonlyArray<readonly [string, ProviderFailureKind]> = [
      ["prompt is too long: 9 tokens > 8 maximum", "context_length"],
      ["This model's maximum context length is 8 tokens.", "context_length"],
      ["Input Tokens Exceeded: Number of input tokens exceeds the maximum", "context_length"],
      ["too many tokens in the request", "context_length"],
      ["Your input exceeds the context window of this model.", "context_length"],
      ["the request exceeds the available context size", "context_length"],
      ["Input is too long for requested model.", "context_length"],
      ["Incorrect API key provided: no****.", "authentication"],
      ["invalid x-api-key", "authentication"],
      ["API key not valid. Please pass a valid API key.", "authentication"],
      ["Your credit balance is too low to use this.", "quota"],
      ["Response was refused by the content management policy", "content_filter"],
      ["The model `m` does not exist", "not_found"],
      ["temperature must be at most 2", "invalid_request"]
    ]
    for (const [message, kind] of words) {
      assert.strictEqual(kindAt(400, said(message)), kind, message)
      assert.strictEqual(kindAt(400, said(message, { type: "invalid_request_error" })), kind, message)
      assert.strictEqual(kindAt(400, { message }), kind, message)
      assert.strictEqual(kindIn(said(message, { type: "ValidationException" })), kind, message)
      assert.strictEqual(kindIn(said(message)), kind === "invalid_request" ? "server" : kind, message)
    }
  })

  it("xAI refuses a bad key with 400 and a code that is a sentence", () => {
    const body = { code: "Client specified an invalid argument", error: "Incorrect API key provided: no***ne." }
    assert.strictEqual(kindAt(400, body), "authentication")
    assert.strictEqual(kindAt(400, { ...body, error: "max_tokens is negative" }), "invalid_request")
  })

  it("a quota is one whatever its status, by name or by words, and is not retried", () => {
    const message = "You exceeded your current quota, please check your plan."
    for (const status of [400, 402, 403, 429]) {
      assert.strictEqual(kindAt(status, said(message)), "quota")
      assert.strictEqual(kindAt(status, said("w", { code: "insufficient_quota" })), "quota")
    }
    assert.strictEqual(kindAt(429, said(message, { code: "rate_limit_exceeded" })), "quota")
    assert.strictEqual(kindAt(429, said(`${message} Please retry in 35.2s.`)), "rate_limit")
    assert.isFalse(retryableKinds.quota)
    for (const [status, kind] of [[401, "authentication"], [404, "not_found"], [503, "overloaded"]] as const) {
      assert.strictEqual(kindAt(status, said(message)), kind)
    }
  })

  it("the name of an AWS exception is found in the body, with its namespace", () => {
    assert.strictEqual(
      fromError({ __type: "com.amazon.coral.service#ThrottlingException", message: "w" }).kind,
      "rate_limit"
    )
  })

  it("what Ollama says without a status or a name", () => {
    assert.strictEqual(fromError({ message: "server busy, please try again" }).kind, "overloaded")
    assert.strictEqual(fromError({ message: "model does not support tools" }).kind, "invalid_request")
  })

  it("a busy or broken server that mentions a context window is busy or broken", () => {
    const messages = [
      "context window cache failed",
      "Too many tokens, please wait before trying again.",
      "prompt is too long to be handled now",
      "the model was not found on this node",
      "invalid api key cache",
      "the content filter is down"
    ]
    for (const message of messages) {
      const kinds = {
        500: "server",
        502: "server",
        429: "rate_limit",
        503: "overloaded",
        504: "timeout",
        529: "overloaded"
      }
      for (const [status, kind] of Object.entries(kinds)) {
        assert.strictEqual(kindAt(Number(status), said(message)), kind, `${status} ${message}`)
        assert.strictEqual(kindIn(said(message, { code: Number(status) })), kind, `${status} ${message}`)
      }
      assert.strictEqual(kindIn(said(message, { type: "ThrottlingException" })), "rate_limit")
      assert.strictEqual(kindIn(said(message, { type: "server_error" })), "server")
      assert.strictEqual(kindIn(said(message, { type: "overloaded_error" })), "overloaded")
    }
    for (const [status, kind] of [[401, "authentication"], [404, "not_found"], [402, "quota"]] as const) {
      assert.strictEqual(kindAt(status, said("the context window")), kind)
    }
    assert.strictEqual(kindAt(403, said("the context window")), "permission")
    assert.strictEqual(kindAt(403, said("Your input was flagged")), "content_filter")
  })

  it("codes that are statuses in disguise", () => {
    for (const code of [429, "429"]) assert.strictEqual(kindIn(said("w", { code })), "rate_limit")
    for (const code of [503, "503"]) assert.strictEqual(kindIn({ object: "error", message: "w", code }), "overloaded")
    assert.strictEqual(kindIn(said("w", { status: 401 })), "authentication")
    assert.strictEqual(kindIn(said("w", { code: 404, status: "NOT_FOUND" })), "not_found")
    for (const code of [1305, 200, 42.5, -1, "12345", "5xx", true, {}, []]) {
      assert.strictEqual(kindIn(said("w", { code })), "server", JSON.stringify(code))
    }
  })

  it("an HTTP status is worth more than the code of the body", () => {
    assert.strictEqual(kindAt(429, said("w", { code: 500 })), "rate_limit")
  })

  it("what nobody knows is the server's", () => {
    assert.strictEqual(kindIn(said("it broke", { code: "strange", type: "stranger" })), "server")
    assert.strictEqual(kindIn({ error: {} }), "server")
    for (const status of [700, 999, 0]) assert.strictEqual(kindAt(status, {}), "server")
    for (const name of ["constructor", "__proto__", "", "error"]) {
      assert.strictEqual(kindIn(said("w", { code: name, type: name })), "server")
    }
  })
})

describe("errors in bodies", () => {
  it("are found in every shape, with their words", () => {
    const words = "the words"
    const shapes: ReadonlyArray<unknown> = [
      { error: { message: words } },
      { type: "error", error: { type: "api_error", message: words }, request_id: "r" },
      [{ error: { code: 400, message: words, status: "INVALID_ARGUMENT" } }],
      { error: words },
      { code: "Some code", error: words },
      { object: "error", message: words, code: 400 },
      { type: "error", message: words, code: "server_error" },
      { error: { detail: words } },
      { error: { Message: words } },
      { object: "error", message: { detail: [{ type: "extra", loc: ["body"], msg: words }] } }
    ]
    for (const shape of shapes) {
      const error = errorIn(shape)
      assert.isDefined(error)
      assert.strictEqual(fromError(error).detail, words, JSON.stringify(shape))
    }
  })

  it("that are validation lists tell each of their words", () => {
    const detail = [{ loc: ["body", "a"], msg: "a is missing" }, { msg: "b is long" }, { loc: [] }, null, "c"]
    assert.strictEqual(factsOf({ detail }).message, "a is missing; b is long")
    assert.strictEqual(factsOf({ detail: "Not Found" }).message, "Not Found")
    assert.strictEqual(factsOf({ detail: [{}, 1] }).message, "")
  })

  it("without words tell their code, or nothing", () => {
    assert.deepStrictEqual(fromError({ code: "strange_code" }), { kind: "server", detail: "strange_code" })
    assert.deepStrictEqual(fromError({ type: "overloaded_error", message: "" }), { kind: "overloaded" })
    assert.deepStrictEqual(fromError({ message: 7, code: 429 }), { kind: "rate_limit" })
  })

  it("are not there where nothing says so", () => {
    const bodies = [null, undefined, 1, "error", [], [[]], {}, { error: null }, { error: "" }, { error: 0 }, {
      error: []
    }]
    const whole = { object: "chat.completion.chunk", type: "message", choices: [], error: null }
    for (const body of [...bodies, whole]) assert.isUndefined(errorIn(body), JSON.stringify(body))
  })

  it("of any JSON are a kind of the list, never an exception", () => {
    const isKind = (kind: string) => (ProviderFailureKind.literals as ReadonlyArray<string>).includes(kind)
    const fields = [
      "error",
      "message",
      "code",
      "type",
      "status",
      "detail",
      "metadata",
      "error_type",
      "object",
      "Message"
    ]
    const { json } = FastCheck.letrec((tie) => ({
      json: FastCheck.oneof(
        { maxDepth: 4 },
        FastCheck.constantFrom("error", "", "429", "rate_limit_error", "context window", ":"),
        FastCheck.integer(),
        FastCheck.double(),
        FastCheck.constant(null),
        FastCheck.array(tie("json"), { maxLength: 2 }),
        FastCheck.dictionary(FastCheck.constantFrom(...fields), tie("json"), { maxKeys: 4 })
      )
    }))
    FastCheck.assert(FastCheck.property(json, FastCheck.integer(), (body, status) => {
      const error = errorIn(body)
      if (error === undefined) return
      assert.isTrue(isKind(fromError(error).kind) && isKind(kindAt(status, body)))
    }))
  })

  it("that the wire does not tell are our own", () => {
    assert.strictEqual(incomplete.kind, "incomplete_stream")
    assert.strictEqual(unreadable.kind, "protocol")
    assert.deepStrictEqual(protocol("no"), { kind: "protocol", detail: "no" })
  })
})
