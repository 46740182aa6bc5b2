import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type { ProviderFailureKind } from "../../src/domain/TurnError.ts"
import { retryableKinds } from "../../src/domain/TurnError.ts"
import * as TurnState from "../../src/domain/TurnState.ts"
import type { Script } from "../../src/provider/Script.ts"
import { awaitEvent, events, newSession, one, steps, submitScript, typesOf, withEngine } from "./engine.ts"

/** The whole turn, with as much time as its retries and timeouts may want. */
const played = (script: Script, minutes = 12) =>
  Effect.gen(function*() {
    const turn = yield* submitScript(yield* newSession, script)
    const reader = yield* Effect.fork(events(turn.id))
    for (let second = 0; second < minutes * 60; second += 10) {
      yield* TestClock.adjust("10 seconds")
      yield* Effect.yieldNow()
      if ((yield* Fiber.poll(reader))._tag === "Some") break
    }
    return yield* Fiber.join(reader)
  })

const failureOf = (list: Parameters<typeof one>[0]) => {
  const { error } = one(list, "turn.failed").data
  assert.strictEqual(error._tag, "ProviderFailure")
  return error._tag === "ProviderFailure" ? error : assert.fail("no provider failure")
}

describe("every kind of provider failure", () => {
  for (const kind of Object.keys(retryableKinds) as ReadonlyArray<ProviderFailureKind>) {
    it.effect(`${kind} before output: ${retryableKinds[kind] ? "three attempts" : "one attempt"}, then turn.failed`, () =>
      withEngine()(Effect.gen(function*() {
        const all = yield* played(steps({ fail: { kind } }))
        assert.strictEqual(failureOf(all).kind, kind)
        const attempts = all.filter(({ type }) => type === "attempt.started").length
        assert.strictEqual(attempts, retryableKinds[kind] ? 3 : 1)
        assert.strictEqual(all.filter(({ type }) => type === "attempt.failed").length, attempts)
        assert.strictEqual(all.filter(({ type }) => type === "telemetry.usage").length, attempts)
      })))

    it.effect(`${kind} after output is never tried again (P8), and what was said is kept`, () =>
      withEngine()(Effect.gen(function*() {
        const all = yield* played(steps({ say: "half an answer" }, { fail: { kind } }))
        assert.strictEqual(failureOf(all).kind, kind)
        assert.strictEqual(all.filter(({ type }) => type === "attempt.started").length, 1)
        assert.strictEqual(TurnState.fold(all)?.text, "half an answer")
        assert.strictEqual(one(all, "turn.failed").data.partial?.chars, 14)
      })))
  }
})

describe("retry", () => {
  it.effect("waits 250 ms, then 500 ms, each with at most 20 % jitter, then answers", () =>
    withEngine()(Effect.gen(function*() {
      const all = yield* played(steps({ fail: { kind: "overloaded", attempts: 2 } }, { say: "at last" }))
      const waits = all.flatMap((event) => event.type === "attempt.failed" ? [event.data.retryInMs ?? -1] : [])
      assert.strictEqual(waits.length, 2)
      assert.isTrue(waits.every((wait, index) => Math.abs(wait - 250 * 2 ** index) <= 50 * 2 ** index), String(waits))
      assert.strictEqual(TurnState.fold(all)?.text, "at last")
      assert.strictEqual(TurnState.fold(all)?.attempts, 3)
      assert.strictEqual(typesOf(all).at(-1), "turn.completed")
    })))

  it.effect("does not begin before its time", () =>
    withEngine()(Effect.gen(function*() {
      const turn = yield* submitScript(
        yield* newSession,
        steps({ fail: { kind: "server", attempts: 1 } }, { say: "x" })
      )
      yield* awaitEvent(turn.id, "attempt.failed")
      const second = yield* Effect.fork(awaitEvent(turn.id, "attempt.started", 2))
      yield* TestClock.adjust("199 millis")
      assert.strictEqual((yield* Fiber.poll(second))._tag, "None")
      yield* TestClock.adjust("101 millis")
      yield* Fiber.join(second)
    })))

  it.effect("honours Retry-After up to 60 s", () =>
    withEngine()(Effect.gen(function*() {
      const all = yield* played(
        steps({ fail: { kind: "rate_limit", attempts: 1, retryAfterMs: 42_000 } }, { say: "ok" })
      )
      assert.strictEqual(one(all, "attempt.failed").data.retryInMs, 42_000)
      assert.strictEqual(typesOf(all).at(-1), "turn.completed")
    })))

  it.effect("a Retry-After beyond 60 s is final and says so", () =>
    withEngine()(Effect.gen(function*() {
      const all = yield* played(steps({ fail: { kind: "rate_limit", retryAfterMs: 120_000 } }))
      assert.strictEqual(all.filter(({ type }) => type === "attempt.started").length, 1)
      assert.include(failureOf(all).message, "120 s")
      assert.strictEqual(failureOf(all).retryAfterMs, 120_000)
    })))
})

describe("P24: a provider that takes too long is contained", () => {
  it.effect("no first token: ProviderFailure{timeout}", () =>
    withEngine({ limits: { firstTokenMs: 1_000 } })(Effect.gen(function*() {
      assert.strictEqual(failureOf(yield* played(steps({ hang: true }))).kind, "timeout")
    })))

  it.effect("silence in mid-stream: ProviderFailure{stalled}, exactly at idleMs", () =>
    withEngine({ limits: { idleMs: 5_000 } })(Effect.gen(function*() {
      const turn = yield* submitScript(yield* newSession, steps({ say: "so far" }, { hang: true }))
      yield* awaitEvent(turn.id, "model.delta")
      const reader = yield* Effect.fork(events(turn.id))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual((yield* Fiber.poll(reader))._tag, "None")
      yield* TestClock.adjust("1 millis")
      const all = yield* Fiber.join(reader)
      assert.strictEqual(failureOf(all).kind, "stalled")
      assert.strictEqual(TurnState.fold(all)?.text, "so far")
    })))

  it.effect("a delta just in time keeps the turn alive", () =>
    withEngine({ limits: { idleMs: 5_000, firstTokenMs: 5_000 } })(Effect.gen(function*() {
      const all = yield* played({ deltas: 5, delayMs: 4_999 })
      assert.strictEqual(typesOf(all).filter((type) => type === "model.delta").length, 5)
      assert.strictEqual(typesOf(all).at(-1), "turn.completed")
    })))

  it.effect("the whole turn: ProviderFailure{timeout} at totalMs, without another attempt", () =>
    withEngine({ limits: { totalMs: 10_000 } })(Effect.gen(function*() {
      const all = yield* played(steps({ endless: "tick ", everyMs: 1_000 }))
      assert.strictEqual(failureOf(all).kind, "timeout")
      assert.isAtLeast(TurnState.fold(all)?.deltas ?? 0, 9)
    })))

  it.effect("options.deadlineMs: Cancelled{deadline}, with what was said", () =>
    withEngine()(Effect.gen(function*() {
      const turn = yield* submitScript(yield* newSession, { deltas: 100, delayMs: 100 }, {
        options: { deadlineMs: 1_000 }
      })
      yield* TestClock.adjust("1 seconds")
      const all = yield* events(turn.id)
      assert.deepInclude(one(all, "turn.failed").data.error, { _tag: "Cancelled", cause: "deadline" })
      assert.include(TurnState.fold(all)?.text ?? "", "0000008 ")
    })))
})

describe("P24: a provider that misbehaves is contained", () => {
  const cases: ReadonlyArray<readonly [string, Script, ProviderFailureKind]> = [
    ["a delta after the end", steps({ say: "a" }, { end: "stop" }, { say: "b" }), "protocol"],
    ["a second end", steps({ say: "a" }, { end: "stop" }, { end: "stop" }), "protocol"],
    ["an end without a finish", steps({ say: "a" }, { end: "none" }), "incomplete_stream"],
    ["a 10 MB delta", steps({ say: "a" }, { big: 10_000_000 }), "protocol"],
    ["an endless stream", steps({ endless: "again and again " }), "protocol"],
    [
      "cut tool arguments",
      steps({ say: "a" }, { toolCall: { name: "f", arguments: { x: 1 } }, cut: true }, { end: "none" }),
      "incomplete_stream"
    ]
  ]
  for (const [name, script, kind] of cases) {
    it.effect(`${name}: one typed failure (${kind}), the text before it kept`, () =>
      withEngine()(Effect.gen(function*() {
        const all = yield* played(script)
        assert.strictEqual(failureOf(all).kind, kind)
        assert.strictEqual(all.filter(({ type }) => type === "turn.failed" || type === "turn.completed").length, 1)
        assert.strictEqual(all.filter(({ type }) => type === "model.tool-call").length, 0)
        assert.isNotEmpty(TurnState.fold(all)?.text)
        assert.isAtMost(TurnState.fold(all)?.text.length ?? 0, 1_048_576)
      })))
  }

  it.effect("usage reported twice counts once, the last", () =>
    withEngine()(Effect.gen(function*() {
      const all = yield* played(
        steps({ usage: { outputTokens: 1 } }, { say: "a" }, { usage: { inputTokens: 2, outputTokens: 7 } })
      )
      assert.deepStrictEqual(all.filter(({ type }) => type === "telemetry.usage").length, 1)
      assert.deepInclude(one(all, "telemetry.usage").data.usage, { inputTokens: 2, outputTokens: 7, totalTokens: 9 })
    })))

  it.effect("usage never reported is estimated in the ledger and absent from the turn", () =>
    withEngine()(Effect.gen(function*() {
      const all = yield* played(steps({ usage: "none" }, { say: "some words" }))
      assert.strictEqual(one(all, "telemetry.usage").data.source, "estimated")
      assert.strictEqual(one(all, "turn.completed").data.usage, null)
    })))
})
