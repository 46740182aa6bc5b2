/**
 * Every wire family over real sockets: one suite, run on each. The bytes come from the families' own test modules, the
 * faults from here.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { ProviderFailure } from "../../src/domain/TurnError.ts"
import type { ProviderEvent } from "../../src/provider/Provider.ts"
import { contract, textOf } from "./adapter-contract.ts"
import { wire as anthropic } from "./families/AnthropicWire.ts"
import { wire as bedrock } from "./families/BedrockWire.ts"
import { concat, decodedOf, type FamilyWire, pieces } from "./families/decoding.ts"
import { wire as ollama } from "./families/OllamaWire.ts"
import { wire as openAiChat } from "./families/OpenAiChatWire.ts"
import { wire as openAiResponses } from "./families/OpenAiResponsesWire.ts"
import { ask, canary, collect, type Limits, withProvider } from "./live.ts"
import { type Reply, startUpstream, type Upstream } from "./upstream.ts"

const texts = ["Grüße, ", "Welt: ", "1 ≠ 2 ", "🙂."]
const whole = texts.join("")

/** HTTP status, what it means, whether a retry helps (`spec` of kinds: docs/providers.md). */
const statuses = [
  [401, "authentication", false],
  [402, "quota", false],
  [403, "permission", false],
  [404, "not_found", false],
  [408, "timeout", true],
  [409, "server", true],
  [413, "invalid_request", false],
  [422, "invalid_request", false],
  [429, "rate_limit", true],
  [500, "server", true],
  [502, "server", true],
  [503, "overloaded", true],
  [504, "timeout", true],
  [529, "overloaded", true]
] as const

const suite = (wire: FamilyWire) => {
  let upstream: Upstream
  beforeAll(async () => {
    upstream = await startUpstream()
  })
  afterAll(() => upstream.close())

  const headers = { "content-type": wire.contentType }
  const run = (reply: Reply, limits?: Limits) => {
    upstream.reply(() => ({ headers, ...reply }))
    return withProvider(wire.family, upstream, (provider) => collect(provider.stream(ask())), limits)
  }
  const failed = (reply: Reply, limits?: Limits) =>
    Effect.map(run(reply, limits), ({ events, failure }) => {
      assert.isDefined(failure)
      assert.isFalse(events.some(({ _tag }) => _tag === "Finish"))
      return { events, failure }
    })

  const answer = wire.answer(texts)

  it.live("a good answer: its text, its usage, one finish, with the key in the request and no tracing header", () =>
    Effect.gen(function*() {
      const { events, failure } = yield* run({ parts: answer })
      assert.isUndefined(failure)
      const decoded = decodedOf(events, undefined)
      assert.strictEqual(decoded.text, whole)
      assert.strictEqual(decoded.finishReason, "stop")
      assert.deepInclude(decoded.usage, { inputTokens: 11, outputTokens: 7, totalTokens: 18 })
      assert.isDefined(decoded.rawUsage)
      // taken, and once more where the wire names the model that answers
      const accepted = events.filter(({ _tag }) => _tag === "Accepted")
      const named = wire.answeredBy === undefined ? [] : [{ _tag: "Accepted" as const, model: wire.answeredBy }]
      assert.deepStrictEqual(accepted, [{ _tag: "Accepted" }, ...named])
      assert.isBelow(
        events.findLastIndex(({ _tag }) => _tag === "Accepted"),
        events.findIndex(({ _tag }) => _tag === "Delta")
      )
      const request = upstream.requests.at(-1)
      assert.strictEqual(request?.method, "POST")
      assert.strictEqual(request?.headers["content-type"], "application/json")
      assert.include(JSON.stringify(request?.headers), canary)
      assert.notInclude(`${request?.path}${request?.body}`, canary)
      for (const name of ["traceparent", "b3", "x-b3-traceid"]) assert.notProperty(request?.headers, name)
      assert.include(request?.body, "hi")
    }))

  it.live("bytes that come one by one give the same answer", () =>
    Effect.gen(function*() {
      const { events, failure } = yield* run({ parts: pieces(concat(answer), 1) })
      assert.isUndefined(failure)
      assert.strictEqual(decodedOf(events, undefined).text, whole)
    }))

  it.live("a tool call comes whole", () =>
    Effect.gen(function*() {
      const { events } = yield* run({ parts: wire.toolCall("id_1", "look_up", ['{"city":', '"Bär', 'lin"}']) })
      const decoded = decodedOf(events, undefined)
      assert.deepStrictEqual(decoded.toolCalls.map(({ arguments: args, name }) => ({ args, name })), [
        { args: { city: "Bärlin" }, name: "look_up" }
      ])
      assert.strictEqual(decoded.finishReason, "tool-calls")
    }))

  it.live("a body that ends at any frame border before the end is incomplete, and keeps what came", () =>
    Effect.gen(function*() {
      for (let count = 0; count <= answer.length - wire.endFrames; count++) {
        const { events, failure } = yield* failed({ parts: answer.slice(0, count) })
        assert.deepInclude({ ...failure }, { kind: "incomplete_stream", retryable: true }, `${count} frames`)
        assert.isTrue(whole.startsWith(textOf(events)))
      }
    }))

  it.live("a connection that is reset in mid-body is incomplete, and keeps what came", () =>
    Effect.gen(function*() {
      const { events, failure } = yield* failed({ parts: answer.slice(0, -wire.endFrames), after: "reset" })
      assert.deepInclude({ ...failure }, { kind: "incomplete_stream", retryable: true })
      assert.strictEqual(textOf(events), whole)
    }))

  it.live("a connection that is reset before the headers is a failure of the network", () =>
    Effect.gen(function*() {
      const { failure } = yield* failed({ silent: "reset" })
      assert.deepInclude({ ...failure }, { kind: "network", retryable: true })
    }))

  it.live("silence before the headers is a timeout, in mid-body a stall; both close the socket", () =>
    Effect.gen(function*() {
      const early = yield* failed({ silent: "hang" }, { firstByteMs: 60 })
      assert.strictEqual(early.failure.kind, "timeout")
      yield* Effect.promise(() => upstream.requests.at(-1)?.closed ?? Promise.reject())
      const late = yield* failed({ parts: answer.slice(0, -wire.endFrames), after: "hang" }, { idleMs: 60 })
      assert.strictEqual(late.failure.kind, "stalled")
      assert.strictEqual(textOf(late.events), whole)
      yield* Effect.promise(() => upstream.requests.at(-1)?.closed ?? Promise.reject())
    }))

  it.live("each HTTP status is the kind that it means, with the vendor's words and its request id", () =>
    Effect.gen(function*() {
      for (const [status, kind, retryable] of statuses) {
        const body = wire.errorBody("the vendor says no")
        const { failure } = yield* failed({
          status,
          headers: { "content-type": "application/json", "x-request-id": "r-17", "retry-after": "2" },
          parts: [body]
        })
        assert.deepInclude(
          { ...failure },
          { kind, retryable, status, requestId: "r-17", retryAfterMs: 2_000 },
          `${status}`
        )
        assert.include(failure.detail, "the vendor says no")
      }
    }))

  it.live("an error in mid-stream is that error, and what came before it stands", () =>
    Effect.gen(function*() {
      const { events, failure } = yield* failed({ parts: [...answer.slice(0, -wire.endFrames), wire.overloaded] })
      assert.deepInclude({ ...failure }, { kind: "overloaded", retryable: true })
      assert.strictEqual(textOf(events), whole)
    }))

  it.live("P24: arguments, usage and fields nested without end are one failure, never a crash", () =>
    Effect.gen(function*() {
      const nest = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`
      const deep = nest(20_000)
      const nested = `{"error":${deep},"usage":${deep},"message":${deep},"response":${deep},"choices":${deep}}`
      for (
        const parts of [wire.toolCall("id_1", "look_up", [`{"a":${nest(2_000)}}`]), [`data: ${nested}\n\n`], [
          `${nested}\n`
        ]]
      ) {
        const { failure } = yield* failed({ parts })
        assert.notInclude(failure.detail ?? "", "crashed")
        assert.include(["protocol", "incomplete_stream"], failure.kind)
      }
    }))

  it.live("a JSON error under HTTP 200 is that error, in one line or over several", () =>
    Effect.gen(function*() {
      const error = { error: { message: "out of credit", type: "insufficient_quota", code: "insufficient_quota" } }
      for (const contentType of ["application/json", wire.contentType]) {
        for (const indent of [0, 2]) {
          const { failure } = yield* failed({
            headers: { "content-type": contentType },
            parts: [JSON.stringify(error, undefined, indent)]
          })
          assert.deepInclude({ ...failure }, { kind: "quota", retryable: false }, `${contentType}, indent ${indent}`)
          assert.include(failure.detail, "out of credit")
        }
      }
    }))

  it.live("P25: a key that the vendor echoes, whole or cut, is in no failure", () =>
    Effect.gen(function*() {
      const shown: Array<string> = []
      for (const echo of [canary, canary.slice(0, 14), canary.slice(6), `Bearer ${canary}`]) {
        for (const status of [401, 500]) {
          const { failure } = yield* failed({
            status,
            headers: { "content-type": "application/json", "x-request-id": echo },
            parts: [wire.errorBody(`your key ${echo} is wrong`)]
          })
          shown.push(JSON.stringify(failure), failure.message, String(failure), String(failure.stack))
        }
      }
      for (let start = 0; start + 8 <= canary.length; start++) {
        assert.notInclude(shown.join(" "), canary.slice(start, start + 8))
      }
      assert.include(shown.join(" "), "CANARY_KEY")
    }))

  it.live("P25: a key that the vendor says in its answer is in no event", () =>
    Effect.gen(function*() {
      const said = yield* run({ parts: wire.answer(["you sent ", `Bearer ${canary}!`]) })
      assert.strictEqual(textOf(said.events), "you sent Bearer ***!")
      const called = yield* run({ parts: wire.toolCall("id_1", "look_up", [`{"key":"${canary}"}`]) })
      assert.deepStrictEqual(decodedOf(called.events, undefined).toolCalls.map((call) => call.arguments), [{
        key: "***"
      }])
      assert.notInclude(JSON.stringify([said, called]), canary)
    }))

  it.live("interruption closes the socket before the headers, after them and in mid-body", () =>
    Effect.gen(function*() {
      const situations: ReadonlyArray<Reply> = [
        { silent: "hang" },
        { parts: [], after: "hang" },
        { parts: answer.slice(0, -wire.endFrames), after: "hang" }
      ]
      for (const reply of situations) {
        const asked = yield* Queue.bounded<void>(1)
        upstream.reply(() => {
          Queue.unsafeOffer(asked, undefined)
          return { headers, ...reply }
        })
        yield* withProvider(wire.family, upstream, (provider) =>
          Effect.gen(function*() {
            const fiber = yield* Effect.fork(Stream.runDrain(provider.stream(ask())))
            yield* Queue.take(asked)
            const exit = yield* Fiber.interrupt(fiber)
            assert.isTrue(Exit.isInterrupted(exit))
            yield* Effect.promise(() => upstream.requests.at(-1)?.closed ?? Promise.reject())
          }))
      }
    }))

  contract("as an adapter", () => {
    const before = upstream.requests.length
    const stream = (reply: Reply) =>
      Stream.unwrapScoped(Effect.gen(function*() {
        upstream.reply(() => ({ headers, ...reply }))
        const seen = yield* Queue.bounded<Exit.Exit<ProviderEvent, Option.Option<ProviderFailure>>>(64)
        yield* Effect.forkScoped(
          withProvider(wire.family, upstream, (provider) =>
            Stream.runIntoQueueElementsScoped(provider.stream(ask()), seen).pipe(Effect.scoped))
        )
        return Stream.repeatEffectOption(Effect.flatten(Queue.take(seen)))
      }))
    const said = (texts: ReadonlyArray<string>) => wire.answer(texts).slice(0, -wire.endFrames)
    return {
      answers: (texts) => stream({ parts: wire.answer(texts) }),
      waits: (texts, ms) =>
        Stream.unwrapScoped(Effect.gen(function*() {
          const late = wire.answer([...texts, "late"])
          let open = () => {}
          const before = wire.answer(texts)
          const index = late.findIndex((frame, at) => !Buffer.from(frame).equals(before[at] ?? new Uint8Array()))
          const gate = { index, open: new Promise<void>((resolve) => (open = resolve)) }
          yield* Effect.forkScoped(Effect.zipRight(Effect.sleep(ms), Effect.sync(() => open())))
          return stream({ parts: late, gate })
        })),
      fails: (texts) => stream({ parts: [...said(texts), wire.overloaded] }),
      failsAs: "overloaded",
      hangs: (texts) => stream({ parts: said(texts), after: "hang" }),
      calls: () => upstream.requests.length - before
    }
  })
}

describe("openai-compatible", () => {
  suite(openAiChat)
})
describe("openai-responses", () => {
  suite(openAiResponses)
})
describe("anthropic", () => {
  suite(anthropic)
})
describe("bedrock", () => {
  suite(bedrock)
})
describe("ollama", () => {
  suite(ollama)
})
