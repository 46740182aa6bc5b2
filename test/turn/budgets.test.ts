/** Budgets: a turn that may not begin fails before any provider is called, and says what to do. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/TestClock"
import { Journal } from "../../src/journal/Journal.ts"
import { layerLocal } from "../../src/layers.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { freshFolder } from "../journal/databaseFixture.ts"
import { awaitEvent, events, newSession, steps, submitScript, turnOf, typesOf, withEngine } from "./engine.ts"

const spends = (outputTokens: number) => steps({ say: "x" }, { usage: { inputTokens: 10, outputTokens } })
const gauge = (budget: string) =>
  Metric.unsafeSnapshot().find(({ metricKey }) =>
    metricKey.name === "turnstream.budget.used" && metricKey.tags.some(({ value }) => value === budget)
  )?.metricState as { readonly value: number } | undefined

describe("a budget of a session", () => {
  it.effect("lets turns begin while anything is left, and none from then on; other sessions go on", () =>
    withEngine({ limits: { tokensPerSession: 60 } })(Effect.gen(function*() {
      const session = yield* newSession
      assert.strictEqual((yield* submitScript(session, spends(49))).status, "running")
      const journal = yield* Journal
      // 59 of 60 are spent: one more may begin, and is not cut
      const [first] = (yield* journal.turns(session, { cursor: undefined, limit: 9 })).items
      if (first !== undefined) yield* events(first.id)
      const second = yield* submitScript(session, spends(100))
      yield* events(second.id)
      assert.strictEqual((yield* turnOf(second.id)).status, "completed")

      const refused = yield* submitScript(session, spends(1))
      assert.deepInclude(refused, { status: "failed", attempts: 0 })
      assert.deepInclude(refused.error, {
        _tag: "BudgetExceeded",
        budget: "tokensPerSession",
        used: 169,
        limit: 60,
        retryable: false
      })
      assert.match(refused.error?.message ?? "", /Start a new session/)
      assert.deepStrictEqual(typesOf(yield* events(refused.id)), ["turn.started", "turn.failed"])
      assert.lengthOf(yield* journal.usage({ by: ["turn"], where: { turn: refused.id } }), 0)
      const other = yield* submitScript(yield* newSession, spends(1))
      yield* events(other.id)
      assert.strictEqual((yield* turnOf(other.id)).status, "completed")
    })))

  it.effect("a turn that waited sees what the one before it spent", () =>
    withEngine({ limits: { tokensPerSession: 20 } })(Effect.gen(function*() {
      const session = yield* newSession
      const first = yield* submitScript(session, steps({ say: "x" }, { wait: 1_000 }, { usage: { outputTokens: 30 } }))
      yield* awaitEvent(first.id, "model.delta")
      const second = yield* submitScript(session, spends(1), { onBusy: "queue" })
      assert.strictEqual(second.status, "running")
      yield* TestClock.adjust("2 seconds")
      yield* events(second.id)
      assert.strictEqual((yield* turnOf(second.id)).error?._tag, "BudgetExceeded")
    })))

  it.effect("a refused turn's message stays out of later context", () =>
    withEngine({ limits: { tokensPerDay: 5 } })(Effect.gen(function*() {
      const session = yield* newSession
      const first = yield* submitScript(session, spends(1), { message: "counted" })
      yield* events(first.id)
      const refused = yield* submitScript(session, spends(1), { message: "refused" })
      assert.strictEqual(refused.error?._tag, "BudgetExceeded")
      const runtime = yield* TurnRuntime
      const { slots } = yield* runtime.preview({ sessionId: session, message: "next" })
      const history = slots.filter(({ action, slot }) => slot === "history" && action === "included")
      // one exchange, of the turn that was answered
      assert.lengthOf(history, 1)
      const journal = yield* Journal
      assert.lengthOf((yield* journal.messages(session, { cursor: undefined, limit: 9 })).items, 3)
    })))
})

describe("a budget of a day", () => {
  it.effect("counts every session, also deleted ones, and is whole again on the next day (UTC)", () =>
    withEngine({ limits: { tokensPerDay: 100 } })(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const session = yield* newSession
      const { id } = yield* submitScript(session, spends(90))
      yield* events(id)
      yield* runtime.deleteSession(session)
      const refused = yield* submitScript(yield* newSession, spends(1))
      assert.deepInclude(refused.error, { _tag: "BudgetExceeded", budget: "tokensPerDay", used: 100, limit: 100 })
      assert.match(refused.error?.message ?? "", /midnight UTC/)
      yield* TestClock.adjust("1 day")
      const next = yield* submitScript(yield* newSession, spends(1))
      assert.isUndefined(next.error)
    })))

  it.effect("tells how near it is", () =>
    withEngine({ limits: { tokensPerDay: 100, tokensPerSession: 50 } })(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      yield* events((yield* submitScript(yield* newSession, spends(10))).id)
      yield* events((yield* submitScript(yield* newSession, spends(20))).id)
      assert.deepStrictEqual(yield* runtime.budgets, [
        { budget: "tokensPerSession", used: 30, limit: 50 },
        { budget: "tokensPerDay", used: 50, limit: 100 }
      ])
      yield* runtime.measure
      assert.strictEqual(gauge("tokensPerDay")?.value, 0.5)
      assert.strictEqual(gauge("tokensPerSession")?.value, 0.6)
    })))

  it.effect("is not there where nobody set one", () =>
    withEngine()(Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      assert.deepStrictEqual(yield* runtime.budgets, [])
    })))
})

describe("a budget of the database", () => {
  it.scopedLive("counts the bytes in use on disk; those of a deleted session are free again", () =>
    Effect.gen(function*() {
      const dataDir = yield* freshFolder
      const local = (databaseBytes: number) =>
        layerLocal({
          dataDir,
          limits: { databaseBytes },
          telemetry: { captureContent: false, logLevel: "none" }
        })
      const filled = yield* Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        const session = yield* newSession
        yield* events((yield* submitScript(session, steps({ big: 200_000 }))).id)
        return { session, levels: yield* runtime.budgets }
      }).pipe(Effect.provide(local(10_000_000)))
      const used = filled.levels[0]?.used ?? 0
      assert.isAbove(used, 200_000)

      yield* Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        const refused = yield* submitScript(yield* newSession, spends(1))
        assert.deepInclude(refused.error, { _tag: "BudgetExceeded", budget: "databaseBytes" })
        yield* runtime.deleteSession(filled.session)
        const next = yield* submitScript(yield* newSession, spends(1))
        assert.isUndefined(next.error)
      }).pipe(Effect.provide(local(used - 50_000)))
    }))
})
