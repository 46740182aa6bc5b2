/**
 * The client on the real service in this process, through a proxy that cuts where a seed says. The client's own time is the
 * test's; the server's is real.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import { createClient, type TurnEvent, TurnstreamError } from "../../src/client/Client.ts"
import * as TurnState from "../../src/domain/TurnState.ts"
import * as Harness from "../http/harness.ts"
import * as Proxy from "./proxy.ts"
import * as Time from "./time.ts"

let server: Harness.Started
let proxy: Proxy.Proxy
let stop: () => Promise<void>
beforeAll(async () => {
  ;({ proxy, server, stop } = await Proxy.around())
})
afterAll(() => stop())

/** A client behind a proxy that cuts each connection somewhere in its first bytes, and every fourth not at all. */
const cutting = (seed: number, bytesMax: number) => {
  const random = Proxy.chance(seed)
  proxy.allow(() => random() < 0.25 ? undefined : Math.floor(random() * bytesMax))
  const time = Time.make()
  return { client: createClient({ baseUrl: proxy.url, timer: time.timer, random, retries: 200 }), time }
}

/** Without a proxy: what the server has. */
const direct = () => createClient({ baseUrl: server.url })

const journal = async (turnId: string) => (await direct().events(turnId)).items

const collect = async (events: AsyncIterable<TurnEvent>) => {
  const all: Array<TurnEvent> = []
  for await (const event of events) all.push(event)
  return all
}

const bytesMax = 6_000

describe("the client behind cuts", () => {
  it("P15: of a turn gets every event once and in order, and the server's text and state", async () => {
    let cuts = 0
    await FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.integer(),
        FastCheck.integer({ min: 1, max: 80 }),
        FastCheck.integer({ min: 0, max: 2 }),
        async (seed, deltas, delayMs) => {
          const { client } = cutting(seed, bytesMax)
          const session = await direct().sessions.create()
          const turn = await client.startTurn(session.id, {
            text: "hello",
            options: { script: { deltas, delayMs, bytes: 24 } }
          })
          const events = await collect(turn.follow())
          const known = await journal(turn.id)
          assert.deepStrictEqual(events, known)
          assert.deepStrictEqual(turn.state(), TurnState.fold(known))
          assert.strictEqual(turn.state()?.text, (await direct().turn(turn.id).read()).text)
          assert.lengthOf(await direct().sessions.turns(session.id), 1)
          cuts += proxy.cuts()
        }
      ),
      { numRuns: 12, seed: 20_261_127 }
    )
    assert.isAbove(cuts, 12, "the proxy did cut")
  })

  it("P15: of a session gets every event of its turns, from any place", async () => {
    await FastCheck.assert(
      FastCheck.asyncProperty(FastCheck.integer(), FastCheck.nat(), async (seed, place) => {
        const { client } = cutting(seed, bytesMax)
        const session = await direct().sessions.create()
        const turns: Array<string> = []
        for (let index = 0; index < 3; index++) {
          const turn = await direct().startTurn(session.id, { text: "x", options: { script: { deltas: 20 } } })
          await turn.end()
          turns.push(turn.id)
        }
        const all = (await Promise.all(turns.map(journal))).flat()
        const at = place % (all.length - 1)
        const before = all[at] ?? assert.fail()
        const expected = all.slice(at + 1)
        const events: Array<TurnEvent> = []
        for await (
          const event of client.follow({ session: session.id }, { from: `${before.turnId}.${before.seq}` })
        ) {
          if (events.push(event) === expected.length) break
        }
        assert.deepStrictEqual(events, expected)
      }),
      { numRuns: 10, seed: 20_261_127 }
    )
  })

  it("P9: a start whose answer is cut off, however often, makes one turn", async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const { client, time } = cutting(seed, 400)
      const session = await direct().sessions.create()
      const turn = await client.startTurn(session.id, { text: "once" })
      assert.deepStrictEqual((await direct().sessions.turns(session.id)).map(({ id }) => id), [turn.id])
      assert.isAtLeast(proxy.cuts(), time.waits.length)
    }
  })

  it("P15: goes on after a seq that it is given, and says that it replays, is live, reconnects and ended", async () => {
    const time = Time.make()
    proxy.allow(() => undefined)
    const client = createClient({ baseUrl: proxy.url, timer: time.timer, random: () => 0 })
    const session = await direct().sessions.create()
    const turn = await direct().startTurn(session.id, {
      text: "x",
      options: { script: { steps: [{ say: "abcdef", bytes: 1 }, { hang: true }] } }
    })
    const states: Array<string> = []
    const events: Array<TurnEvent> = []
    const following = client.follow(turn.id, {
      from: 3,
      onConnection: (now) => states.push("from" in now ? `${now.state} in ${now.delayMs} from ${now.from}` : now.state)
    })
    for await (const event of following) {
      events.push(event)
      if (event.seq === 9 && event.type === "model.delta") {
        proxy.cutAll()
        void turn.cancel()
      }
    }
    assert.deepStrictEqual(events, (await journal(turn.id)).slice(3))
    assert.deepStrictEqual(states, [
      "connecting",
      "replaying",
      "live",
      "reconnecting in 500 from 9",
      "reconnecting in 0 from 9",
      "replaying",
      ...states.at(-2) === "live" ? ["live"] : [],
      "ended"
    ])
    assert.strictEqual(events.at(-1)?.type, "turn.failed")
    assert.deepStrictEqual(await collect(client.follow(turn.id, { from: events.at(-1)?.seq })), [])
    assert.strictEqual(time.open(), 0)
  })
})

describe("the client on the service", () => {
  it("cancels, resumes and retries; children are one each", async () => {
    const client = direct()
    const session = await client.sessions.create({ title: "one" })
    const turn = await client.startTurn(session.id, {
      text: "x",
      options: { script: { steps: [{ say: "partial" }, { hang: true }] } }
    })
    for await (const event of turn.follow()) if (event.type === "model.delta") break
    const ended = await turn.cancel()
    assert.strictEqual(ended.error?._tag, "Cancelled")
    assert.deepStrictEqual(await turn.cancel(), ended)
    assert.deepInclude(await turn.end(), { text: "partial", status: "failed" })
    const child = await turn.resume()
    assert.strictEqual(child.turn.resumedFrom, turn.id)
    assert.strictEqual((await client.resume(turn.id)).id, child.id)
    await child.cancel()
    const again = await client.retry(turn.id)
    assert.strictEqual(again.turn.retryOf, turn.id)
    await again.cancel()
  })

  it("makes, lists, renames, exports, imports and deletes sessions", async () => {
    const client = direct()
    const { id } = await client.sessions.create({ title: "one" })
    await (await client.startTurn(id, { parts: [{ type: "text", text: "Hello" }] })).end()
    assert.strictEqual((await client.sessions.rename(id, "two")).title, "two")
    assert.include((await client.sessions.list()).map(({ title }) => title), "two")
    const transcript = await client.sessions.export(id)
    assert.deepStrictEqual(transcript.messages.map(({ role }) => role), ["user", "assistant"])
    const copy = await client.sessions.import(transcript)
    assert.deepStrictEqual((await client.sessions.messages(copy.id)).items.map(({ role }) => role), [
      "user",
      "assistant"
    ])
    await client.sessions.delete(id)
    const refusal = await client.sessions.read(id).catch((error: unknown) => error)
    assert.instanceOf(refusal, TurnstreamError)
    assert.deepInclude({ ...refusal }, { status: 404, code: "SessionNotFound" })
    assert.isFalse(refusal.retryable)
    assert.deepInclude(refusal.problem, { sessionId: id, instance: `/v1/sessions/${id}` })
  })

  it("an unknown turn, an unknown provider and a session that is deleted are typed errors", async () => {
    const client = direct()
    const codeOf = (task: Promise<unknown>) => task.then(() => "none", (error: TurnstreamError) => error.code)
    assert.strictEqual(await codeOf(collect(client.follow("t_none"))), "TurnNotFound")
    assert.strictEqual(await codeOf(collect(client.follow({ session: "s_none" }))), "SessionNotFound")
    const { id } = await client.sessions.create()
    const refused = await client.startTurn(id, { text: "x", provider: "nobody" }).catch((error: unknown) => error)
    assert.instanceOf(refused, TurnstreamError)
    assert.deepInclude({ ...refused }, { status: 422, code: "UnknownProvider" })
    assert.isString(refused.problem["turnId"])
    assert.strictEqual(
      await codeOf(collect(client.follow(String(refused.problem["turnId"]), { from: 99 }))),
      "InvalidRequest"
    )
    const following = client.follow({ session: id })
    await following.next()
    const rest = codeOf(collect(following))
    await client.sessions.delete(id)
    assert.strictEqual(await rest, "SessionNotFound")
  })

  it("a token is sent with requests and streams; a wrong one is refused at once", async () => {
    const guarded = await Harness.start({ token: Redacted.make("right") })
    try {
      const client = createClient({ baseUrl: `${guarded.url}/`, token: async () => "right" })
      const { id } = await client.sessions.create()
      const turn = await client.startTurn(id, { text: "Hello" })
      assert.strictEqual((await turn.end()).status, "completed")
      const stranger = createClient({ baseUrl: guarded.url, token: "wrong" })
      for (const task of [() => stranger.sessions.list(), () => collect(stranger.follow(turn.id))]) {
        const error = await task().catch((error: unknown) => error)
        assert.instanceOf(error, TurnstreamError)
        assert.deepInclude({ ...error }, { status: 401, code: "Unauthorized" })
      }
    } finally {
      await guarded.stop()
    }
  })
})
