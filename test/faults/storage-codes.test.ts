/**
 * P19 by code: a full disk, a read-only file, an I/O error, a damaged page, a lock. What clients get is typed with that code,
 * the process lives, its event loop stays free, and when the fault has passed everything is served.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { tick } from "../../src/journal/EventLoop.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { copyFolder, drive, engineIn, folders, open } from "./engine.ts"
import { emptyDatabase, type Refusal, refusals } from "./life.ts"
import { scenarios } from "./scenarios.ts"
import * as SqlFaults from "./SqlFaults.ts"

/** A while during which nothing is written, from the nth COMMIT on; reads go on, as they do with these faults. */
const noWrites = (code: string): Refusal => ({
  name: code,
  plans: (n) => SqlFaults.outage(n, { commit: "before", reads: true, code }),
  liftedAfterMs: 900
})

describe("P19: storage that refuses for a while", () => {
  for (const code of ["SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CORRUPT", "SQLITE_NOMEM"]) {
    it.scoped(`${code} from each commit of a turn on: every turn ends when it has passed, nothing acknowledged is lost`, () =>
      Effect.gen(function*() {
        const { found, points } = yield* refusals(yield* emptyDatabase, scenarios.plain, noWrites(code))
        assert.deepStrictEqual(found, [])
        assert.isAtLeast(points, 6)
      }))
  }

  it.scoped("SQLITE_BUSY: a lock of a few tries at each transaction is waited out, and nobody notices", () =>
    Effect.gen(function*() {
      const busy: Refusal = { name: "locked", plans: (n) => ({ writer: SqlFaults.locked(n, 6) }) }
      const { found, points } = yield* refusals(yield* emptyDatabase, scenarios.cancel, busy)
      assert.deepStrictEqual(found, [])
      assert.isAtLeast(points, 6)
    }))

  it.scoped("slow commits: every turn still ends, and nothing is seen before its commit", () =>
    Effect.gen(function*() {
      const slow: Refusal = {
        name: "slow",
        plans: (n) => n === 1 ? { writer: SqlFaults.slowTransactions(13) } : {}
      }
      const { found, points } = yield* refusals(yield* emptyDatabase, scenarios.queue, slow)
      assert.deepStrictEqual(found, [])
      assert.strictEqual(points, 1)
    }))

  for (const [code, retryable] of [["SQLITE_FULL", false], ["SQLITE_IOERR", false], ["SQLITE_BUSY", true]] as const) {
    it.scoped(`${code}: a submit gets it as a typed failure, and the event loop turns all the while`, () =>
      Effect.gen(function*() {
        const here = yield* folders
        copyFolder(yield* emptyDatabase, here)
        const faults = SqlFaults.make()
        const { close, context } = yield* open(engineIn(here, { database: faults.wrap }), faults)
        yield* Effect.gen(function*() {
          const runtime = yield* TurnRuntime
          const session = yield* drive(faults)(runtime.createSession({}))
          faults.set({ writer: ({ isWrite }) => isWrite ? { refused: "before", code } : "runs" })
          const submit = yield* Effect.fork(Effect.flip(runtime.submit({ sessionId: session.id, message: "hello" })))
          let turns = 0
          while (submit.unsafePoll() === null) {
            // a statement that waited for its lock by itself would let none of these pass
            yield* tick
            yield* TestClock.adjust("100 millis")
            turns += 1
          }
          assert.deepInclude(yield* Fiber.join(submit), {
            _tag: "JournalFailure",
            operation: "admit",
            reason: code,
            retryable
          })
          // a lock is waited for some five seconds, on the clock
          assert.isAtLeast(turns, code === "SQLITE_BUSY" ? 40 : 1)
          faults.set({})
          const { turn } = yield* drive(faults)(runtime.submit({ sessionId: session.id, message: "hello" }))
          assert.strictEqual(turn.sessionId, session.id)
        }).pipe(Effect.provide(context))
        yield* close
      }))
  }
})
