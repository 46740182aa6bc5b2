/** What each kind of request is answered with by a real process, status, headers and body: the service and its denials. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { request } from "node:http"
import { Checkpoint, page, Session, Turn } from "../../../src/domain/Resources.ts"
import { UsagePage } from "../../../src/journal/UsageReport.ts"
import { folder, serve } from "../../process/harness.ts"
import { json, leave } from "./artifact.ts"
import * as Normal from "./Normal.ts"

interface Asked {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
}

/** By `http.request`: `fetch` sets Host and Origin itself. */
const send = (url: string, { body, headers = {}, method, path }: Asked): Effect.Effect<Answered> =>
  Effect.async((resume) => {
    const sent = request(url + path, { method, headers, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (part: string) => text += part)
      response.on(
        "end",
        () => resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, text }))
      )
    })
    sent.on("error", (error) => resume(Effect.die(error)))
    sent.end(body)
  })

const typed = { "content-type": "application/json" }

const post = (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Asked => ({
  method: "POST",
  path,
  headers: { ...typed, ...headers },
  body: JSON.stringify(body)
})

/** What the connection is held for and how long a body is are no part of an answer. */
const shownHeaders = ({ connection: _1, "content-length": _2, "keep-alive": _3, ...rest }: Answered["headers"]) => rest

const bodyOf = ({ headers, text }: Answered): unknown =>
  String(headers["content-type"]).includes("json") ? JSON.parse(text) : text.split("\n")

/** Whether a body is of the schema that the interface is described with, and of nothing beside it. */
const holds = <A, I>(schema: Schema.Schema<A, I>, answered: Answered) =>
  assert.doesNotThrow(() => Schema.decodeUnknownSync(schema, { onExcessProperty: "error" })(bodyOf(answered)))

describe("HTTP, from a real process", () => {
  it.scopedLive("a session, a turn, its stream and its end are answered as documented, and what is denied is a structured 4xx", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const normal = Normal.make([dataDir])
      const { url } = yield* serve({ dataDir })
      const traced: Array<unknown> = []
      const ask = (status: number, why: string, asked: Asked, code?: string) =>
        Effect.tap(send(url, asked), (answered) =>
          Effect.sync(() => {
            traced.push({
              why,
              request: asked,
              response: { status: answered.status, headers: shownHeaders(answered.headers), body: bodyOf(answered) }
            })
            assert.strictEqual(answered.status, status, `${why}: ${answered.text}`)
            if (code !== undefined) {
              assert.strictEqual(answered.headers["content-type"], "application/problem+json", why)
              assert.deepInclude(bodyOf(answered), { status, code }, why)
            }
            assert.strictEqual(answered.headers["x-content-type-options"], "nosniff", why)
          }))

      const session = yield* ask(201, "a session begins", post("/v1/sessions", { title: "Trace" }))
      const sessionId = String((JSON.parse(session.text) as { readonly id: string }).id)
      const turns = `/v1/sessions/${sessionId}/turns`
      const script = { steps: [{ say: "Hello, reader.", bytes: 7 }] }
      yield* ask(
        200,
        "a turn is begun and followed in one request",
        post(turns, { message: "Hello", options: { script } }, { accept: "text/event-stream" })
      )
      const listed = yield* ask(200, "its turns", { method: "GET", path: turns })
      const turn = (JSON.parse(listed.text) as { readonly items: ReadonlyArray<{ readonly id: string }> }).items[0]?.id
      yield* ask(200, "a reader that has seen two events gets the rest", {
        method: "GET",
        path: `/v1/turns/${turn}/events`,
        headers: { accept: "text/event-stream", "last-event-id": "2" }
      })
      const checkpoints = yield* ask(200, "its checkpoints", { method: "GET", path: `/v1/turns/${turn}/checkpoints` })
      const usage = yield* ask(200, "usage by session", { method: "GET", path: "/v1/usage?by=session" })
      holds(Session, session)
      holds(page(Turn), listed)
      holds(page(Checkpoint), checkpoints)
      holds(UsagePage, usage)

      yield* ask(
        422,
        "an unknown provider is no fallback",
        post(turns, { message: "Hello", provider: "nobody" }),
        "UnknownProvider"
      )
      yield* ask(
        422,
        "a provider without its network and key",
        post(turns, { message: "Hello", provider: "openai" }),
        "ProviderBlocked"
      )
      yield* ask(
        400,
        "a caller may not choose the upstream",
        post(turns, { message: "Hello", base_url: "http://a" }),
        "InvalidRequest"
      )
      yield* ask(
        400,
        "an offset of the future",
        { method: "GET", path: `/v1/turns/${turn}/events?after=1000` },
        "InvalidRequest"
      )
      yield* ask(404, "a turn that there is not", { method: "GET", path: "/v1/turns/t_none" }, "TurnNotFound")
      yield* ask(
        421,
        "a foreign host",
        { method: "GET", path: "/v1/sessions", headers: { host: "example.org" } },
        "MisdirectedHost"
      )
      yield* ask(403, "a foreign origin", {
        ...post("/v1/sessions", {}, { origin: "http://example.org" })
      }, "ForbiddenOrigin")
      yield* ask(415, "a body that is not JSON by its type", {
        method: "POST",
        path: "/v1/sessions",
        headers: { "content-type": "text/plain" },
        body: "{}"
      }, "UnsupportedMediaType")
      leave("http-trace.json", normal.text(json(traced)))
    }))

  it.scopedLive("with a token nothing but health is answered without it, and a wrong one is refused", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const { url } = yield* serve({ dataDir, env: { TURNSTREAM_TOKEN: "the-token-of-this-test" } })
      const ask = (path: string, headers: Readonly<Record<string, string>> = {}) =>
        Effect.map(send(url, { method: "GET", path, headers }), ({ status }) => status)
      assert.strictEqual(yield* ask("/health/live"), 200)
      assert.strictEqual(yield* ask("/v1/sessions"), 401)
      assert.strictEqual(yield* ask("/v1/sessions", { authorization: "Bearer another" }), 401)
      assert.strictEqual(yield* ask("/v1/sessions", { authorization: "Bearer the-token-of-this-test" }), 200)
    }))
})
