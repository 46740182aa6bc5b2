import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { freshFolder } from "./databaseFixture.ts"
import { grow, layerGrowing, makeCounter } from "./growth.ts"

const asked = "What comes next, and why?"
/** Measured: 3,340 to 3,540. */
const bytesMax = 3_700

describe("P33: a turn of 20 deltas of 16 characters takes less than 3.7 kB of the file", () => {
  it.scoped("at turn 400 of a session as at turn 1", () =>
    Effect.gen(function*() {
      const dataDir = yield* freshFolder
      const counter = makeCounter()
      yield* Effect.gen(function*() {
        for (const { bytes } of yield* grow(400, 200, counter, asked)) assert.isBelow(bytes, bytesMax)
      }).pipe(Effect.provide(layerGrowing(dataDir, counter)))
    }))

  it.scoped("in many sessions as in one", () =>
    Effect.gen(function*() {
      const dataDir = yield* freshFolder
      const counter = makeCounter()
      yield* Effect.gen(function*() {
        const bytes = yield* Effect.forEach(
          Array.from({ length: 40 }),
          () => Effect.map(grow(5, 5, counter, asked), ([all]) => all?.bytes ?? 0)
        )
        assert.isBelow(bytes.reduce((sum, each) => sum + each, 0) / bytes.length, bytesMax)
      }).pipe(Effect.provide(layerGrowing(dataDir, counter)))
    }))
})
