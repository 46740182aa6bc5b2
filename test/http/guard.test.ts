import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import { assertProblem, get, newSession, problemOf, rawRequest, start, type Started, statusOf } from "./harness.ts"

let server: Started
let session: string
beforeAll(async () => {
  server = await start()
  session = await newSession(server)
})
afterAll(() => server.stop())

const host = () => `Host: 127.0.0.1:${server.port}`

describe("P29: foreign hosts and origins", () => {
  const paths = () => ["/", "/v1/bootstrap", "/health/live", "/metrics", `/v1/sessions/${session}/events`]
  for (
    const name of [
      "evil.example",
      "127.0.0.1",
      "127.0.0.1:1",
      "localhost.evil.example:PORT",
      "127.0.0.1:PORT@evil",
      "[::1]",
      "0.0.0.0:PORT",
      ""
    ]
  ) {
    it(`Host: ${name} is 421 on every route, event streams too`, async () => {
      for (const path of paths()) {
        const answer = await rawRequest(server.port, `GET ${path} HTTP/1.1`, [
          `Host: ${name.replace("PORT", String(server.port))}`,
          "Accept: text/event-stream"
        ])
        assertProblem(answer, 421, "MisdirectedHost")
      }
    })
  }

  for (const name of ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"]) {
    it(`Host: ${name} with the port is ours`, async () => {
      assert.strictEqual(
        statusOf(await rawRequest(server.port, "GET /health/live HTTP/1.1", [`Host: ${name}:${server.port}`])),
        200
      )
    })
  }

  it("no Host and two Hosts are 400", async () => {
    assertProblem(await rawRequest(server.port, "GET / HTTP/1.1", []), 400, "InvalidRequest")
    assertProblem(await rawRequest(server.port, "GET / HTTP/1.1", [host(), host()]), 400, "InvalidRequest")
    assertProblem(await rawRequest(server.port, "GET / HTTP/1.0", []), 400, "InvalidRequest")
  })

  for (
    const origin of [
      "http://evil.example",
      "null",
      "http://127.0.0.1",
      "https://127.0.0.1:PORT",
      "http://127.0.0.1:PORT.evil",
      "file://"
    ]
  ) {
    it(`Origin: ${origin} is 403 on every route, event streams too`, async () => {
      for (const path of paths()) {
        const answer = await rawRequest(server.port, `GET ${path} HTTP/1.1`, [
          host(),
          `Origin: ${origin.replace("PORT", String(server.port))}`,
          "Accept: text/event-stream"
        ])
        assertProblem(answer, 403, "ForbiddenOrigin")
        assert.notInclude(answer.toLowerCase(), "access-control-")
      }
    })
  }

  it("our own origin passes, a cross-site request without one does not", async () => {
    assert.strictEqual((await get(server, "/v1/sessions", { origin: server.url })).status, 200)
    assert.strictEqual((await get(server, "/v1/sessions", { origin: `http://localhost:${server.port}` })).status, 200)
    const answer = await rawRequest(server.port, "GET /v1/sessions HTTP/1.1", [host(), "Sec-Fetch-Site: cross-site"])
    assertProblem(answer, 403, "ForbiddenOrigin")
  })

  const filler = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: 1`)
  const judged = ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Idempotency-Key: k"]
  for (const line of judged) {
    it(`more than 100 header lines are 431, so that ${line} behind them is not overlooked`, async () => {
      const turns = `/v1/sessions/${await newSession(server)}/turns`
      const body = JSON.stringify({ message: "x" })
      const submit = [
        host(),
        "Content-Type: application/json",
        `Content-Length: ${body.length}`,
        ...filler(110),
        line
      ]
      for (let i = 0; i < 2; i++) {
        const answer = await rawRequest(server.port, `POST ${turns} HTTP/1.1`, submit, body)
        assertProblem(answer, 431, "HeadersTooLarge")
        assert.deepInclude(problemOf(answer), { limit: 100, what: "lines" })
        assert.include(String(problemOf(answer).detail), "100 header lines")
      }
      assert.deepStrictEqual((await get(server, turns)).body.items, [])
      const events = [host(), "Accept: text/event-stream", ...filler(110), line]
      assertProblem(
        await rawRequest(server.port, `GET /v1/sessions/${session}/events HTTP/1.1`, events),
        431,
        "HeadersTooLarge"
      )
    })
  }

  it("up to 100 header lines are read to the last", async () => {
    // with Host before them and Connection behind them
    const ask = (count: number, ...more: ReadonlyArray<string>) =>
      rawRequest(server.port, "GET /v1/sessions HTTP/1.1", [host(), ...filler(count), ...more])
    assert.strictEqual(statusOf(await ask(98)), 200)
    assertProblem(await ask(99), 431, "HeadersTooLarge")
    assertProblem(await ask(97, "Origin: http://evil.example"), 403, "ForbiddenOrigin")
    assertProblem(await ask(97, "Sec-Fetch-Site: cross-site"), 403, "ForbiddenOrigin")
  })

  it("configured hosts and origins pass, exactly", async () => {
    const configured = await start({ hosts: ["chat.example", "other.example:8080"], origins: ["https://chat.example"] })
    const ask = async (name: string, ...more: ReadonlyArray<string>) =>
      statusOf(await rawRequest(configured.port, "GET /health/live HTTP/1.1", [`Host: ${name}`, ...more]))
    assert.strictEqual(await ask("chat.example"), 200)
    assert.strictEqual(await ask(`chat.example:${configured.port}`), 200)
    assert.strictEqual(await ask("chat.example:1"), 421)
    assert.strictEqual(await ask("other.example:8080"), 200)
    assert.strictEqual(await ask("other.example"), 421)
    assert.strictEqual(await ask("chat.example", "Origin: https://chat.example"), 200)
    assert.strictEqual(await ask("chat.example", "Origin: https://chat.example.evil"), 403)
    await configured.stop()
  })
})

describe("the token", () => {
  it("is needed everywhere but on page assets and health; one header, compared whole", async () => {
    const locked = await start({ token: Redacted.make("s3cret-canary") })
    const open = { authorization: "Bearer s3cret-canary" }
    for (const path of ["/v1/bootstrap", "/v1/sessions", "/metrics", "/docs", "/openapi.json", "/nothing"]) {
      const missing = await get(locked, path)
      assert.strictEqual(missing.status, 401, path)
      assert.strictEqual(missing.body.code, "Unauthorized")
      assert.match(missing.headers.get("www-authenticate") ?? "", /^Bearer/)
      assert.strictEqual((await get(locked, path, open)).status, path === "/nothing" ? 404 : 200)
    }
    assert.strictEqual((await get(locked, "/health/live")).status, 200)
    assert.strictEqual((await get(locked, "/health/ready")).status, 200)
    assert.strictEqual((await get(locked, "/")).status, 404)
    for (
      const wrong of [
        "Bearer x",
        "Bearer s3cret-canar",
        "Bearer s3cret-canary2",
        "Basic s3cret-canary",
        "s3cret-canary",
        "Bearer",
        "Bearer a b"
      ]
    ) {
      assert.strictEqual((await get(locked, "/v1/sessions", { authorization: wrong })).status, 401, wrong)
    }
    const twice = await rawRequest(locked.port, "GET /v1/sessions HTTP/1.1", [
      `Host: 127.0.0.1:${locked.port}`,
      "Authorization: Bearer s3cret-canary",
      "Authorization: Bearer s3cret-canary"
    ])
    assertProblem(twice, 401, "Unauthorized")
    const expecting = (...lines: ReadonlyArray<string>) =>
      rawRequest(locked.port, "GET /v1/sessions HTTP/1.1", [...lines, "Expect: tea"])
    const ours = `Host: 127.0.0.1:${locked.port}`
    assertProblem(await expecting("Host: evil.example"), 421, "MisdirectedHost")
    assertProblem(await expecting(ours), 401, "Unauthorized")
    assertProblem(await expecting(ours, "Authorization: Bearer s3cret-canary"), 417, "ExpectationFailed")
    const bootstrap = await get(locked, "/v1/bootstrap", open)
    assert.strictEqual(bootstrap.body.tokenRequired, true)
    assert.notInclude(bootstrap.text, "s3cret-canary", "P25")
    await locked.stop()
  })
})
