import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import {
  assertProblem,
  get,
  newSession,
  post,
  problemOf,
  raw,
  rawRequest,
  send,
  start,
  type Started,
  statusOf
} from "./harness.ts"

let server: Started
let session: string
beforeAll(async () => {
  server = await start({
    limits: { bodyBytes: 10_000, importBytes: 50_000, headerTimeoutMs: 400, requestTimeoutMs: 800 }
  })
  session = await newSession(server)
})
afterAll(() => server.stop())

const host = () => `Host: 127.0.0.1:${server.port}`

describe("P28: bad bodies", () => {
  const table: ReadonlyArray<readonly [name: string, body: string, path: string | undefined]> = [
    ["malformed JSON", '{"message":', ""],
    ["an empty body", "", ""],
    ["no object", "7", ""],
    ["an array", "[]", ""],
    ["null", "null", ""],
    ["a wrong type", '{"message":7}', "message"],
    ["a missing field", "{}", "message"],
    ["an unknown field", '{"message":"x","base_url":"http://evil"}', "base_url"],
    ["an unknown nested field", '{"message":"x","options":{"api_key":"k"}}', "options.api_key"],
    ["__proto__", '{"message":"x","__proto__":{"a":1}}', "__proto__"],
    ["a duplicate of a wrong type", '{"message":"x","message":[]}', "message"],
    ["deep arrays", `{"message":${"[".repeat(40)}${"]".repeat(40)}}`, ""],
    ["very deep arrays", "[".repeat(9_000), ""],
    ["a number beyond range", '{"message":"x","options":{"deadlineMs":1e400}}', "options.deadlineMs"],
    ["a bad part", '{"message":{"parts":[{"type":"image"}]}}', undefined],
    ["trailing garbage", '{"message":"x"} x', ""]
  ]
  for (const [name, body, path] of table) {
    it(`${name} is 400 with its path`, async () => {
      const answer = await send(server, "POST", `/v1/sessions/${session}/turns`, body, {
        "content-type": "application/json"
      })
      assert.strictEqual(answer.status, 400)
      assert.strictEqual(answer.body.code, "InvalidRequest")
      if (path !== undefined) assert.strictEqual(answer.body.path, path)
      assert.isBelow(answer.text.length, 1_500)
    })
  }

  it("invalid UTF-8 is 400", async () => {
    const response = await fetch(`${server.url}/v1/sessions/${session}/turns`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])
    })
    assert.strictEqual(response.status, 400)
  })

  const types = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonx",
    "",
    "application/json; charset=latin1",
    "application/problem+json"
  ]
  for (const type of types) {
    it(`content type ${JSON.stringify(type)} is 415`, async () => {
      const body = '{"message":"x"}'
      const answer = await rawRequest(server.port, `POST /v1/sessions/${session}/turns HTTP/1.1`, [
        host(),
        ...(type === "" ? [] : [`Content-Type: ${type}`]),
        `Content-Length: ${body.length}`
      ], body)
      assertProblem(answer, 415, "UnsupportedMediaType")
    })
  }

  it("Content-Encoding is 415, and charset=utf-8 is fine", async () => {
    const path = `/v1/sessions/${session}/context/preview`
    const gzip = await post(server, path, { message: "x" }, { "content-encoding": "gzip" })
    assert.strictEqual(gzip.status, 415)
    const utf8 = await post(server, path, { message: "x" }, { "content-type": 'application/json; charset="UTF-8"' })
    assert.strictEqual(utf8.status, 200)
  })

  it("a body over the limit is 413 while it arrives, declared or chunked, and the import has a limit of its own", async () => {
    const big = JSON.stringify({ message: "x".repeat(20_000) })
    const path = `/v1/sessions/${session}/turns`
    const declared = await post(server, path, big)
    assert.strictEqual(declared.status, 413)
    assert.deepInclude(declared.body, { code: "PayloadTooLarge", limit: 10_000, setting: "limits.bodyBytes" })
    const head = `POST ${path} HTTP/1.1\r\n${host()}\r\nContent-Type: application/json\r\nConnection: close\r\n`
    // never finished: the answer does not wait for the end of it
    const chunked = await raw(
      server.port,
      `${head}Transfer-Encoding: chunked\r\n\r\n${`1000\r\n${"x".repeat(0x1000)}\r\n`.repeat(4)}`
    )
    assertProblem(chunked, 413, "PayloadTooLarge")
    const unsent = await raw(server.port, `${head}Content-Length: 99999999\r\n\r\n`)
    assertProblem(unsent, 413, "PayloadTooLarge")
    const transcript = {
      v: 1,
      session: {},
      messages: [{ role: "user", parts: [{ type: "text", text: "x".repeat(20_000) }] }]
    }
    assert.strictEqual((await post(server, "/v1/sessions/import", transcript)).status, 201)
    const tooLong = { ...transcript, session: { title: "x".repeat(60_000) } }
    const refused = await post(server, "/v1/sessions/import", tooLong)
    assert.strictEqual(refused.status, 413)
    assert.strictEqual(refused.body.setting, "limits.importBytes")
  })

  it("after a refused body the same connection serves the next request", async () => {
    const body = "x".repeat(20_000)
    const first =
      `POST /v1/sessions HTTP/1.1\r\n${host()}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const second = `GET /health/live HTTP/1.1\r\n${host()}\r\nConnection: close\r\n\r\n`
    const answer = await raw(server.port, [first, second])
    assert.include(answer, "HTTP/1.1 413")
    assert.include(answer, '{"status":"live"}')
  })
})

describe("P28: text that no storage can hold", () => {
  const half = "\\ud83d"
  const bodies: ReadonlyArray<readonly [method: string, path: string, body: string, at: string]> = [
    ["POST", "/v1/sessions", `{"title":"a${half}"}`, "title"],
    ["POST", "/v1/sessions", `{"system":"\\uDE00${half}"}`, "system"],
    ["PATCH", "/v1/sessions/:s", `{"title":"${half}b"}`, "title"],
    ["POST", "/v1/sessions/:s/turns", `{"message":"${half}"}`, "message"],
    ["POST", "/v1/sessions/:s/turns", `{"message":"x","options":{"system":"${half}"}}`, "options.system"],
    [
      "POST",
      "/v1/sessions/:s/turns",
      `{"message":{"parts":[{"type":"tool-result","toolCallId":"c","content":{"k":["${half}"]}}]}}`,
      "message.parts[0].content.k[0]"
    ],
    [
      "POST",
      "/v1/sessions/:s/turns",
      `{"message":{"parts":[{"type":"tool-result","toolCallId":"c","content":{"${half}":1}}]}}`,
      "message.parts[0].content"
    ],
    [
      "POST",
      "/v1/sessions/import",
      `{"v":1,"session":{},"messages":[{"role":"user","parts":[{"type":"text","text":"${half}"}]}]}`,
      "messages[0].parts[0].text"
    ]
  ]
  for (const [method, path, body, at] of bodies) {
    it(`half a surrogate pair at ${at} of ${method} ${path} is 400`, async () => {
      const answer = await send(server, method, path.replace(":s", session), body)
      assert.strictEqual(answer.status, 400, answer.text)
      assert.deepInclude(answer.body, { code: "InvalidRequest", path: at })
      assert.include(answer.body.detail, "is not well-formed Unicode")
    })
  }

  it("a whole pair, escaped or not, is kept as it is", async () => {
    for (const title of ["\\ud83d\\ude00", "\u{1f600}", "\\\\ud83d"]) {
      const answer = await post(server, "/v1/sessions", `{"title":"${title}"}`)
      assert.strictEqual(answer.status, 201)
      assert.strictEqual(answer.body.title, JSON.parse(`"${title}"`))
    }
  })
})

describe("P28: one answer a request", () => {
  const early: ReadonlyArray<readonly [name: string, head: string, status: number]> = [
    ["an unknown route", "POST /nope HTTP/1.1\r\nContent-Length: 50", 404],
    ["another method", "PUT /v1/sessions HTTP/1.1\r\nContent-Length: 50", 405],
    ["another type", "POST /v1/sessions HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 50", 415],
    ["a size", "POST /v1/sessions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99999", 413],
    ["an expectation", "POST /v1/sessions HTTP/1.1\r\nExpect: tea\r\nContent-Length: 50", 417],
    ["an unread chunked body", "POST /nope HTTP/1.1\r\nTransfer-Encoding: chunked", 404]
  ]
  for (const [name, head, status] of early) {
    it(`${name} refused before the body came is not answered again when the body never comes`, async () => {
      const answer = await raw(server.port, `${head}\r\n${host()}\r\n\r\n{`)
      assert.strictEqual(statusOf(answer), status)
      assert.lengthOf(answer.match(/HTTP\/1\.1 \d{3}/g) ?? [], 1, answer)
    })
  }

  it("an answered request whose body did come leaves the connection as it was: the next may still be 408", async () => {
    const answer = await raw(
      server.port,
      `POST /nope HTTP/1.1\r\n${host()}\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.1\r\n${host()}\r\nX-Slow: `
    )
    assert.deepStrictEqual(answer.match(/HTTP\/1\.1 \d{3}/g), ["HTTP/1.1 404", "HTTP/1.1 408"])
  })
})

describe("P28: bad addresses", () => {
  it("what follows ; or # is not cut off: the request is 400 and changes nothing", async () => {
    const kept = await newSession(server)
    for (const junk of [";junk", "#junk", ";", "%3Bjunk", ";a=b?c=d"]) {
      for (const line of [`DELETE /v1/sessions/${kept}${junk}`, `GET /v1/sessions${junk}`, `GET /health/live${junk}`]) {
        const answer = await rawRequest(server.port, `${line} HTTP/1.1`, [host()])
        assert.include([400, 404], statusOf(answer), line)
      }
    }
    assertProblem(
      await rawRequest(server.port, `DELETE /v1/sessions/${kept};junk HTTP/1.1`, [host()]),
      400,
      "InvalidRequest"
    )
    assert.strictEqual((await get(server, `/v1/sessions/${kept}`)).status, 200)
    assert.strictEqual((await get(server, "/v1/usage?by=session;day")).status, 400)
  })

  it("a query parameter that comes twice is 400 and told so", async () => {
    for (const path of ["/v1/sessions", `/v1/sessions/${session}/turns`, `/v1/sessions/${session}/events`]) {
      const answer = await get(server, `${path}?after=1&after=2`)
      assert.strictEqual(answer.status, 400)
      assert.strictEqual(answer.body.detail, "after: must be given once")
    }
  })

  it("any whole number is a limit, however long; anything else is 400", async () => {
    for (const limit of ["99999999999999999999", "-9999999999999999999", "9".repeat(500), "-0", "007"]) {
      assert.strictEqual((await get(server, `/v1/sessions?limit=${limit}`)).status, 200, limit)
    }
    for (const limit of ["", "1e3", "+1", "0x10", "--1", "NaN"]) {
      assert.strictEqual((await get(server, `/v1/sessions?limit=${encodeURIComponent(limit)}`)).status, 400, limit)
    }
  })

  const ids = [
    "..",
    ".",
    "%00",
    "%2e%2e%2f",
    "a%2Fb",
    "a b",
    "'",
    "%27%20OR%201=1",
    "\u00e9",
    "x".repeat(65),
    "x".repeat(3_000),
    "a;b",
    "{id}",
    ":id"
  ]
  for (const id of ids) {
    it(`the id ${JSON.stringify(id.slice(0, 20))} is a 4xx problem on every route`, async () => {
      const target = encodeURI(decodeURIComponent(id)).replace(/%25/g, "%")
      for (
        const path of [
          `/v1/sessions/${target}`,
          `/v1/turns/${target}`,
          `/v1/turns/${target}/events`,
          `/v1/sessions/${target}/events`
        ]
      ) {
        const answer = await rawRequest(server.port, `GET ${path} HTTP/1.1`, [host()])
        const status = statusOf(answer)
        assert.isTrue(status === 400 || status === 404, `${path}: ${answer.slice(0, 200)}`)
        assertProblem(answer, status, status === 400 ? "InvalidRequest" : String(problemOf(answer).code))
      }
    })
  }

  for (const path of ["/%", "/v1/turns/%E0%A4%A", "/v1/sessions/%zz", "/%c0%af"]) {
    it(`the percent-encoding of ${path} is 400`, async () => {
      assertProblem(await rawRequest(server.port, `GET ${path} HTTP/1.1`, [host()]), 400, "InvalidRequest")
    })
  }

  it("an address over 8,192 characters is 400, over the header limit 431", async () => {
    assertProblem(await rawRequest(server.port, `GET /${"x".repeat(9_000)} HTTP/1.1`, [host()]), 400, "InvalidRequest")
    assertProblem(
      await rawRequest(server.port, `GET /${"x".repeat(20_000)} HTTP/1.1`, [host()]),
      431,
      "HeadersTooLarge"
    )
    assertProblem(
      await rawRequest(server.port, "GET / HTTP/1.1", [host(), `X-Big: ${"x".repeat(20_000)}`]),
      431,
      "HeadersTooLarge"
    )
  })

  for (const line of ["GARBAGE", "GET", "GET / HTTP/9.9", "\u0000\u0001\u0002", "GET / HTTP/1.1\r\nbad header"]) {
    it(`the request line ${JSON.stringify(line)} is 400`, async () => {
      assertProblem(await raw(server.port, `${line}\r\n\r\n`), 400, "InvalidRequest")
    })
  }

  it("contradicting lengths are 400: no request is smuggled", async () => {
    const answer = await raw(
      server.port,
      `POST /v1/sessions HTTP/1.1\r\n${host()}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/sessions HTTP/1.1\r\n\r\n`
    )
    assertProblem(answer, 400, "InvalidRequest")
    assert.lengthOf(answer.match(/^HTTP\/1\.1 \d/gm) ?? [], 1)
  })

  it("an absolute or foreign request target is refused", async () => {
    assertProblem(await rawRequest(server.port, "GET http://evil.example/ HTTP/1.1", [host()]), 400, "InvalidRequest")
    assertProblem(await rawRequest(server.port, "OPTIONS * HTTP/1.1", [host()]), 404, "NotFound")
    assertProblem(
      await raw(server.port, `CONNECT evil.example:443 HTTP/1.1\r\n${host()}\r\n\r\n`),
      405,
      "MethodNotAllowed"
    )
  })

  it("an upgrade to WebSocket is 400, and one to h2c is ignored", async () => {
    const upgrade = ["Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"]
    const answer = await raw(
      server.port,
      `GET /v1/sessions HTTP/1.1\r\n${[host(), ...upgrade].join("\r\n")}\r\nConnection: Upgrade, close\r\n\r\n`
    )
    assertProblem(answer, 400, "InvalidRequest")
    const h2c = await raw(
      server.port,
      `GET /health/live HTTP/1.1\r\n${host()}\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n`
    )
    assert.strictEqual(statusOf(h2c), 200)
  })

  it("an unknown Expect is 417", async () => {
    assertProblem(
      await rawRequest(server.port, "GET /health/live HTTP/1.1", [host(), "Expect: tea"]),
      417,
      "ExpectationFailed"
    )
  })

  it("headers that never end and a body that never comes are 408, and the connection closes", async () => {
    assertProblem(await raw(server.port, `GET / HTTP/1.1\r\n${host()}\r\nX-Slow: `), 408, "RequestTimeout")
    const answer = await raw(
      server.port,
      `POST /v1/sessions HTTP/1.1\r\n${host()}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`
    )
    assertProblem(answer, 408, "RequestTimeout")
  })

  it("unknown routes are 404, known ones with another method 405 with Allow", async () => {
    for (
      const path of [
        "/nothing",
        "/v1",
        "/v1/",
        "/v1/sessions/",
        "//v1/sessions",
        "/V1/sessions",
        "/v1/turns",
        "/.env",
        "/app.css"
      ]
    ) {
      const answer = await get(server, path)
      assert.strictEqual(answer.status, 404, path)
      assert.strictEqual(answer.body.code, "NotFound")
    }
    for (
      const [method, path, allow] of [
        ["PUT", "/v1/sessions", "POST, GET, HEAD"],
        ["OPTIONS", "/v1/sessions", "POST, GET, HEAD"],
        ["DELETE", "/v1/turns/x", "GET, HEAD"],
        ["GET", "/v1/turns/x/cancel", "POST"],
        ["POST", "/health/live", "GET, HEAD"],
        ["PROPFIND", "/v1/sessions", "POST, GET, HEAD"]
      ] as const
    ) {
      const answer = await send(server, method, path)
      assert.strictEqual(answer.status, 405, `${method} ${path}`)
      assert.strictEqual(answer.body.code, "MethodNotAllowed")
      assert.strictEqual(answer.headers.get("allow"), allow)
    }
  })

  it("HEAD answers like GET without a body", async () => {
    const response = await fetch(`${server.url}/v1/sessions/${session}`, { method: "HEAD" })
    assert.strictEqual(response.status, 200)
    assert.strictEqual(await response.text(), "")
    const stream = await fetch(`${server.url}/v1/sessions/${session}/events`, {
      method: "HEAD",
      headers: { accept: "text/event-stream" }
    })
    assert.strictEqual(stream.status, 200)
  })

  it("random paths, bodies and headers are never a 5xx and never hang", async () => {
    await FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.constantFrom("GET", "POST", "PATCH", "DELETE"),
        FastCheck.constantFrom(
          "/v1/sessions",
          `/v1/sessions/${session}`,
          `/v1/sessions/${session}/turns`,
          "/v1/sessions/import",
          "/v1/turns/x/events",
          "/v1/usage"
        ),
        FastCheck.webQueryParameters(),
        FastCheck.json(),
        async (method, path, query, body) => {
          const answer = method === "GET"
            ? await get(server, `${path}?${query}`)
            // what deletes the session that the others use is left out
            : await send(server, path === `/v1/sessions/${session}` ? "PATCH" : method, `${path}?${query}`, body)
          assert.isBelow(answer.status, 500, answer.text)
          if (answer.status >= 400) assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
        }
      ),
      { numRuns: 150 }
    )
  })
})
