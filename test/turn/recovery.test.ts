import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { cp, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { charsPerToken } from "../../src/context/ContextBuilder.ts"
import type { TurnId } from "../../src/domain/Ids.ts"
import { heldCharsMax } from "../../src/domain/Message.ts"
import { Journal } from "../../src/journal/Journal.ts"
import { layerLocal } from "../../src/layers.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { awaitEvent, events, newSession, one, steps, submit, submitScript, turnOf, typesOf } from "./engine.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "turnstream-recovery-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

type Options = Omit<Parameters<typeof layerLocal>[0], "dataDir">

const on =
  (dataDir: string, options: Options = {}) =>
  <A, E>(effect: Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof layerLocal>>>) =>
    Effect.provide(effect, layerLocal({ ...options, dataDir }))

/**
 * Runs `before` on a database and answers with a copy of it taken while the engine still ran: what a kill -9 at that
 * moment leaves on the disk.
 */
const crashed = <A>(before: Effect.Effect<A, unknown, TurnRuntime | Journal>, options: Options = {}) =>
  Effect.gen(function*() {
    const [live, dead] = [yield* folder, yield* folder]
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(layerLocal({ ...options, dataDir: live }), scope)
    const result = yield* Effect.provide(before, context)
    yield* Effect.promise(() => cp(live, dead, { recursive: true }))
    yield* Scope.close(scope, Exit.void)
    return { dataDir: dead, result }
  })

const streaming = Effect.gen(function*() {
  const sessionId = yield* newSession
  const turn = yield* submitScript(sessionId, steps({ say: "half " }, { say: "an answer" }, { hang: true }))
  yield* awaitEvent(turn.id, "model.delta", 2)
  const waiting = yield* submit(sessionId, { message: "next", onBusy: "queue" })
  return { sessionId, id: turn.id, waiting: waiting.turn.id }
})

describe("P6: after a crash every orphan is closed before the engine is ready", () => {
  it.scoped("as Interrupted{crash}, with usage, a checkpoint and the partial message; queued turns too", () =>
    Effect.gen(function*() {
      const { dataDir, result: { id, sessionId, waiting } } = yield* crashed(streaming)
      yield* on(dataDir)(Effect.gen(function*() {
        const journal = yield* Journal
        const turn = yield* turnOf(id)
        assert.deepInclude(turn.error, { _tag: "Interrupted", cause: "crash", retryable: true })
        assert.strictEqual(turn.text, "half an answer")
        const all = yield* events(id)
        assert.deepStrictEqual(typesOf(all).slice(-3), ["telemetry.usage", "checkpoint.saved", "turn.failed"])
        assert.strictEqual(one(all, "telemetry.usage").data.source, "estimated")
        assert.deepInclude((yield* journal.checkpoints(id))[0], { phase: "streaming", text: "half an answer" })
        assert.deepInclude((yield* turnOf(waiting)).error, { _tag: "Interrupted", cause: "crash" })
        assert.strictEqual((yield* journal.session(sessionId)).running, null)
        assert.deepStrictEqual(yield* journal.runningTurns, [])
      }))
    }))

  it.scoped("in an answer too long to be held, its usage is estimated from all that it said", () =>
    Effect.gen(function*() {
      const half = "x".repeat(heldCharsMax / 2 + 1)
      const { dataDir, result: id } = yield* crashed(
        Effect.gen(function*() {
          const turn = yield* submitScript(yield* newSession, steps({ say: half }, { say: half }, { hang: true }))
          yield* awaitEvent(turn.id, "model.delta", 2)
          return turn.id
        }),
        { limits: { outputBytesPerTurn: 2 * heldCharsMax } }
      )
      yield* on(dataDir)(Effect.gen(function*() {
        assert.deepInclude(yield* turnOf(id), { whole: false, text: "", status: "failed" })
        const { source, usage } = one(yield* events(id), "telemetry.usage").data
        assert.strictEqual(source, "estimated")
        assert.strictEqual(usage.outputTokens, Math.ceil((2 * half.length) / charsPerToken))
      }))
    }))

  it.scoped("once: a second start changes nothing", () =>
    Effect.gen(function*() {
      const { dataDir, result: { id } } = yield* crashed(streaming)
      const first = yield* on(dataDir)(events(id))
      assert.deepStrictEqual(yield* on(dataDir)(events(id)), first)
    }))

  it.scoped("no model is called, and resume and retry work from there (P8)", () =>
    Effect.gen(function*() {
      const { dataDir, result: { id } } = yield* crashed(Effect.gen(function*() {
        const turn = yield* submitScript(
          yield* newSession,
          steps({ say: "one " }, { say: "two" }, { fail: { kind: "server" } })
        )
        yield* awaitEvent(turn.id, "turn.failed")
        const other = yield* submitScript(yield* newSession, { deltas: 3, delayMs: 1_000_000 })
        yield* awaitEvent(other.id, "attempt.started")
        return { id: other.id }
      }))
      yield* on(dataDir)(Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        assert.strictEqual((yield* turnOf(id)).attempts, 1)
        assert.strictEqual(yield* runtime.running, 0)
        const retried = yield* runtime.retry(id)
        yield* awaitEvent(retried.turn.id, "attempt.started")
        assert.strictEqual((yield* runtime.cancel(retried.turn.id)).retryOf, id)
      }))
    }))

  it.scoped("with recovery.onRestart resume, what was cut goes on, at most maxResumes times", () =>
    Effect.gen(function*() {
      const { dataDir, result } = yield* crashed(streaming)
      const childOf = (parent: TurnId) =>
        Effect.flatMap(Journal, (journal) => Effect.map(journal.turn(parent), ({ resumedBy }) => resumedBy))
      const recovery = { onRestart: "resume" as const, maxResumes: 1 }
      const child = yield* on(dataDir, { recovery })(Effect.gen(function*() {
        const child = yield* childOf(result.id)
        assert.isDefined(child)
        yield* awaitEvent(child as TurnId, "attempt.started")
        return child as TurnId
      }))
      yield* on(dataDir, { recovery })(Effect.gen(function*() {
        assert.isUndefined(yield* childOf(child))
      }))
    }))
})

describe("a clean shutdown", () => {
  it.scoped("leaves nothing to recover: what ran is closed as Interrupted{shutdown}", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const { id } = yield* on(dataDir)(streaming)
      yield* on(dataDir)(Effect.gen(function*() {
        assert.deepInclude((yield* turnOf(id)).error, { _tag: "Interrupted", cause: "shutdown" })
      }))
    }))
})
