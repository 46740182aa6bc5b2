/** A provider that the test steers, or that misbehaves: the turn is told rightly from everything that it does. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import type { TurnId } from "../../src/domain/Ids.ts"
import * as Invariants from "../../src/domain/Invariants.ts"
import { providerFailure, type ProviderFailureKind } from "../../src/domain/TurnError.ts"
import type { EventType } from "../../src/domain/TurnEvent.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as JournalMemory from "../../src/journal/JournalMemory.ts"
import { layerContext, layerRuntime } from "../../src/layers.ts"
import type { ProviderRegistry } from "../../src/provider/ProviderRegistry.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { awaitEvent, events, newSession, submit, turnOf } from "../turn/engine.ts"
import * as ProviderFaults from "./ProviderFaults.ts"

const engineOn = (registry: Layer.Layer<ProviderRegistry>, idleMs = 5_000) =>
  layerRuntime.pipe(
    Layer.provideMerge(Layer.mergeAll(JournalMemory.layer, registry, layerContext)),
    Layer.provide(
      SettingsLoader.layerWith({ limits: { firstTokenMs: 5_000, idleMs, outputBytesPerTurn: 5_000 } })
    )
  )

const started = Effect.gen(function*() {
  const { turn } = yield* submit(yield* newSession)
  return turn.id
})

/** The first event of a type, as its bytes. */
const journaled = (turnId: TurnId, type: EventType) =>
  Effect.flatMap(
    Journal,
    (journal) => Stream.runHead(Stream.filter(journal.follow(turnId, 0), (event) => event.type === type))
  ).pipe(
    Effect.map(Option.match({ onNone: () => "", onSome: ({ json }) => json }))
  )

describe("P24: a provider that misbehaves is one typed failure, and the journal is as it should be", () => {
  const kinds: Readonly<Record<keyof typeof ProviderFaults.misbehaviours, ProviderFailureKind>> = {
    "never says a word": "timeout",
    "falls silent": "stalled",
    "ends without a finish": "incomplete_stream",
    "ends twice": "protocol",
    "goes on after its end": "protocol",
    "never stops talking": "protocol",
    "says 10 MB at once": "protocol",
    "never lets go": "stalled",
    "calls with arguments that JSON cannot hold": "protocol",
    "crashes": "protocol",
    "interrupts itself": "protocol"
  }
  for (const [what, kind] of Object.entries(kinds)) {
    // the keys of a record of behaviours are those behaviours
    const answer = ProviderFaults.misbehaviours[what as keyof typeof kinds]
    it.effect(`one that ${what}: ${kind}`, () =>
      Effect.gen(function*() {
        const id = yield* started
        const reading = yield* Effect.fork(events(id))
        // a provider that says nothing is asked three times
        yield* TestClock.adjust("1 minute")
        const all = yield* Fiber.join(reading)
        assert.deepStrictEqual(Invariants.checkJournal(all, { ended: true }), [])
        assert.deepInclude((yield* turnOf(id)).error, { _tag: "ProviderFailure", kind })
      }).pipe(Effect.provide(engineOn(ProviderFaults.layerAnswering(() => answer)))))
  }
})

describe("P23: usage in a form that cannot be kept", () => {
  it.effect("costs its raw form alone: the turn ends, and its counts stand", () =>
    Effect.gen(function*() {
      const id = yield* started
      const all = yield* events(id)
      assert.deepStrictEqual(Invariants.checkJournal(all, { ended: true }), [])
      assert.deepInclude((yield* turnOf(id)).usage, { inputTokens: 1, outputTokens: 2 })
      assert.isFalse(all.some((event) => event.type === "telemetry.usage" && "raw" in event.data))
    }).pipe(Effect.provide(engineOn(ProviderFaults.layerAnswering(() => ProviderFaults.oddUsage)))))
})

describe("a provider that is steered", () => {
  it.effect("says what it is told, chunk by chunk, and ends", () =>
    Effect.gen(function*() {
      const provider = yield* ProviderFaults.steered
      yield* Effect.gen(function*() {
        const id = yield* started
        const call = yield* provider.next
        yield* call.send(ProviderFaults.text("a"), ProviderFaults.text("b"))
        yield* awaitEvent(id, "model.delta", 2)
        yield* call.send(ProviderFaults.usage({ inputTokens: 1, outputTokens: 2 }), ProviderFaults.finish("length"))
        yield* call.close
        const all = yield* events(id)
        assert.deepStrictEqual(Invariants.checkJournal(all, { ended: true }), [])
        assert.deepInclude(yield* turnOf(id), { text: "ab", finishReason: "length", status: "completed" })
        yield* call.released
        assert.strictEqual(provider.calls().length, 1)
      }).pipe(Effect.provide(engineOn(provider.layer)))
    }))

  it.effect("has its first-token time until its first token, although it reports usage before", () =>
    Effect.gen(function*() {
      const provider = yield* ProviderFaults.steered
      yield* Effect.gen(function*() {
        for (const inTime of [true, false]) {
          const id = yield* started
          const call = yield* provider.next
          yield* call.send(ProviderFaults.usage({ inputTokens: 1, outputTokens: 1 }))
          yield* TestClock.adjust("4 seconds")
          if (inTime) {
            yield* call.send(ProviderFaults.text("a"), ProviderFaults.finish())
            yield* call.close
          } else yield* TestClock.adjust("1 second")
          const last = yield* journaled(id, inTime ? "turn.completed" : "attempt.failed")
          if (!inTime) assert.include(last, '"kind":"timeout"')
        }
      }).pipe(Effect.provide(engineOn(provider.layer, 1_000)))
    }))

  it.effect("a failure that the engine's own clock tells keeps the vendor's request id", () =>
    Effect.gen(function*() {
      const provider = yield* ProviderFaults.steered
      yield* Effect.gen(function*() {
        const id = yield* started
        const call = yield* provider.next
        yield* call.send({ _tag: "Accepted", requestId: "req_77" }, ProviderFaults.text("a"))
        yield* awaitEvent(id, "model.delta")
        yield* TestClock.adjust("1 second")
        yield* events(id)
        assert.deepInclude((yield* turnOf(id)).error, { kind: "stalled", requestId: "req_77" })
      }).pipe(Effect.provide(engineOn(provider.layer, 1_000)))
    }))

  it.effect("P11: is let go of when its turn is cancelled, in the middle or before its first word", () =>
    Effect.gen(function*() {
      const provider = yield* ProviderFaults.steered
      yield* Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        for (const said of [[], ["a"]]) {
          const id = yield* started
          const call = yield* provider.next
          yield* call.send(...said.map(ProviderFaults.text))
          if (said.length > 0) yield* awaitEvent(id, "model.delta")
          const { error, text } = yield* runtime.cancel(id)
          assert.strictEqual(error?._tag, "Cancelled")
          assert.strictEqual(text, said.join(""))
          yield* call.released
          // what it still says is not heard
          yield* call.send(ProviderFaults.text("late"))
          assert.strictEqual((yield* turnOf(id)).text, said.join(""))
        }
      }).pipe(Effect.provide(engineOn(provider.layer)))
    }))

  it.effect("P8: a failure before its first word is tried again, one after it is not", () =>
    Effect.gen(function*() {
      const provider = yield* ProviderFaults.steered
      const overloaded = providerFailure(ProviderFaults.providerId, "overloaded")
      yield* Effect.gen(function*() {
        const id = yield* started
        yield* Effect.flatMap(provider.next, (call) => call.fail(overloaded))
        yield* awaitEvent(id, "attempt.failed")
        yield* TestClock.adjust("1 second")
        const second = yield* provider.next
        assert.strictEqual(second.request.attempt, 2)
        yield* second.send(ProviderFaults.text("a"))
        yield* awaitEvent(id, "model.delta")
        yield* second.fail(overloaded)
        assert.deepStrictEqual(Invariants.checkJournal(yield* events(id), { ended: true }), [])
        assert.strictEqual(provider.calls().length, 2)
        assert.strictEqual((yield* turnOf(id)).text, "a")
      }).pipe(Effect.provide(engineOn(provider.layer)))
    }))
})
