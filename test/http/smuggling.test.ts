import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { connect } from "node:net"
import { assertProblem, newSession, problemOf, raw, send, start, type Started, statusOf } from "./harness.ts"

let server: Started
let session: string
beforeAll(async () => {
  server = await start({ limits: { headerTimeoutMs: 400, requestTimeoutMs: 800 } })
  session = await newSession(server)
})
afterAll(() => server.stop())

const host = () => `Host: 127.0.0.1:${server.port}`
const json = "Content-Type: application/json"

/** The statuses of all answers on one connection. */
const statusesOf = (answer: string): ReadonlyArray<number> =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))

/** Bytes as they are, not as text. */
const rawBytes = (bytes: Buffer): Promise<string> =>
  new Promise((resolve) => {
    let text = ""
    const socket = connect(server.port, "127.0.0.1", () => socket.write(bytes))
    socket.setEncoding("latin1").on("data", (part: string) => {
      text += part
    })
    socket.on("error", () => {})
    socket.on("close", () => resolve(text))
  })

const sessions = async () => (await send(server, "GET", "/v1/sessions")).body.items as ReadonlyArray<unknown>

describe("P28: requests that two parsers would read differently", () => {
  const create = `POST /v1/sessions HTTP/1.1\r\nHOST\r\n${json}`
  const hidden = "POST /v1/sessions HTTP/1.1\r\nHOST\r\nContent-Length: 0\r\n\r\n"
  const refused: ReadonlyArray<readonly [name: string, request: string]> = [
    [
      "a length and an encoding",
      `${create}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`
    ],
    [
      "an encoding and a length",
      `${create}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`
    ],
    ["two lengths that differ", `${create}\r\nContent-Length: 2\r\nContent-Length: 60\r\n\r\n{}${hidden}`],
    ["a list of lengths", `${create}\r\nContent-Length: 2, 2\r\n\r\n{}${hidden}`],
    ["a signed length", `${create}\r\nContent-Length: +2\r\n\r\n{}${hidden}`],
    ["a negative length", `${create}\r\nContent-Length: -1\r\n\r\n{}${hidden}`],
    ["a hexadecimal length", `${create}\r\nContent-Length: 0x2\r\n\r\n{}${hidden}`],
    ["a length beyond any number", `${create}\r\nContent-Length: 99999999999999999999999\r\n\r\n{}`],
    ["an encoding that is not last", `${create}\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${hidden}`],
    ["an unknown encoding", `${create}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`],
    ["a folded encoding", `${create}\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: 2\r\n\r\n{}${hidden}`],
    ["a blank before the colon", `${create}\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n${hidden}`],
    ["a tab in a header's name", `${create}\r\nTransfer\tEncoding: chunked\r\n\r\n0\r\n\r\n${hidden}`],
    ["a NUL in a header", `${create}\r\nX-A: a\u0000b\r\nContent-Length: 2\r\n\r\n{}`],
    ["a NUL in the address", "GET /v1/sessions\u0000 HTTP/1.1\r\nHOST\r\n\r\n"],
    ["bare line feeds", `POST /v1/sessions HTTP/1.1\nHOST\nContent-Length: 0\n\n`],
    ["a bare return within a header", `${create}\r\nX-A: a\rTransfer-Encoding: chunked\r\n\r\n`],
    ["a chunk size that overflows", `${create}\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n{}`],
    ["a chunk size that is no number", `${create}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}`],
    ["a negative chunk size", `${create}\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n`],
    ["a chunk without its end", `${create}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n`],
    ["no method", "/v1/sessions HTTP/1.1\r\nHOST\r\n\r\n"],
    ["an unknown method", "BREW /v1/sessions HTTP/1.1\r\nHOST\r\n\r\n"],
    ["a second HTTP version", "GET /v1/sessions HTTP/1.1 HTTP/1.1\r\nHOST\r\n\r\n"],
    ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["HTTP/0.9", "GET /v1/sessions\r\n\r\n"],
    ["a TLS hello", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003"]
  ]
  for (const [name, request] of refused) {
    it(`${name}: one 4xx, and nothing of it is carried out`, async () => {
      const before = (await sessions()).length
      const answer = await rawBytes(Buffer.from(request.replaceAll("HOST", host()), "latin1"))
      assert.lengthOf(statusesOf(answer), 1, answer)
      const [status = 0] = statusesOf(answer)
      assert.isTrue(status >= 400 && status < 500, answer.slice(0, 200))
      assertProblem(answer, status, String(problemOf(answer).code))
      assert.lengthOf(await sessions(), before)
    })
  }

  it("a huge chunk extension does not grow memory or hang: it is a 4xx", async () => {
    const request = `${create}\r\nTransfer-Encoding: chunked\r\n\r\n2;${"x".repeat(100_000)}`
    const answer = await raw(server.port, request.replaceAll("HOST", host()))
    const [status = 0] = statusesOf(answer)
    assert.isTrue(answer === "" || (status >= 400 && status < 500), answer.slice(0, 200))
  })
})

describe("P28: honest oddities", () => {
  it("requests in one packet are answered in their order, a refused one among them", async () => {
    const paths = ["/health/live", "/nope", "/v1/sessions", "/health/ready", "/v1/turns/x"]
    const request = (path: string, last: boolean) =>
      `GET ${path} HTTP/1.1\r\n${host()}\r\n${last ? "Connection: close\r\n" : ""}\r\n`
    const answer = await raw(server.port, paths.map((path, i) => request(path, i === paths.length - 1)).join(""))
    assert.deepStrictEqual(statusesOf(answer), [200, 404, 200, 200, 404])
  })

  it("200 requests in one packet are each answered", async () => {
    const one = `GET /health/live HTTP/1.1\r\n${host()}\r\n\r\n`
    const answer = await raw(server.port, one.repeat(199) + one.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
    assert.deepStrictEqual(statusesOf(answer), Array.from({ length: 200 }, () => 200))
  })

  it("HTTP/1.0 is answered and the connection closed; without a Host it is 400", async () => {
    assert.strictEqual(statusOf(await raw(server.port, `GET /health/live HTTP/1.0\r\n${host()}\r\n\r\n`)), 200)
    assertProblem(await raw(server.port, "GET /health/live HTTP/1.0\r\n\r\n"), 400, "InvalidRequest")
  })

  it("an absolute target is refused, also one that names this server", async () => {
    for (
      const target of [`http://127.0.0.1:${server.port}/health/live`, "http://evil.example/", "ftp://x/", "//evil/"]
    ) {
      const answer = await raw(server.port, `GET ${target} HTTP/1.1\r\n${host()}\r\nConnection: close\r\n\r\n`)
      assert.include([400, 404], statusOf(answer), target)
    }
  })

  it("TRACE echoes nothing, OPTIONS promises nothing to other origins", async () => {
    const trace = await raw(
      server.port,
      `TRACE /v1/sessions HTTP/1.1\r\n${host()}\r\nX-Canary: canary-7\r\nConnection: close\r\n\r\n`
    )
    assertProblem(trace, 405, "MethodNotAllowed")
    assert.notInclude(trace, "canary-7")
    const options = await raw(
      server.port,
      `OPTIONS /v1/sessions HTTP/1.1\r\n${host()}\r\nOrigin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n`
    )
    assertProblem(options, 403, "ForbiddenOrigin")
    assert.notMatch(options, /access-control-/i)
  })

  it("bytes that are no UTF-8, in the address and in headers, are a 4xx or ignored", async () => {
    const address = await rawBytes(
      Buffer.concat([
        Buffer.from("GET /v1/turns/"),
        Buffer.from([0xff, 0xc3, 0x28]),
        Buffer.from(` HTTP/1.1\r\n${host()}\r\nConnection: close\r\n\r\n`)
      ])
    )
    assert.include([400, 404], statusOf(address), address)
    const key = await rawBytes(
      Buffer.concat([
        Buffer.from(`POST /v1/sessions/${session}/turns HTTP/1.1\r\n${host()}\r\n${json}\r\nIdempotency-Key: `),
        Buffer.from([0xff, 0xfe]),
        Buffer.from('\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{"message":"x"}')
      ])
    )
    assertProblem(key, 400, "InvalidRequest")
  })
})

describe("P29: foreign pages", () => {
  const streams = () => [`/v1/sessions/${session}/events`, "/v1/turns/x/events", `/v1/sessions/${session}/turns`]
  const accept = "Accept: text/event-stream"

  it("a foreign Origin opens no event stream", async () => {
    for (const path of streams()) {
      for (
        const origin of [
          "http://evil.example",
          "null",
          "https://127.0.0.1",
          `http://127.0.0.1:${server.port}.evil.example`,
          "file://"
        ]
      ) {
        const line = path.endsWith("turns") ? `POST ${path}` : `GET ${path}`
        const answer = await raw(
          server.port,
          `${line} HTTP/1.1\r\n${host()}\r\n${accept}\r\nOrigin: ${origin}\r\nConnection: close\r\n\r\n`
        )
        assertProblem(answer, 403, "ForbiddenOrigin")
      }
    }
  })

  it("a foreign Host opens no event stream", async () => {
    for (const path of streams()) {
      for (
        const name of [
          "evil.example",
          `evil.example:${server.port}`,
          "127.0.0.1",
          "127.0.0.1:1",
          `localhost.evil:${server.port}`,
          `0.0.0.0:${server.port}`
        ]
      ) {
        const line = path.endsWith("turns") ? `POST ${path}` : `GET ${path}`
        const answer = await raw(
          server.port,
          `${line} HTTP/1.1\r\nHost: ${name}\r\n${accept}\r\nConnection: close\r\n\r\n`
        )
        assertProblem(answer, 421, "MisdirectedHost")
      }
    }
  })

  it("a cross-site fetch without an Origin opens no event stream", async () => {
    for (const path of streams().slice(0, 2)) {
      const answer = await raw(
        server.port,
        `GET ${path} HTTP/1.1\r\n${host()}\r\n${accept}\r\nSec-Fetch-Site: cross-site\r\nConnection: close\r\n\r\n`
      )
      assertProblem(answer, 403, "ForbiddenOrigin")
    }
  })
})

describe("P27: a caller cannot choose the upstream", () => {
  const names = [
    "base_url",
    "baseUrl",
    "api_key",
    "apiKey",
    "apiKeyEnv",
    "host",
    "url",
    "endpoint",
    "headers",
    "proxy",
    "family",
    "region"
  ]
  const bodies = (name: string): ReadonlyArray<readonly [method: string, path: string, body: object]> => [
    ["POST", "/v1/sessions", { [name]: "http://evil.example" }],
    ["PATCH", `/v1/sessions/${session}`, { [name]: "http://evil.example" }],
    ["POST", `/v1/sessions/${session}/turns`, { message: "x", [name]: "http://evil.example" }],
    ["POST", `/v1/sessions/${session}/turns`, { message: "x", options: { [name]: "http://evil.example" } }],
    ["POST", `/v1/sessions/${session}/context/preview`, { message: "x", [name]: "http://evil.example" }],
    ["POST", "/v1/sessions/import", { v: 1, session: { [name]: "http://evil.example" }, messages: [] }],
    ["POST", "/v1/turns/x/cancel", { [name]: "http://evil.example" }],
    ["POST", "/v1/turns/x/retry", { [name]: "http://evil.example" }],
    ["POST", "/v1/turns/x/resume", { [name]: "http://evil.example" }]
  ]
  for (const name of names) {
    it(`${name} in any body is 400`, async () => {
      for (const [method, path, body] of bodies(name)) {
        const answer = await send(server, method, path, body)
        assert.strictEqual(answer.status, 400, `${method} ${path}: ${answer.text}`)
        assert.include(String(answer.body.path), name)
        assert.notInclude(answer.text, "evil")
      }
    })
  }

  it("a provider that is an address is an unknown one, and nothing is called", async () => {
    for (const provider of ["http://127.0.0.1:1/v1", "//evil.example", "openai@evil.example"]) {
      const answer = await send(server, "POST", `/v1/sessions/${session}/turns`, { message: "x", provider })
      assert.strictEqual(answer.status, 422)
      assert.strictEqual(answer.body.code, "UnknownProvider")
    }
  })
})
