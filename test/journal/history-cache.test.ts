/** What is kept of histories, held against the rows: whatever happens in between, the pages are those of the rows. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import type { Part } from "../../src/domain/Message.ts"
import * as Exchanges from "../../src/journal/Exchanges.ts"
import * as HistoryCache from "../../src/journal/HistoryCache.ts"
import * as HistoryPages from "../../src/journal/HistoryPages.ts"
import { messageId, sessionId, turnId } from "./fixtures.ts"

const epoch = 7
const text = (said: string): ReadonlyArray<Part> => [{ type: "text", text: said }]

type Kind = "said" | "long" | "none" | "left out"

/** A question and what counts as its answer, or an imported message. */
interface Row extends Exchanges.Turned {
  answer: { readonly parts: ReadonlyArray<Part>; readonly isLong: boolean } | "none" | "left out"
}

/** Sessions as rows, and what is committed to them. */
const makeWorld = (costMax: number) => {
  const cache = HistoryCache.make(epoch, costMax)
  const sessions = new Map<string, Array<Row>>()
  let answers = 0
  let owner = epoch
  let reads = 0
  let during: (() => void) | undefined

  const rowsOf = (name: string): Array<Row> => {
    const rows = sessions.get(name) ?? []
    sessions.set(name, rows)
    return rows
  }
  const unitsOf = (rows: ReadonlyArray<Row>) =>
    Exchanges.units(
      rows,
      new Map(
        rows.filter(({ turnId: turn }) => turn !== null).map((row) => [
          row.id,
          row.answer === "left out" ? undefined : { messages: [row.id] }
        ])
      ),
      new Map(
        rows.flatMap((row) => typeof row.answer === "string" ? [] : [[row.id, { ...row.answer, unreadChars: 0 }]])
      )
    )

  const source = (name: string, before: string | undefined): HistoryPages.Source<never> => ({
    start: Effect.sync(() => {
      const row = rowsOf(name).find(({ id }) => id === before)
      return {
        position: row?.position ?? HistoryCache.endless,
        isOfTurn: row?.turnId !== null,
        epoch: owner
      }
    }),
    page: (below, _, from = 0) =>
      Effect.sync(() => {
        reads++
        const found = rowsOf(name).filter(({ position }) => position < below && position >= from).toReversed()
        const { cursor, rows } = Exchanges.taken(found.slice(0, Exchanges.pageMax + 1))
        const units = unitsOf(rows)
        during?.()
        return { units, cursor }
      })
  })

  return {
    cache,
    reads: () => reads,
    kept: (name: string, before: string | undefined) => HistoryPages.kept(cache, sessionId(name), source(name, before)),
    plain: (name: string, before: string | undefined) => HistoryPages.plain(source(name, before)),
    questions: (name: string) => rowsOf(name).filter((row) => row.turnId !== null).map(({ id }) => id),
    /** Something is committed while rows are read. */
    meanwhile: (act: (() => void) | undefined) => {
      during = act
    },
    imports: (name: string, roles: ReadonlyArray<"user" | "assistant">) => {
      const rows = rowsOf(name)
      if (rows.length > 0) return
      roles.forEach((role, index) =>
        rows.push({
          id: messageId(`${name}-${index}`),
          turnId: null,
          role,
          parts: text(`${role} ${index}`),
          position: index + 1,
          answer: "none"
        })
      )
    },
    ask: (name: string) => {
      const rows = rowsOf(name)
      const last = rows.at(-1)
      const position = last === undefined ? 1 : last.position + (last.turnId === null ? 1 : 2)
      const id = messageId(`${name}-q${position}`)
      rows.push({
        id,
        turnId: turnId("t"),
        role: "user",
        parts: text(`question ${position}`),
        position,
        answer: "none"
      })
      cache.committed(sessionId(name), id)
    },
    /** An event of a turn of this question, counted from the newest. */
    commit: (name: string, back: number, kind: Kind) => {
      const asked = rowsOf(name).filter((row) => row.turnId !== null)
      const row = asked.at(-1 - (back % Math.max(1, asked.length)))
      if (row === undefined) return
      row.answer = kind === "none" || kind === "left out"
        ? kind
        : { parts: text(`answer ${++answers}`), isLong: kind === "long" }
      cache.committed(sessionId(name), row.id)
    },
    remove: (name: string) => {
      sessions.delete(name)
      cache.deleted(sessionId(name))
    },
    takeOver: () => {
      owner++
    },
    /** Written by somebody else: nothing is published. */
    foreign: (name: string) => {
      for (const row of rowsOf(name)) row.answer = { parts: text(`foreign ${++answers}`), isLong: false }
    }
  }
}
type World = ReturnType<typeof makeWorld>

const readPages = (reader: ReturnType<World["plain"]>, pages: number) =>
  Effect.gen(function*() {
    const found: Array<unknown> = []
    let cursor: number | undefined
    for (let count = 0; count < pages; count++) {
      const page = yield* reader(cursor, 1_000)
      found.push(page)
      cursor = page.cursor
      if (cursor === undefined) break
    }
    return found
  })

const names = ["a", "b", "c"] as const
const nameArb = FastCheck.constantFrom(...names)
const kindArb = FastCheck.constantFrom<Kind>("said", "said", "long", "none", "left out")
const actArb = FastCheck.oneof(
  {
    weight: 3,
    arbitrary: FastCheck.record({ act: FastCheck.constant("ask" as const), name: nameArb, times: FastCheck.nat(40) })
  },
  {
    weight: 4,
    arbitrary: FastCheck.record({
      act: FastCheck.constant("commit" as const),
      name: nameArb,
      back: FastCheck.nat(90),
      kind: kindArb
    })
  },
  {
    weight: 8,
    arbitrary: FastCheck.record({
      act: FastCheck.constant("read" as const),
      name: nameArb,
      /** The whole session, or below a question counted from the newest. */
      before: FastCheck.option(FastCheck.oneof(FastCheck.constant(0), FastCheck.nat(90))),
      pages: FastCheck.integer({ min: 1, max: 8 }),
      race: FastCheck.option(FastCheck.record({ back: FastCheck.nat(90), kind: kindArb }), { freq: 3 })
    })
  },
  { weight: 1, arbitrary: FastCheck.record({ act: FastCheck.constant("remove" as const), name: nameArb }) },
  {
    weight: 2,
    arbitrary: FastCheck.record({
      act: FastCheck.constant("imports" as const),
      name: nameArb,
      roles: FastCheck.array(FastCheck.constantFrom("user" as const, "assistant" as const), {
        maxLength: 120,
        size: "max"
      })
    })
  },
  { weight: 1, arbitrary: FastCheck.record({ act: FastCheck.constant("clear" as const) }) }
)

/** A bound that nothing reaches, one of some dozen exchanges, and one that holds next to nothing. */
const boundArb = FastCheck.constantFrom(HistoryCache.costMax, 100_000, 20_000)

describe("what is kept of histories", () => {
  it.effect.prop(
    "gives the pages that the rows give, whatever was asked, answered, retried, imported or deleted in between",
    { acts: FastCheck.array(actArb, { maxLength: 60, size: "max" }), bound: boundArb },
    ({ acts, bound }) =>
      Effect.gen(function*() {
        const world = makeWorld(bound)
        for (const act of acts) {
          switch (act.act) {
            case "ask":
              for (let count = 0; count <= act.times; count++) {
                world.ask(act.name)
                world.commit(act.name, 0, "said")
              }
              break
            case "commit":
              world.commit(act.name, act.back, act.kind)
              break
            case "imports":
              world.imports(act.name, act.roles)
              break
            case "remove":
              world.remove(act.name)
              break
            case "clear":
              world.cache.clear()
              break
            case "read": {
              const { name, pages, race } = act
              const before = act.before === null ? undefined : world.questions(name).at(-1 - act.before)
              if (race !== null) {
                // what this read gives is from before or after the commit; what it leaves behind is what counts
                world.meanwhile(() => world.commit(name, race.back, race.kind))
                yield* readPages(world.kept(name, before), pages)
                world.meanwhile(undefined)
              }
              assert.deepStrictEqual(
                yield* readPages(world.kept(name, before), pages),
                yield* readPages(world.plain(name, before), pages)
              )
              assert.isAtMost(world.cache.cost(), bound)
            }
          }
        }
      }),
    { fastCheck: { numRuns: 150 } }
  )

  it.effect("the next turn of a session reads what is new, and that once", () =>
    Effect.gen(function*() {
      const world = makeWorld(HistoryCache.costMax)
      for (let count = 0; count < 200; count++) world.ask("a")
      yield* readPages(world.kept("a", world.questions("a").at(-1)), 100)
      world.ask("a")
      const before = world.reads()
      const pages = yield* readPages(world.kept("a", world.questions("a").at(-1)), 100)
      assert.lengthOf(pages, 7)
      assert.strictEqual(world.reads() - before, 1)
    }))

  it.effect("a session is read again once another process owns the database", () =>
    Effect.gen(function*() {
      const world = makeWorld(HistoryCache.costMax)
      for (let count = 0; count < 50; count++) world.ask("a")
      yield* readPages(world.kept("a", undefined), 10)
      world.takeOver()
      world.foreign("a")
      assert.deepStrictEqual(
        yield* readPages(world.kept("a", undefined), 10),
        yield* readPages(world.plain("a", undefined), 10)
      )
      assert.strictEqual(world.cache.cost(), 0)
    }))

  it.effect("an answer that is read from its events is never held", () =>
    Effect.gen(function*() {
      const world = makeWorld(HistoryCache.costMax)
      for (let count = 0; count < 3; count++) {
        world.ask("a")
        world.commit("a", 0, count === 1 ? "long" : "said")
      }
      const read = () => readPages(world.kept("a", undefined), 1)
      yield* read()
      const before = world.reads()
      yield* read()
      assert.isAbove(world.reads(), before)
    }))
})
