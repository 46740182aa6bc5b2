import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import type { Settings } from "../../src/config/Settings.ts"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as JournalMemory from "../../src/journal/JournalMemory.ts"
import * as Retention from "../../src/journal/Retention.ts"
import { admit, answering, append, createSession, turnId } from "./fixtures.ts"

const hour = 3_600_000
const day = 24 * hour
/** The events of `fixtures` carry this time. */
const closedAt = Date.parse("2026-01-02T03:04:05.678Z")

const withRetention = (retention: NonNullable<Settings["Type"]["retention"]> | undefined) =>
  Layer.provideMerge(
    Retention.layer,
    Layer.merge(JournalMemory.layer, SettingsLoader.layerWith(retention === undefined ? {} : { retention }))
  )

const foldedAt = Effect.flatMap(
  Journal,
  (journal) => Effect.map(journal.turn(turnId("t")), ({ turn }) => turn.foldedAt)
)

const closeTurn = Effect.gen(function*() {
  yield* createSession("s")
  yield* admit("t", "s")
  yield* append("t", "s", 2, answering("t", ["one"]))
})

describe("retention", () => {
  it.effect("folds a turn once it closed more than so many days ago, at the first pass after that", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(closedAt)
      yield* Effect.gen(function*() {
        yield* closeTurn
        yield* TestClock.adjust(2 * day)
        assert.isUndefined(yield* foldedAt)
        yield* TestClock.adjust(hour)
        assert.strictEqual(yield* foldedAt, "2026-01-04T04:04:05.678Z")
      }).pipe(Effect.provide(withRetention({ days: 2, everyMs: hour })))
    }))

  it.effect("keeps everything where nothing was configured", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(closedAt)
      yield* Effect.gen(function*() {
        yield* closeTurn
        yield* TestClock.adjust(400 * day)
        assert.isUndefined(yield* foldedAt)
      }).pipe(Effect.provide(withRetention(undefined)))
    }))
})
