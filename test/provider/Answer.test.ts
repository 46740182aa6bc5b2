/** Bytes to events, with decoders and bodies made by hand: one byte of a body is one frame. */
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { providerFailure } from "../../src/domain/TurnError.ts"
import * as Answer from "../../src/provider/Answer.ts"
import { type ProviderEvent, streamOf } from "../../src/provider/Provider.ts"
import type { Decoder, Progress } from "../../src/provider/wire/Decoder.ts"
import { type Fault, incomplete } from "../../src/provider/wire/Fault.ts"
import { collect } from "./live.ts"

const say = (text: string): ProviderEvent => ({ _tag: "Delta", kind: "text", text })
const stop: ProviderEvent = { _tag: "Finish", reason: "stop" }
const overloaded: Fault = { kind: "overloaded" }
const reset: Fault = { kind: "incomplete_stream", detail: "reset" }

interface Frame {
  readonly emit?: ReadonlyArray<ProviderEvent>
  readonly progress?: Progress
  readonly fault?: Fault
}

/** What each byte of a body means. */
const quiet = 0
const words = 1
const finish = 2
const close = 3
const wrong = 4
const frames: Readonly<Record<number, Frame>> = {
  [words]: { emit: [say("a"), say("b")] },
  [finish]: { emit: [stop], progress: "finished" },
  [close]: { emit: [stop], progress: "closed" },
  [wrong]: { emit: [say("last")], fault: overloaded }
}

interface World {
  readonly reads: ReadonlyArray<Effect.Effect<ReadonlyArray<number>, Option.Option<Fault>>>
  /** What the decoder still emits at the end of the body. */
  readonly owed?: ReadonlyArray<ProviderEvent>
  readonly endFault?: Fault
}

const bytes = (...codes: ReadonlyArray<number>) => Effect.succeed(codes)
const ended = Effect.fail(Option.none<Fault>())
const broken = Effect.fail(Option.some(reset))

/** The answer of a body; behind the last read it never says anything again. */
const answer = ({ endFault, owed, reads }: World) => {
  const seen = { pulls: 0, frames: 0, ends: 0 }
  const decoder = (emit: (event: ProviderEvent) => void): Decoder => {
    let progress: Progress = "open"
    return {
      push: (part) => {
        for (const code of part) {
          seen.frames++
          const frame = frames[code]
          frame?.emit?.forEach(emit)
          progress = frame?.progress ?? progress
          if (frame?.fault !== undefined) return frame.fault
        }
        return undefined
      },
      end: () => {
        seen.ends++
        owed?.forEach(emit)
        if (owed?.includes(stop) === true) progress = "closed"
        return endFault ?? (progress === "open" ? incomplete : undefined)
      },
      progress: () => progress
    }
  }
  const pull = Effect.suspend(() => reads[seen.pulls++] ?? Effect.never).pipe(
    Effect.map((codes) => Chunk.fromIterable(codes.map((code) => Uint8Array.of(code))))
  )
  const run = Answer.make({
    decoder,
    body: Answer.pulled(pull),
    fail: ({ detail, kind }) => providerFailure("p", kind, detail === undefined ? {} : { detail }),
    afterFinishMs: 5_000,
    accepted: undefined
  })
  return { seen, run, stream: streamOf(run) }
}

const collected = (world: World) => {
  const { seen, stream } = answer(world)
  return Effect.map(collect(stream), (given) => ({ ...given, seen }))
}

describe("an answer", () => {
  it.effect("ends where its body does, with what the decoder still owed", () =>
    Effect.gen(function*() {
      const { events, failure, seen } = yield* collected({ reads: [bytes(words), ended], owed: [say("c"), stop] })
      assert.deepStrictEqual(events, [say("a"), say("b"), say("c"), stop])
      assert.isUndefined(failure)
      assert.deepInclude(seen, { pulls: 2, ends: 1 })
    }))

  it.effect("that never ended is the decoder's fault, behind everything that came", () =>
    Effect.gen(function*() {
      const { events, failure } = yield* collected({ reads: [bytes(words), ended], owed: [say("c")] })
      assert.deepStrictEqual(events, [say("a"), say("b"), say("c")])
      assert.strictEqual(failure?.kind, "incomplete_stream")
    }))

  it.effect("gives what a piece of the body said at once, and nothing for one that said nothing", () =>
    Effect.gen(function*() {
      const { run, seen } = answer({
        reads: [bytes(quiet), bytes(words, quiet, words), bytes(), bytes(quiet), bytes(words), bytes(finish), ended]
      })
      const given: Array<readonly [events: number, pulls: number]> = []
      yield* run({
        take: (events) => {
          given.push([events.length, seen.pulls])
          return undefined
        }
      })
      assert.deepStrictEqual(given, [[2, 2], [2, 2], [2, 5], [1, 6]])
    }))

  it.effect("reads no further until who takes it is ready, and not at all where he refuses", () =>
    Effect.gen(function*() {
      const { run, seen } = answer({ reads: [bytes(words), bytes(words), bytes(finish), ended] })
      const gate = Effect.unsafeMakeLatch(false)
      const refusal = providerFailure("p", "protocol", {})
      const fiber = yield* Effect.fork(Effect.flip(run({
        take: () => seen.pulls === 1 ? gate.await : Effect.fail(refusal)
      })))
      yield* Effect.yieldNow()
      yield* Effect.yieldNow()
      assert.strictEqual(seen.pulls, 1)
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(fiber), refusal)
      assert.strictEqual(seen.pulls, 2)
    }))
})

describe("a fault", () => {
  it.effect("of a frame ends it behind the events of that frame; nothing more is decoded, read or drained", () =>
    Effect.gen(function*() {
      const { events, failure, seen } = yield* collected({
        reads: [bytes(words), bytes(words, wrong, words), bytes(words), ended]
      })
      assert.deepStrictEqual(events, [say("a"), say("b"), say("a"), say("b"), say("last")])
      assert.strictEqual(failure?.kind, "overloaded")
      assert.deepStrictEqual(seen, { pulls: 2, frames: 3, ends: 0 })
    }))

  it.effect("of the connection counts while the answer is open", () =>
    Effect.gen(function*() {
      const { events, failure } = yield* collected({ reads: [bytes(words), broken] })
      assert.deepStrictEqual(events, [say("a"), say("b")])
      assert.deepInclude({ ...failure }, { kind: "incomplete_stream", detail: "reset" })
    }))

  it.effect("of the connection does not matter behind a finish that was seen", () =>
    Effect.gen(function*() {
      const { events, failure } = yield* collected({ reads: [bytes(finish), broken] })
      assert.deepStrictEqual(events, [stop])
      assert.isUndefined(failure)
    }))

  it.effect("of the connection does not matter where the finish was its last, unfinished line", () =>
    Effect.gen(function*() {
      const { events, failure } = yield* collected({ reads: [bytes(words), broken], owed: [stop] })
      assert.deepStrictEqual(events, [say("a"), say("b"), stop])
      assert.isUndefined(failure)
    }))

  it.effect("that the wire told last is told, although the connection broke behind it", () =>
    Effect.gen(function*() {
      const { failure } = yield* collected({ reads: [bytes(words), broken], endFault: overloaded })
      assert.strictEqual(failure?.kind, "overloaded")
    }))

  it.effect("that the end reveals counts also behind a finish", () =>
    Effect.gen(function*() {
      for (const last of [ended, broken]) {
        const { failure } = yield* collected({ reads: [bytes(finish), last], endFault: overloaded })
        assert.strictEqual(failure?.kind, "overloaded")
      }
    }))
})

describe("behind a finish", () => {
  it("the wait is shorter than any idle time, so that the engine does not fail an answer that is whole", () => {
    assert.strictEqual(Answer.afterFinishMs(30_000), 5_000)
    assert.strictEqual(Answer.afterFinishMs(1_000), 500)
    for (const idleMs of [1, 2, 7, 9_999, 10_001]) assert.isBelow(Answer.afterFinishMs(idleMs), idleMs)
  })

  it.effect("a decoder that throws is a protocol failure", () =>
    Effect.gen(function*() {
      const thrower = () => {
        throw new RangeError("a bug")
      }
      const run = Answer.make({
        decoder: () => ({ push: thrower, end: thrower, progress: () => "open" as const }),
        body: Answer.pulled(Effect.succeed(Chunk.of(Uint8Array.of(1)))),
        fail: ({ detail, kind }) => providerFailure("p", kind, detail === undefined ? {} : { detail }),
        afterFinishMs: 1,
        accepted: undefined
      })
      const failure = yield* Effect.flip(run({ take: () => undefined }))
      assert.strictEqual(failure.kind, "protocol")
    }))

  it.effect("silence ends the answer after five seconds, whole", () =>
    Effect.gen(function*() {
      const { seen, stream } = answer({ reads: [bytes(words), bytes(finish), Effect.never] })
      const fiber = yield* Effect.fork(collect(stream))
      yield* TestClock.adjust(4_999)
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust(1)
      const { events, failure } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(events, [say("a"), say("b"), stop])
      assert.isUndefined(failure)
      assert.strictEqual(seen.ends, 1)
    }))

  it.effect("five seconds are all there is, although something without meaning keeps coming", () =>
    Effect.gen(function*() {
      const { stream } = answer({ reads: [bytes(finish), ...Array(100).fill(Effect.delay(bytes(quiet), 900))] })
      const fiber = yield* Effect.fork(collect(stream))
      yield* TestClock.adjust(4_999)
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust(1)
      assert.isUndefined((yield* Fiber.join(fiber)).failure)
    }))

  it.effect("what comes in time still counts, and before it silence has no limit here", () =>
    Effect.gen(function*() {
      const { stream } = answer({
        reads: [Effect.delay(bytes(words), "1 hour"), bytes(finish), Effect.delay(bytes(words), 4_000), ended]
      })
      const fiber = yield* Effect.fork(collect(stream))
      yield* TestClock.adjust("1 hour")
      yield* TestClock.adjust(4_000)
      assert.deepStrictEqual((yield* Fiber.join(fiber)).events, [say("a"), say("b"), stop, say("a"), say("b")])
    }))
})

describe("an answer that is closed", () => {
  it.effect("is not decoded further, and its body is read to its end so that the socket can be used again", () =>
    Effect.gen(function*() {
      const { events, failure, seen } = yield* collected({
        reads: [bytes(words, close, words), bytes(wrong), bytes(words), ended]
      })
      assert.deepStrictEqual(events, [say("a"), say("b"), stop])
      assert.isUndefined(failure)
      assert.deepStrictEqual(seen, { pulls: 4, frames: 2, ends: 0 })
    }))

  it.effect("is whole although its body breaks", () =>
    Effect.gen(function*() {
      const { failure } = yield* collected({ reads: [bytes(close), broken] })
      assert.isUndefined(failure)
    }))

  for (const [what, rest] of [["silent", []], ["busy", Array(100).fill(Effect.delay(bytes(words), 10))]] as const) {
    it.effect(`waits 50 ms for a ${what} body, not longer, and has given its events before`, () =>
      Effect.gen(function*() {
        const { stream } = answer({ reads: [bytes(close), ...rest] })
        const events: Array<ProviderEvent> = []
        const fiber = yield* Effect.fork(Stream.runForEach(stream, (event) => Effect.sync(() => events.push(event))))
        yield* TestClock.adjust(49)
        assert.deepStrictEqual(events, [stop])
        assert.isNull(fiber.unsafePoll())
        yield* TestClock.adjust(1)
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
      }))
  }
})

describe("interruption", () => {
  for (const [phase, before] of [["open", []], ["finished", [bytes(finish)]], ["closed", [bytes(close)]]] as const) {
    it.effect(`of an answer that is ${phase} interrupts the read that waits`, () =>
      Effect.gen(function*() {
        let left = 0
        const waits = Effect.onInterrupt(Effect.never, () => Effect.sync(() => left++))
        const { stream } = answer({ reads: [...before, waits] })
        const fiber = yield* Effect.fork(Stream.runDrain(stream))
        yield* Effect.yieldNow()
        yield* Effect.yieldNow()
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        assert.strictEqual(left, 1)
      }))
  }
})

describe("a body that is there at once", () => {
  it.effect("may have 100,000 reads that say nothing, or as many that do", () =>
    Effect.gen(function*() {
      for (const [code, count] of [[quiet, 0], [words, 200_000]] as const) {
        const { events, failure } = yield* collected({
          reads: [...Array(100_000).fill(bytes(code)), bytes(finish), ended]
        })
        assert.isUndefined(failure)
        assert.strictEqual(events.length, count + 1)
      }
    }))

  it.effect("may say 100,000 things in one read", () =>
    Effect.gen(function*() {
      const { events } = yield* collected({ reads: [bytes(...Array(50_000).fill(words)), bytes(finish), ended] })
      assert.strictEqual(events.length, 100_001)
    }))
})
