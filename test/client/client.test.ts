/** The client on a `fetch` that the test answers, with time in its hands: what a server seldom does, and when. */
import { assert, describe, it } from "@effect/vitest"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import {
  type Client,
  type ClientOptions,
  type Connection,
  createClient,
  type TurnEvent,
  TurnstreamError
} from "../../src/client/Client.ts"
import * as Events from "../workbench/events.ts"
import * as Time from "./time.ts"

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

const problem = (
  status: number,
  code: string,
  more: { readonly headers?: Record<string, string>; readonly retryable?: boolean } = {}
) =>
  new Response(JSON.stringify({ code, detail: `${code}.`, retryable: more.retryable ?? true }), {
    status,
    headers: { "content-type": "application/problem+json", ...more.headers }
  })

const json = (body: unknown) => new Response(JSON.stringify(body), { status: 202 })

const frames = (events: ReadonlyArray<TurnEvent>) =>
  events.map((event) => `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("")

interface Stream {
  readonly response: Response
  readonly send: (text: string) => void
  readonly cut: () => void
  /** The socket of it was given up. */
  readonly isAborted: () => boolean
}

/** A stage: each request takes the next answer, or waits for ever where there is none; an abort fails it as `fetch` does. */
const stage = (options: Partial<ClientOptions> = {}, time = Time.make()) => {
  const asked: Array<Request> = []
  const answers: Array<() => Response | Promise<Response>> = []
  const signals: Array<AbortSignal> = []
  const client: Client = createClient({
    baseUrl: "http://server/",
    timer: time.timer,
    random: () => 0,
    fetch: (input, init) => {
      const signal = init?.signal ?? new AbortController().signal
      asked.push(new Request(String(input), { ...init, signal: null }))
      signals.push(signal)
      return new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason))
        const answer = answers.shift()
        if (answer !== undefined) Promise.resolve().then(answer).then(resolve, reject)
      })
    },
    ...options
  })
  /** An answer that is a stream in the test's hands. */
  const stream = (headers: Record<string, string> = { "content-type": "text/event-stream" }): Stream => {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined
    let isAborted = false
    const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) })
    const response = new Response(body, { headers })
    answers.push(() => {
      signals.at(-1)?.addEventListener("abort", () => {
        isAborted = true
        try {
          controller?.error(new Error("aborted"))
        } catch {
          // it had ended
        }
      })
      return response
    })
    return {
      response,
      send: (text) => controller?.enqueue(new TextEncoder().encode(text)),
      cut: () => controller?.error(new Error("cut")),
      isAborted: () => isAborted
    }
  }
  return { client, time, asked, stream, answer: (answer: () => Response | Promise<Response>) => answers.push(answer) }
}

const plain = Events.plain("t1")
const lost = (): Promise<Response> => Promise.reject(new TypeError("fetch failed"))

const failureOf = async (task: Promise<unknown>): Promise<TurnstreamError> => {
  const error = await task.then(() => assert.fail("it did not fail"), (error: unknown) => error)
  assert.instanceOf(error, TurnstreamError)
  return error
}

describe("requests", () => {
  it("P9: a start without an answer is sent again with its key, after waits that double", async () => {
    const at = stage()
    at.answer(lost)
    at.answer(() => new Response("{", { status: 202 }))
    at.answer(() => new Response("bad gateway", { status: 502 }))
    at.answer(() => json({ id: "t1" }))
    assert.strictEqual((await at.client.startTurn("s1", { text: "x", provider: "p" })).id, "t1")
    const keys = at.asked.map(({ headers }) => headers.get("idempotency-key"))
    assert.match(keys[0] ?? "", /^[0-9a-f]{32}$/)
    assert.lengthOf(new Set(keys), 1)
    assert.deepStrictEqual(await at.asked[3]?.json(), { message: "x", provider: "p" })
    assert.deepStrictEqual(at.time.waits, [500, 1_000, 2_000])
    assert.strictEqual(at.time.open(), 0)
    at.answer(() => json({ id: "t2" }))
    await at.client.startTurn("s1", { text: "x", idempotencyKey: "mine" })
    assert.strictEqual(at.asked[4]?.headers.get("idempotency-key"), "mine")
    at.answer(() => json({ id: "t3" }))
    await at.client.startTurn("s1", { text: "x" })
    assert.notInclude(keys, at.asked[5]?.headers.get("idempotency-key"))
  })

  it("waits as long as the server asks, in seconds or to a date by its own clock, and at most a minute", async () => {
    const at = stage()
    at.answer(() => problem(429, "Overloaded", { headers: { "retry-after": "7" } }))
    at.answer(() =>
      problem(503, "Draining", {
        headers: { "retry-after": "Wed, 21 Oct 2015 07:28:15 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT" }
      })
    )
    at.answer(() => problem(503, "Draining", { headers: { "retry-after": "soon" } }))
    at.answer(() => json([]))
    await at.client.turn("t1").read()
    assert.deepStrictEqual(at.time.waits, [7_000, 15_000, 2_000])
    at.answer(() => problem(503, "Draining", { headers: { "retry-after": "3600" } }))
    const error = await failureOf(at.client.turn("t1").read())
    assert.deepInclude({ ...error }, { code: "Draining", status: 503, retryAfterMs: 3_600_000 })
  })

  it("fails with the last failure once its attempts are used up", async () => {
    const at = stage({ retries: 2 })
    for (let attempt = 0; attempt < 3; attempt++) at.answer(lost)
    const error = await failureOf(at.client.sessions.list())
    assert.deepInclude({ ...error }, { code: "Unreachable", status: 0 })
    assert.isTrue(error.retryable)
    assert.instanceOf(error.cause, TypeError)
    assert.deepStrictEqual(at.time.waits, [500, 1_000])
  })

  it("what would be done twice is not sent again, unless the server says that it was not done", async () => {
    const at = stage()
    at.answer(lost)
    assert.strictEqual((await failureOf(at.client.sessions.create())).code, "Unreachable")
    at.answer(() => new Response("", { status: 502 }))
    assert.strictEqual((await failureOf(at.client.sessions.create())).code, "Http502")
    at.answer(() => problem(503, "Draining"))
    at.answer(() => json({ id: "s1" }))
    assert.strictEqual((await at.client.sessions.create()).id, "s1")
    assert.lengthOf(at.asked, 4)
  })

  it("a refusal that time does not cure is final at once", async () => {
    const at = stage()
    for (
      const [status, code, retryable] of [[401, "Unauthorized", false], [409, "TurnConflict", true], [
        503,
        "Fenced",
        false
      ]] as const
    ) {
      at.answer(() => problem(status, code, { retryable }))
      const error = await failureOf(at.client.startTurn("s1", { text: "x" }))
      assert.deepStrictEqual([error.status, error.code, error.message, error.retryable], [
        status,
        code,
        `${code}.`,
        retryable
      ])
    }
    assert.deepStrictEqual(at.time.waits, [])
  })

  it("a deletion whose answer was lost is done where the session is gone", async () => {
    const at = stage()
    at.answer(lost)
    at.answer(() => problem(404, "SessionNotFound", { retryable: false }))
    await at.client.sessions.delete("s1")
    at.answer(() => problem(404, "SessionNotFound", { retryable: false }))
    assert.strictEqual((await failureOf(at.client.sessions.delete("s1"))).code, "SessionNotFound")
  })

  it("P18: a server that takes a request and says nothing is given up", async () => {
    const at = stage({ retries: 0 })
    const asked = failureOf(at.client.sessions.list())
    await settle()
    at.time.silence()
    assert.strictEqual((await asked).code, "Unreachable")
    assert.strictEqual(at.time.open(), 0)
  })

  for (const when of ["before it is made", "while it is under way", "between two attempts"] as const) {
    it(`a start that is aborted ${when} fails with the reason, and leaves nothing behind`, async () => {
      const at = stage({}, Time.make(false))
      const controller = new AbortController()
      const reason = new Error("enough")
      if (when === "between two attempts") at.answer(lost)
      if (when === "before it is made") controller.abort(reason)
      const started = at.client.startTurn("s1", { text: "x", signal: controller.signal }).catch((error: unknown) =>
        error
      )
      await settle()
      controller.abort(reason)
      assert.strictEqual(await started, reason)
      assert.strictEqual(at.time.open(), 0)
      assert.lengthOf(at.asked, when === "before it is made" ? 0 : 1)
    })
  }
})

const take = async (following: AsyncIterator<TurnEvent>, count: number): Promise<ReadonlyArray<number>> => {
  const seqs: Array<number> = []
  while (seqs.length < count) {
    const { done, value } = await following.next()
    if (done === true) break
    seqs.push(value.seq)
  }
  return seqs
}

describe("ids that are steps of a path", () => {
  for (const id of [".", "..", "../sessions/s1"]) {
    it(`"${id}" stays an id, and the server refuses it`, async () => {
      const at = stage()
      const path = () => new URL(at.asked.at(-1)?.url ?? "").pathname
      at.answer(() => problem(400, "InvalidRequest", { retryable: false }))
      assert.strictEqual((await failureOf(at.client.turn(id).read())).code, "InvalidRequest")
      assert.match(path(), /^\/v1\/turns\/[^/]+$/)
      at.answer(() => problem(400, "InvalidRequest", { retryable: false }))
      await failureOf(at.client.sessions.delete(id))
      assert.match(path(), /^\/v1\/sessions\/[^/]+$/)
      assert.notMatch(decodeURIComponent(path().replace(/^.*\//, "")), /^[\w-]{1,64}$/)
    })
  }
})

describe("a server that is newer than the client", () => {
  it("an event of an unknown type is given and passed over, and the turn comes to its end", async () => {
    const [first, , last] = Events.turn("t_1", [Events.started(), Events.built, Events.failed(Events.failure)])
    const foreign = { ...first, seq: 2, type: "tool.started", data: { tool: "search" } } as unknown as TurnEvent
    const server = createServer((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" })
      response.end(frames([first, foreign, last].flatMap((event) => event === undefined ? [] : [event])))
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    try {
      const client = createClient({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
      const turn = client.turn("t_1")
      const types: Array<string> = []
      for await (const { type } of turn.follow()) types.push(type)
      assert.deepStrictEqual(types, ["turn.started", "tool.started", "turn.failed"])
      const ended = await client.turn("t_1").end()
      assert.deepStrictEqual(ended, turn.state())
      assert.deepStrictEqual([ended.status, ended.lastSeq, ended.error?._tag], ["failed", 3, "ProviderFailure"])
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
})

describe("following", () => {
  it("P15: leaves out what came already, and goes on after the last event", async () => {
    const at = stage()
    const first = at.stream()
    const following = at.client.follow("t1")
    first.send(frames(plain.slice(0, 3)))
    assert.deepStrictEqual(await take(following, 3), [1, 2, 3])
    const second = at.stream()
    first.cut()
    second.send(frames(plain.slice(1)))
    assert.deepStrictEqual(await take(following, 9), [4, 5, 6, 7, 8])
    assert.deepStrictEqual(at.asked.map(({ headers }) => headers.get("last-event-id")), [null, "3"])
    assert.isTrue(second.isAborted())
    assert.strictEqual(at.time.open(), 0)
  })

  it("P15: a seq that does not come is a typed error, after what came before it", async () => {
    const at = stage()
    const stream = at.stream()
    const turn = at.client.turn("t1")
    const following = turn.follow()
    stream.send(frames([...plain.slice(0, 2), ...plain.slice(4)]))
    assert.deepStrictEqual(await take(following, 2), [1, 2])
    const error = await failureOf(following.next())
    assert.deepStrictEqual([error.code, error.problem], ["EventGap", { turnId: "t1", expected: 3, received: 5 }])
    assert.strictEqual(turn.state()?.lastSeq, 2)
    assert.deepStrictEqual(await following.next(), { done: true, value: undefined })
    assert.isTrue(stream.isAborted())
    assert.strictEqual(at.time.open(), 0)
  })

  it("P17: reads no further than what is taken, and takes a slow caller for no silence", async () => {
    const at = stage()
    const stream = at.stream()
    const following = at.client.follow("t1")
    stream.send(frames(plain.slice(0, 2)))
    assert.deepStrictEqual(await take(following, 1), [1])
    stream.send(frames(plain.slice(2, 4)))
    await settle()
    assert.strictEqual(at.time.open(), 0)
    assert.deepStrictEqual(await take(following, 3), [2, 3, 4])
  })

  it("P18: a stream without heartbeats is given up and opened again", async () => {
    const at = stage()
    const dead = at.stream()
    const following = at.client.follow("t1")
    dead.send(frames(plain.slice(0, 2)))
    assert.deepStrictEqual(await take(following, 2), [1, 2])
    const next = take(following, 1)
    await settle()
    dead.send(": heartbeat\n\n")
    await settle()
    assert.strictEqual(at.time.open(), 1)
    at.stream().send(frames(plain.slice(2, 3)))
    at.time.silence()
    assert.deepStrictEqual(await next, [3])
    assert.isTrue(dead.isAborted())
  })

  it("tells each state of the connection", async () => {
    const at = stage()
    const states: Array<Connection> = []
    const stream = at.stream()
    const following = at.client.follow("t1", { onConnection: (now) => states.push(now) })
    stream.send(frames(plain.slice(0, 2)))
    await take(following, 2)
    at.answer(() => problem(429, "Overloaded", { headers: { "retry-after": "7" } }))
    for (let failure = 0; failure < 3; failure++) at.answer(lost)
    at.stream().send(frames(plain.slice(2)))
    stream.cut()
    await take(following, 9)
    const silence = "The server does not answer. Check that turnstream is running at this address."
    const again = (state: "reconnecting" | "offline", delayMs: number, reason: string) => ({
      state,
      delayMs,
      reason,
      from: "2"
    })
    assert.deepStrictEqual(states, [
      { state: "connecting" },
      { state: "replaying" },
      { state: "live", replayed: 2 },
      again("reconnecting", 500, "The connection broke off."),
      again("reconnecting", 0, "The connection broke off."),
      again("reconnecting", 7_000, "Overloaded."),
      again("reconnecting", 0, "Overloaded."),
      again("reconnecting", 2_000, silence),
      again("reconnecting", 0, silence),
      again("offline", 4_000, silence),
      again("offline", 0, silence),
      again("offline", 8_000, silence),
      again("offline", 0, silence),
      { state: "replaying" },
      { state: "ended", error: undefined }
    ])
  })

  it("leaves a random half of each wait out, which stays within its bounds", async () => {
    const at = stage({ random: () => 1, failuresMax: 8 })
    for (let failure = 0; failure <= 8; failure++) at.answer(lost)
    assert.strictEqual((await failureOf(at.client.follow("t1").next())).code, "Unreachable")
    assert.deepStrictEqual(at.time.waits, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000])
  })

  it("a page in the server's place is no stream that ended", async () => {
    const at = stage({ failuresMax: 1 })
    for (let failure = 0; failure < 2; failure++) {
      at.answer(() => new Response("<html>", { headers: { "content-type": "text/html" } }))
    }
    assert.strictEqual((await failureOf(at.client.follow("t1").next())).code, "UnexpectedAnswer")
  })

  it("an error event passes, unless it says that the session is gone", async () => {
    const at = stage()
    const stream = at.stream()
    const following = at.client.follow("t1")
    stream.send(frames(plain.slice(0, 1)) + 'event: error\ndata: {"code":"Draining","message":"Bye."}\n\n')
    const next = at.stream()
    next.send(frames(plain.slice(1, 2)))
    assert.deepStrictEqual(await take(following, 2), [1, 2])
    next.send('event: error\ndata: {"code":"SessionNotFound","message":"Deleted."}\n\n')
    assert.deepInclude({ ...await failureOf(following.next()) }, { code: "SessionNotFound", status: 404 })
  })

  for (const status of [401, 403, 404, 410]) {
    it(`HTTP ${status} is final`, async () => {
      const at = stage()
      at.answer(() => problem(status, "No", { retryable: false }))
      assert.strictEqual((await failureOf(at.client.follow("t1").next())).status, status)
      assert.strictEqual(at.time.open(), 0)
    })
  }

  const reason = new Error("enough")
  const abortions: Readonly<Record<string, (at: ReturnType<typeof stage>) => void>> = {
    "while it connects": () => {},
    "once it is open": (at) => void at.stream(),
    "once it is live": (at) => at.stream().send(": turnstream\n\n"),
    "with events that were not taken": (at) => at.stream().send(frames(plain.slice(0, 5))),
    "while it waits for the next attempt": (at) => void at.answer(lost)
  }
  for (const [when, prepare] of Object.entries(abortions)) {
    for (const how of ["an abort", "a return"] as const) {
      it(`P13: ${how} ${when} ends it, and nothing is left of it`, async () => {
        const at = stage({}, Time.make(false))
        const controller = new AbortController()
        prepare(at)
        const following = at.client.follow("t1", { signal: controller.signal })
        const first = following.next().catch((error: unknown) => error)
        await settle()
        await settle()
        if (how === "an abort") controller.abort(reason)
        else await following.return()
        const next = await following.next().catch((error: unknown) => error)
        const isTaken = when.startsWith("with events")
        const ends = [await first, next].slice(isTaken ? 1 : 0)
        if (how === "an abort") assert.include(ends, reason)
        else for (const end of ends) assert.deepStrictEqual(end, { done: true, value: undefined })
        await settle()
        assert.strictEqual(at.time.open(), 0)
        assert.lengthOf(at.asked, 1)
      })
    }
  }

  for (const state of ["connecting", "replaying", "live", "reconnecting"] as const) {
    for (const how of ["aborts", "throws"] as const) {
      it(`a listener that ${how} when it is told ${state} ends it, and nothing is left of it`, async () => {
        const at = stage({}, Time.make(false))
        const stream = at.stream()
        const controller = new AbortController()
        const following = at.client.follow("t1", {
          signal: controller.signal,
          onConnection: (now) => {
            if (now.state !== state) return
            if (how === "throws") throw reason
            controller.abort(reason)
          }
        })
        const first = following.next().catch((error: unknown) => error)
        stream.send(": turnstream\n\n")
        await settle()
        if (state === "reconnecting") stream.cut()
        assert.strictEqual(await first, reason)
        await settle()
        assert.strictEqual(at.time.open(), 0)
        assert.isAtMost(at.asked.length, 1)
        assert.isTrue(at.asked.length === 0 || stream.isAborted())
      })
    }
  }

  it("asks nothing where it is aborted before, and nothing before it is read", async () => {
    const at = stage()
    const following = at.client.follow("t1", { signal: AbortSignal.abort(reason) })
    await settle()
    assert.strictEqual(await following.next().catch((error: unknown) => error), reason)
    assert.isEmpty(at.asked)
  })

  it("rests on request, and comes back where it was", async () => {
    const at = stage()
    const stream = at.stream()
    const following = at.client.follow("t1")
    stream.send(frames(plain.slice(0, 2)))
    await take(following, 2)
    const next = take(following, 1)
    await settle()
    following.rest()
    await settle()
    assert.isTrue(stream.isAborted())
    assert.deepStrictEqual([at.time.open(), at.asked.length], [0, 1])
    at.stream().send(frames(plain.slice(2, 3)))
    following.retryNow()
    assert.deepStrictEqual(await next, [3])
  })
})
