/**
 * What every provider adapter keeps. An adapter's test calls `contract` with a way to make it play a scripted answer:
 * the deterministic provider by its script, a live one by an upstream that a test holds.
 */
import { assert, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type { ProviderFailure } from "../../src/domain/TurnError.ts"
import type { ProviderEvent } from "../../src/provider/Provider.ts"

type Answer = Stream.Stream<ProviderEvent, ProviderFailure>

/** The same provider in the situations that the contract speaks of. */
export interface Situations {
  /** Says `texts`, then ends well. */
  readonly answers: (texts: ReadonlyArray<string>) => Answer
  /** Says `texts`, waits `ms` on the clock, says "late". */
  readonly waits: (texts: ReadonlyArray<string>, ms: number) => Answer
  /** Says `texts`, then fails with kind `failsAs`. */
  readonly fails: (texts: ReadonlyArray<string>) => Answer
  readonly failsAs: ProviderFailure["kind"]
  /** Says `texts`, then nothing for ever. */
  readonly hangs: (texts: ReadonlyArray<string>) => Answer
  /** Upstream calls so far. */
  readonly calls: () => number
}

/** Usage may come at any time. */
const isText = (event: ProviderEvent) => event._tag === "Delta"

export const textOf = (events: Iterable<ProviderEvent>): string => {
  let text = ""
  for (const event of events) if (event._tag === "Delta" && event.kind === "text") text += event.text
  return text
}

/** Everything a stream gave before it ended or failed. */
export const observe = Effect.fnUntraced(function*(stream: Answer) {
  const events: Array<ProviderEvent> = []
  const exit = yield* Effect.exit(Stream.runForEach(stream, (event) => Effect.sync(() => events.push(event))))
  return { events, exit }
})

const texts = ["one ", "two ", "three "]

export const contract = (name: string, make: () => Situations) => {
  it.effect(`${name}: exactly one Finish ends a good answer, and only usage may follow it`, () =>
    Effect.gen(function*() {
      const { events, exit } = yield* observe(make().answers(texts))
      assert.isTrue(Exit.isSuccess(exit))
      assert.strictEqual(textOf(events), texts.join(""))
      const finish = events.findIndex((event) => event._tag === "Finish")
      assert.isAtLeast(finish, texts.length)
      assert.isTrue(events.slice(finish + 1).every((event) => event._tag === "Usage"))
      assert.strictEqual(events.filter((event) => event._tag === "Finish").length, 1)
    }))

  it.effect(`${name}: what was said before a failure is delivered, and nothing is tried again`, () =>
    Effect.gen(function*() {
      const situations = make()
      const { events, exit } = yield* observe(situations.fails(texts))
      assert.strictEqual(textOf(events), texts.join(""))
      assert.isTrue(Exit.isFailure(exit))
      const failure = yield* Effect.flip(exit)
      assert.strictEqual(failure._tag, "ProviderFailure")
      assert.strictEqual(failure.kind, situations.failsAs)
      assert.strictEqual(situations.calls(), 1)
    }))

  it.scoped(`${name}: what was said before a wait is delivered before the time passes`, () =>
    Effect.gen(function*() {
      const seen = yield* Queue.bounded<ProviderEvent>(64)
      yield* Effect.forkScoped(
        Stream.runForEach(Stream.filter(make().waits(texts, 5_000), isText), (event) => Queue.offer(seen, event))
      )
      const early = yield* Queue.takeN(seen, texts.length)
      assert.strictEqual(textOf(early), texts.join(""))
      yield* TestClock.adjust(4_999)
      assert.strictEqual(yield* Queue.size(seen), 0)
      yield* TestClock.adjust(1)
      assert.strictEqual(textOf([yield* Queue.take(seen)]), "late")
    }))

  it.scoped(`${name}: interruption ends a silent answer at once, without time passing`, () =>
    Effect.gen(function*() {
      const seen = yield* Queue.bounded<ProviderEvent>(64)
      const fiber = yield* Effect.forkScoped(
        Stream.runForEach(Stream.filter(make().hangs(texts), isText), (event) => Queue.offer(seen, event))
      )
      const early = yield* Queue.takeN(seen, texts.length)
      assert.strictEqual(textOf(Chunk.toReadonlyArray(early)), texts.join(""))
      const exit = yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.isInterrupted(exit))
    }))
}
