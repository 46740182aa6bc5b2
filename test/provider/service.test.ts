/**
 * Live providers through the whole service: configuration, HTTP, journal and ledger, against a vendor on loopback. Each
 * wire family has its turn, its cancel, its retry and its resume.
 */
import { afterAll, assert, beforeAll, beforeEach, describe, it, vi } from "@effect/vitest"
import type { Family } from "../../src/config/Settings.ts"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import { follow, get, newSession, openStream, post, start, type Started, submit } from "../http/harness.ts"
import { wire as anthropic } from "./families/AnthropicWire.ts"
import { wire as bedrock } from "./families/BedrockWire.ts"
import type { FamilyWire } from "./families/decoding.ts"
import { wire as ollama } from "./families/OllamaWire.ts"
import { wire as openAiChat } from "./families/OpenAiChatWire.ts"
import { wire as openAiResponses } from "./families/OpenAiResponsesWire.ts"
import { canary, keyEnv } from "./live.ts"
import { type Reply, startUpstream, type Upstream } from "./upstream.ts"

const wires: ReadonlyArray<FamilyWire> = [openAiChat, openAiResponses, anthropic, bedrock, ollama]

/** How a cut answer is handed back to be continued, in each family's own words. */
const partials: Partial<Record<Family, (body: string) => boolean>> = {
  "openai-compatible": (body) => /"role":"assistant","content":"one two "/.test(body),
  "openai-responses": (body) => /"role":"assistant","content":\[\{"type":"output_text","text":"one two "/.test(body),
  "anthropic": (body) => /"role":"assistant","content":\[\{"type":"text","text":"one two"\}\]\}\]/.test(body),
  "bedrock": (body) => /"role":"assistant","content":\[\{"text":"one two"/.test(body),
  "ollama": (body) => /"role":"assistant","content":"one two "\}\]/.test(body)
}

let upstream: Upstream
let server: Started

beforeEach(() => void vi.stubEnv(keyEnv, canary))

beforeAll(async () => {
  upstream = await startUpstream()
  server = await start({
    network: { live: true, allowLoopback: true },
    providers: [
      ...wires.map(({ family: { family } }) => ({
        id: family,
        family,
        baseUrl: `${upstream.url}/v1`,
        apiKeyEnv: keyEnv,
        models: "any" as const,
        contextWindow: 32_000
      })),
      { id: "never-called", family: "ollama", baseUrl: upstream.url },
      { id: "keyless", family: "openai-compatible", baseUrl: upstream.url, apiKeyEnv: "TURNSTREAM_TEST_NO_KEY" }
    ]
  })
})

afterAll(async () => {
  await server.stop()
  await upstream.close()
})

const eventsOf = async (turnId: string): Promise<ReadonlyArray<TurnEvent>> =>
  (await follow(server, turnId)).map(({ data }) => JSON.parse(data))

const one = <T extends TurnEvent["type"]>(events: ReadonlyArray<TurnEvent>, type: T) => {
  const found = events.filter((event) => event.type === type)
  assert.strictEqual(found.length, 1, type)
  return found[0] as Extract<TurnEvent, { readonly type: T }>
}

const startTurn = async (provider: string) =>
  submit(server, await newSession(server), { message: "hello there", provider, model: "some-model" })

const untilDelta = async (turnId: string) => {
  const reader = await openStream(server, `/v1/turns/${turnId}/events`)
  for (let event = await reader.next(); event !== undefined; event = await reader.next()) {
    if (event.event === "model.delta") break
  }
  reader.leave()
}

const suite = (wire: FamilyWire) => {
  const provider = wire.family.family
  const headers = { "content-type": wire.contentType }
  const answer = wire.answer(["one ", "two "])
  const cut = answer.slice(0, -wire.endFrames)
  const reply = (...replies: ReadonlyArray<Reply>) => {
    const before = upstream.requests.length
    upstream.reply((_, index) => ({ headers, ...replies[Math.min(index - before, replies.length - 1)] }))
    return () => upstream.requests.length - before
  }

  it("a turn by HTTP: text, finish and usage as the wire had them, raw beside normal, and the same in the ledger", async () => {
    reply({ parts: answer })
    const { id, sessionId } = await startTurn(provider)
    const events = await eventsOf(id)
    const { body } = await get(server, `/v1/turns/${id}`)
    assert.deepInclude(body, { status: "completed", text: "one two ", finishReason: "stop", attempts: 1 })
    assert.deepInclude(body.usage as object, { inputTokens: 11, outputTokens: 7, totalTokens: 18 })
    const usage = one(events, "telemetry.usage").data
    assert.deepInclude(usage, { source: "reported" })
    assert.include(JSON.stringify(usage.raw), "11")
    assert.isString(one(events, "turn.completed").data.rawFinishReason)
    const totals = await get(server, "/v1/usage?by=session")
    const items = totals.body.items as ReadonlyArray<Record<string, unknown>>
    assert.deepInclude(items.find((item) => item.session === sessionId)?.usage as object, {
      inputTokens: 11,
      outputTokens: 7,
      totalTokens: 18
    })
  })

  it("a tool call ends the turn, and its result goes back with the call", async () => {
    reply({ parts: wire.toolCall("call-1", "look_up", ['{"city":"Ulm"}']) }, { parts: answer })
    const { id, sessionId } = await startTurn(provider)
    const events = await eventsOf(id)
    const call = one(events, "model.tool-call").data
    assert.deepInclude(call, { toolName: "look_up", arguments: { city: "Ulm" } })
    assert.strictEqual(one(events, "turn.completed").data.finishReason, "tool-calls")
    const result = { type: "tool-result", toolCallId: call.toolCallId, content: "rain until five" }
    const next = await submit(server, sessionId, { message: { parts: [result] }, provider, model: "some-model" })
    await eventsOf(next.id)
    const sent = upstream.requests.at(-1)?.body ?? ""
    for (const part of ["look_up", "Ulm", "rain until five"]) assert.include(sent, part)
  })

  it("P11: a cancel reaches the vendor's socket before the headers and in mid-body", async () => {
    for (const situation of ["silent", "mid-body"] as const) {
      let asked = () => {}
      const called = new Promise<void>((resolve) => (asked = resolve))
      upstream.reply(() => {
        asked()
        return situation === "silent" ? { silent: "hang" } : { headers, parts: cut, after: "hang" }
      })
      const { id } = await startTurn(provider)
      await called
      if (situation === "mid-body") await untilDelta(id)
      const { body } = await post(server, `/v1/turns/${id}/cancel`)
      assert.deepInclude(body.error as object, { _tag: "Cancelled" })
      await upstream.requests.at(-1)?.closed
      assert.strictEqual(body.text, situation === "silent" ? "" : "one two ")
    }
  })

  it("a 429 is an attempt that failed, with the wait that was asked for, and the next one answers", async () => {
    const busy = { status: 429, headers: { "content-type": "application/json", "retry-after-ms": "5" } }
    const calls = reply({ ...busy, parts: [wire.errorBody("slow down")] }, { parts: answer })
    const { id } = await startTurn(provider)
    const events = await eventsOf(id)
    const failed = one(events, "attempt.failed")
    assert.deepInclude(failed.data.error, { kind: "rate_limit", retryable: true, status: 429, retryAfterMs: 5 })
    assert.isAtLeast(failed.data.retryInMs ?? 0, 5)
    assert.strictEqual(events.filter(({ type }) => type === "attempt.started").length, 2)
    assert.deepInclude((await get(server, `/v1/turns/${id}`)).body, { status: "completed", attempts: 2 })
    assert.strictEqual(calls(), 2)
  })

  it("after text nothing is tried again: the turn fails with what came, and its resume hands it back", async () => {
    const calls = reply({ parts: [...cut, wire.overloaded] }, { parts: wire.answer(["three."]) })
    const { id } = await startTurn(provider)
    await eventsOf(id)
    const { body } = await get(server, `/v1/turns/${id}`)
    assert.deepInclude(body, { status: "failed", text: "one two ", attempts: 1 })
    assert.deepInclude(body.error as object, { _tag: "ProviderFailure", kind: "overloaded", retryable: true })
    assert.strictEqual(calls(), 1)
    const resumed = await post(server, `/v1/turns/${id}/resume`)
    await eventsOf(String(resumed.body.id))
    assert.strictEqual((await get(server, `/v1/turns/${resumed.body.id}`)).body.text, "three.")
    const sent = upstream.requests.at(-1)?.body ?? ""
    assert.isTrue(partials[provider]?.(sent), sent)
  })

  it("a refused key is a failure at once, naming the variable and not the key", async () => {
    const calls = reply({
      status: 401,
      headers: { "content-type": "application/json" },
      parts: [wire.errorBody(`bad key ${canary}`)]
    })
    const { id } = await startTurn(provider)
    const events = await eventsOf(id)
    const { error } = one(events, "turn.failed").data
    assert.deepInclude(error, { kind: "authentication", retryable: false, status: 401 })
    assert.include(error.message, keyEnv)
    assert.notInclude(JSON.stringify(events), canary)
    assert.strictEqual(calls(), 1)
  })
}

for (const wire of wires) {
  describe(wire.family.family, () => {
    suite(wire)
  })
}

describe("any family", () => {
  it("a quota is never tried again, although it is a 429", async () => {
    const before = upstream.requests.length
    upstream.reply(() => ({
      status: 429,
      headers: { "content-type": "application/json", "x-should-retry": "true", "retry-after": "1" },
      parts: [JSON.stringify({ error: { message: "You exceeded your current quota", code: "insufficient_quota" } })]
    }))
    const { id } = await startTurn("openai-compatible")
    const { error } = one(await eventsOf(id), "turn.failed").data
    assert.deepInclude(error, { kind: "quota", retryable: false })
    assert.strictEqual(upstream.requests.length - before, 1)
  })

  it("a missing variable blocks the provider, is named, and nobody is called", async () => {
    const before = upstream.requests.length
    const session = await newSession(server)
    const { body, status } = await post(server, `/v1/sessions/${session}/turns`, {
      message: "hi",
      provider: "keyless",
      model: "m"
    })
    assert.strictEqual(status, 422)
    assert.deepInclude(body, { code: "ProviderBlocked", missingEnv: ["TURNSTREAM_TEST_NO_KEY"] })
    assert.strictEqual(upstream.requests.length, before)
  })

  it("GET /v1/providers tells ready from unproven from blocked, and makes no call", async () => {
    const before = upstream.requests.length
    const { body } = await get(server, "/v1/providers")
    const items = body.items as ReadonlyArray<
      { readonly id: string; readonly readiness: string; readonly reason?: string }
    >
    const readiness = (id: string) => items.find((item) => item.id === id)?.readiness
    assert.strictEqual(readiness("openai-compatible"), "ready")
    assert.strictEqual(readiness("never-called"), "unproven")
    assert.strictEqual(readiness("openai"), "blocked")
    assert.strictEqual(readiness("keyless"), "blocked")
    assert.include(items.find(({ id }) => id === "keyless")?.reason, "TURNSTREAM_TEST_NO_KEY is not set")
    assert.strictEqual(upstream.requests.length, before)
    assert.notInclude(JSON.stringify(body), canary)
  })
})
