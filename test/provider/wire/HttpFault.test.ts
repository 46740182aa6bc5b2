import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { retryableKinds } from "../../../src/domain/TurnError.ts"
import type { Fault } from "../../../src/provider/wire/Fault.ts"
import { fromAnswer, requestIdIn, retryAfterMsIn } from "../../../src/provider/wire/HttpFault.ts"
import { unlessThere } from "../families/fixtures.ts"

const nowMs = Date.UTC(2031, 4, 6, 7, 8, 9)

type Headers = Readonly<Record<string, string>>

const fault = (status: number, body: unknown, headers: Headers = {}) =>
  fromAnswer({ status, headers, body: typeof body === "string" ? body : JSON.stringify(body) }, nowMs)

/** As the failure of a provider sees it. */
const isRetryable = ({ kind, retryable }: Fault) => retryable ?? retryableKinds[kind]

describe("how long to wait", () => {
  const wait = (headers: Headers) => retryAfterMsIn(headers, nowMs)

  it("is said in milliseconds before seconds, and 0 says nothing", () => {
    assert.strictEqual(wait({ "retry-after-ms": "250" }), 250)
    assert.strictEqual(wait({ "retry-after-ms": "250.2", "retry-after": "9" }), 251)
    assert.strictEqual(wait({ "retry-after-ms": "0", "retry-after": "1" }), 1_000)
    assert.isUndefined(wait({ "retry-after-ms": "0" }))
    assert.isUndefined(wait({ "retry-after-ms": "0", "retry-after": "0" }))
  })

  it("is said in seconds, whole or not", () => {
    assert.strictEqual(wait({ "retry-after": "20" }), 20_000)
    assert.strictEqual(wait({ "retry-after": " 0.0305 " }), 31)
  })

  it("is said as a date, which counts from now", () => {
    assert.strictEqual(wait({ "retry-after": "Tue, 06 May 2031 07:08:39 GMT" }), 30_000)
    assert.isUndefined(wait({ "retry-after": "Tue, 06 May 2031 07:08:09 GMT" }))
    assert.isUndefined(wait({ "retry-after": "Tue, 06 May 2031 07:08:00 GMT" }))
  })

  it("is not said by anything else", () => {
    for (
      const text of ["", " ", "-1", "-0.5", "soon", "NaN", "Infinity", "-Infinity", "30s", "in 2099", "2,5", "1 2 2099"]
    ) {
      assert.isUndefined(wait({ "retry-after": text }), text)
      assert.isUndefined(wait({ "retry-after-ms": text }), text)
      assert.strictEqual(wait({ "retry-after-ms": text, "retry-after": "2" }), 2_000, text)
    }
    assert.isUndefined(wait({}))
  })
})

describe("an HTTP answer that is an error", () => {
  it("has its status, kind, words, request id and wait", () => {
    assert.deepStrictEqual(
      fault(429, { error: { message: "slowly", type: "requests", code: "rate_limit_exceeded" } }, {
        "content-type": "application/json",
        "x-request-id": "req_1",
        "retry-after-ms": "1500"
      }),
      { kind: "rate_limit", detail: "slowly", status: 429, requestId: "req_1", retryAfterMs: 1_500 }
    )
    assert.deepStrictEqual(fault(404, ""), { kind: "not_found", status: 404 })
  })

  it("has the words of every shape of body", () => {
    const bodies: ReadonlyArray<readonly [unknown, string]> = [
      [{ error: { message: "w" } }, "w"],
      [{ type: "error", error: { type: "invalid_request_error", message: "w" } }, "w"],
      [{ detail: "w" }, "w"],
      [{ detail: [{ loc: ["body", 0], msg: "w", type: "missing" }, { msg: "v" }] }, "w; v"],
      [{ object: "error", message: { detail: [{ msg: "w" }] }, type: "invalid_request_error" }, "w"],
      [{ message: "w" }, "w"],
      [{ Message: "w" }, "w"],
      [{ error: "w" }, "w"],
      [{ code: "Some sentence", error: "w" }, "w"],
      [[{ error: { code: 400, message: "w", status: "INVALID_ARGUMENT" } }], "w"],
      [{ object: "error", message: "w", code: 400 }, "w"]
    ]
    for (const [body, words] of bodies) {
      const { detail, kind } = fault(422, body)
      assert.deepStrictEqual([kind, detail], ["invalid_request", words], JSON.stringify(body))
    }
  })

  it("is known by its status where the body says nothing: HTML, plain words, nothing, any JSON", () => {
    const html = "<!doctype html><html><head><title>502 Bad Gateway</title></head></html>"
    for (const body of [html, "upstream connect error", "", "{", "null", "[]", "1", '"text"', "{}", '{"error":null}']) {
      const headers = { "content-type": "text/html" }
      assert.deepStrictEqual(fault(502, body, headers), { kind: "server", status: 502 })
      assert.deepStrictEqual(fault(401, body, headers), { kind: "authentication", status: 401 })
      assert.deepStrictEqual(fault(503, body, headers), { kind: "overloaded", status: 503 })
    }
  })

  it("is read as JSON whatever it is labelled", () => {
    const body = { error: { message: "no such key", type: "authentication_error" } }
    for (const label of ["application/octet-stream", "text/plain", "text/event-stream"]) {
      assert.deepInclude(fault(401, body, { "content-type": label }), { kind: "authentication", detail: "no such key" })
    }
  })

  it("of Amazon has its name in a header", () => {
    const words = { message: "The security token included in the request is invalid." }
    const errortype = (name: string) => ({ "x-amzn-errortype": name, "x-amzn-requestid": "a-1" })
    const uri = "http://internal.example/coral/com.example.coral.service/"
    assert.deepStrictEqual(fault(403, words, errortype(`UnrecognizedClientException:${uri}`)), {
      kind: "authentication",
      detail: words.message,
      status: 403,
      requestId: "a-1"
    })
    assert.strictEqual(fault(403, { Message: "no" }, errortype(`AccessDeniedException:${uri}`)).kind, "permission")
    assert.strictEqual(fault(429, words, errortype("ThrottlingException")).kind, "rate_limit")
    assert.strictEqual(fault(400, words, errortype(`ServiceQuotaExceededException:${uri}`)).kind, "quota")
    assert.strictEqual(fault(424, words, errortype(`ModelErrorException:${uri}`)).kind, "server")
    const long = { message: "Input is too long for requested model." }
    assert.strictEqual(fault(400, long, errortype(`ValidationException:${uri}`)).kind, "context_length")
    assert.strictEqual(fault(403, words, { "x-amzn-errortype": "" }).kind, "permission")
  })

  it("status beats type; a bad key under 400 is a bad key", () => {
    const cloud = { error: { message: "unauthorized", type: "api_error", param: null, code: null } }
    assert.strictEqual(fault(401, cloud).kind, "authentication")
    const xai = { code: "Client specified an invalid argument", error: "Incorrect API key provided: no***ne." }
    assert.strictEqual(fault(400, xai).kind, "authentication")
  })
})

describe("whether a retry helps", () => {
  const body = (message: string) => ({ error: { message } })

  it("follows the kind", () => {
    const retried = [408, 409, 424, 429, 500, 502, 503, 504, 529]
    for (const status of [400, 401, 402, 403, 404, 413, 422, ...retried]) {
      assert.strictEqual(isRetryable(fault(status, body("w"))), retried.includes(status), `${status}`)
    }
  })

  it("is decided by x-should-retry where the vendor sends it", () => {
    for (const status of [400, 401, 408, 429, 500, 529]) {
      for (const [word, expected] of [["true", true], ["false", false], ["TRUE ", true]] as const) {
        assert.strictEqual(isRetryable(fault(status, body("w"), { "x-should-retry": word })), expected)
      }
      for (const word of ["", "yes", "1"]) {
        assert.isUndefined(fault(status, body("w"), { "x-should-retry": word }).retryable)
      }
    }
  })

  it("is never so for a quota, whatever a header says", () => {
    for (const word of ["true", "false"]) {
      const headers = { "x-should-retry": word, "retry-after": "1" }
      for (
        const quota of [
          fault(429, { error: { message: "w", type: "insufficient_quota", code: "insufficient_quota" } }, headers),
          fault(429, body("You exceeded your current quota, please check your plan."), headers),
          fault(402, body("pay first"), headers),
          fault(400, { type: "error", error: { type: "billing_error", message: "w" } }, headers)
        ]
      ) {
        assert.deepStrictEqual([quota.kind, isRetryable(quota)], ["quota", false])
      }
    }
  })
})

describe("under which id the vendor finds it", () => {
  it("is in a header, the vendor's own before that of its proxy", () => {
    const names = ["x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "x-ms-request-id", "cf-ray"]
    for (const name of names) {
      assert.strictEqual(requestIdIn({ [name]: "id" }), "id")
      assert.strictEqual(requestIdIn({ [name]: "id", "cf-ray": name === "cf-ray" ? "id" : "ray" }), "id")
      assert.strictEqual(fault(500, "", { [name]: "id" }).requestId, "id")
    }
    assert.isUndefined(requestIdIn({ "x-request-id": "", server: "x" }))
  })

  it("is in the body where no header has it", () => {
    const body = { type: "error", error: { type: "api_error", message: "w" }, request_id: "req_b" }
    assert.strictEqual(fault(500, body).requestId, "req_b")
    assert.strictEqual(fault(500, body, { "request-id": "req_h" }).requestId, "req_h")
    for (const request_id of ["", null, 7]) assert.notProperty(fault(500, { ...body, request_id }), "requestId")
  })
})

it("a redirect is not followed, not retried, and says what to do", () => {
  for (const status of [301, 302, 303, 307, 308, 304]) {
    const found = fault(status, "<a>Moved</a>", { location: "https://elsewhere.example/", "x-request-id": "r" })
    assert.deepInclude(found, { kind: "protocol", retryable: false, status, requestId: "r" })
    assert.match(found.detail ?? "", /baseUrl/)
    assert.notInclude(found.detail ?? "", "elsewhere")
  }
})

const folder = fileURLToPath(new URL("../../../../shared/fixtures/wire/", import.meta.url))
const recorded = existsSync(folder)
  ? readdirSync(folder, { recursive: true }).map(String).filter((file) => file.endsWith(".http.json"))
  : []

unlessThere(recorded.length > 0, "recorded errors", () => {
  for (const file of recorded) {
    it(file, () => {
      const { body, headers, status } = JSON.parse(readFileSync(folder + file, "utf8"))
      const expected = JSON.parse(readFileSync(folder + file.replace(/http\.json$/, "expect.json"), "utf8"))
      const found = fromAnswer({ status, headers, body }, nowMs)
      assert.include(expected.accept?.["error.kind"] ?? [expected.error.kind], found.kind)
      assert.deepStrictEqual(
        { retryable: isRetryable(found), status: found.status, retryAfterMs: found.retryAfterMs ?? null },
        {
          retryable: expected.error.retryable,
          status: expected.error.status,
          retryAfterMs: expected.error.retryAfterMs
        }
      )
    })
  }
})
