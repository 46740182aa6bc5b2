/** What only a database can get wrong: faults, foreign owners, bad rows, restarts, query plans. */
import { SqlError } from "@effect/sql/SqlError"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Database } from "../../src/journal/Database.ts"
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as JournalSql from "../../src/journal/JournalSql.ts"
import * as SqlFaults from "../faults/SqlFaults.ts"
import { freshFolder } from "./databaseFixture.ts"
import {
  admission,
  admit,
  answered,
  answering,
  append,
  attempt,
  built,
  createSession,
  delta,
  messageId,
  place,
  sessionId,
  turnId
} from "./fixtures.ts"
import { layerFresh, layerIn } from "./sqlFixture.ts"

const count = (n: number) => Array.from({ length: n }, (_, index) => index + 1)

/** One life of a process: built in a scope of its own, so that it can end and another begin on the same file. */
const life = <A, E, R, LE>(
  layer: Layer.Layer<Journal | Database, LE>,
  body: Effect.Effect<A, E, R>
) => Effect.scoped(Effect.provide(body, layer))

/** The database with faults on its writer. `on` sees every statement of a transaction, in order. */
const layerFaulty = (on: (text: string) => SqlFaults.Fate): Layer.Layer<Journal | Database, unknown> => {
  const faults = SqlFaults.make()
  faults.set({ writer: ({ text }) => on(text) })
  return Layer.provideMerge(
    JournalSql.layer,
    faults.wrap(Layer.unwrapScoped(
      Effect.map(freshFolder, (dataDir) => DatabaseSqlite.layer({ dataDir, durability: "relaxed", takeOver: false }))
    ))
  )
}

const refused = (when: "before" | "after", code = "SQLITE_IOERR"): SqlFaults.Fate => ({ refused: when, code })

const readAll = (turn: string) =>
  Effect.flatMap(
    Journal,
    (journal) => Effect.map(journal.readAfter(turnId(turn), 0, 10_000), (all) => all.map((one) => one.seq))
  )

describe("the schema refuses", () => {
  const epoch = Effect.map(Database, (database) => database.epoch)
  const writer = Effect.flatMap(
    Database,
    (database) => database.writer === undefined ? Effect.die("read-only") : Effect.succeed(database.writer)
  )
  const tail = (type: string) => `,"at":"2026-01-02T03:04:05.678Z","type":"${type}","data":{}}`
  interface Batch {
    readonly pos?: number
    readonly turn_id?: string
    readonly first_seq: number
    readonly last_seq: number
    readonly terminal?: number
    readonly epoch?: number
    readonly tails: string
  }
  /** Above every place that the engine gives in these tests, and rising. */
  let pos = 10_000
  const insert = (batch: Batch) =>
    Effect.gen(function*() {
      const sql = yield* writer
      const row = { pos: ++pos, turn_id: "t", terminal: 0, epoch: yield* epoch, ...batch }
      yield* sql`INSERT INTO batches ${sql.insert(row)}`
    })
  const reason = (error: unknown): string =>
    error instanceof SqlError && error.cause instanceof Error ? error.cause.message : "not a SqlError"
  const refused = (batch: Batch) => Effect.map(Effect.flip(insert(batch)), reason)

  it.effect("P2: a gap, a repeat, a wrong count, a turn that is not there and a place that is not next", () =>
    Effect.gen(function*() {
      yield* createSession("s")
      yield* admit("t", "s")
      const one = { first_seq: 2, last_seq: 2, tails: tail("context.built") }
      assert.include(yield* refused({ ...one, first_seq: 3, last_seq: 3 }), "not contiguous")
      assert.include(yield* refused({ ...one, first_seq: 1, last_seq: 1 }), "not contiguous")
      assert.include(yield* refused({ ...one, last_seq: 3 }), "as many events as seqs")
      assert.include(yield* refused({ ...one, last_seq: 1 }), "as many events as seqs")
      assert.include(yield* refused({ ...one, turn_id: "none" }), "no such turn")
      assert.include(yield* refused({ ...one, pos: 1 }), "behind all before it")
      assert.include(yield* refused({ ...one, pos: 2 ** 20 + 1 }), "a place that is reserved")
      yield* insert(one)
      assert.deepStrictEqual(yield* readAll("t"), [1, 2])
    }).pipe(Effect.provide(layerFresh)))

  it.effect("P3: a first event that is not turn.started, a second end, and anything after the end", () =>
    Effect.gen(function*() {
      const sql = yield* writer
      yield* createSession("s")
      yield* admit("t", "s")
      yield* admit("u", "s", { onBusy: "queue" })
      assert.include(
        reason(yield* Effect.flip(sql`DELETE FROM batches WHERE turn_id = 'u'`)),
        "until its turn is folded"
      )
      yield* sql`DROP TRIGGER batches_kept`
      yield* sql`DELETE FROM batches WHERE turn_id = 'u'`
      const first = { turn_id: "u", first_seq: 1, last_seq: 1 }
      assert.include(yield* refused({ ...first, tails: tail("turn.started") }), "stands where it begins")
      const [u] = yield* sql<{ readonly ord: number }>`SELECT ord FROM turns WHERE id = 'u'`
      const own = { ...first, pos: u?.ord ?? 0 }
      assert.include(yield* refused({ ...own, tails: tail("context.built") }), "begins with turn.started")
      yield* insert({ ...own, tails: tail("turn.started") })
      yield* insert({ first_seq: 2, last_seq: 2, terminal: 1, tails: tail("turn.failed") })
      const next = { first_seq: 3, last_seq: 3, tails: tail("turn.failed") }
      assert.include(yield* refused({ ...next, terminal: 1 }), "nothing follows the end")
      assert.include(yield* refused(next), "nothing follows the end")
      yield* sql`UPDATE turns SET end_pos = NULL WHERE id = 't'`
      assert.include(yield* refused({ ...next, terminal: 1 }), "nothing follows the end")
    }).pipe(Effect.provide(layerFresh)))

  it.effect("P7: a batch of another epoch; and a change of a committed event; and an end without an event", () =>
    Effect.gen(function*() {
      const sql = yield* writer
      yield* createSession("s")
      yield* admit("t", "s")
      const own = yield* epoch
      assert.include(
        yield* refused({ first_seq: 2, last_seq: 2, epoch: own + 1, tails: tail("context.built") }),
        "fenced"
      )
      const changed = yield* Effect.flip(sql`UPDATE batches SET tails = 'x' WHERE turn_id = 't'`)
      assert.include(reason(changed), "never changes")
      const ended = yield* Effect.flip(sql`UPDATE turns SET status = 'completed' WHERE id = 't'`)
      assert.include(reason(ended), "CHECK")
    }).pipe(Effect.provide(layerFresh)))
})

describe("a restart", () => {
  it.scoped(
    "reads everything back, byte for byte, and goes on where the dead process stopped",
    () =>
      Effect.gen(function*() {
        const dataDir = yield* freshFolder
        const snapshot = Effect.gen(function*() {
          const journal = yield* Journal
          return {
            session: yield* journal.session(sessionId("s")),
            turns: (yield* journal.turns(sessionId("s"), { cursor: undefined, limit: 10 })).items,
            messages: yield* journal.messages(sessionId("s"), { cursor: undefined, limit: 10 }),
            events: yield* journal.readAfter(turnId("t"), 0, 100),
            state: yield* journal.state(turnId("open")),
            checkpoints: yield* journal.checkpoints(turnId("t")),
            usage: yield* journal.usage({ by: ["session", "provider", "model", "day"] }),
            running: yield* journal.runningTurns
          }
        })
        const before = yield* life(
          layerIn(dataDir),
          Effect.gen(function*() {
            yield* createSession("s")
            yield* answered("t", "s", ["a", "b"])
            yield* admit("open", "s")
            yield* append("open", "s", 2, [built, attempt(), delta("half")])
            return yield* snapshot
          })
        )
        yield* life(
          layerIn(dataDir),
          Effect.gen(function*() {
            const journal = yield* Journal
            assert.deepStrictEqual(yield* snapshot, before)
            assert.deepStrictEqual(before.running, [turnId("open")])
            const follower = yield* Effect.fork(Stream.runCollect(journal.follow(turnId("open"), 2)))
            yield* append("open", "s", 5, answering("open", ["half"]).slice(3))
            assert.deepStrictEqual([...(yield* Fiber.join(follower))].map((one) => one.seq), [3, 4, 5, 6, 7])
            assert.strictEqual((yield* journal.turn(turnId("open"))).turn.status, "completed")
          })
        )
      }),
    30_000
  )

  it.scoped("a database opened for reading only reads and refuses to write", () =>
    Effect.gen(function*() {
      const dataDir = yield* freshFolder
      yield* life(
        layerIn(dataDir),
        Effect.gen(function*() {
          yield* createSession("s")
          yield* answered("t", "s", ["a"])
          yield* admit("open", "s")
        })
      )
      const readOnly = Layer.provideMerge(JournalSql.layer, DatabaseSqlite.layerReadOnly({ dataDir }))
      yield* life(
        readOnly,
        Effect.gen(function*() {
          const journal = yield* Journal
          assert.strictEqual((yield* journal.turn(turnId("t"))).turn.text, "a")
          assert.strictEqual(Chunk.size(yield* Stream.runCollect(journal.follow(turnId("t"), 0))), 7)
          const open = yield* Effect.flip(Stream.runDrain(journal.follow(turnId("open"), 0)))
          assert.deepInclude(open, { _tag: "FollowEnded", reason: "fenced" })
          assert.deepInclude(yield* Effect.flip(admit("u", "s")), { _tag: "JournalFailure", retryable: false })
        })
      )
    }), 30_000)
})

describe("ownership", () => {
  it.scoped(
    "P7: after a take-over every write of the old owner is Fenced, nothing of it is written, its followers end",
    () =>
      Effect.gen(function*() {
        const dataDir = yield* freshFolder
        const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
        const old = yield* Layer.buildWithScope(layerIn(dataDir), scope)
        const journal = Context.get(old, Journal)
        yield* Effect.provide(Effect.zipRight(createSession("s"), admit("t", "s")), old)
        const joined = yield* Deferred.make<void>()
        const follower = yield* Effect.fork(
          Effect.flip(Stream.runForEach(journal.follow(turnId("t"), 0), () => Deferred.succeed(joined, undefined)))
        )
        yield* Deferred.await(joined)
        yield* life(
          layerIn(dataDir, { takeOver: true }),
          Effect.gen(function*() {
            const refused = <A, E>(write: Effect.Effect<A, E, Journal>) => Effect.flip(Effect.provide(write, old))
            const errors = yield* Effect.all(
              [
                refused(append("t", "s", 2, [built])),
                refused(admit("u", "s", { onBusy: "queue" })),
                refused(createSession("r"))
              ],
              { concurrency: "unbounded" }
            )
            for (const error of errors) assert.strictEqual(error._tag, "Fenced")
            assert.strictEqual((yield* journal.fenced)._tag, "Fenced")
            assert.deepInclude(yield* Fiber.join(follower), { _tag: "FollowEnded", reason: "fenced" })
            yield* append("t", "s", 2, [built, attempt()])
            assert.deepStrictEqual(yield* readAll("t"), [1, 2, 3])
            const { sessions } = yield* Journal
            assert.strictEqual((yield* sessions({ cursor: undefined, limit: 10 })).items.length, 1)
          })
        )
      }),
    30_000
  )
})

describe("faults", () => {
  it.effect("one bad command does not fail the others of its group", () =>
    Effect.gen(function*() {
      const sql = yield* Effect.map(Database, (database) => database.reader)
      const journal = yield* Journal
      yield* Effect.forEach(["a", "b", "c"], createSession)
      // Another turn's question: its id is taken, which only the schema knows.
      yield* admit("b0", "b")
      const clash = admission("b2", "c", {})
      const results = yield* Effect.all([
        Effect.exit(admit("a1", "a")),
        Effect.exit(journal.admit({ ...clash, message: { id: messageId("b0-question"), parts: [] } })),
        Effect.exit(append("b0", "b", 2, [built])),
        Effect.exit(append("b0", "b", 9, [attempt()]))
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual(results.map((exit) => exit._tag === "Success"), [true, false, true, false])
      assert.deepStrictEqual(yield* readAll("b0"), [1, 2])
      const rows = yield* sql<{ readonly n: number }>`SELECT count(*) AS n FROM turns WHERE id = 'b2'`
      assert.deepStrictEqual(rows, [{ n: 0 }])
    }).pipe(Effect.provide(layerFresh)))

  for (const fault of ["before", "after"] as const) {
    it.effect(`a COMMIT that fails ${fault} it took effect is found out: the write succeeds once`, () => {
      let armed = false
      const layer = layerFaulty((text) => {
        if (!armed || text !== "COMMIT") return "runs"
        armed = false
        return refused(fault)
      })
      const arm = Effect.sync(() => {
        armed = true
      })
      return Effect.gen(function*() {
        const journal = yield* Journal
        yield* arm
        yield* createSession("s")
        yield* arm
        assert.strictEqual((yield* admit("t", "s", { idempotency: { key: "k", bodyHash: "h" } }))._tag, "Started")
        const seen: Array<number> = []
        const joined = yield* Deferred.make<void>()
        const follower = yield* Effect.fork(
          Stream.runForEach(journal.follow(turnId("t"), 0), (event) =>
            Effect.zipRight(
              Effect.sync(() => seen.push(event.seq)),
              Deferred.succeed(joined, undefined)
            ))
        )
        yield* Deferred.await(joined)
        yield* arm
        yield* append("t", "s", 2, [built, attempt(), delta("x")])
        yield* arm
        yield* append("t", "s", 5, answering("t", ["x"]).slice(3))
        yield* Fiber.join(follower)
        assert.deepStrictEqual(seen, count(7))
        assert.deepStrictEqual(yield* readAll("t"), count(7))
        yield* arm
        yield* journal.deleteSession(sessionId("s"))
        assert.isFalse(armed)
      }).pipe(Effect.provide(layer))
    })
  }

  it.effect("a write that failed at any statement wrote nothing, and its repeat succeeds", () => {
    let left = -1
    const layer = layerFaulty((text) => {
      if (left < 0 || text === "ROLLBACK") return "runs"
      return left-- === 0 ? refused("before") : "runs"
    })
    return Effect.gen(function*() {
      const journal = yield* Journal
      yield* createSession("s")
      let failures = 0
      for (const n of count(40)) {
        const turn = `t${n}`
        left = n - 1
        const first = yield* Effect.exit(admit(turn, "s"))
        if (Exit.isFailure(first)) {
          failures++
          assert.strictEqual((yield* Effect.exit(journal.turn(turnId(turn))))._tag, "Failure")
          left = -1
          yield* admit(turn, "s")
        }
        left = n - 1
        const second = yield* Effect.exit(append(turn, "s", 2, answering(turn, ["x", "y"])))
        if (Exit.isFailure(second)) {
          failures++
          assert.deepStrictEqual(yield* readAll(turn), [1])
          left = -1
          yield* append(turn, "s", 2, answering(turn, ["x", "y"]))
        }
        left = -1
        assert.deepStrictEqual(yield* readAll(turn), count(8))
      }
      assert.isAbove(failures, 15)
    }).pipe(Effect.provide(layer))
  }, 30_000)

  for (const code of ["SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CORRUPT"]) {
    it.effect(`P19: ${code} is a typed failure, and the journal works on when it has passed`, () => {
      let broken = false
      const layer = layerFaulty((text) => broken && text.startsWith("INSERT") ? refused("before", code) : "runs")
      return Effect.gen(function*() {
        yield* createSession("s")
        yield* admit("t", "s")
        broken = true
        const error = yield* Effect.flip(append("t", "s", 2, [built]))
        assert.deepInclude(error, { _tag: "JournalFailure", operation: "append", reason: code, retryable: false })
        broken = false
        yield* append("t", "s", 2, answering("t", ["x"]))
        assert.deepStrictEqual(yield* readAll("t"), count(7))
      }).pipe(Effect.provide(layer))
    })
  }

  it.effect("P19: a lock is waited out, and is a retryable failure after five seconds", () => {
    let locked = false
    let tries = 0
    const layer = layerFaulty((text) => {
      if (!locked || text !== "BEGIN IMMEDIATE") return "runs"
      tries++
      return refused("before", "SQLITE_BUSY")
    })
    return Effect.gen(function*() {
      yield* createSession("s")
      yield* admit("t", "s")
      locked = true
      const waiting = yield* Effect.fork(append("t", "s", 2, [built]))
      yield* TestClock.adjust("1 second")
      assert.isAbove(tries, 5)
      locked = false
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(waiting)
      locked = true
      const failing = yield* Effect.fork(Effect.flip(append("t", "s", 3, [attempt()])))
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* Fiber.join(failing), { _tag: "JournalFailure", retryable: true, reason: "SQLITE_BUSY" })
      locked = false
      yield* append("t", "s", 3, [attempt()])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a caller that stops waiting leaves its command to be carried out", () =>
    Effect.gen(function*() {
      yield* createSession("s")
      yield* admit("t", "s")
      const caller = yield* Effect.fork(append("t", "s", 2, [built, attempt()]))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(caller)
      yield* append("t", "s", 4, [delta("x")])
      assert.deepStrictEqual(yield* readAll("t"), [1, 2, 3, 4])
    }).pipe(Effect.provide(layerFresh)))
})

describe("cost", () => {
  it.effect("appends of one tick share a commit, which for deltas is four statements", () => {
    const statements: Array<string> = []
    let recording = false
    const layer = layerFaulty((text) => {
      if (recording) statements.push(text.split(" ").slice(0, 3).join(" "))
      return "runs"
    })
    return Effect.gen(function*() {
      const turns = count(50).map((n) => `t${n}`)
      for (const turn of turns) {
        yield* createSession(`s-${turn}`)
        yield* admit(turn, `s-${turn}`)
        yield* append(turn, `s-${turn}`, 2, [built, attempt(), delta("x")])
      }
      recording = true
      yield* Effect.forEach(turns, (turn) => append(turn, `s-${turn}`, 5, [delta("y"), delta("z")]), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(statements, ["BEGIN IMMEDIATE", "SELECT epoch FROM", "INSERT INTO batches", "COMMIT"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("no hot query scans a table", () => {
    const texts = new Set<string>()
    const layer = layerFaulty((text) => {
      texts.add(text)
      return "runs"
    })
    return Effect.gen(function*() {
      const journal = yield* Journal
      const { reader } = yield* Database
      const explain = (text: string) =>
        reader.unsafe<{ readonly detail: string }>(
          `EXPLAIN QUERY PLAN ${text}`,
          text.match(/\?/g)?.map(() => null) ?? []
        )
      yield* createSession("s")
      yield* answered("t", "s", ["x"], { idempotency: { key: "k", bodyHash: "h" } })
      yield* admit("u", "s", { link: { retryOf: "t", question: "t-question" } })
      yield* append("u", "s", 2, answering("u", ["x"]))
      yield* journal.updateSession(sessionId("s"), { title: "x" }, "2026-01-01T00:00:00.000Z")
      yield* journal.deleteSession(sessionId("s"))
      // Reads, by the same statements on the writer's connection: the reader's are not recorded.
      const hot = [
        "SELECT * FROM batches WHERE turn_id = ? AND first_seq BETWEEN ? AND ? ORDER BY first_seq",
        "SELECT * FROM batches WHERE turn_id = ? AND first_seq >= coalesce((SELECT max(first_seq) FROM batches WHERE turn_id = ? AND first_seq <= ?), 1) ORDER BY first_seq LIMIT 9",
        "SELECT * FROM messages WHERE session_id = ? AND position < ? AND (role = 'user' OR turn_id IS NULL) ORDER BY position DESC LIMIT 9",
        "SELECT * FROM turns WHERE user_message_id IN (?, ?) AND (retry_of IS NOT NULL OR resumed_from IS NOT NULL)",
        "SELECT * FROM turns t LEFT JOIN messages m ON m.id = t.message_id WHERE t.id = ?",
        "SELECT * FROM turns t WHERE t.session_id = ? AND t.ord > ? ORDER BY t.ord LIMIT 9",
        "SELECT id, ord FROM turns WHERE end_pos IS NULL",
        "SELECT count(*) FROM turns WHERE session_id = ? AND end_pos IS NULL AND ord < ?"
      ]
      const own = [...texts].filter((text) => /^(SELECT|UPDATE|DELETE)/.test(text) && !text.includes("FROM owner"))
      assert.isAbove(own.length, 10)
      for (const text of [...own, ...hot]) {
        const plan = (yield* explain(text)).map((row) => row.detail)
        const scans = plan.filter((line) => /^SCAN (?!CONSTANT)/.test(line) && !line.includes("turns_running"))
        assert.deepStrictEqual(scans, [], `${text}\n${plan.join("\n")}`)
        assert.deepStrictEqual(plan.filter((line) => line.includes("TEMP B-TREE")), [], text)
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("a deleted session leaves no row in any table", () =>
    Effect.gen(function*() {
      const journal = yield* Journal
      const { reader } = yield* Database
      yield* createSession("s")
      yield* admit("t", "s")
      yield* journal.append({
        turnId: turnId("t"),
        events: place("t", "s", 2, answering("t", ["x"])),
        contents: [{ hash: "h", content: "c" }]
      })
      const rows = Effect.forEach(
        ["sessions", "messages", "turns", "batches", "checkpoints", "usage", "context_contents"],
        (table) =>
          Effect.map(reader.unsafe<{ readonly n: number }>(`SELECT count(*) AS n FROM ${table}`), ([row]) => row?.n)
      )
      assert.deepStrictEqual(yield* rows, [1, 2, 1, 2, 1, 1, 1])
      yield* journal.deleteSession(sessionId("s"))
      assert.deepStrictEqual(yield* rows, [0, 0, 0, 0, 0, 0, 0])
    }).pipe(Effect.provide(layerFresh)))
})
