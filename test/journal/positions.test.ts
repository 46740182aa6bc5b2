/** Places in the one order of commits: never given twice, never behind one that is committed, whatever is undone. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Path from "node:path"
import * as Positions from "../../src/journal/Positions.ts"
import * as Statements from "../../src/journal/Statements.ts"
import { freshFolder, raw } from "./databaseFixture.ts"

const rangeSize = 2 ** 20

/** A database whose last place is `reserved`, with a look at what it has reserved. */
const opened = (reserved: number) =>
  Effect.gen(function*() {
    const sql = yield* raw(Path.join(yield* freshFolder, "positions.db"))
    yield* sql.unsafe(
      "CREATE TABLE positions (id INTEGER PRIMARY KEY CHECK (id = 1), reserved INTEGER NOT NULL) STRICT"
    )
    yield* sql.unsafe("INSERT INTO positions (id, reserved) VALUES (1, ?)", [reserved])
    const db = yield* Statements.of(sql)
    let written = 0
    const counting: Statements.Statements = {
      all: (text, params) => {
        if (text.startsWith("UPDATE")) written++
        return db.all(text, params)
      }
    }
    return {
      db: counting,
      written: () => written,
      reserved: () => Statements.integerOf(db.all("SELECT reserved FROM positions", [])[0], "reserved")
    }
  })

/** A transaction that takes places, and what becomes of it. */
interface Taking {
  readonly counts: ReadonlyArray<number>
  /** `in doubt`: it is committed, and reported as failed. `killed`, `undone and killed`: and the process is another one then. */
  readonly outcome: "committed" | "undone" | "in doubt" | "killed" | "undone and killed"
}

const takingArb: FastCheck.Arbitrary<Taking> = FastCheck.record({
  counts: FastCheck.array(FastCheck.constantFrom(1, 2, 64, rangeSize / 2, rangeSize, rangeSize + 1), {
    minLength: 1,
    maxLength: 3
  }),
  outcome: FastCheck.constantFrom("committed", "committed", "undone", "in doubt", "killed", "undone and killed")
})

describe("positions", () => {
  it.scoped("a range is written once: within it a commit writes nothing", () =>
    Effect.gen(function*() {
      const { db, reserved, written } = yield* opened(41)
      const positions = Positions.make()
      assert.strictEqual(written(), 0)
      const first = positions.take(db, 1)
      positions.committed()
      assert.strictEqual(first, 42)
      assert.strictEqual(reserved(), 41 + rangeSize)
      for (let place = first + 1; place < first + rangeSize;) {
        const count = Math.min(1_000, first + rangeSize - place)
        assert.strictEqual(positions.take(db, count), place)
        positions.committed()
        place += count
      }
      assert.strictEqual(written(), 1)
      assert.strictEqual(positions.take(db, 1), first + rangeSize)
      assert.strictEqual(written(), 2)
      assert.strictEqual(reserved(), 41 + 2 * rangeSize)
    }))

  it.scoped("what does not fit what is left of a range stands in the next one, whole", () =>
    Effect.gen(function*() {
      const { db, reserved } = yield* opened(0)
      const positions = Positions.make()
      assert.strictEqual(positions.take(db, rangeSize - 1), 1)
      positions.committed()
      assert.strictEqual(positions.take(db, 2), rangeSize + 1)
      assert.strictEqual(reserved(), 2 * rangeSize)
    }))

  it.scoped("where nobody said that a commit stands, the range is looked up, and not reserved again", () =>
    Effect.gen(function*() {
      const { db, written } = yield* opened(0)
      const positions = Positions.make()
      for (let place = 1; place <= 5; place++) assert.strictEqual(positions.take(db, 1), place)
      assert.strictEqual(written(), 1)
    }))

  it.scoped("another owner begins behind everything that this one may have given", () =>
    Effect.gen(function*() {
      const { db } = yield* opened(0)
      const before = Positions.make()
      before.take(db, 5)
      before.committed()
      const after = Positions.make()
      assert.isAbove(after.take(db, 1), rangeSize)
    }))

  it.effect.prop(
    "only rise, and are reserved where they are committed, whatever is undone, in doubt, or killed",
    { all: FastCheck.array(takingArb, { maxLength: 30, size: "max" }) },
    ({ all }) =>
      Effect.scoped(Effect.gen(function*() {
        const { db, reserved } = yield* opened(7)
        let positions = Positions.make()
        let highest = 7
        for (const { counts, outcome } of all) {
          let last = 0
          db.all("BEGIN IMMEDIATE", [])
          for (const count of counts) {
            const first = positions.take(db, count)
            assert.isAbove(first, Math.max(highest, last))
            last = first + count - 1
            assert.isAtMost(last, reserved())
          }
          const isUndone = outcome === "undone" || outcome === "undone and killed"
          db.all(isUndone ? "ROLLBACK" : "COMMIT", [])
          if (!isUndone) highest = last
          if (outcome === "committed") positions.committed()
          if (outcome === "killed" || outcome === "undone and killed") positions = Positions.make()
          assert.isAtMost(highest, reserved())
        }
      })),
    { timeout: 60_000, fastCheck: { numRuns: 100 } }
  )
})
