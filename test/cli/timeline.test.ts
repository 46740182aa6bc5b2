import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { inspect } from "../../src/cli/Inspect.ts"
import { parseSpeed, replay } from "../../src/cli/Replay.ts"
import * as Timeline from "../../src/cli/Timeline.ts"
import { TurnId } from "../../src/domain/Ids.ts"
import { providerFailure, toInfo } from "../../src/domain/TurnError.ts"
import type { EventBody, TurnEvent } from "../../src/domain/TurnEvent.ts"
import { type CommitInfo, Journal } from "../../src/journal/Journal.ts"
import * as JournalMemory from "../../src/journal/JournalMemory.ts"
import { layerTest } from "../../src/layers.ts"
import type { Script } from "../../src/provider/Script.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import {
  admit,
  append,
  attempt,
  built,
  checkpoint,
  completed,
  createSession,
  delta,
  used
} from "../journal/fixtures.ts"
import { capture } from "./capture.ts"

/** A turn of three words, two seconds apart, that failed once before. */
const script: Script = {
  steps: [
    { wait: 500 },
    { fail: { kind: "overloaded", attempts: 1, retryAfterMs: 250 } },
    { say: "one " },
    { wait: 2_000 },
    { say: "two " },
    { wait: 2_000 },
    { say: "three" }
  ]
}

/** Runs a turn to its end on the test's clock. */
const ended = Effect.gen(function*() {
  const runtime = yield* TurnRuntime
  const run = yield* Effect.fork(Stream.runCollect(runtime.stream({ message: "go", options: { script } })))
  yield* TestClock.adjust("1 minute")
  return Chunk.toReadonlyArray(yield* Fiber.join(run))
})

const idOf = (events: ReadonlyArray<TurnEvent>) => events[0]?.turnId ?? TurnId.make("none")

describe("inspect", () => {
  it.effect("the time line tells phases, attempts, first token, pauses, usage, checkpoint and end, with their times", () =>
    Effect.gen(function*() {
      const events = yield* ended
      const timeline = Timeline.make()
      for (const event of events) timeline.add(event)
      const { deltas, entries, firstTokenMs, longestPauseMs, pauses } = timeline.done()
      const what = entries.map((entry) => entry.what)
      assert.deepStrictEqual(
        what,
        [
          "accepted",
          "context built",
          "attempt 1",
          "usage",
          "attempt 1 failed",
          "attempt 2",
          "first token",
          "streamed",
          "pause",
          "streamed",
          "pause",
          "streamed",
          "usage",
          "checkpoint 1",
          "completed"
        ]
      )
      assert.deepStrictEqual({ deltas, pauses, longestPauseMs }, { deltas: 3, pauses: 2, longestPauseMs: 2_000 })
      assert.isAtLeast(firstTokenMs ?? 0, 1_000)
      assert.deepStrictEqual(entries.map(({ atMs }) => atMs), entries.map(({ atMs }) => atMs).toSorted((a, b) => a - b))
    }).pipe(Effect.provide(layerTest())))

  it.effect("shows the same as text and as JSON", () =>
    Effect.gen(function*() {
      const id = idOf(yield* ended)
      const text = capture()
      yield* Effect.provide(inspect(id, false), text.layer)
      assert.match(text.stdout(), new RegExp(`^turn ${id} of session s_`))
      assert.match(text.stdout(), /first token after \d+ ms, 2 pauses, the longest 2000 ms/)
      const json = capture()
      yield* Effect.provide(inspect(id, true), json.layer)
      const { checkpoints, timeline, turn } = JSON.parse(json.stdout())
      assert.strictEqual(turn.text, "one two three")
      assert.strictEqual(timeline.pauses, 2)
      assert.strictEqual(checkpoints.length, 1)
    }).pipe(Effect.provide(layerTest())))
})

describe("inspect of what a turn used and how it was committed", () => {
  const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" }
  /** Two attempts, one estimated and one priced, in four commits. */
  const write = Effect.gen(function*() {
    yield* createSession("s")
    yield* admit("t1", "s", { trace })
    const failed: EventBody = {
      type: "attempt.failed",
      data: { attempt: 1, error: toInfo(providerFailure("deterministic", "overloaded")) },
      attempt: 1
    }
    yield* append("t1", "s", 2, [built, attempt(), used({ inputTokens: 1_000 }, "estimated"), failed])
    yield* append("t1", "s", 6, [attempt(2), delta("x".repeat(5_000))])
    const reported = used({ inputTokens: 1_000, outputTokens: 2 }, "reported", { cost: 0.0125, contextPercent: 12.34 })
    yield* append("t1", "s", 8, [{ ...reported, attempt: 2 }, checkpoint(1, 8), completed("t1")])
  })
  const said = (json: boolean) =>
    Effect.gen(function*() {
      const out = capture()
      yield* Effect.provide(inspect(TurnId.make("t1"), json), out.layer)
      return out.stdout()
    })

  it.effect("each attempt has its source, window and cost, an estimate is marked, and the trace and the commits are told", () =>
    Effect.gen(function*() {
      yield* write
      const text = yield* said(false)
      assert.include(text, `\ntrace ${trace.traceId}\n`)
      assert.include(
        text,
        "usage              ~1,000 in, unknown out, unknown in all (estimated), context unknown, cost unknown #4\n"
      )
      assert.include(text, "1,000 in, 2 out, 1,002 in all (reported), context 12.3%, cost 0.0125 #8\n")
      assert.match(text, /\n4 commits, the largest 2 events \(#6 to #7\) of 5,\d{3} characters\n/)
      const json = JSON.parse(yield* said(true))
      assert.deepStrictEqual(json.trace, trace)
      assert.deepStrictEqual(
        json.timeline.usages.map(({ attempt, contextPercent, cost, source }: Record<string, unknown>) => [
          attempt,
          source,
          contextPercent,
          cost
        ]),
        [[1, "estimated", null, undefined], [2, "reported", 12.34, 0.0125]]
      )
      assert.deepStrictEqual(
        json.commits.map(({ firstSeq, lastSeq }: CommitInfo) => [firstSeq, lastSeq]),
        [[1, 1], [2, 5], [6, 7], [8, 10]]
      )
      assert.isTrue(json.commits.every(({ chars }: CommitInfo) => chars > 0))
    }).pipe(Effect.provide(JournalMemory.layer)))

  it.effect("commits beyond a page are all there, once", () =>
    Effect.gen(function*() {
      yield* createSession("s")
      yield* admit("t1", "s")
      yield* append("t1", "s", 2, [built, attempt()])
      for (let seq = 4; seq < 2_504; seq++) yield* append("t1", "s", seq, [delta("x")])
      const { commits, trace } = JSON.parse(yield* said(true))
      assert.isUndefined(trace)
      assert.lengthOf(commits, 2_502)
      assert.deepStrictEqual(commits.map(({ lastSeq }: CommitInfo) => lastSeq), [
        1,
        ...Array.from({ length: 2_501 }, (_, at) => at + 3)
      ])
      assert.match(yield* said(false), /\n2,502 commits, /)
    }).pipe(Effect.provide(JournalMemory.layer)))

  it.effect("of a folded turn the commits are gone, and that is said; what its attempts used is kept", () =>
    Effect.gen(function*() {
      yield* write
      yield* Effect.flatMap(Journal, ({ foldTurns }) => foldTurns("2999-01-01T00:00:00.000Z", "later", 10))
      const text = yield* said(false)
      assert.include(
        text,
        "folded later: what the model said is kept as its message alone, and how it was committed is"
      )
      assert.notMatch(text, /commits,/)
      assert.include(text, "cost 0.0125")
      const { commits, timeline } = JSON.parse(yield* said(true))
      assert.deepStrictEqual(commits, [])
      assert.lengthOf(timeline.usages, 2)
    }).pipe(Effect.provide(JournalMemory.layer)))
})

describe("replay", () => {
  const play = (from: number, speed: number) =>
    Effect.gen(function*() {
      const events = yield* ended
      const out = capture()
      const fiber = yield* Effect.fork(Effect.provide(replay({ turn: idOf(events), from, speed }), out.layer))
      return { events, out, fiber }
    })

  it.effect("plays the text in its pace, faster by the factor", () =>
    Effect.gen(function*() {
      const { fiber, out } = yield* play(1, 2)
      yield* TestClock.adjust(999)
      assert.strictEqual(out.stdout(), "one ")
      yield* TestClock.adjust(1)
      assert.strictEqual(out.stdout(), "one two ")
      yield* TestClock.adjust(1_000)
      yield* Fiber.join(fiber)
      assert.strictEqual(out.stdout(), "one two three\n")
      assert.include(out.stderr(), "completed (stop)")
    }).pipe(Effect.provide(layerTest())))

  it.effect("max waits for nothing, and --from begins there", () =>
    Effect.gen(function*() {
      const { events, fiber, out } = yield* play(1, Infinity)
      yield* Fiber.join(fiber)
      assert.strictEqual(out.stdout(), "one two three\n")
      const second = events.filter(({ type }) => type === "model.delta")[1]
      const rest = yield* play(second?.seq ?? 0, Infinity)
      yield* Fiber.join(rest.fiber)
      assert.strictEqual(rest.out.stdout(), "two three\n")
    }).pipe(Effect.provide(layerTest())))

  it.effect("a speed that is none, a start beyond the end and an unknown turn are refused", () =>
    Effect.gen(function*() {
      for (const text of ["0", "-1", "fast", "1e9", "", "x"]) {
        assert.strictEqual((yield* Effect.flip(parseSpeed(text))).path, "--speed")
      }
      assert.deepStrictEqual(yield* Effect.forEach(["1", "0.5", "10x", "max"], parseSpeed), [1, 0.5, 10, Infinity])
      const out = capture()
      const id = idOf(yield* ended)
      const beyond = yield* Effect.flip(Effect.provide(replay({ turn: id, from: 1_000, speed: 1 }), out.layer))
      assert.strictEqual(beyond._tag, "InvalidRequest")
      const unknown = replay({ turn: TurnId.make("t_none"), from: 1, speed: 1 })
      assert.strictEqual((yield* Effect.flip(Effect.provide(unknown, out.layer)))._tag, "TurnNotFound")
    }).pipe(Effect.provide(layerTest())))
})
