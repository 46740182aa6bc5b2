import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import { ContextBuilder } from "../../src/context/ContextBuilder.ts"
import { JournalFailure, providerFailure } from "../../src/domain/TurnError.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as JournalMemory from "../../src/journal/JournalMemory.ts"
import { layerContext, layerRuntime, layerTest } from "../../src/layers.ts"
import type { ProviderEvent } from "../../src/provider/Provider.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import * as ProviderFaults from "../faults/ProviderFaults.ts"
import { appendingBy } from "../journal/appending.ts"
import { awaitEvent, events, newSession, one, submit, turnOf } from "./engine.ts"

type JournalShape = Journal["Type"]

const word = ProviderFaults.text("word")
const finish = ProviderFaults.finish()
const hanging: ProviderFaults.Answer = Stream.concat(Stream.make(word), Stream.never)

const faultyJournal = (change: (journal: JournalShape) => Partial<JournalShape>) =>
  Layer.map(JournalMemory.layer, (context) => {
    const journal = Context.get(context, Journal)
    return Context.make(Journal, { ...journal, ...change(journal) })
  })

/** An engine whose provider says `answer`, on a journal with faults. */
const engineOf = (
  answer: () => ProviderFaults.Answer,
  change: (journal: JournalShape) => Partial<JournalShape> = () => ({}),
  settings: SettingsLoader.Overrides = {}
) =>
  layerRuntime.pipe(
    Layer.provideMerge(
      Layer.mergeAll(faultyJournal(change), ProviderFaults.layerAnswering(answer), layerContext)
    ),
    Layer.provide(SettingsLoader.layerWith(settings))
  )

const busy = new JournalFailure({ operation: "append", retryable: true, reason: "SQLITE_BUSY" })

/** Storage whose appends can be made to fail, to die, or to wait. */
const makeStorage = () => {
  let mode: "works" | "refuses" | "dies once" | "waits, then refuses once" = "works"
  let underWay = 0
  let most = 0
  const gate = Effect.unsafeMakeLatch(false)
  const reached = Effect.unsafeMakeLatch(false)
  const change = (journal: JournalShape): Partial<JournalShape> =>
    appendingBy((append) =>
      Effect.suspend(() => {
        most = Math.max(most, ++underWay)
        const now = mode
        if (now === "dies once" || now === "waits, then refuses once") mode = "works"
        return now === "refuses"
          ? Effect.fail(busy)
          : now === "dies once"
          ? Effect.die(new Error("a bug"))
          : now === "waits, then refuses once"
          ? Effect.zipRight(Effect.zipRight(reached.open, gate.await), Effect.fail(busy))
          : journal.append(append)
      }).pipe(Effect.ensuring(Effect.sync(() => {
        underWay -= 1
      })))
    )
  return {
    change,
    gate,
    reached,
    set: (next: typeof mode) => {
      mode = next
    },
    most: () => most
  }
}

/** A word, another once the test wants more, and silence. */
const twoWords = Effect.map(Deferred.make<void>(), (more) => {
  const second = Stream.as(Stream.fromEffect(Deferred.await(more)), word)
  const answer: ProviderFaults.Answer = Stream.concat(Stream.make(word), Stream.concat(second, Stream.never))
  return { answer, more }
})

const started = Effect.gen(function*() {
  const { turn } = yield* submit(yield* newSession)
  return turn.id
})

describe("P19, P23: storage that refuses an ending", () => {
  it.scoped("tells the waiting cancel at once, and ends the turn when storage is back", () =>
    Effect.gen(function*() {
      const storage = makeStorage()
      yield* Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        const id = yield* started
        yield* awaitEvent(id, "model.delta")
        storage.set("refuses")
        const refused = yield* Effect.either(runtime.cancel(id))
        assert.strictEqual(Either.isLeft(refused) ? refused.left._tag : "", "JournalFailure")
        storage.set("works")
        const again = yield* Effect.fork(runtime.cancel(id))
        yield* TestClock.adjust("100 millis")
        assert.strictEqual((yield* Fiber.join(again)).error?._tag, "Cancelled")
        assert.strictEqual(yield* runtime.running, 0)
      }).pipe(Effect.provide(engineOf(() => hanging, storage.change)))
    }))

  it.scoped("P12, P23: a cancel while a refused ending waits for its next try does not lose the turn", () =>
    Effect.gen(function*() {
      const storage = makeStorage()
      const { answer, more } = yield* twoWords
      yield* Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        const id = yield* started
        yield* awaitEvent(id, "model.delta")
        storage.set("refuses")
        yield* Deferred.succeed(more, undefined)
        // the turn ends by itself, for storage refuses its text; the ending is refused as well
        yield* Effect.flip(awaitEvent(id, "turn.failed"))
        for (let round = 0; round < 2; round++) {
          const refused = yield* Effect.either(runtime.cancel(id))
          assert.strictEqual(Either.isLeft(refused) ? refused.left._tag : "", "JournalFailure")
          assert.strictEqual(yield* runtime.running, 1)
        }
        storage.set("works")
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual((yield* turnOf(id)).error?._tag, "JournalFailure")
        assert.strictEqual(yield* runtime.running, 0)
      }).pipe(
        Effect.provide(engineOf(() => answer, storage.change))
      )
    }))

  it.scoped("an append under way at the cancel is waited for, and what it lost is written first", () =>
    Effect.gen(function*() {
      const storage = makeStorage()
      const { answer, more } = yield* twoWords
      yield* Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        const id = yield* started
        yield* awaitEvent(id, "model.delta")
        storage.set("waits, then refuses once")
        yield* Deferred.succeed(more, undefined)
        yield* storage.reached.await
        const cancelling = yield* Effect.fork(runtime.cancel(id))
        yield* Effect.yieldNow()
        yield* storage.gate.open
        assert.strictEqual((yield* Fiber.join(cancelling)).error?._tag, "Cancelled")
        const all = yield* events(id)
        assert.deepStrictEqual(all.map(({ seq }) => seq), all.map((_, index) => index + 1))
        assert.strictEqual((yield* turnOf(id)).text, "wordword")
        assert.strictEqual(storage.most(), 1)
      }).pipe(
        Effect.provide(engineOf(() => answer, storage.change))
      )
    }))

  it.scoped("a defect in it is a typed failure for the cancel, and the turn still ends", () =>
    Effect.gen(function*() {
      const storage = makeStorage()
      yield* Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        const id = yield* started
        yield* awaitEvent(id, "model.delta")
        storage.set("dies once")
        const refused = yield* Effect.either(runtime.cancel(id))
        assert.strictEqual(Either.isLeft(refused) ? refused.left._tag : "", "JournalFailure")
        yield* TestClock.adjust("100 millis")
        yield* events(id)
        assert.strictEqual((yield* turnOf(id)).status, "failed")
      }).pipe(Effect.provide(engineOf(() => hanging, storage.change)))
    }))

  it.scoped("does not keep the engine from closing, with or without a drain before", () =>
    Effect.gen(function*() {
      const storage = makeStorage()
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(engineOf(() => hanging, storage.change), scope)
      const id = yield* Effect.provide(started, context)
      yield* Effect.provide(awaitEvent(id, "model.delta"), context)
      storage.set("refuses")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Effect.provide(Effect.flatMap(TurnRuntime, (runtime) => runtime.running), context), 0)
    }))
})

describe("P4, P23: an admission that was committed and reported as failed", () => {
  /** Every admission takes effect and is reported as failed; while storage is gone, reads fail too. */
  const doubtful = () => {
    let gone = false
    const refuse = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | JournalFailure> =>
      Effect.suspend((): Effect.Effect<A, E | JournalFailure> => gone ? busy : effect)
    const change = (journal: JournalShape): Partial<JournalShape> => ({
      admit: (admission) => Effect.zipRight(journal.admit(admission), Effect.fail(busy)),
      turn: (id) => refuse(journal.turn(id))
    })
    return {
      change,
      setGone: (next: boolean) => {
        gone = next
      }
    }
  }
  const answer = () => Stream.make(word, finish)

  it.scoped("is answered as what it is, and runs", () =>
    Effect.gen(function*() {
      const id = yield* started
      yield* events(id)
      assert.strictEqual((yield* turnOf(id)).status, "completed")
    }).pipe(Effect.provide(engineOf(answer, doubtful().change))))

  it.scoped("runs once storage answers again, where it could not be asked; its key finds it", () =>
    Effect.gen(function*() {
      const storage = doubtful()
      yield* Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        const journal = yield* Journal
        const sessionId = yield* newSession
        storage.setGone(true)
        const refused = yield* Effect.flip(runtime.submit({ sessionId, message: "hello", idempotencyKey: "k" }))
        assert.strictEqual(refused._tag, "JournalFailure")
        storage.setGone(false)
        yield* TestClock.adjust("1 second")
        const known = yield* journal.byKey(sessionId, "k")
        if (known === undefined) return assert.fail("the turn is not there")
        yield* events(known.turnId)
        assert.strictEqual((yield* turnOf(known.turnId)).status, "completed")
        assert.strictEqual(yield* runtime.running, 0)
      }).pipe(Effect.provide(engineOf(answer, storage.change)))
    }))

  it.scoped("P10: runs before whatever is asked in its session once storage answers again", () =>
    Effect.gen(function*() {
      const storage = doubtful()
      yield* Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        const journal = yield* Journal
        const sessionId = yield* newSession
        storage.setGone(true)
        yield* Effect.flip(runtime.submit({ sessionId, message: "first", idempotencyKey: "k" }))
        storage.setGone(false)
        const { turn } = yield* runtime.submit({ sessionId, message: "second", onBusy: "queue" })
        yield* TestClock.adjust("1 second")
        yield* events(turn.id)
        const said = yield* Stream.runCollect(journal.followSession(sessionId, undefined, false))
        const first = yield* journal.byKey(sessionId, "k")
        const ended = Array.from(said, ({ turnId, type }) => [turnId === first?.turnId ? "first" : "second", type])
          .filter(([, type]) => type === "turn.completed" || type === "context.built")
        assert.deepStrictEqual(ended, [
          ["first", "context.built"],
          ["first", "turn.completed"],
          ["second", "context.built"],
          ["second", "turn.completed"]
        ])
      }).pipe(Effect.provide(engineOf(answer, storage.change)))
    }))

  it.scoped("holds nobody up where it does not stand after all", () =>
    Effect.gen(function*() {
      const storage = doubtful()
      const lost = (journal: JournalShape): Partial<JournalShape> => ({
        ...storage.change(journal),
        admit: (admission) =>
          admission.message?.parts.some((part) => part.type === "text" && part.text === "lost") === true
            ? Effect.fail(busy)
            : journal.admit(admission)
      })
      yield* Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        const sessionId = yield* newSession
        storage.setGone(true)
        yield* Effect.flip(runtime.submit({ sessionId, message: "lost" }))
        storage.setGone(false)
        const submitting = yield* Effect.fork(runtime.submit({ sessionId, message: "next" }))
        yield* TestClock.adjust("1 second")
        const { turn } = yield* Fiber.join(submitting)
        yield* events(turn.id)
        assert.strictEqual((yield* turnOf(turn.id)).status, "completed")
        assert.strictEqual(yield* runtime.running, 0)
      }).pipe(Effect.provide(engineOf(answer, lost)))
    }))

  it.scoped("does not keep the engine from closing while it is in doubt", () =>
    Effect.gen(function*() {
      const storage = doubtful()
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(engineOf(answer, storage.change), scope)
      const sessionId = yield* Effect.provide(newSession, context)
      storage.setGone(true)
      assert.strictEqual((yield* Effect.flip(Effect.provide(submit(sessionId), context)))._tag, "JournalFailure")
      yield* Scope.close(scope, Exit.void)
    }))
})

describe("a context builder of one's own that throws", () => {
  it.scoped("takes no place of a turn with it", () => {
    let calls = 0
    const throwing = Layer.map(layerContext, (context) => {
      const { build } = Context.get(context, ContextBuilder)
      return Context.make(ContextBuilder, {
        isPrompt: true,
        build: (request) => {
          if (++calls === 1) throw new Error("a bug")
          return build(request)
        }
      })
    })
    return Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const sessionId = yield* newSession
      const exit = yield* Effect.exit(submit(sessionId))
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      const { turn } = yield* submit(sessionId)
      yield* events(turn.id)
      assert.strictEqual((yield* turnOf(turn.id)).status, "completed")
      assert.strictEqual(yield* runtime.running, 0)
    }).pipe(Effect.provide(layerTest({ limits: { runningTurns: 1 } }, { context: throwing })))
  })
})

describe("an admission under way", () => {
  it.scoped("is shut down like the others when the engine closes meanwhile (P22)", () =>
    Effect.gen(function*() {
      const reached = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const slow = (journal: JournalShape): Partial<JournalShape> => ({
        admit: (admission) =>
          Effect.zipRight(
            Effect.zipRight(Deferred.succeed(reached, undefined), Deferred.await(gate)),
            journal.admit(admission)
          )
      })
      yield* Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        const submitting = yield* Effect.fork(Effect.flatMap(newSession, submit))
        yield* Deferred.await(reached)
        const draining = yield* Effect.fork(runtime.drain)
        yield* TestClock.adjust("10 seconds")
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(draining)
        const { turn } = yield* Fiber.join(submitting)
        assert.deepInclude((yield* turnOf(turn.id)).error, { _tag: "Interrupted", cause: "shutdown" })
      }).pipe(Effect.provide(engineOf(() => hanging, slow)))
    }))

  it.scoped("is cancelled by whoever saw its first event before the submit was answered (P11)", () =>
    Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        const journal = yield* Journal
        const sessionId = yield* newSession
        const cancelling = yield* journal.followSession(sessionId, undefined, true).pipe(
          Stream.take(1),
          Stream.runForEach((event) => runtime.cancel(event.turnId)),
          Effect.fork
        )
        yield* Effect.yieldNow()
        const { turn } = yield* submit(sessionId)
        yield* Fiber.join(cancelling)
        assert.strictEqual((yield* turnOf(turn.id)).error?._tag, "Cancelled")
      }).pipe(Effect.provide(engineOf(() => hanging)))
    }))

  it.effect("a repeated retry finds its child also when no place is left", () =>
    Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const id = yield* started
      yield* runtime.cancel(id)
      const child = yield* runtime.retry(id)
      yield* runtime.cancel(child.turn.id)
      yield* started
      const again = yield* runtime.retry(id)
      assert.deepStrictEqual([again.turn.id, again.existing], [child.turn.id, true])
    }).pipe(Effect.provide(engineOf(() => hanging, () => ({}), { limits: { runningTurns: 1 } }))))
})

describe("P24: an adapter that breaks its contract is contained", () => {
  const failure = (answer: ProviderFaults.Answer, settings: SettingsLoader.Overrides = {}) =>
    Effect.gen(function*() {
      const id = yield* started
      const reader = yield* Effect.fork(events(id))
      for (let round = 0; round < 20; round++) {
        yield* TestClock.adjust("1 seconds")
        yield* Effect.yieldNow()
      }
      const { error } = one(yield* Fiber.join(reader), "turn.failed").data
      return error._tag === "ProviderFailure" ? error : assert.fail(error._tag)
    }).pipe(Effect.provide(engineOf(() => answer, () => ({}), settings)))

  it.effect("one that never lets go does not hold up the end", () =>
    Effect.gen(function*() {
      const error = yield* failure(Stream.ensuring(hanging, Effect.never), { limits: { idleMs: 5_000 } })
      assert.strictEqual(error.kind, "stalled")
    }))

  it.effect("one that interrupts itself is a failure of the provider, not a shutdown", () =>
    Effect.gen(function*() {
      const error = yield* failure(Stream.concat(Stream.make(word), Stream.fromEffect(Effect.interrupt)))
      assert.strictEqual(error.kind, "protocol")
    }))

  for (const outputTokens of [-1, 1.5, Number.NaN, 1e15]) {
    it.effect(`usage of ${outputTokens} tokens is refused`, () =>
      Effect.gen(function*() {
        const error = yield* failure(Stream.make<Array<ProviderEvent>>(word, {
          _tag: "Usage",
          usage: {
            inputTokens: 1,
            outputTokens,
            cacheReadTokens: null,
            cacheWriteTokens: null,
            reasoningTokens: null,
            totalTokens: null
          }
        }, finish))
        assert.strictEqual(error.kind, "protocol")
      }))
  }

  it.effect("a tool call without arguments is none", () =>
    Effect.gen(function*() {
      const error = yield* failure(Stream.make<Array<ProviderEvent>>(
        { _tag: "ToolCall", toolCallId: "c", toolName: "f", arguments: undefined },
        finish
      ))
      assert.strictEqual(error.kind, "protocol")
    }))

  it.effect("names, ids and empty calls count towards the output cap", () =>
    Effect.gen(function*() {
      const calls = Stream.range(1, 1_000_000).pipe(
        Stream.map((index): ProviderEvent => ({
          _tag: "ToolCall",
          toolCallId: `c${index}`,
          toolName: "f",
          arguments: {}
        }))
      )
      const error = yield* failure(calls, { limits: { outputBytesPerTurn: 10_000 } })
      assert.strictEqual(error.kind, "protocol")
    }))

  it.effect("a Retry-After that is no number is no fact", () =>
    Effect.gen(function*() {
      const error = yield* failure(
        Stream.fail(providerFailure(ProviderFaults.providerId, "rate_limit", { retryAfterMs: Number.NaN }))
      )
      assert.isUndefined(error.retryAfterMs)
    }))
})
