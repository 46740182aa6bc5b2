import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type { PromptMessage } from "../../src/domain/Message.ts"
import type { ProviderFailure } from "../../src/domain/TurnError.ts"
import * as Deterministic from "../../src/provider/Deterministic.ts"
import type { ProviderEvent, ProviderRequest } from "../../src/provider/Provider.ts"
import { Script } from "../../src/provider/Script.ts"
import { contract, observe, textOf } from "./adapter-contract.ts"

const provider = Deterministic.make("deterministic")

const user = (text: string): PromptMessage => ({ role: "user", parts: [{ type: "text", text }] })
const assistant = (text: string): PromptMessage => ({ role: "assistant", parts: [{ type: "text", text }] })

interface Asked {
  readonly model?: string
  readonly script?: unknown
  readonly prefix?: string
  readonly attempt?: number
  readonly text?: string
}

const decode = Schema.decodeUnknownSync(Script)

const request = (asked: Asked): ProviderRequest => ({
  model: asked.model ?? "echo",
  messages: [user(asked.text ?? "hi"), ...(asked.prefix === undefined ? [] : [assistant(asked.prefix)])],
  generation: {},
  attempt: asked.attempt ?? 1,
  contextTokens: 17,
  ...(asked.script === undefined ? {} : { script: decode(asked.script) })
})

const ask = (asked: Asked) => provider.stream(request(asked))

/** Run to the end while virtual time passes as far as it needs to. */
const run = Effect.fnUntraced(function*(asked: Asked) {
  const fiber = yield* Effect.fork(observe(ask(asked)))
  yield* TestClock.adjust("1 day")
  return yield* Fiber.join(fiber)
})

/** A clock on which every wait is over at once, for runs whose pace does not matter. */
const hurried: Clock.Clock = Object.assign(Clock.make(), { sleep: () => Effect.void })
const hurry = (asked: Asked) => Effect.withClock(observe(ask(asked)), hurried)

const failureOf = (exit: Exit.Exit<void, ProviderFailure>): ProviderFailure | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

const deltas = (events: ReadonlyArray<ProviderEvent>) =>
  events.flatMap((event) => (event._tag === "Delta" ? [event] : []))
const finishes = (events: ReadonlyArray<ProviderEvent>) =>
  events.flatMap((event) => (event._tag === "Finish" ? [event.reason] : []))
const usages = (events: ReadonlyArray<ProviderEvent>) =>
  events.flatMap((event) => (event._tag === "Usage" ? [event.usage] : []))

contract("deterministic", () => {
  let calls = 0
  const steps = (texts: ReadonlyArray<string>, ...rest: ReadonlyArray<unknown>) =>
    Stream.onStart(ask({ script: { steps: [...texts.map((say) => ({ say })), ...rest] } }), Effect.sync(() => calls++))
  return {
    answers: (texts) => steps(texts),
    waits: (texts, ms) => steps(texts, { wait: ms }, { say: "late" }),
    fails: (texts) => steps(texts, { fail: { kind: "server" } }, { say: "never" }),
    failsAs: "server",
    hangs: (texts) => steps(texts, { hang: true }, { say: "never" }),
    calls: () => calls
  }
})

describe("short form", () => {
  it.effect("the text is the protocol's, delta by delta", () =>
    Effect.gen(function*() {
      const { events } = yield* run({ script: { deltas: 200, delayMs: 20, bytes: 40, burst: 1 } })
      const said = deltas(events)
      assert.strictEqual(said.length, 200)
      said.forEach((delta, index) => assert.strictEqual(delta.text, String(index).padStart(39, "0") + " "))
      assert.deepStrictEqual(finishes(events), ["stop"])
      assert.deepStrictEqual(usages(events), [{
        inputTokens: 17,
        outputTokens: 200,
        cacheReadTokens: null,
        cacheWriteTokens: null,
        reasoningTokens: null,
        totalTokens: 217
      }])
    }))

  it.effect("defaults: 8 characters a delta, no delay", () =>
    Effect.gen(function*() {
      const { events } = yield* observe(ask({ script: { deltas: 3 } }))
      assert.deepStrictEqual(deltas(events).map((delta) => delta.text), ["0000000 ", "0000001 ", "0000002 "])
    }))

  it.effect("from 1 character a delta, where the number alone sets the length, to 16 MiB", () =>
    Effect.gen(function*() {
      const { events } = yield* run({ script: { deltas: 12, bytes: 1 } })
      assert.strictEqual(textOf(events), "0 1 2 3 4 5 6 7 8 9 10 11 ")
      const large = yield* run({ script: { deltas: 1, bytes: 16_777_216 } })
      assert.strictEqual(textOf(large.events).length, 16_777_216)
      for (const bytes of [0, 16_777_217, 1.5]) assert.throws(() => decode({ deltas: 1, bytes }))
    }))

  it.effect("no deltas: usage and an end", () =>
    Effect.gen(function*() {
      const { events } = yield* observe(ask({ script: { deltas: 0 } }))
      assert.deepStrictEqual(events.map((event) => event._tag), ["Usage", "Finish"])
    }))

  it.scoped("delayMs passes before each burst, and a burst is one chunk", () =>
    Effect.gen(function*() {
      const sizes = yield* Queue.bounded<number>(64)
      yield* Effect.forkScoped(
        Stream.runForEachChunk(
          ask({ script: { deltas: 7, delayMs: 100, burst: 3 } }),
          (chunk) => Queue.offer(sizes, Chunk.filter(chunk, (event) => event._tag === "Delta").length)
        )
      )
      for (const expected of [3, 3, 1]) {
        yield* TestClock.adjust(99)
        assert.strictEqual(yield* Queue.size(sizes), 0)
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* Queue.take(sizes), expected)
      }
    }))

  it.effect("without delay a burst is one chunk too, small or larger than a usual chunk", () =>
    Effect.gen(function*() {
      for (const burst of [7, 500]) {
        const sizes: Array<number> = []
        yield* Stream.runForEachChunk(
          ask({ script: { deltas: 2 * burst, burst } }),
          (chunk) => Effect.sync(() => sizes.push(Chunk.filter(chunk, (event) => event._tag === "Delta").length))
        )
        assert.deepStrictEqual(sizes.filter((size) => size > 0), [burst, burst])
      }
    }))

  it.effect("without delay chunks are full and bounded", () =>
    Effect.gen(function*() {
      const sizes: Array<number> = []
      yield* Stream.runForEachChunk(
        ask({ script: { deltas: 100_000 } }),
        (chunk) => Effect.sync(() => sizes.push(chunk.length))
      )
      assert.isAtMost(Math.max(...sizes), 256)
      assert.isAtMost(sizes.length, 392)
    }))

  it.live("a run without delays lets timers in, so that it can be interrupted from outside", () =>
    Effect.gen(function*() {
      let seen = 0
      const endless = ask({ script: { steps: [{ endless: "again and again " }] } })
      // The real clock: what is proved is that the event loop turns.
      yield* Effect.race(Stream.runForEach(endless, () => Effect.sync(() => seen++)), Effect.sleep(1))
      assert.isAtMost(seen, 100_000)
    }))
})

describe("steps", () => {
  const table: ReadonlyArray<{
    readonly name: string
    readonly steps: ReadonlyArray<unknown>
    readonly events: ReadonlyArray<Partial<ProviderEvent> & { readonly _tag: string }>
    readonly attempt?: number
    readonly fails?: Partial<ProviderFailure>
  }> = [
    {
      name: "say is one delta",
      steps: [{ say: "hello" }],
      events: [{ _tag: "Delta", kind: "text", text: "hello" }, { _tag: "Usage" }, { _tag: "Finish", reason: "stop" }]
    },
    {
      name: "say in deltas of n characters, repeated, never inside a surrogate pair",
      steps: [{ say: "ab😀c", bytes: 3, repeat: 2 }, { end: "length" }],
      events: [
        { _tag: "Delta", text: "ab😀" },
        { _tag: "Delta", text: "c" },
        { _tag: "Delta", text: "ab😀" },
        { _tag: "Delta", text: "c" },
        { _tag: "Usage" },
        { _tag: "Finish", reason: "length" }
      ]
    },
    {
      name: "reason",
      steps: [{ reason: "hmm.", bytes: 2 }, { say: "x" }],
      events: [
        { _tag: "Delta", kind: "reasoning", text: "hm" },
        { _tag: "Delta", kind: "reasoning", text: "m." },
        { _tag: "Delta", kind: "text", text: "x" },
        { _tag: "Usage" },
        { _tag: "Finish", reason: "stop" }
      ]
    },
    {
      name: "a tool call: its input in deltas, then the call, finish tool-calls",
      steps: [{ toolCall: { name: "add", arguments: { a: 1, b: 22222 } } }],
      events: [
        { _tag: "Delta", kind: "tool-input", text: '{"a":1,"b":22222', toolCallId: "call_1", toolName: "add" },
        { _tag: "Delta", kind: "tool-input", text: "}", toolCallId: "call_1", toolName: "add" },
        { _tag: "ToolCall", toolCallId: "call_1", toolName: "add", arguments: { a: 1, b: 22222 } },
        { _tag: "Usage" },
        { _tag: "Finish", reason: "tool-calls" }
      ]
    },
    {
      name: "a tool call's own id, and an end that says otherwise",
      steps: [{ toolCall: { id: "mine", name: "now", arguments: {} } }, { end: "stop" }],
      events: [
        { _tag: "Delta", kind: "tool-input", text: "{}", toolCallId: "mine", toolName: "now" },
        { _tag: "ToolCall", toolCallId: "mine", toolName: "now", arguments: {} },
        { _tag: "Usage" },
        { _tag: "Finish", reason: "stop" }
      ]
    },
    {
      name: "cut tool input never becomes a call",
      steps: [{ toolCall: { name: "add", arguments: { a: 1 } }, cut: true }],
      events: [
        { _tag: "Delta", kind: "tool-input", text: '{"a"', toolCallId: "call_1" },
        { _tag: "Usage" },
        { _tag: "Finish", reason: "stop" }
      ]
    },
    {
      name: "usage as the script says, twice",
      steps: [{ usage: { inputTokens: 1, outputTokens: 2 } }, { say: "x" }, { usage: { outputTokens: 9 } }],
      events: [
        { _tag: "Usage", usage: usage({ inputTokens: 1, outputTokens: 2, totalTokens: 3 }) },
        { _tag: "Delta", text: "x" },
        { _tag: "Usage", usage: usage({ outputTokens: 9 }) },
        { _tag: "Finish", reason: "stop" }
      ]
    },
    {
      name: "usage none",
      steps: [{ say: "x" }, { usage: "none" }],
      events: [{ _tag: "Delta" }, { _tag: "Finish", reason: "stop" }]
    },
    {
      name: "fail before the first delta, with the facts of the wire",
      steps: [{ fail: { kind: "rate_limit", status: 429, retryAfterMs: 1500 } }],
      events: [],
      fails: { kind: "rate_limit", status: 429, retryAfterMs: 1500, retryable: true, providerId: "deterministic" }
    },
    {
      name: "an answer that turns into an error",
      steps: [{ say: "a" }, { say: "b" }, { fail: { kind: "quota", status: 200 } }],
      events: [{ _tag: "Delta", text: "a" }, { _tag: "Delta", text: "b" }],
      fails: { kind: "quota", status: 200, retryable: false }
    },
    {
      name: "fail only in the first attempts",
      steps: [{ fail: { kind: "server", attempts: 1 } }, { say: "ok" }],
      attempt: 2,
      events: [{ _tag: "Delta", text: "ok" }, { _tag: "Usage" }, { _tag: "Finish" }]
    },
    {
      name: "big is one delta",
      steps: [{ big: 5 }],
      events: [{ _tag: "Delta", text: "xxxxx" }, { _tag: "Usage" }, { _tag: "Finish" }]
    },
    {
      name: "a delta after the end and a second end are emitted as they are",
      steps: [{ end: "stop" }, { say: "late" }, { end: "length" }],
      events: [
        { _tag: "Usage" },
        { _tag: "Finish", reason: "stop" },
        { _tag: "Delta", text: "late" },
        { _tag: "Finish", reason: "length" }
      ]
    },
    { name: "no finish", steps: [{ say: "x" }, { end: "none" }], events: [{ _tag: "Delta", text: "x" }] },
    {
      name: "wait passes on the clock",
      steps: [{ wait: 3_600_000 }, { say: "x" }],
      events: [{ _tag: "Delta", text: "x" }, { _tag: "Usage" }, { _tag: "Finish" }]
    }
  ]

  function usage(known: { inputTokens?: number; outputTokens?: number; totalTokens?: number }) {
    return {
      inputTokens: null,
      outputTokens: null,
      cacheReadTokens: null,
      cacheWriteTokens: null,
      reasoningTokens: null,
      totalTokens: null,
      ...known
    }
  }

  for (const row of table) {
    it.effect(row.name, () =>
      Effect.gen(function*() {
        const { events, exit } = yield* run({ script: { steps: row.steps }, attempt: row.attempt ?? 1 })
        assert.strictEqual(events.length, row.events.length)
        row.events.forEach((expected, index) => assert.deepInclude(events[index], expected))
        const failure = failureOf(exit)
        assert.strictEqual(failure === undefined, row.fails === undefined)
        if (row.fails !== undefined) assert.deepInclude({ ...failure }, { ...row.fails })
      }))
  }

  it.effect("a delta of 10 MB is one event", () =>
    Effect.gen(function*() {
      const { events } = yield* observe(ask({ script: { steps: [{ big: 10 * 1024 * 1024 }] } }))
      assert.strictEqual(deltas(events)[0]?.text.length, 10 * 1024 * 1024)
    }))

  it.effect("an endless script costs no memory ahead of its reader and keeps its pace", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        Stream.runCount(Stream.interruptAfter(ask({ script: { steps: [{ endless: "tick ", everyMs: 10 }] } }), 1_005))
      )
      yield* TestClock.adjust(1_005)
      assert.strictEqual(yield* Fiber.join(fiber), 101)
    }))
})

describe("models", () => {
  it.effect("echo repeats the message in small deltas, without waiting", () =>
    Effect.gen(function*() {
      const text = "  Hello, 世界 😀!\nIndented\t and " + "long".repeat(20)
      const { events } = yield* observe(ask({ text }))
      assert.strictEqual(textOf(events), text)
      assert.isTrue(deltas(events).every((delta) => [...delta.text].length <= 17))
      assert.strictEqual(usages(events)[0]?.outputTokens, deltas(events).length)
    }))

  it.effect("echo answers the results of tools with their content", () =>
    Effect.gen(function*() {
      const message: PromptMessage = {
        role: "user",
        parts: [
          { type: "tool-result", toolCallId: "a", content: "42" },
          { type: "tool-result", toolCallId: "b", content: { ok: true } }
        ]
      }
      const { events } = yield* observe(provider.stream({ ...request({}), messages: [message] }))
      assert.strictEqual(textOf(events), '42 {"ok":true}')
    }))

  it.effect("echo of a large message comes in full chunks", () =>
    Effect.gen(function*() {
      let chunks = 0
      yield* Stream.runForEachChunk(ask({ text: "word ".repeat(20_000) }), () => Effect.sync(() => chunks++))
      assert.isAtMost(chunks, 80)
    }))

  it.scoped("story: a word a delta, 20 ms apart", () =>
    Effect.gen(function*() {
      const { events } = yield* run({ model: "story" })
      assert.isAtLeast(deltas(events).length, 140)
      const first = yield* Effect.fork(Stream.runHead(ask({ model: "story" })))
      yield* TestClock.adjust(19)
      assert.isTrue(Option.isNone(yield* Fiber.poll(first)))
      yield* TestClock.adjust(1)
      assert.deepInclude(Option.getOrThrow(yield* Fiber.join(first)), { text: "The " })
    }))

  it.effect("slow: a delta every 500 ms, 20 of them", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(observe(ask({ model: "slow" })))
      yield* TestClock.adjust(9_999)
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust(1)
      assert.strictEqual(deltas((yield* Fiber.join(fiber)).events).length, 20)
    }))

  it.effect("fails: three deltas, then a server failure", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* observe(ask({ model: "fails" }))
      assert.strictEqual(events.length, 3)
      assert.strictEqual(failureOf(exit)?.kind, "server")
    }))

  it.scoped("stalls: three deltas, then nothing", () =>
    Effect.gen(function*() {
      const seen = yield* Queue.bounded<ProviderEvent>(16)
      const fiber = yield* Effect.forkScoped(
        Stream.runForEach(ask({ model: "stalls" }), (event) => Queue.offer(seen, event))
      )
      assert.strictEqual((yield* Queue.takeN(seen, 3)).length, 3)
      yield* TestClock.adjust("1 day")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      assert.strictEqual(yield* Queue.size(seen), 0)
    }))

  it.effect("flaky: overloaded before any delta in the first two attempts, then an answer", () =>
    Effect.gen(function*() {
      for (const attempt of [1, 2]) {
        const { events, exit } = yield* observe(ask({ model: "flaky", attempt }))
        assert.deepStrictEqual(events, [])
        assert.strictEqual(failureOf(exit)?.kind, "overloaded")
      }
      const { events, exit } = yield* observe(ask({ model: "flaky", attempt: 3 }))
      assert.isTrue(Exit.isSuccess(exit))
      assert.isAbove(textOf(events).length, 0)
    }))

  it.effect("a script overrides the model's own behaviour", () =>
    Effect.gen(function*() {
      const { events } = yield* observe(ask({ model: "fails", script: { steps: [{ say: "fine" }] } }))
      assert.strictEqual(textOf(events), "fine")
    }))

  it.effect("a model that does not exist is a failure that names those that do, never a fallback", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* observe(ask({ model: "toString" }))
      assert.deepStrictEqual(events, [])
      const failure = failureOf(exit)
      assert.strictEqual(failure?.kind, "not_found")
      assert.include(failure?.message ?? "", "echo")
    }))
})

describe("resume", () => {
  const subjects: ReadonlyArray<Asked> = [
    { text: "Repeat these words, 世界 😀, all of them." },
    { model: "story" },
    { model: "slow" },
    { script: { deltas: 40, delayMs: 20, bytes: 12, burst: 3 } },
    { script: { deltas: 600, burst: 7 } },
    {
      script: {
        steps: [
          { reason: "first" },
          { say: "abc", bytes: 2, repeat: 5 },
          { wait: 50 },
          { big: 20 },
          { say: "the end" }
        ]
      }
    }
  ]

  it.effect("P8: at every delta boundary, prefix and continuation are the whole text", () =>
    Effect.gen(function*() {
      for (const subject of subjects) {
        const whole = deltas((yield* hurry(subject)).events).filter((delta) => delta.kind === "text")
        const text = whole.map((delta) => delta.text).join("")
        let prefix = ""
        for (const [index, delta] of whole.entries()) {
          prefix += delta.text
          const { events } = yield* hurry({ ...subject, prefix })
          assert.strictEqual(prefix + textOf(events), text)
          assert.strictEqual(deltas(events).length, whole.length - index - 1)
          assert.strictEqual(usages(events)[0]?.outputTokens, whole.length - index - 1)
          assert.deepStrictEqual(finishes(events), ["stop"])
        }
      }
    }))

  it.effect.prop(
    "P8: a prefix that ends anywhere, also within a delta, is continued without a repeat or a gap",
    {
      deltas: FastCheck.integer({ min: 0, max: 50 }),
      bytes: FastCheck.integer({ min: 1, max: 20 }),
      cut: FastCheck.nat()
    },
    ({ bytes, cut, deltas: count }) =>
      Effect.gen(function*() {
        const script = { deltas: count, bytes }
        const text = textOf((yield* observe(ask({ script }))).events)
        const prefix = text.slice(0, text.length === 0 ? 0 : cut % (text.length + 1))
        const { events } = yield* observe(ask({ script, prefix }))
        assert.strictEqual(prefix + textOf(events), text)
      })
  )

  it.effect("waits of what was said are not waited again, the others are", () =>
    Effect.gen(function*() {
      const script = { deltas: 10, delayMs: 1_000, bytes: 4 }
      const fiber = yield* Effect.fork(observe(ask({ script, prefix: "000 001 002 003 004 005 006 007 " })))
      yield* TestClock.adjust(1_999)
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust(1)
      assert.strictEqual(textOf((yield* Fiber.join(fiber)).events), "008 009 ")
    }))

  it.effect("what came before the end of the prefix is not done again; what stands right after it is", () =>
    Effect.gen(function*() {
      const steps = [
        { reason: "first" },
        { say: "abc " },
        { toolCall: { name: "t", arguments: {} } },
        { fail: { kind: "server" } },
        { say: "def " },
        { fail: { kind: "overloaded" } }
      ]
      const beyond = yield* observe(ask({ script: { steps }, prefix: "abc d" }))
      assert.deepStrictEqual(beyond.events.map((event) => "text" in event ? event.text : event._tag), ["ef "])
      assert.strictEqual(failureOf(beyond.exit)?.kind, "overloaded")
      const before = yield* observe(ask({ script: { steps: steps.slice(3) }, prefix: "" }))
      assert.strictEqual(failureOf(before.exit)?.kind, "server")
    }))

  it.effect("a long prefix of a repeated or endless text is passed over at once", () =>
    Effect.gen(function*() {
      const repeated = { steps: [{ say: "ab", repeat: 30_000_000 }] }
      const head = yield* Stream.runHead(ask({ script: repeated, prefix: "ab".repeat(29_999_999) + "a" }))
      assert.deepInclude(Option.getOrThrow(head), { text: "b" })
      const endless = { steps: [{ endless: "xyz" }] }
      const next = yield* Stream.runHead(ask({ script: endless, prefix: "xyz".repeat(1_000_000) + "xy" }))
      assert.deepInclude(Option.getOrThrow(next), { text: "z" })
    }))
})
