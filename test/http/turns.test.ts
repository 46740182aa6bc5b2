import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import {
  follow,
  get,
  newSession,
  openStream,
  post,
  script,
  scriptText,
  start,
  type Started,
  submit,
  textIn
} from "./harness.ts"

let server: Started
beforeAll(async () => {
  server = await start()
})
afterAll(() => server.stop())

/** A turn that says three deltas and then nothing until it is ended. */
const hanging = { options: { script: { steps: [{ say: "abc", bytes: 1 }, { hang: true }] } } }

/** Waits until a turn has said something. */
const firstDelta = async (turnId: string) => {
  const stream = await openStream(server, `/v1/turns/${turnId}/events`)
  for (let event = await stream.next(); event !== undefined; event = await stream.next()) {
    if (event.event === "model.delta") break
  }
  stream.leave()
}

describe("usage of a turn", () => {
  it("is always there: null where nobody reported any, numbers where somebody did", async () => {
    const session = await newSession(server)
    const running = await submit(server, session, hanging)
    assert.isNull(running.usage)
    await post(server, `/v1/turns/${running.id}/cancel`)
    const silent = await submit(server, session, { options: { script: { steps: [{ usage: "none" }, { say: "x" }] } } })
    await follow(server, silent.id)
    assert.isNull((await get(server, `/v1/turns/${silent.id}`)).body.usage)
    const refused = await post(server, `/v1/sessions/${session}/turns`, { message: "x", provider: "nobody" })
    assert.isNull((await get(server, `/v1/turns/${refused.body.turnId}`)).body.usage)
    const counted = await submit(server, session, { options: script(3) })
    await follow(server, counted.id)
    assert.deepInclude((await get(server, `/v1/turns/${counted.id}`)).body.usage, { outputTokens: 3 })
  })
})

describe("a message of tool results", () => {
  it("needs its content, which may be null", async () => {
    const path = `/v1/sessions/${await newSession(server)}/context/preview`
    const part = { type: "tool-result", toolCallId: "c" }
    const missing = await post(server, path, { message: { parts: [part] } })
    assert.strictEqual(missing.status, 400)
    assert.strictEqual(missing.body.detail, "message.parts[0].content: is missing")
    for (const content of [null, "text", 0, { a: [1] }]) {
      assert.strictEqual((await post(server, path, { message: { parts: [{ ...part, content }] } })).status, 200)
    }
  })
})

describe("submitting", () => {
  it("a submit answers 202 with the turn and its address", async () => {
    const session = await newSession(server)
    const answer = await post(server, `/v1/sessions/${session}/turns`, { message: "hi" })
    assert.strictEqual(answer.status, 202)
    assert.strictEqual(answer.headers.get("location"), `/v1/turns/${answer.body.id}`)
    assert.strictEqual(answer.body.sessionId, session)
    assert.strictEqual(answer.body.provider, "deterministic")
  })

  it("with Accept: text/event-stream the turn follows from seq 1 to its end", async () => {
    const session = await newSession(server)
    const stream = await openStream(server, `/v1/sessions/${session}/turns`, {}, { message: "x", options: script(20) })
    assert.strictEqual(stream.response.status, 200)
    assert.match(stream.response.headers.get("content-type") ?? "", /^text\/event-stream/)
    const events = await stream.rest()
    assert.deepStrictEqual(events.map(({ id }) => Number(id)), events.map((_, i) => i + 1))
    assert.strictEqual(events[0]?.event, "turn.started")
    assert.strictEqual(events.at(-1)?.event, "turn.completed")
    assert.strictEqual(textIn(events), scriptText(20))
  })

  const accepts: ReadonlyArray<readonly [string, boolean]> = [
    ["*/*", false],
    ["text/*", false],
    ["application/json", false],
    ["text/event-stream;q=0", false],
    ["text/event-stream-x", false],
    ["application/json, text/event-stream", true],
    ["TEXT/Event-Stream; charset=utf-8", true]
  ]
  for (const [accept, streams] of accepts) {
    it(`Accept: ${accept} ${streams ? "streams" : "answers JSON"}`, async () => {
      const session = await newSession(server)
      const turn = await submit(server, session)
      await follow(server, turn.id)
      const answer = await get(server, `/v1/turns/${turn.id}/events`, { accept })
      assert.strictEqual(answer.headers.get("content-type")?.startsWith("text/event-stream"), streams)
    })
  }

  it("an unknown provider answers 422 with its facts and the turn that records it, whatever Accept says", async () => {
    const session = await newSession(server)
    for (const accept of ["application/json", "text/event-stream"]) {
      const answer = await post(server, `/v1/sessions/${session}/turns`, { message: "x", provider: "determinstic" }, {
        accept
      })
      assert.strictEqual(answer.status, 422)
      assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
      assert.strictEqual(answer.body.code, "UnknownProvider")
      assert.strictEqual(answer.body.providerId, "determinstic")
      assert.include(answer.body.known as ReadonlyArray<string>, "deterministic")
      assert.strictEqual(answer.body.suggestion, "deterministic")
      assert.strictEqual(answer.body.retryable, false)
      assert.strictEqual(answer.body.status, 422)
      assert.strictEqual(answer.body.instance, `/v1/sessions/${session}/turns`)
      const page = await get(server, `/v1/turns/${answer.body.turnId}/events`)
      assert.deepStrictEqual((page.body.items as ReadonlyArray<{ type: string }>).map(({ type }) => type), [
        "turn.started",
        "turn.failed"
      ])
    }
  })

  it("a refused turn's repeated key and its retry answer 422 too", async () => {
    const session = await newSession(server)
    const path = `/v1/sessions/${session}/turns`
    const first = await post(server, path, { message: "x", provider: "nobody" }, { "idempotency-key": "k" })
    const again = await post(server, path, { message: "x", provider: "nobody" }, { "idempotency-key": "k" })
    assert.strictEqual(again.status, 422)
    assert.strictEqual(again.body.turnId, first.body.turnId)
    const retried = await post(server, `/v1/turns/${first.body.turnId}/retry`)
    assert.strictEqual(retried.status, 422)
    assert.strictEqual(retried.body.code, "UnknownProvider")
    assert.notStrictEqual(retried.body.turnId, first.body.turnId)
  })

  it("the script is refused without echoing it", async () => {
    const session = await newSession(server)
    const answer = await post(server, `/v1/sessions/${session}/turns`, {
      message: "x",
      options: { script: { deltas: "canary".repeat(1_000) } }
    })
    assert.strictEqual(answer.status, 400)
    assert.strictEqual(answer.body.code, "InvalidRequest")
    assert.notInclude(answer.text, "canary")
    assert.match(String(answer.body.path), /^options\.script/)
  })
})

describe("idempotency", () => {
  it("P9: the same key and body give the same turn; an event stream re-attaches from seq 1, also when it is finished", async () => {
    const session = await newSession(server)
    const path = `/v1/sessions/${session}/turns`
    const body = { message: "x", options: script(5) }
    const key = { "idempotency-key": "same ~ key" }
    const first = await (await openStream(server, path, key, body)).rest()
    const second = await (await openStream(server, path, key, body)).rest()
    assert.isAbove(first.length, 5)
    assert.deepStrictEqual(second, first)
    const json = await post(server, path, body, key)
    assert.strictEqual(json.status, 202)
    assert.strictEqual(json.body.status, "completed")
    assert.strictEqual(json.body.id, JSON.parse(first[0]?.data ?? "{}").turnId)
  })

  it("P9: a hundred callers at once with one key make one turn", async () => {
    const session = await newSession(server)
    const answers = await Promise.all(
      Array.from(
        { length: 100 },
        () => post(server, `/v1/sessions/${session}/turns`, { message: "x" }, { "idempotency-key": "one" })
      )
    )
    assert.deepStrictEqual([...new Set(answers.map(({ status }) => status))], [202])
    assert.strictEqual(new Set(answers.map(({ body }) => body.id)).size, 1)
    const turns = await get(server, `/v1/sessions/${session}/turns`)
    assert.lengthOf(turns.body.items as ReadonlyArray<unknown>, 1)
  })

  it("P9: another body under a known key is 422 IdempotencyConflict", async () => {
    const session = await newSession(server)
    const first = await post(server, `/v1/sessions/${session}/turns`, { message: "x" }, { "idempotency-key": "k" })
    const other = await post(server, `/v1/sessions/${session}/turns`, { message: "y" }, { "idempotency-key": "k" })
    assert.strictEqual(other.status, 422)
    assert.strictEqual(other.body.code, "IdempotencyConflict")
    assert.strictEqual(other.body.turnId, first.body.id)
  })

  for (const [name, key] of [["empty", ""], ["too long", "k".repeat(256)], ["not ASCII", "caf\u00e9"]] as const) {
    it(`a key that is ${name} is 400`, async () => {
      const session = await newSession(server)
      const answer = await post(server, `/v1/sessions/${session}/turns`, { message: "x" }, { "idempotency-key": key })
      assert.strictEqual(answer.status, 400)
      assert.strictEqual(answer.body.path, "Idempotency-Key")
    })
  }
})

describe("a busy session", () => {
  it("rejects with 409 naming the turn in the way", async () => {
    const session = await newSession(server)
    const running = await submit(server, session, hanging)
    const answer = await post(server, `/v1/sessions/${session}/turns`, { message: "x" })
    assert.strictEqual(answer.status, 409)
    assert.strictEqual(answer.body.code, "TurnConflict")
    assert.strictEqual(answer.body.turnId, running.id)
    await post(server, `/v1/turns/${running.id}/cancel`)
  })

  it("queues with a visible position and runs when its turn comes", async () => {
    const session = await newSession(server)
    const running = await submit(server, session, hanging)
    const queued = await submit(server, session, { onBusy: "queue", options: script(3) })
    assert.strictEqual(queued.status, "running")
    assert.strictEqual(queued.phase, "accepted")
    assert.strictEqual(queued.queuePosition, 1)
    await post(server, `/v1/turns/${running.id}/cancel`)
    assert.strictEqual(textIn(await follow(server, queued.id)), scriptText(3))
  })

  it("supersedes: the running turn ends as Cancelled{superseded}, the new one runs", async () => {
    const session = await newSession(server)
    const running = await submit(server, session, hanging)
    await firstDelta(running.id)
    const next = await submit(server, session, { onBusy: "supersede", options: script(3) })
    assert.strictEqual(textIn(await follow(server, next.id)), scriptText(3))
    const before = await get(server, `/v1/turns/${running.id}`)
    assert.strictEqual(before.body.status, "failed")
    assert.deepInclude(before.body.error, { _tag: "Cancelled", cause: "superseded" })
  })
})

describe("commands", () => {
  it("cancel answers after the terminal event is readable, and says what ended the turn", async () => {
    const session = await newSession(server)
    const turn = await submit(server, session, hanging)
    await firstDelta(turn.id)
    const cancelled = await post(server, `/v1/turns/${turn.id}/cancel`)
    assert.strictEqual(cancelled.status, 200)
    assert.strictEqual(cancelled.body.status, "failed")
    assert.deepInclude(cancelled.body.error, { _tag: "Cancelled", cause: "user_stop" })
    assert.strictEqual(cancelled.body.text, "abc")
    const page = await get(server, `/v1/turns/${turn.id}/events?after=${Number(cancelled.body.lastSeq) - 1}`)
    assert.strictEqual((page.body.items as ReadonlyArray<{ type: string }>)[0]?.type, "turn.failed")
    const again = await post(server, `/v1/turns/${turn.id}/cancel`, {})
    assert.strictEqual(again.status, 200)
    assert.strictEqual(again.text, cancelled.text)
  })

  it("resume makes one child that continues; repeating it answers with the same child", async () => {
    const session = await newSession(server)
    const steps = [{ say: "abc", bytes: 1 }, { fail: { kind: "server", attempts: 1 } }, { say: "def" }]
    const turn = await submit(server, session, { options: { script: { steps } } })
    const parent = await follow(server, turn.id)
    assert.strictEqual(parent.at(-1)?.event, "turn.failed")
    const child = await post(server, `/v1/turns/${turn.id}/resume`)
    assert.strictEqual(child.status, 202)
    assert.strictEqual(child.body.resumedFrom, turn.id)
    const again = await post(server, `/v1/turns/${turn.id}/resume`)
    assert.strictEqual(again.status, 202)
    assert.strictEqual(again.body.id, child.body.id)
    await follow(server, String(child.body.id))
  })

  it("resume of a completed turn and retry of a running one are 409", async () => {
    const session = await newSession(server)
    const done = await submit(server, session)
    await follow(server, done.id)
    const resumed = await post(server, `/v1/turns/${done.id}/resume`)
    assert.strictEqual(resumed.status, 409)
    assert.strictEqual(resumed.body.reason, "parent-completed")
    const running = await submit(server, session, hanging)
    const retried = await post(server, `/v1/turns/${running.id}/retry`)
    assert.strictEqual(retried.status, 409)
    assert.strictEqual(retried.body.reason, "parent-running")
    await post(server, `/v1/turns/${running.id}/cancel`)
  })

  it("commands need no body; one of another type is 415, one with fields is 400", async () => {
    const session = await newSession(server)
    const turn = await submit(server, session)
    await follow(server, turn.id)
    const path = `/v1/turns/${turn.id}/cancel`
    assert.strictEqual((await post(server, path)).status, 200)
    assert.strictEqual((await post(server, path, "x", { "content-type": "text/plain" })).status, 415)
    assert.strictEqual((await post(server, path, { force: true })).status, 400)
  })

  for (const path of ["", "/events", "/checkpoints", "/checkpoints/1"]) {
    it(`GET /v1/turns/{unknown}${path} is 404 TurnNotFound`, async () => {
      const answer = await get(server, `/v1/turns/nobody${path}`)
      assert.strictEqual(answer.status, 404)
      assert.strictEqual(answer.body.code, "TurnNotFound")
    })
  }
  for (const command of ["cancel", "resume", "retry"]) {
    it(`${command} of an unknown turn is 404 TurnNotFound`, async () => {
      const answer = await post(server, `/v1/turns/nobody/${command}`)
      assert.strictEqual(answer.status, 404)
      assert.strictEqual(answer.body.code, "TurnNotFound")
    })
  }
})

describe("checkpoints", () => {
  it("are listed and read by number; an unknown number is 404, a malformed one 400", async () => {
    const session = await newSession(server)
    const turn = await submit(server, session, { options: script(5) })
    await follow(server, turn.id)
    const list = await get(server, `/v1/turns/${turn.id}/checkpoints`)
    const items = list.body.items as ReadonlyArray<Record<string, unknown>>
    assert.isAbove(items.length, 0)
    const one = await get(server, `/v1/turns/${turn.id}/checkpoints/1`)
    assert.deepStrictEqual(one.body, items[0])
    assert.strictEqual(one.body.text, scriptText(5))
    const unknown = await get(server, `/v1/turns/${turn.id}/checkpoints/99`)
    assert.strictEqual(unknown.status, 404)
    assert.deepInclude(unknown.body, {
      code: "NotFound",
      detail: `No checkpoint 99; the last is ${items.length}.`,
      last: items.length
    })
    for (const malformed of ["x", "01", "-1", "1.0", "%201"]) {
      assert.strictEqual((await get(server, `/v1/turns/${turn.id}/checkpoints/${malformed}`)).status, 400, malformed)
    }
    assert.strictEqual((await get(server, `/v1/turns/${turn.id}/checkpoints/0`)).status, 404)
  })

  it("page like every list: limit is clamped, a cursor goes on behind it, what is malformed is 400", async () => {
    const turn = await submit(server, await newSession(server), { options: script(1) })
    await follow(server, turn.id)
    const path = `/v1/turns/${turn.id}/checkpoints`
    const all = (await get(server, path)).body.items as ReadonlyArray<{ checkpoint: number }>
    assert.deepStrictEqual((await get(server, `${path}?limit=0`)).body.items, all.slice(0, 1))
    assert.deepStrictEqual((await get(server, `${path}?after=1`)).body.items, all.slice(1))
    assert.deepStrictEqual((await get(server, `${path}?cursor=999`)).body, { items: [] })
    for (const query of ["limit=abc", "limit=1.5", "after=x", "cursor=-1"]) {
      assert.strictEqual((await get(server, `${path}?${query}`)).status, 400, query)
    }
  })
})
