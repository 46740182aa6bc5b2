import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type { TurnId } from "../../src/domain/Ids.ts"
import * as TurnState from "../../src/domain/TurnState.ts"
import { Journal } from "../../src/journal/Journal.ts"
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

const hanging = steps({ say: "some words " }, { hang: true })
const cancel = (id: TurnId) => Effect.flatMap(TurnRuntime, (runtime) => runtime.cancel(id))
const resume = (id: TurnId) => Effect.flatMap(TurnRuntime, (runtime) => runtime.resume(id))
const retry = (id: TurnId) => Effect.flatMap(TurnRuntime, (runtime) => runtime.retry(id))

describe("cancel", () => {
  it.effect("in mid-stream keeps what was said: usage, checkpoint, partial message, turn.failed in one go", () =>
    withEngine()(Effect.gen(function*() {
      const journal = yield* Journal
      const sessionId = yield* newSession
      const { id } = yield* submitScript(sessionId, hanging)
      yield* awaitEvent(id, "model.delta")
      const turn = yield* cancel(id)
      assert.deepInclude(turn.error, { _tag: "Cancelled", cause: "user_stop" })
      assert.strictEqual(turn.text, "some words ")
      const all = yield* events(id)
      assert.deepStrictEqual(typesOf(all).slice(-3), ["telemetry.usage", "checkpoint.saved", "turn.failed"])
      assert.strictEqual(one(all, "checkpoint.saved").data.phase, "streaming")
      assert.strictEqual(turn.usage?.outputTokens, 1)
      const messages = yield* journal.messages(sessionId, { cursor: undefined, limit: 9 })
      assert.deepInclude(messages.items[1], { role: "assistant", state: "partial" })
      const checkpoints = yield* journal.checkpoints(id)
      assert.deepInclude(checkpoints[0], { phase: "streaming", text: "some words " })
    })))

  it.effect("before the first byte leaves no partial message", () =>
    withEngine()(Effect.gen(function*() {
      const { id } = yield* submitScript(yield* newSession, steps({ hang: true }))
      yield* awaitEvent(id, "attempt.started")
      const turn = yield* cancel(id)
      assert.strictEqual(turn.error?._tag, "Cancelled")
      assert.isUndefined(turn.messageId)
      assert.strictEqual(one(yield* events(id), "telemetry.usage").data.usage.outputTokens, 0)
    })))

  it.effect("in backoff ends at once, without another attempt", () =>
    withEngine()(Effect.gen(function*() {
      const { id } = yield* submitScript(yield* newSession, steps({ fail: { kind: "overloaded" } }))
      yield* awaitEvent(id, "attempt.failed")
      const turn = yield* cancel(id)
      assert.strictEqual(turn.attempts, 1)
      assert.deepInclude(turn.error, { _tag: "Cancelled", cause: "user_stop" })
    })))

  it.effect("while queued ends the turn without a call, and the line goes on", () =>
    withEngine()(Effect.gen(function*() {
      const sessionId = yield* newSession
      const first = yield* submitScript(sessionId, hanging)
      const second = yield* submitScript(sessionId, { deltas: 1 }, { onBusy: "queue" })
      const third = yield* submitScript(sessionId, { deltas: 1 }, { onBusy: "queue" })
      assert.deepStrictEqual([second.phase, second.queuePosition, third.queuePosition], ["accepted", 1, 2])
      const turn = yield* cancel(second.id)
      assert.deepStrictEqual([turn.error?._tag, turn.attempts], ["Cancelled", 0])
      yield* cancel(first.id)
      yield* events(third.id)
      assert.strictEqual((yield* turnOf(third.id)).status, "completed")
    })))

  it.effect("of a finished turn answers with the turn unchanged", () =>
    withEngine()(Effect.gen(function*() {
      const { id } = yield* submitScript(yield* newSession, { deltas: 1 })
      yield* events(id)
      const before = yield* turnOf(id)
      assert.deepStrictEqual(yield* cancel(id), before)
    })))

  it.effect("of an unknown turn is TurnNotFound", () =>
    withEngine()(Effect.gen(function*() {
      const { id } = yield* submitScript(yield* newSession, { deltas: 1 })
      const result = yield* Effect.either(cancel((id + "x") as TurnId))
      assert.strictEqual(Either.isLeft(result) ? result.left._tag : "", "TurnNotFound")
    })))

  it.effect("after every count of deltas: one terminal event, last, and the text that was committed (P12)", () =>
    withEngine()(Effect.gen(function*() {
      for (let count = 0; count <= 6; count++) {
        const words = Array.from({ length: count }, (_, index) => ({ say: `${index} ` }))
        const { id } = yield* submitScript(yield* newSession, steps(...words, { hang: true }))
        if (count > 0) yield* awaitEvent(id, "model.delta", count)
        const turn = yield* cancel(id)
        const all = yield* events(id)
        assert.strictEqual(turn.text, words.map(({ say }) => say).join(""))
        assert.strictEqual(TurnState.fold(all)?.text, turn.text)
        assert.deepStrictEqual(all.flatMap(({ seq, type }) => (type.startsWith("turn.f") ? [seq] : [])), [all.length])
      }
    })))
})

describe("one running turn a session (P10)", () => {
  it.effect("a second submit is refused while one runs, and goes through once it has ended", () =>
    withEngine()(Effect.gen(function*() {
      const sessionId = yield* newSession
      const { id } = yield* submitScript(sessionId, hanging)
      const refused = yield* Effect.either(submit(sessionId))
      assert.deepInclude(Either.isLeft(refused) ? refused.left : {}, { _tag: "TurnConflict", turnId: id })
      yield* cancel(id)
      assert.strictEqual((yield* submit(sessionId)).existing, false)
    })))

  it.effect("queued turns run in their order, each seeing the answers before it", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const sessionId = yield* newSession
      const first = yield* submitScript(sessionId, { deltas: 2, delayMs: 50 })
      const second = yield* submit(sessionId, { message: "second", onBusy: "queue" })
      const third = yield* submit(sessionId, { message: "third", onBusy: "queue" })
      yield* TestClock.adjust("100 millis")
      const endings = yield* Effect.forEach(
        [first.id, second.turn.id, third.turn.id],
        (id) => Effect.map(events(id), (all) => all.at(-1)?.type)
      )
      assert.deepStrictEqual(endings, ["turn.completed", "turn.completed", "turn.completed"])
      const context = yield* runtime.rebuildContext(third.turn.id)
      assert.strictEqual(context.messages.length, 5)
    })))

  it.effect("the queue is bounded", () =>
    withEngine({ limits: { queuedTurns: 2 } })(Effect.gen(function*() {
      const sessionId = yield* newSession
      yield* submitScript(sessionId, hanging)
      yield* submit(sessionId, { onBusy: "queue" })
      yield* submit(sessionId, { onBusy: "queue" })
      const result = yield* Effect.either(submit(sessionId, { onBusy: "queue" }))
      assert.deepInclude(Either.isLeft(result) ? result.left : {}, { _tag: "TurnConflict", reason: "queue-full" })
    })))

  it.effect("supersede cancels what runs and what waits, then runs", () =>
    withEngine()(Effect.gen(function*() {
      const sessionId = yield* newSession
      const first = yield* submitScript(sessionId, hanging)
      const waiting = yield* submit(sessionId, { onBusy: "queue" })
      const { turn } = yield* submit(sessionId, { message: "instead", onBusy: "supersede" })
      yield* events(turn.id)
      assert.strictEqual((yield* turnOf(turn.id)).status, "completed")
      for (const id of [first.id, waiting.turn.id]) {
        assert.deepInclude((yield* turnOf(id)).error, { _tag: "Cancelled", cause: "superseded" })
      }
    })))

  it.effect("more sessions than runningTurns: Overloaded, and no turn is journaled", () =>
    withEngine({ limits: { runningTurns: 1 } })(Effect.gen(function*() {
      const journal = yield* Journal
      const running = yield* submitScript(yield* newSession, hanging)
      const other = yield* newSession
      const result = yield* Effect.either(submit(other))
      assert.deepInclude(Either.isLeft(result) ? result.left : {}, { _tag: "Overloaded", limit: 1 })
      assert.lengthOf((yield* journal.turns(other, { cursor: undefined, limit: 9 })).items, 0)
      yield* cancel(running.id)
      assert.strictEqual((yield* submit(other)).existing, false)
    })))
})

describe("idempotency (P9)", () => {
  it.effect("a hundred callers with one key make one turn and one provider call", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const sessionId = yield* newSession
      const all = yield* Effect.forEach(
        Array.from({ length: 100 }),
        () => runtime.submit({ sessionId, message: "once", idempotencyKey: "k" }),
        { concurrency: 100 }
      )
      assert.strictEqual(new Set(all.map(({ turn }) => turn.id)).size, 1)
      assert.strictEqual(all.filter(({ existing }) => !existing).length, 1)
      const turnId = all[0]?.turn.id
      assert.strictEqual(turnId === undefined ? 0 : (yield* turnOf(turnId)).attempts, 1)
    })))

  it.effect("another body with the same key is IdempotencyConflict", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const sessionId = yield* newSession
      yield* runtime.submit({ sessionId, message: "one", idempotencyKey: "k" })
      const result = yield* Effect.either(runtime.submit({ sessionId, message: "two", idempotencyKey: "k" }))
      assert.strictEqual(Either.isLeft(result) ? result.left._tag : "", "IdempotencyConflict")
    })))

  it.effect("a known key finds its turn also when no place is left", () =>
    withEngine({ limits: { runningTurns: 1 } })(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const sessionId = yield* newSession
      const body = { sessionId, message: "one", idempotencyKey: "k" }
      const first = yield* runtime.submit(body)
      yield* events(first.turn.id)
      yield* submitScript(yield* newSession, hanging)
      assert.strictEqual((yield* runtime.submit(body)).turn.id, first.turn.id)
    })))
})

describe("resume and retry", () => {
  it.effect("resume continues after the partial, wherever it was cut: the joined text is the whole text (P8)", () =>
    withEngine()(Effect.gen(function*() {
      const script = { deltas: 6, delayMs: 10 }
      const whole = Array.from({ length: 6 }, (_, index) => `${String(index).padStart(7, "0")} `).join("")
      for (let cut = 0; cut <= 5; cut++) {
        const { id } = yield* submitScript(yield* newSession, script)
        yield* TestClock.adjust(`${cut * 10} millis`)
        const parent = yield* cancel(id)
        const child = yield* resume(id)
        yield* TestClock.adjust("100 millis")
        yield* events(child.turn.id)
        const ended = yield* turnOf(child.turn.id)
        assert.strictEqual(ended.resumedFrom, id)
        assert.strictEqual(parent.text + ended.text, whole)
      }
    })))

  it.effect("a resume goes on behind the failure that cut the answer", () =>
    withEngine()(Effect.gen(function*() {
      const { id } = yield* submitScript(
        yield* newSession,
        steps({ say: "one " }, { fail: { kind: "incomplete_stream" } }, { say: "two" })
      )
      yield* events(id)
      const { turn } = yield* resume(id)
      yield* events(turn.id)
      const ended = yield* turnOf(turn.id)
      assert.deepStrictEqual([ended.status, ended.text], ["completed", "two"])
    })))

  it.effect("a partial enters later context only as the prefix of its resume", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const sessionId = yield* newSession
      const { id } = yield* submitScript(sessionId, { deltas: 4, delayMs: 10 })
      yield* TestClock.adjust("20 millis")
      yield* cancel(id)
      const other = yield* submit(sessionId, { message: "without" })
      yield* events(other.turn.id)
      assert.deepStrictEqual((yield* runtime.rebuildContext(other.turn.id)).messages.map(({ role }) => role), [
        "user",
        "user"
      ])
      const child = yield* resume(id)
      yield* TestClock.adjust("100 millis")
      yield* events(child.turn.id)
      const last = yield* submit(sessionId, { message: "with" })
      yield* events(last.turn.id)
      const { messages } = yield* runtime.rebuildContext(last.turn.id)
      assert.deepStrictEqual(messages[1]?.parts, [{ type: "text", text: "0000000 0000001 0000002 0000003 " }])
    })))

  it.effect("repeating either answers with the same child; a parent has one of each", () =>
    withEngine()(Effect.gen(function*() {
      const { id } = yield* submitScript(yield* newSession, hanging)
      yield* awaitEvent(id, "model.delta")
      yield* cancel(id)
      const resumed = yield* resume(id)
      yield* cancel(resumed.turn.id)
      const retried = yield* retry(id)
      yield* cancel(retried.turn.id)
      assert.strictEqual((yield* resume(id)).turn.id, resumed.turn.id)
      assert.strictEqual((yield* retry(id)).turn.id, retried.turn.id)
      assert.strictEqual(retried.turn.retryOf, id)
    })))

  it.effect("a running parent and the resume of a completed turn are conflicts", () =>
    withEngine()(Effect.gen(function*() {
      const running = yield* submitScript(yield* newSession, hanging)
      const busy = yield* Effect.either(retry(running.id))
      assert.deepInclude(Either.isLeft(busy) ? busy.left : {}, { _tag: "TurnConflict", reason: "parent-running" })
      const done = yield* submitScript(yield* newSession, { deltas: 1 })
      yield* events(done.id)
      const result = yield* Effect.either(resume(done.id))
      assert.deepInclude(Either.isLeft(result) ? result.left : {}, { _tag: "TurnConflict", reason: "parent-completed" })
    })))

  it.effect("retry asks the same again: message, provider, model and options", () =>
    withEngine()(Effect.gen(function*() {
      const { id, userMessageId } = yield* submitScript(yield* newSession, { deltas: 2 }, {
        options: { system: "brief" }
      })
      yield* events(id)
      const { turn } = yield* retry(id)
      yield* events(turn.id)
      const ended = yield* turnOf(turn.id)
      assert.deepStrictEqual([ended.userMessageId, ended.text], [userMessageId, "0000000 0000001 "])
      const context = yield* Effect.flatMap(TurnRuntime, (runtime) => runtime.rebuildContext(turn.id))
      assert.include(context.system, "brief")
    })))
})

describe("the context of a turn", () => {
  it.effect("is rebuilt from its checkpoint with the same hash and bytes, also after later turns changed history", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const sessionId = yield* newSession
      const first = yield* submit(sessionId, { message: "one", options: { system: "be kind" } })
      yield* events(first.turn.id)
      const second = yield* submit(sessionId, { message: "two" })
      const manifest = one(yield* events(second.turn.id), "context.built").data
      const before = yield* runtime.rebuildContext(second.turn.id)
      const again = yield* retry(first.turn.id)
      yield* events(again.turn.id)
      const after = yield* runtime.rebuildContext(second.turn.id)
      assert.deepStrictEqual(after, before)
      assert.deepStrictEqual(after.manifest, manifest)
    })))

  it.effect("is previewed without writing anything", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const journal = yield* Journal
      const sessionId = yield* newSession
      const manifest = yield* runtime.preview({ sessionId, message: "what would be sent?" })
      const { turn } = yield* submit(sessionId, { message: "what would be sent?" })
      assert.strictEqual(one(yield* events(turn.id), "context.built").data.hash, manifest.hash)
      assert.lengthOf((yield* journal.turns(sessionId, { cursor: undefined, limit: 9 })).items, 1)
    })))
})

describe("sessions and shutdown", () => {
  it.effect("deleting a session with a running turn cancels it, waits, and removes every trace", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const sessionId = yield* newSession
      const { id } = yield* submitScript(sessionId, hanging)
      const waiting = yield* submit(sessionId, { onBusy: "queue" })
      yield* runtime.deleteSession(sessionId)
      for (const turnId of [id, waiting.turn.id]) {
        const gone = yield* Effect.either(turnOf(turnId))
        assert.strictEqual(Either.isLeft(gone) ? gone.left._tag : "", "TurnNotFound")
      }
      assert.strictEqual(yield* runtime.running, 0)
    })))

  it.effect("its followers are told that it goes", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const journal = yield* Journal
      const sessionId = yield* newSession
      const { id } = yield* submitScript(sessionId, hanging)
      yield* awaitEvent(id, "model.delta")
      const follower = yield* Effect.fork(Effect.flip(Stream.runDrain(journal.follow(id, 0))))
      yield* Effect.yieldNow()
      yield* runtime.deleteSession(sessionId)
      assert.deepInclude(yield* Fiber.join(follower), { _tag: "FollowEnded", reason: "deleted" })
    })))

  it.effect("while draining a known idempotency key still finds its turn", () =>
    withEngine({ drainMs: 1_000 })(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const sessionId = yield* newSession
      const body = { sessionId, message: "one", idempotencyKey: "k" }
      const first = yield* runtime.submit(body)
      yield* events(first.turn.id)
      yield* runtime.drain
      assert.strictEqual((yield* runtime.submit(body)).turn.id, first.turn.id)
    })))

  it.effect("drain takes no new turn, waits for what runs, and closes the rest as Interrupted{shutdown} (P22)", () =>
    withEngine({ drainMs: 1_000 })(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const quick = yield* submitScript(yield* newSession, { deltas: 5, delayMs: 100 })
      const stuck = yield* submitScript(yield* newSession, hanging)
      yield* awaitEvent(stuck.id, "model.delta")
      const draining = yield* Effect.fork(runtime.drain)
      yield* Effect.yieldNow()
      const late = yield* Effect.either(Effect.flatMap(newSession, submit))
      assert.strictEqual(Either.isLeft(late) ? late.left._tag : "", "Draining")
      yield* TestClock.adjust("500 millis")
      yield* events(quick.id)
      assert.strictEqual((yield* turnOf(quick.id)).status, "completed")
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(draining)
      const turn = yield* turnOf(stuck.id)
      assert.deepInclude(turn.error, { _tag: "Interrupted", cause: "shutdown" })
      assert.strictEqual(turn.checkpoint, 1)
    })))

  it.effect("the session's slot is free before anyone sees the terminal event", () =>
    withEngine()(Effect.gen(function*() {
      const sessionId = yield* newSession
      for (let round = 0; round < 20; round++) {
        const { id } = yield* submitScript(sessionId, { deltas: 1 })
        yield* awaitEvent(id, "turn.completed")
      }
    })))
})
