import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Database } from "../../src/journal/Database.ts"
import { rows } from "../../src/journal/DatabaseConnection.ts"
import { freshFolder } from "./databaseFixture.ts"
import { grow, growthOf, layerGrowing, makeCounter, rowsOfTurns } from "./growth.ts"

/** Tables that grow with use. A scan of an index of the running turns alone is none of them. */
const wholeTable =
  /^SCAN (sessions|messages|turns|batches|usage|checkpoints|context_contents|c|p|t|m)\b(?!.*turns_running)/

describe("P33: the cost of a turn does not know its number", () => {
  it.scoped("bytes, statements and rows read of turn 800 of a session are those of turn 10", () =>
    Effect.gen(function*() {
      const dataDir = yield* freshFolder
      const counter = makeCounter()
      yield* Effect.gen(function*() {
        // a file grows by pages, of several tables at once: of 50 turns they are a fifth, of 100 a twentieth
        const [, ...stretches] = yield* grow(800, 100, counter)
        assert.isBelow(growthOf(stretches, ({ bytes }) => bytes), 1.1)
        assert.isBelow(growthOf(stretches, ({ statements }) => statements), 1.1)
        assert.isBelow(growthOf(stretches, ({ rows }) => rows), 1.1)
      }).pipe(Effect.provide(layerGrowing(dataDir, counter)))
    }))

  it.scoped("a turn reads no more rows of a session of 5,000 messages than of one of 50, the first time and the next", () =>
    Effect.gen(function*() {
      const dataDir = yield* freshFolder
      const counter = makeCounter()
      yield* Effect.gen(function*() {
        // the first write of a process asks where the journal ends
        yield* grow(1, 1, counter)
        const few = yield* rowsOfTurns(50, counter)
        assert.deepStrictEqual(yield* rowsOfTurns(5_000, counter), few)
        // a page of questions and their answers at the most, beside what a turn reads of itself
        assert.isAtMost(few[0] ?? 0, 200)
      }).pipe(Effect.provide(layerGrowing(dataDir, counter)))
    }))

  it.scoped("no statement of a turn reads a whole table", () =>
    Effect.gen(function*() {
      const dataDir = yield* freshFolder
      const counter = makeCounter()
      yield* Effect.gen(function*() {
        yield* grow(10, 10, counter)
        const { reader } = yield* Database
        const plans = rows(Schema.Struct({ detail: Schema.String }))
        const texts = [...counter.texts].filter((text) => /^(SELECT|INSERT|UPDATE|DELETE|WITH)/i.test(text))
        assert.isAbove(texts.length, 10)
        for (const text of texts) {
          const nulls = Array.from(text.matchAll(/\?/g), () => null)
          for (const { detail } of yield* plans(reader, `EXPLAIN QUERY PLAN ${text}`, nulls)) {
            assert.notMatch(detail, wholeTable, text)
          }
        }
      }).pipe(Effect.provide(layerGrowing(dataDir, counter)))
    }))
})
