import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { toInfo } from "../../src/domain/TurnError.ts"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import * as TurnState from "../../src/domain/TurnState.ts"
import { Journal } from "../../src/journal/Journal.ts"
import { layerProviders, layerTest } from "../../src/layers.ts"
import type { Provider, ProviderEvent } from "../../src/provider/Provider.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import {
  awaitEvent,
  events,
  newSession,
  one,
  steps,
  submit,
  submitScript,
  turnOf,
  typesOf,
  withEngine
} from "./engine.ts"

const plain = [
  "turn.started",
  "context.built",
  "attempt.started",
  "model.delta",
  "model.delta",
  "model.delta",
  "telemetry.usage",
  "checkpoint.saved",
  "turn.completed"
]

describe("the order of a turn", () => {
  it.effect("P17: a delta of more than a million characters is several events; the text is whole, in small commits", () =>
    withEngine({ limits: { outputBytesPerTurn: 16 * 1_048_576 } })(Effect.gen(function*() {
      const journal = yield* Journal
      // a character of two halves stands where the first event would end
      const say = `${"x".repeat(1_048_575)}\u{1f600}${"y".repeat(1_500_000)}`
      const turn = yield* submitScript(yield* newSession, steps({ say }))
      const list = yield* events(turn.id)
      const deltas = list.filter((event) => event.type === "model.delta").map(({ data }) => data.text.length)
      assert.deepStrictEqual(deltas, [1_048_575, 1_048_576, say.length - 2 * 1_048_576 + 1])
      const text = yield* Stream.runFold(
        journal.answer(turn.id, "text"),
        "",
        (said, part) => said + (part.type === "text" ? part.text : "")
      )
      assert.isTrue(text === say)
      assert.deepInclude(one(list, "telemetry.usage").data, { source: "deterministic" })
      assert.strictEqual((yield* turnOf(turn.id)).usage?.outputTokens, 1)
    })))

  it.effect("a plain turn has the events of the protocol in their order", () =>
    withEngine()(Effect.gen(function*() {
      const turn = yield* submitScript(yield* newSession, { deltas: 3 })
      const all = yield* events(turn.id)
      assert.deepStrictEqual(typesOf(all), plain)
      assert.deepStrictEqual(all.map(({ seq }) => seq), all.map((_, index) => index + 1))
      assert.strictEqual(TurnState.fold(all)?.text, "0000000 0000001 0000002 ")
      assert.deepStrictEqual(one(all, "telemetry.usage").data.source, "deterministic")
      assert.strictEqual(one(all, "turn.completed").data.usage?.outputTokens, 3)
    })))

  it.effect("deltas are readable before the turn completes", () =>
    withEngine()(Effect.gen(function*() {
      const turn = yield* submitScript(yield* newSession, { deltas: 2, delayMs: 100 })
      yield* TestClock.adjust("100 millis")
      yield* awaitEvent(turn.id, "model.delta")
      const running = yield* turnOf(turn.id)
      assert.strictEqual(running.status, "running")
      assert.strictEqual(running.text, "0000000 ")
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(typesOf(yield* events(turn.id)).at(-1), "turn.completed")
    })))

  it.effect("the answer and the user's message are readable afterwards, and the session is free", () =>
    withEngine()(Effect.gen(function*() {
      const journal = yield* Journal
      const sessionId = yield* newSession
      const { turn } = yield* submit(sessionId, { message: "say it again" })
      yield* events(turn.id)
      const { items } = yield* journal.messages(sessionId, { cursor: undefined, limit: 10 })
      assert.deepStrictEqual(items.map(({ role, state }) => [role, state]), [["user", "complete"], [
        "assistant",
        "complete"
      ]])
      assert.deepStrictEqual(items.map(({ parts }) => parts), [
        [{ type: "text", text: "say it again" }],
        [{ type: "text", text: "say it again" }]
      ])
      assert.strictEqual((yield* journal.session(sessionId)).running, null)
    })))

  it.effect("what its journal holds when its provider is called begins with turn.started and the attempt (P4)", () => {
    const found: Array<ReadonlyArray<string>> = []
    let look: Effect.Effect<ReadonlyArray<string>> = Effect.dieMessage("nobody looks yet")
    const provider: Provider = {
      id: "looks",
      usageSource: "reported",
      stream: () =>
        Stream.unwrap(Effect.map(look, (types) => {
          found.push(types)
          return Stream.make<Array<ProviderEvent>>({ _tag: "Delta", kind: "text", text: "seen" }, {
            _tag: "Finish",
            reason: "stop"
          })
        }))
    }
    const models = [{ id: "only", contextWindow: 1_000, maxOutputTokens: 100 }] as const
    return Effect.gen(function*() {
      const journal = yield* Journal
      const sessionId = yield* newSession
      look = Effect.orDie(Effect.gen(function*() {
        const { running } = yield* journal.session(sessionId)
        return running === null ? [] : typesOf(yield* journal.readAfter(running, 0, 10))
      }))
      const { turn } = yield* submit(sessionId, { provider: "looks" })
      yield* awaitEvent(turn.id, "turn.completed")
      assert.deepStrictEqual(found, [["turn.started", "context.built", "attempt.started"]])
    }).pipe(Effect.provide(layerTest({}, { registry: layerProviders([{ provider, models }]) })))
  })
})

describe("turns refused before a provider is called", () => {
  it.effect("an unknown provider leaves exactly turn.started and turn.failed, with the known ids", () =>
    withEngine()(Effect.gen(function*() {
      const { turn } = yield* submit(yield* newSession, { provider: "deterministik" })
      assert.strictEqual(turn.status, "failed")
      const all = yield* events(turn.id)
      assert.deepStrictEqual(typesOf(all), ["turn.started", "turn.failed"])
      const { error } = one(all, "turn.failed").data
      assert.strictEqual(error._tag, "UnknownProvider")
      assert.include(error._tag === "UnknownProvider" ? error.known : [], "deterministic")
      assert.strictEqual(error._tag === "UnknownProvider" ? error.suggestion : "", "deterministic")
    })))

  it.effect("an unknown model and a blocked provider fail the same way, never falling back", () =>
    withEngine()(Effect.gen(function*() {
      const sessionId = yield* newSession
      const { turn: model } = yield* submit(sessionId, { model: "echoo" })
      assert.strictEqual(model.error?._tag, "UnknownModel")
      const { turn: blocked } = yield* submit(sessionId, { provider: "openai", model: "any" })
      assert.strictEqual(blocked.error?._tag, "ProviderBlocked")
      assert.deepStrictEqual([model.attempts, blocked.attempts], [0, 0])
    })))

  it.effect("a message that alone does not fit records the manifest, then ContextOverflow", () =>
    withEngine({
      providers: [{ id: "deterministic", family: "deterministic", contextWindow: 200, maxOutputTokens: 50 }]
    })(Effect.gen(function*() {
      const { turn } = yield* submit(yield* newSession, { message: "word ".repeat(1_000) })
      assert.strictEqual(turn.error?._tag, "ContextOverflow")
      assert.deepStrictEqual(typesOf(yield* events(turn.id)), ["turn.started", "context.built", "turn.failed"])
    })))

  it.effect("its user message is kept and stays out of later context", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const journal = yield* Journal
      const sessionId = yield* newSession
      yield* submit(sessionId, { message: "lost words", provider: "nobody" })
      const { turn } = yield* submit(sessionId, { message: "kept words" })
      yield* events(turn.id)
      const messages = yield* journal.messages(sessionId, { cursor: undefined, limit: 10 })
      assert.strictEqual(messages.items.length, 3)
      const context = yield* runtime.rebuildContext(turn.id)
      assert.strictEqual(context.messages.length, 1)
    })))
})

describe("TurnRuntime.stream", () => {
  it.effect("is the turn as one stream: its events, then its end", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const all = yield* Stream.runCollect(runtime.stream({ message: "x", options: { script: { deltas: 3 } } }))
      assert.deepStrictEqual(typesOf(Chunk.toReadonlyArray(all)), plain)
    })))

  it.effect("fails with the same typed error that the journal holds, after its terminal event", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const journaled: Array<TurnEvent> = []
      const exit = yield* runtime.stream({
        message: "x",
        options: { script: steps({ say: "a" }, { fail: { kind: "quota" } }) }
      }).pipe(Stream.runForEach((event) => Effect.sync(() => journaled.push(event))), Effect.exit)
      assert.strictEqual(journaled.at(-1)?.type, "turn.failed")
      const failure = Exit.isFailure(exit) ? Cause.failureOption(exit.cause) : undefined
      const error = failure?._tag === "Some" ? failure.value : undefined
      assert.strictEqual(error?._tag, "ProviderFailure")
      assert.strictEqual(error?._tag === "ProviderFailure" ? error.kind : "", "quota")
      const failed = journaled.find((event) => event.type === "turn.failed")
      assert.deepStrictEqual(failed?.data.error, error?._tag === "ProviderFailure" ? toInfo(error) : undefined)
    })))

  it.effect("a consumer that leaves before the end cancels the turn; it is not recorded as completed", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const journal = yield* Journal
      const sessionId = yield* newSession
      const taken = yield* runtime.stream({ sessionId, message: "x", options: { script: { deltas: 9, delayMs: 10 } } })
        .pipe(
          Stream.filter((event) => event.type === "model.delta"),
          Stream.take(1),
          Stream.runCollect,
          Effect.fork
        )
      // two delays pass only after the turn sleeps in the first
      yield* TestClock.adjust("10 millis")
      yield* Fiber.join(taken)
      const { items } = yield* journal.turns(sessionId, { cursor: undefined, limit: 1 })
      assert.strictEqual(items[0]?.error?._tag, "Cancelled")
      assert.strictEqual(items[0]?.text, "0000000 ")
    })))

  it.effect("interrupting its fiber cancels the turn", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const journal = yield* Journal
      const sessionId = yield* newSession
      const fiber = yield* Effect.fork(Stream.runDrain(
        runtime.stream({ sessionId, message: "x", options: { script: steps({ say: "kept" }, { hang: true }) } })
      ))
      let turn
      while (turn === undefined) {
        yield* Effect.yieldNow()
        turn = (yield* journal.turns(sessionId, { cursor: undefined, limit: 1 })).items[0]
      }
      yield* awaitEvent(turn.id, "model.delta")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* turnOf(turn.id)).error?._tag, "Cancelled")
    })))
})
