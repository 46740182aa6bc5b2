/** Timers of turns, all served by one fiber. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as Alarms from "../../src/provider/Alarms.ts"

const alarms = Effect.flatMap(Effect.clock, Alarms.make)

describe("alarms", () => {
  it.scoped("ring once, at their time, in whatever order they were set", () =>
    Effect.gen(function*() {
      const { after } = yield* alarms
      const rung: Array<number> = []
      for (const ms of [300, 100, 200]) after(ms, () => rung.push(ms))
      yield* TestClock.adjust(99)
      assert.deepStrictEqual(rung, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(rung, [100])
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(rung, [100, 200, 300])
    }))

  it.scoped("that are called off stay silent, and do not hold up later ones", () =>
    Effect.gen(function*() {
      const { after } = yield* alarms
      const rung: Array<string> = []
      const callOff = after(100, () => rung.push("off"))
      after(200, () => rung.push("on"))
      callOff()
      callOff()
      yield* TestClock.adjust(200)
      assert.deepStrictEqual(rung, ["on"])
    }))

  it.scoped("may be set by one that rings, also for at once", () =>
    Effect.gen(function*() {
      const { after } = yield* alarms
      const rung: Array<string> = []
      after(50, () => {
        rung.push("first")
        after(0, () => rung.push("second"))
      })
      yield* TestClock.adjust(50)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(rung, ["first", "second"])
    }))

  it.scoped("one that throws is logged, and the others ring", () =>
    Effect.gen(function*() {
      const lines: Array<unknown> = []
      const logger = Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => lines.push(message)))
      const rung = yield* Effect.gen(function*() {
        const { after } = yield* alarms
        const rung: Array<string> = []
        after(10, () => {
          throw new Error("a bug")
        })
        after(10, () => rung.push("beside"))
        after(20, () => rung.push("after"))
        yield* TestClock.adjust(20)
        return rung
      }).pipe(Effect.provide(logger))
      assert.deepStrictEqual(rung, ["beside", "after"])
      assert.strictEqual(lines.length, 1)
    }))

  it.effect("any that are set at any times ring in the order of their times", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.array(FastCheck.tuple(FastCheck.nat(50), FastCheck.nat(200)), { maxLength: 20 }),
          (plan) =>
            Effect.gen(function*() {
              const { after } = yield* alarms
              let now = 0
              const rung: Array<number> = []
              const due: Array<number> = []
              for (const [wait, ms] of plan) {
                yield* TestClock.adjust(wait)
                now += wait
                const at = now + ms
                due.push(at)
                after(ms, () => rung.push(at))
              }
              yield* TestClock.adjust(1_000)
              assert.deepStrictEqual(rung, due.toSorted((a, b) => a - b))
            }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext), Effect.runPromise)
        ),
        { numRuns: 100 }
      )
    ))
})
