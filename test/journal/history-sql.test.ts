/** Histories of a real database: with what is kept of them, and without, they are the same. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import type { HistoryReader } from "../../src/domain/History.ts"
import type { JournalFailure } from "../../src/domain/TurnError.ts"
import { Database } from "../../src/journal/Database.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as Live from "../../src/journal/Live.ts"
import * as PageCache from "../../src/journal/PageCache.ts"
import * as SqlReads from "../../src/journal/SqlReads.ts"
import * as StoredEvents from "../../src/journal/StoredEvents.ts"
import {
  admission,
  admit,
  answered,
  answering,
  append,
  at,
  cutting,
  messageId,
  place,
  refusedAtOnce,
  sessionId,
  started,
  turnId
} from "./fixtures.ts"
import { layerFresh } from "./sqlFixture.ts"

type Query = Parameters<Journal["Type"]["history"]>[0]

const pagesOf = (reader: HistoryReader<JournalFailure>) =>
  Effect.gen(function*() {
    const pages: Array<unknown> = []
    let cursor: number | undefined
    do {
      const page = yield* reader(cursor, 100_000)
      pages.push(page)
      cursor = page.cursor
    } while (cursor !== undefined)
    return pages
  })

/** The reads of a process that keeps nothing. */
const fromRows = (query: Query) =>
  Effect.flatMap(Database, ({ reader }) =>
    pagesOf(
      SqlReads.make({
        sql: reader,
        live: Live.make(),
        stored: StoredEvents.make(reader),
        pages: PageCache.make(),
        owned: false,
        history: undefined
      }).history(query)
    ))
const asKept = (query: Query) => Effect.flatMap(Journal, (journal) => pagesOf(journal.history(query)))

const agrees = (query: Query) =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* asKept(query), yield* fromRows(query))
  })

/** What a client and an operator may do, as far as it leaves anything behind. */
type Act =
  | { readonly kind: "complete" | "fail" | "leave" | "refuse" | "read" | "fold" | "delete"; readonly of: number }
  | { readonly kind: "retry" | "resume"; readonly of: number; readonly ends: "complete" | "fail" | "leave" }

const actArb: FastCheck.Arbitrary<Act> = FastCheck.oneof(
  {
    weight: 6,
    arbitrary: FastCheck.record({
      kind: FastCheck.constantFrom("complete" as const, "read" as const),
      of: FastCheck.nat(9)
    })
  },
  {
    weight: 3,
    arbitrary: FastCheck.record({
      kind: FastCheck.constantFrom("fail" as const, "leave" as const, "refuse" as const),
      of: FastCheck.nat(9)
    })
  },
  {
    weight: 5,
    arbitrary: FastCheck.record({
      kind: FastCheck.constantFrom("retry" as const, "resume" as const),
      of: FastCheck.nat(9),
      ends: FastCheck.constantFrom("complete" as const, "fail" as const, "leave" as const)
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      kind: FastCheck.constantFrom("fold" as const, "delete" as const),
      of: FastCheck.nat(9)
    })
  }
)

/** A turn that ended, or runs on. */
interface Told {
  readonly id: string
  readonly question: string
  readonly status: "completed" | "failed" | "running"
}

const makeClient = Effect.gen(function*() {
  const journal = yield* Journal
  let count = 0
  let session = ""
  let turns: Array<Told> = []
  let deleted: string | undefined

  const begin = Effect.fnUntraced(function*(roles: ReadonlyArray<"user" | "assistant">) {
    session = `s${++count}`
    turns = []
    yield* journal.createSession(
      { id: sessionId(session), title: undefined, provider: undefined, model: undefined, system: undefined, at },
      roles.map((role, index) => ({
        id: messageId(`${session}-${index}`),
        role,
        parts: [{ type: "text" as const, text: `${role} ${index}` }]
      }))
    )
  })

  const end = Effect.fnUntraced(function*(id: string, ends: "complete" | "fail" | "leave", question: string) {
    if (ends === "complete") yield* append(id, session, 2, answering(id, [`answer of ${id}`]))
    if (ends === "fail") yield* append(id, session, 2, cutting(id, ["partial ", `of ${id}`]))
    const status = ends === "complete" ? "completed" as const : ends === "fail" ? "failed" as const : "running" as const
    turns.push({ id, question, status })
  })

  const close = Effect.fnUntraced(function*() {
    for (const [index, { id, question, status }] of turns.entries()) {
      if (status !== "running") continue
      yield* append(id, session, 2, answering(id, [`late answer of ${id}`]))
      turns[index] = { id, question, status: "completed" }
    }
  })

  const child = Effect.fnUntraced(function*(act: Extract<Act, { readonly ends: string }>) {
    const parent = turns.at(-1 - (act.of % Math.max(1, turns.length)))
    if (parent === undefined) return
    const id = `t${++count}`
    const link = act.kind === "retry"
      ? { retryOf: parent.id, question: parent.question }
      : { resumedFrom: parent.id, question: parent.question }
    const exit = yield* Effect.exit(journal.admit(admission(id, session, { link })))
    // a parent has one child of a kind: a second is refused, or is the first
    if (Exit.isSuccess(exit) && exit.value._tag === "Started") yield* end(id, act.ends, parent.question)
  })

  const apply = Effect.fnUntraced(function*(act: Act) {
    switch (act.kind) {
      case "read":
        return
      case "fold":
        yield* journal.foldTurns("2027-01-01T00:00:00.000Z", at, 3)
        return
      case "delete":
        yield* close()
        yield* journal.deleteSession(sessionId(session))
        deleted = session
        yield* begin([])
        return
      case "retry":
      case "resume":
        yield* close()
        return yield* child(act)
      default: {
        yield* close()
        const id = `t${++count}`
        if (act.kind === "refuse") {
          yield* admit(id, session, { events: place(id, session, 1, [started(id), refusedAtOnce]) })
          return
        }
        yield* admit(id, session)
        return yield* end(id, act.kind, `${id}-question`)
      }
    }
  })

  const queries = (): ReadonlyArray<Query> => {
    const before = [undefined, ...turns.slice(-2).map(({ question }) => messageId(question))]
    const here = before.map((id) => ({ sessionId: sessionId(session), before: id, asOfTurn: undefined }))
    return deleted === undefined
      ? here
      : [...here, { sessionId: sessionId(deleted), before: undefined, asOfTurn: undefined }]
  }
  return { begin, apply, queries }
})

describe("histories on SQLite", () => {
  it.effect.prop(
    "are what the rows say, after any turns, retries, resumes, folds and deletions",
    {
      roles: FastCheck.array(FastCheck.constantFrom("user" as const, "assistant" as const), {
        maxLength: 70,
        size: "max"
      }),
      acts: FastCheck.array(actArb, { maxLength: 25, size: "max" })
    },
    ({ acts, roles }) =>
      Effect.gen(function*() {
        const client = yield* makeClient
        yield* client.begin(roles)
        for (const act of acts) {
          yield* client.apply(act)
          yield* Effect.forEach(client.queries(), agrees)
        }
      }).pipe(Effect.provide(layerFresh)),
    { timeout: 60_000, fastCheck: { numRuns: 40 } }
  )

  it.effect("a rebuild reads the rows as they stood, whatever is kept", () =>
    Effect.gen(function*() {
      const client = yield* makeClient
      yield* client.begin([])
      yield* answered("first", "s1", ["one"])
      yield* answered("second", "s1", ["two"])
      const query = { sessionId: sessionId("s1"), before: messageId("second-question"), asOfTurn: turnId("second") }
      const before = yield* asKept(query)
      yield* asKept({ ...query, asOfTurn: undefined })
      yield* answered("again", "s1", ["another"], { link: { retryOf: "first", question: "first-question" } })
      yield* asKept({ ...query, asOfTurn: undefined })
      assert.deepStrictEqual(yield* asKept(query), before)
      assert.notDeepEqual(yield* asKept({ ...query, asOfTurn: undefined }), before)
    }).pipe(Effect.provide(layerFresh)))
})
