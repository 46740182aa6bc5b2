import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import {
  follow,
  get,
  newSession,
  post,
  raw,
  script,
  scriptText,
  send,
  start,
  type Started,
  statusOf,
  submit
} from "./harness.ts"

let server: Started
beforeAll(async () => {
  server = await start()
})
afterAll(() => server.stop())

type Item = Record<string, unknown>
const itemsOf = (body: Record<string, unknown>) => body.items as ReadonlyArray<Item>

/** Every item of a list, page by page. */
const pages = async (path: string, limit: number) => {
  const all: Array<Item> = []
  let query = `limit=${limit}`
  for (;;) {
    const { body } = await get(server, `${path}?${query}`)
    assert.isAtMost(itemsOf(body).length, limit)
    all.push(...itemsOf(body))
    if (body.nextCursor === undefined) return all
    query = `limit=${limit}&after=${body.nextCursor}`
  }
}

describe("sessions", () => {
  it("create, read, change with null to clear, delete", async () => {
    const created = await post(server, "/v1/sessions", {
      title: "t",
      provider: "deterministic",
      model: "echo",
      system: "s"
    })
    assert.strictEqual(created.status, 201)
    const path = `/v1/sessions/${created.body.id}`
    assert.strictEqual(created.headers.get("location"), path)
    assert.deepInclude(created.body, {
      title: "t",
      provider: "deterministic",
      model: "echo",
      system: "s",
      turnCount: 0,
      running: null
    })
    const changed = await send(server, "PATCH", path, { title: "u", system: null })
    assert.strictEqual(changed.status, 200)
    assert.strictEqual(changed.body.title, "u")
    assert.strictEqual(changed.body.model, "echo")
    assert.notProperty(changed.body, "system")
    assert.deepStrictEqual((await get(server, path)).body, changed.body)
    assert.strictEqual((await send(server, "PATCH", path, { id: "x" })).status, 400)
    const deleted = await send(server, "DELETE", path)
    assert.strictEqual(deleted.status, 204)
    assert.strictEqual(deleted.text, "")
    for (
      const [method, sub] of [
        ["GET", ""],
        ["DELETE", ""],
        ["GET", "/messages"],
        ["GET", "/turns"],
        ["GET", "/events"],
        ["GET", "/export"]
      ] as const
    ) {
      const gone = await send(server, method, path + sub)
      assert.strictEqual(gone.status, 404, `${method} ${sub}`)
      assert.strictEqual(gone.body.code, "SessionNotFound")
    }
    const submitted = await post(server, `${path}/turns`, { message: "x" })
    assert.strictEqual(submitted.status, 404)
  })

  it("no body makes a session with the defaults", async () => {
    assert.strictEqual((await post(server, "/v1/sessions")).status, 201)
  })

  it("deleting with a running turn cancels it first", async () => {
    const session = await newSession(server)
    const turn = await submit(server, session, { options: { script: { steps: [{ hang: true }] } } })
    const readers = follow(server, turn.id)
    assert.strictEqual((await send(server, "DELETE", `/v1/sessions/${session}`)).status, 204)
    assert.include(["turn.failed", "error"], (await readers).at(-1)?.event ?? "")
    assert.strictEqual((await get(server, `/v1/turns/${turn.id}`)).status, 404)
  })

  it("lists page by nextCursor without a gap or a repeat; a malformed cursor is 400", async () => {
    const session = await newSession(server)
    const turns: Array<string> = []
    for (let i = 0; i < 5; i++) {
      const turn = await submit(server, session, { options: script(2) })
      await follow(server, turn.id)
      turns.push(turn.id)
    }
    assert.deepStrictEqual((await pages(`/v1/sessions/${session}/turns`, 2)).map(({ id }) => id), turns)
    const messages = await pages(`/v1/sessions/${session}/messages`, 3)
    assert.deepStrictEqual(
      messages.map(({ role }) => role),
      Array.from({ length: 10 }, (_, i) => i % 2 === 0 ? "user" : "assistant")
    )
    assert.include((await pages("/v1/sessions", 1)).map(({ id }) => id), session)
    for (const cursor of ["x", "-1", "", "1.5", "9".repeat(40)]) {
      for (const list of ["/v1/sessions", `/v1/sessions/${session}/turns`, `/v1/sessions/${session}/messages`]) {
        assert.strictEqual((await get(server, `${list}?after=${cursor}`)).status, 400, `${list} ${cursor}`)
      }
    }
  })
})

describe("transcripts", () => {
  it("5,000 messages are imported at once, exported whole, and usable as context", async () => {
    const messages = Array.from({ length: 5_000 }, (_, i) => ({
      role: i % 2 === 0 ? "user" : "assistant",
      parts: [{ type: "text", text: `message ${i} "quoted" \u2028 \ud83d\ude00` }]
    }))
    const imported = await post(server, "/v1/sessions/import", { v: 1, session: { title: "old" }, messages })
    assert.strictEqual(imported.status, 201)
    assert.strictEqual(imported.body.title, "old")
    const exported = await get(server, `/v1/sessions/${imported.body.id}/export`)
    assert.deepStrictEqual(exported.body, { v: 1, session: { title: "old" }, messages })
    const turn = await submit(server, String(imported.body.id), { options: script(2) })
    assert.isAbove((await follow(server, turn.id)).length, 3)
  })

  it("an export of a session of turns imports again as the same text", async () => {
    const session = await newSession(server)
    const turn = await submit(server, session, { options: script(3) })
    await follow(server, turn.id)
    const exported = await get(server, `/v1/sessions/${session}/export`)
    assert.deepStrictEqual(exported.body, {
      v: 1,
      session: {},
      messages: [
        { role: "user", parts: [{ type: "text", text: "hello" }] },
        { role: "assistant", parts: [{ type: "text", text: scriptText(3) }] }
      ]
    })
    const again = await post(server, "/v1/sessions/import", exported.text)
    assert.strictEqual((await get(server, `/v1/sessions/${again.body.id}/export`)).text, exported.text)
  })

  it("an import is refused as a whole for what is wrong at its end, and nothing of it is there", async () => {
    const message = { role: "user", parts: [{ type: "text", text: "x".repeat(1_000) }] }
    const before = await get(server, "/v1/sessions?limit=1000")
    const messages = [...Array.from({ length: 3_000 }, () => message), { ...message, role: "system" }]
    const refused = await post(server, "/v1/sessions/import", { messages, v: 1, session: {} })
    assert.strictEqual(refused.status, 400)
    assert.strictEqual(refused.body.path, "messages[3000].role")
    assert.strictEqual((await get(server, "/v1/sessions?limit=1000")).text, before.text)
    // its members in any order, and as many small chunks as there are bytes
    const text = JSON.stringify({ messages: messages.slice(0, 2), session: { title: "t" }, v: 1 })
    const chunks = [...text].slice(0, 400).map((byte) => `1\r\n${byte}\r\n`).join("")
    const rest = text.slice(400)
    const answer = await raw(server.port, [
      `POST /v1/sessions/import HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nContent-Type: application/json\r\n` +
      "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
      `${chunks}${rest.length.toString(16)}\r\n${rest}\r\n0\r\n\r\n`
    ])
    assert.strictEqual(statusOf(answer), 201, answer)
  })

  it("an empty session exports no messages", async () => {
    const session = await newSession(server)
    assert.strictEqual((await get(server, `/v1/sessions/${session}/export`)).text, '{"v":1,"session":{},"messages":[]}')
  })

  for (
    const [name, body] of [
      ["another version", { v: 2, session: {}, messages: [] }],
      ["an unknown role", { v: 1, session: {}, messages: [{ role: "system", parts: [{ type: "text", text: "x" }] }] }],
      ["a part that is no text", {
        v: 1,
        session: {},
        messages: [{ role: "user", parts: [{ type: "reasoning", text: "x" }] }]
      }],
      ["an unknown field", { v: 1, session: { id: "x" }, messages: [] }]
    ] as const
  ) {
    it(`an import with ${name} is 400`, async () => {
      assert.strictEqual((await post(server, "/v1/sessions/import", body)).status, 400)
    })
  }
})

describe("context preview", () => {
  it("answers with the manifest and journals nothing", async () => {
    const session = await newSession(server)
    const answer = await post(server, `/v1/sessions/${session}/context/preview`, {
      message: "x",
      options: { system: "be brief" }
    })
    assert.strictEqual(answer.status, 200)
    assert.deepStrictEqual((answer.body.slots as ReadonlyArray<Item>).map(({ slot }) => slot), [
      "instructions",
      "memory",
      "skills",
      "team",
      "history",
      "attachments",
      "message"
    ])
    assert.deepStrictEqual((await get(server, `/v1/sessions/${session}/turns`)).body.items, [])
    assert.deepStrictEqual((await get(server, `/v1/sessions/${session}/messages`)).body.items, [])
  })

  it("a message beyond the budget, an unknown provider and a blocked one are 422", async () => {
    const small = await start({
      providers: [{ id: "deterministic", family: "deterministic", contextWindow: 200, maxOutputTokens: 100 }]
    })
    const session = await newSession(small)
    const path = `/v1/sessions/${session}/context/preview`
    const overflow = await post(small, path, { message: "word ".repeat(2_000) })
    assert.strictEqual(overflow.status, 422)
    assert.strictEqual(overflow.body.code, "ContextOverflow")
    assert.strictEqual(overflow.body.budget, 100)
    assert.strictEqual((await post(small, path, { message: "x", provider: "nobody" })).body.code, "UnknownProvider")
    const blocked = await post(small, path, { message: "x", provider: "openai", model: "any" })
    assert.strictEqual(blocked.status, 422)
    const refused = await post(small, `/v1/sessions/${session}/turns`, { message: "word ".repeat(2_000) })
    assert.strictEqual(refused.status, 422)
    assert.strictEqual(refused.body.code, "ContextOverflow")
    assert.isString(refused.body.turnId)
    await small.stop()
  })
})
