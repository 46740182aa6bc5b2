/** A session's commits in pages, against a plain list of what was committed. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { Database } from "../../src/journal/Database.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as SessionCommits from "../../src/journal/SessionCommits.ts"
import * as Statements from "../../src/journal/Statements.ts"
import {
  admission,
  answering,
  at,
  attempt,
  built,
  cancelled,
  checkpoint,
  completed,
  createSession,
  delta,
  place,
  refusedAtOnce,
  sessionId,
  started,
  turnId,
  used
} from "./fixtures.ts"
import { layerFresh } from "./sqlFixture.ts"

/**
 * `go on`: whoever has the slot is called, or says something. `pass`: an admission that was in doubt is found to stand once
 * others have gone before it.
 */
const weights = { "ask": 9, "refuse": 3, "go on": 16, "end": 5, "leave": 4, "end and leave": 3, "pass": 2, "fold": 1 }

type Kind = keyof typeof weights

interface Act {
  readonly kind: Kind
  readonly session: "a" | "b"
  /** Which of them, or how many. */
  readonly of: number
}

const actArb: FastCheck.Arbitrary<Act> = FastCheck.record({
  kind: FastCheck.oneof(
    ...(Object.keys(weights) as Array<Kind>).map((kind) => ({
      weight: weights[kind],
      arbitrary: FastCheck.constant(kind)
    }))
  ),
  // most of it in one session
  session: FastCheck.constantFrom("a", "a", "a", "b"),
  of: FastCheck.nat(5)
})

interface Open {
  readonly id: string
  lastSeq: number
  isCalled: boolean
  /** Nothing was committed of it since it was admitted. */
  isFresh: boolean
}

interface Commit {
  readonly turn: string
  readonly firstSeq: number
}

const size = "octet_length(b.tails)"

/** What the engine may do to two sessions, by the journal's contract; and what it has committed, in order. */
const makeEngine = Effect.gen(function*() {
  const journal = yield* Journal
  const lines: { readonly [session: string]: Array<Open> } = { a: [], b: [] }
  const committed: { [session: string]: ReadonlyArray<Commit> } = { a: [], b: [] }
  let count = 0
  yield* createSession("a")
  yield* createSession("b")

  const note = (session: string, turn: string, firstSeq: number) => {
    committed[session] = [...committed[session] ?? [], { turn, firstSeq }]
  }

  type Bodies = Parameters<typeof place>[3]

  /** One group, as the writer takes it. */
  const append = (session: string, parts: ReadonlyArray<readonly [Open, Bodies]>) =>
    Effect.gen(function*() {
      const line = lines[session] ?? []
      yield* journal.appendAll(
        parts.map(([turn, bodies]) => ({
          turnId: turnId(turn.id),
          events: place(turn.id, session, turn.lastSeq + 1, bodies)
        }))
      )
      for (const [turn, bodies] of parts) {
        note(session, turn.id, turn.lastSeq + 1)
        turn.lastSeq += bodies.length
        turn.isFresh = false
        if (bodies.some(({ type }) => type === "turn.completed" || type === "turn.failed")) {
          line.splice(line.indexOf(turn), 1)
        }
      }
    })

  /** What it ends with; one that was not called also with all at once. */
  const ending = ({ id, isCalled, lastSeq }: Open, answers = false): Bodies =>
    isCalled
      ? [used({ outputTokens: 1 }), checkpoint(1, lastSeq), completed(id)]
      : answers
      ? answering(id, ["all"])
      : [cancelled(id, 0)]

  const ask = Effect.fnUntraced(function*(session: string, isRefused: boolean) {
    const id = `t${++count}`
    const line = lines[session] ?? []
    const isAlone = !isRefused && line.length === 0 && count % 2 === 0
    const bodies = isRefused ? [started(id), refusedAtOnce] : isAlone ? [started(id), built, attempt()] : [started(id)]
    yield* journal.admit(
      admission(id, session, { onBusy: "queue", alone: isAlone, events: place(id, session, 1, bodies) })
    )
    note(session, id, 1)
    if (!isRefused) line.push({ id, lastSeq: bodies.length, isCalled: isAlone, isFresh: true })
  })

  const fold = Effect.fnUntraced(function*(turns: number) {
    yield* journal.foldTurns("2027-01-01T00:00:00.000Z", at, turns)
    const { reader } = yield* Database
    const gone = new Set(
      (yield* reader<{ readonly id: string }>`SELECT id FROM turns WHERE folded_at IS NOT NULL`).map(({ id }) => id)
    )
    for (const session of ["a", "b"]) {
      committed[session] = (committed[session] ?? []).filter(({ turn }) => !gone.has(turn))
    }
  })

  const apply = Effect.fnUntraced(function*({ kind, of, session }: Act) {
    const [holder, ...waiting] = lines[session] ?? []
    const waits = waiting[of % Math.max(1, waiting.length)]
    if (kind === "ask" || kind === "refuse") return yield* ask(session, kind === "refuse")
    if (kind === "fold") return yield* fold(of + 1)
    if (kind === "leave") return waits === undefined ? undefined : yield* append(session, [[waits, ending(waits)]])
    if (holder === undefined) return
    switch (kind) {
      case "pass":
        if (holder.isFresh) lines[session]?.push(...lines[session].splice(0, 1))
        return
      case "go on":
        if (holder.isCalled) return yield* append(session, [[holder, [delta("x".repeat(20 * of))]]])
        holder.isCalled = true
        return yield* append(session, [[holder, [built, attempt()]]])
      case "end":
        return yield* append(session, [[holder, ending(holder, of > 2)]])
      case "end and leave": {
        const both = waits === undefined ? [holder] : of % 2 === 0 ? [holder, waits] : [waits, holder]
        return yield* append(session, both.map((turn) => [turn, ending(turn)] as const))
      }
    }
  })
  return { apply, committed }
})

/** By the place of each commit, read without any order of the reader's own. */
const placesOf = Effect.gen(function*() {
  const { reader } = yield* Database
  const rows = yield* reader<Commit & { readonly pos: number; readonly size: number }>`SELECT turn_id AS turn,
    first_seq AS "firstSeq", pos, octet_length(tails) AS size FROM batches`
  return new Map(rows.map((row) => [`${row.turn} ${row.firstSeq}`, row]))
})

describe("P15: a session's commits", () => {
  it.effect.prop(
    "come in the order in which they were made, whole, from any place, in pages of any size",
    {
      all: FastCheck.array(actArb, { minLength: 10, maxLength: 80, size: "max" }),
      batchesMax: FastCheck.integer({ min: 1, max: 7 }),
      bytesMax: FastCheck.constantFrom(1, 400, 100_000)
    },
    ({ all, batchesMax, bytesMax }) =>
      Effect.gen(function*() {
        const engine = yield* makeEngine
        for (const act of all) yield* engine.apply(act)
        const { reader } = yield* Database
        const db = yield* Statements.of(reader)
        const known = yield* placesOf
        const commits = SessionCommits.make({ batchesMax, bytesMax, size })
        for (const session of ["a", "b"]) {
          const expected = (engine.committed[session] ?? []).map(({ firstSeq, turn }) => {
            const row = known.get(`${turn} ${firstSeq}`)
            if (row === undefined) throw new Error(`no commit ${firstSeq} of ${turn}`)
            return row
          })
          const positions = expected.map(({ pos }) => pos)
          assert.deepStrictEqual(positions, positions.toSorted((a, b) => a - b))
          for (const from of [0, ...Array.from(known.values(), ({ pos }) => pos)]) {
            const found: Array<Commit> = []
            for (let pos = from;;) {
              const page = commits.after(db, sessionId(session), pos)
              assert.isAtMost(page.length, batchesMax)
              const bytes = page.reduce((sum, row) => sum + (known.get(`${row.turnId} ${row.firstSeq}`)?.size ?? 0), 0)
              if (page.length > 1) assert.isAtMost(bytes, bytesMax)
              const last = page.at(-1)
              if (last === undefined) break
              for (const { firstSeq, turnId: turn } of page) found.push({ turn, firstSeq })
              pos = last.pos
            }
            assert.deepStrictEqual(
              found,
              expected.filter(({ pos }) => pos > from).map(({ firstSeq, turn }) => ({ turn, firstSeq }))
            )
          }
        }
      }).pipe(Effect.provide(layerFresh)),
    { timeout: 60_000, fastCheck: { numRuns: 60 } }
  )

  it.effect("a page reads no more rows than it may hold of each kind, however long the session is", () =>
    Effect.gen(function*() {
      const engine = yield* makeEngine
      const session = "a" as const
      const often = Effect.fnUntraced(function*(times: number, ...kinds: ReadonlyArray<Kind>) {
        for (let n = 0; n < times; n++) for (const kind of kinds) yield* engine.apply({ kind, session, of: 0 })
      })
      yield* often(40, "ask", "end")
      yield* engine.apply({ kind: "fold", session, of: 29 })
      yield* often(40, "refuse")
      yield* often(15, "ask")
      yield* often(14, "go on", "leave")
      yield* often(60, "go on")
      yield* often(1, "end")
      yield* often(40, "ask", "end")
      const { reader } = yield* Database
      const db = yield* Statements.of(reader)
      let read = 0
      const counting: Statements.Statements = {
        all: (text, params) => {
          const rows = db.all(text, params)
          read += rows.length
          return rows
        }
      }
      const batchesMax = 5
      const commits = SessionCommits.make({ batchesMax, bytesMax: 100_000, size })
      let seen = 0
      for (let pos = 0;;) {
        read = 0
        const page = commits.after(counting, sessionId(session), pos)
        const last = page.at(-1)
        if (last === undefined) break
        // four lists, the page, and the halving of a turn of 76 commits
        assert.isAtMost(read, 5 * batchesMax + 10)
        seen += page.length
        pos = last.pos
      }
      assert.strictEqual(seen, engine.committed[session]?.length)
    }).pipe(Effect.provide(layerFresh)))

  it.scoped("a read that fails leaves no transaction open, and one that was left open is undone", () =>
    Effect.gen(function*() {
      const { reader } = yield* Database
      const commits = SessionCommits.make({ batchesMax: 4, bytesMax: 1_000, size })
      yield* createSession("a")
      const db = yield* Statements.of(reader)
      const failing: Statements.Statements = {
        all: (text, params) => {
          if (text.startsWith("SELECT")) throw new Error("the disk is gone")
          return db.all(text, params)
        }
      }
      assert.throws(() => commits.after(failing, sessionId("a"), 0), "the disk is gone")
      assert.deepStrictEqual(commits.after(db, sessionId("a"), 0), [])
      db.all("BEGIN", [])
      assert.deepStrictEqual(commits.after(db, sessionId("a"), 0), [])
      db.all("BEGIN", [])
      db.all("COMMIT", [])
    }).pipe(Effect.provide(layerFresh)))
})
