import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Requests from "../../src/domain/RequestError.ts"
import * as Turns from "../../src/domain/TurnError.ts"
import * as Errors from "../../src/http/HttpError.ts"
import * as Problem from "../../src/http/Problem.ts"
import { get, newSession, post, startWith, submit } from "./harness.ts"

describe("the one map from error to answer", () => {
  const table: ReadonlyArray<readonly [Problem.Refusal, status: number, code: string, retryable: boolean]> = [
    [new Requests.InvalidRequest({ path: "a", reason: "b" }), 400, "InvalidRequest", false],
    [new Requests.SessionNotFound({ sessionId: "s" }), 404, "SessionNotFound", false],
    [new Requests.TurnNotFound({ turnId: "t" }), 404, "TurnNotFound", false],
    [new Requests.TurnConflict({ reason: "session-busy", turnId: "t" }), 409, "TurnConflict", true],
    [new Requests.TurnConflict({ reason: "parent-completed", turnId: "t" }), 409, "TurnConflict", false],
    [new Requests.IdempotencyConflict({ turnId: "t" }), 422, "IdempotencyConflict", false],
    [new Requests.Overloaded({ what: "runningTurns", limit: 1, retryAfterMs: 1 }), 429, "Overloaded", true],
    [new Requests.Draining({ retryAfterMs: 2_001 }), 503, "Draining", true],
    [
      new Turns.JournalFailure({ operation: "append", retryable: true, reason: "SQLITE_BUSY" }),
      503,
      "StorageUnavailable",
      true
    ],
    [
      new Turns.JournalFailure({ operation: "append", retryable: false, reason: "SQLITE_FULL" }),
      503,
      "StorageUnavailable",
      false
    ],
    [new Turns.Fenced({ ownerEpoch: 2 }), 503, "Fenced", false],
    [new Turns.ProviderBlocked({ providerId: "p", missingEnv: ["K"], reason: "r" }), 422, "ProviderBlocked", false],
    [new Turns.BudgetExceeded({ budget: "b", used: 2, limit: 1 }), 422, "BudgetExceeded", false],
    [Turns.providerFailure("p", "server", { status: 500 }), 502, "ProviderFailure", true],
    [new Errors.Unauthorized({ reason: "missing" }), 401, "Unauthorized", false],
    [new Errors.ForbiddenOrigin(), 403, "ForbiddenOrigin", false],
    [new Errors.MisdirectedHost(), 421, "MisdirectedHost", false],
    [new Errors.PayloadTooLarge({ limit: 1, setting: "limits.bodyBytes" }), 413, "PayloadTooLarge", false],
    [new Errors.UnsupportedMediaType({ reason: "content-type" }), 415, "UnsupportedMediaType", false],
    [new Errors.InternalError(), 500, "InternalError", true]
  ]
  for (const [error, status, code, retryable] of table) {
    it(`${error._tag} is ${status} ${code}`, () => {
      const problem = Problem.fromError(error, "/v1/x?secret=canary")
      assert.deepInclude(problem, {
        type: `urn:turnstream:problem:${code}`,
        status,
        code,
        retryable,
        detail: error.message,
        instance: "/v1/x"
      })
      assert.notProperty(problem, "_tag")
      assert.notInclude(JSON.stringify(problem), "canary")
    })
  }

  it("facts stay beside the named members", () => {
    const problem = Problem.fromError(new Requests.TurnConflict({ reason: "queue-full", turnId: "t" }), "/")
    assert.deepInclude(problem, { reason: "queue-full", turnId: "t" })
  })

  it("Retry-After is whole seconds, rounded up, for what time cures", () => {
    assert.deepStrictEqual(Problem.headersOf(new Requests.Draining({ retryAfterMs: 2_001 })), { "retry-after": "3" })
    assert.deepStrictEqual(
      Problem.headersOf(new Requests.Overloaded({ what: "eventStreams", limit: 1, retryAfterMs: 0 })),
      {
        "retry-after": "1"
      }
    )
  })
})

describe("what goes wrong inside", () => {
  it("P25: a defect is a 500 that shows nothing of it", async () => {
    const server = await startWith(() => ({ createSession: () => Effect.die(new Error("canary /srv/secret.ts:1")) }))
    const answer = await post(server, "/v1/sessions", {})
    assert.strictEqual(answer.status, 500)
    assert.strictEqual(answer.body.code, "InternalError")
    assert.notInclude(answer.text, "canary")
    assert.include(answer.headers.get("content-security-policy") ?? "", "default-src 'none'")
    await server.stop()
  })

  it("storage that refuses is 503 StorageUnavailable with Retry-After", async () => {
    const failure = new Turns.JournalFailure({ operation: "admit", retryable: true, reason: "SQLITE_BUSY" })
    const server = await startWith(() => ({ submit: () => Effect.fail(failure), begin: () => Effect.fail(failure) }))
    const session = await newSession(server)
    for (const accept of ["application/json", "text/event-stream"]) {
      const answer = await post(server, `/v1/sessions/${session}/turns`, { message: "x" }, { accept })
      assert.strictEqual(answer.status, 503)
      assert.deepInclude(answer.body, { code: "StorageUnavailable", retryable: true, reason: "SQLITE_BUSY" })
      assert.strictEqual(answer.headers.get("retry-after"), "1")
    }
    await server.stop()
  })
})

describe("a client that leaves during a command", () => {
  it("P13: the cancel that it asked for is carried out", async () => {
    const asked = await Effect.runPromise(Deferred.make<void>())
    const left = await Effect.runPromise(Deferred.make<void>())
    const done = await Effect.runPromise(Deferred.make<void>())
    const server = await startWith((runtime) => ({
      cancel: (id) =>
        Deferred.succeed(asked, undefined).pipe(
          Effect.zipRight(Deferred.await(left)),
          Effect.zipRight(runtime.cancel(id)),
          Effect.tap(() => Deferred.succeed(done, undefined))
        )
    }))
    const session = await newSession(server)
    const turn = await submit(server, session, { options: { script: { steps: [{ hang: true }] } } })
    const abort = new AbortController()
    const request = fetch(`${server.url}/v1/turns/${turn.id}/cancel`, { method: "POST", signal: abort.signal })
    await Effect.runPromise(Deferred.await(asked))
    abort.abort()
    await request.catch(() => {})
    // another request on the server: the one that left has been noticed before it is answered
    await get(server, "/health/live")
    await Effect.runPromise(Deferred.succeed(left, undefined))
    await Effect.runPromise(Deferred.await(done))
    assert.strictEqual((await get(server, `/v1/turns/${turn.id}`)).body.status, "failed")
    await server.stop()
  })
})
