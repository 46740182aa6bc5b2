import { assert, describe, it } from "@effect/vitest"
import type { Turn } from "../../src/domain/Resources.ts"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import * as EventReads from "../../src/workbench/session/EventReads.ts"
import * as TurnEntry from "../../src/workbench/session/TurnEntry.ts"
import * as Events from "./events.ts"
import { summary } from "./resources.ts"

const plain = Events.plain("t1")

/** Every step that reads take without an answer is a microtask. */
const settle = async () => {
  for (let step = 0; step < 50; step++) await Promise.resolve()
}

/** A journal whose answers wait until they are let go. */
const stage = () => {
  const asked: Array<string> = []
  const waiting: Array<() => void> = []
  const journal = new Map<string, ReadonlyArray<TurnEvent>>()
  const turns = new Map<string, Turn>()
  let isDown = false
  const answer = <A>(make: () => A): Promise<A> =>
    new Promise((resolve, reject) => waiting.push(() => isDown ? reject(new Error("down")) : resolve(make())))
  const reads = EventReads.make({
    server: {
      turnEvents: (id, after) => {
        asked.push(`${id} after ${after}`)
        return answer(() => ({ items: (journal.get(id) ?? []).filter(({ seq }) => seq > after).slice(0, 5) }))
      },
      turn: (id) => {
        asked.push(`${id} itself`)
        return answer(() => turns.get(id) ?? summary(id, 8))
      }
    },
    onChanged: (entry) => entry.publish()
  })
  const entry = (id: string, more: object = {}): TurnEntry.TurnEntry => {
    const made = TurnEntry.make(id, 1, summary(id, 8, more))
    journal.set(id, Events.plain(id))
    return made
  }
  /** Answers every request, and those that follow. */
  const go = async () => {
    for (let answered = waiting.splice(0); answered.length > 0; answered = waiting.splice(0)) {
      for (const each of answered) each()
      await settle()
    }
  }
  return { asked, reads, entry, go, journal, turns, down: (now: boolean) => isDown = now }
}

describe("the reads of events", () => {
  it("bring a turn that is looked at page by page, until it is whole", async () => {
    const at = stage()
    const entry = at.entry("t1")
    at.reads.look(entry)
    assert.strictEqual(entry.log.value.state, "reading")
    await at.go()
    assert.deepStrictEqual([entry.log.value.state, entry.log.value.events], ["whole", plain])
    assert.deepStrictEqual(at.asked, ["t1 after 0", "t1 after 5"])
    at.reads.look(entry)
    await at.go()
    assert.lengthOf(at.asked, 2)
  })

  it("are a few at a time, the last first, and those that nobody looks at any more are not made", async () => {
    const at = stage()
    const entries = Array.from({ length: 8 }, (_, index) => at.entry(`t${index}`))
    const leave = entries.map(at.reads.look)
    assert.deepStrictEqual(at.asked, ["t0 after 0", "t1 after 0", "t2 after 0", "t3 after 0"])
    leave[5]?.()
    leave[0]?.()
    await at.go()
    assert.deepStrictEqual(at.asked.filter((what) => what.endsWith(" 0")).slice(4), [
      "t7 after 0",
      "t6 after 0",
      "t4 after 0"
    ])
    assert.strictEqual(entries[0]?.log.value.state, "whole")
  })

  it("leave a running turn to the stream, unless events of it are missing", async () => {
    const at = stage()
    const entry = at.entry("t1", { status: "running", phase: "streaming", lastSeq: 4 })
    at.reads.look(entry)
    assert.deepStrictEqual(at.asked, [])
    entry.take(plain[5] ?? assert.fail())
    at.reads.read(entry)
    await at.go()
    assert.deepStrictEqual([entry.heldSeq(), entry.log.value.state], [6, "whole"])
  })

  it("that fail say why, and are made again when they are retried", async () => {
    const at = stage()
    const entry = at.entry("t1")
    at.down(true)
    at.reads.look(entry)
    await at.go()
    assert.deepStrictEqual([entry.log.value.state, entry.log.value.fault], ["broken", "down"])
    at.down(false)
    at.reads.retry()
    await at.go()
    assert.strictEqual(entry.log.value.state, "whole")
    at.reads.retry()
    await at.go()
    assert.lengthOf(at.asked, 3)
  })

  it("end where the journal has a hole: the turn was folded meanwhile, or the page says that it cannot be", async () => {
    const at = stage()
    const folded = at.entry("t1")
    at.journal.set("t1", plain.filter(({ type }) => type !== "model.delta"))
    at.turns.set("t1", summary("t1", 8, { foldedAt: "2026-02-01T00:00:00.000Z" }))
    at.reads.look(folded)
    await at.go()
    assert.strictEqual(folded.log.value.state, "folded")
    const torn = at.entry("t2")
    at.journal.set("t2", Events.plain("t2").slice(4))
    at.reads.look(torn)
    await at.go()
    assert.strictEqual(torn.log.value.state, "broken")
    assert.deepStrictEqual(at.asked, ["t1 after 0", "t1 after 3", "t1 itself", "t2 after 0", "t2 itself"])
  })

  it("end at an event that does not fold, and begin anew when they are asked for again", async () => {
    const at = stage()
    const entry = at.entry("t1")
    const wrong = Events.turn("t1", [Events.started(), Events.delta("x"), ...Array(6).fill(Events.used)])
    at.journal.set("t1", wrong)
    at.reads.look(entry)
    await at.go()
    assert.strictEqual(entry.log.value.state, "broken")
    assert.include(entry.log.value.fault ?? "", "not legal")
    at.journal.set("t1", plain)
    at.reads.look(entry)
    await at.go()
    assert.deepStrictEqual([entry.log.value.state, entry.log.value.events], ["whole", plain])
  })

  it("hold a bounded number of events: those that were looked at longest ago are let go", () => {
    const at = stage()
    const deltas = Array.from({ length: 39_999 }, () => Events.delta("x"))
    const begun = Events.turn("t", [Events.started(), Events.built, Events.attempt(1)])
    const delta = Events.turn("t", [Events.started(), Events.built, Events.attempt(1), Events.delta("x")])[3]
    const entries = ["t1", "t2", "t3"].map((id) => {
      const entry = at.entry(id)
      for (const event of begun) entry.take({ ...event, turnId: id } as TurnEvent)
      for (let index = 0; index < deltas.length; index++) {
        entry.take({ ...delta, turnId: id, seq: index + 4 } as TurnEvent)
      }
      entry.publish()
      at.reads.keep(entry)
      return entry
    })
    assert.deepStrictEqual(entries.map((entry) => entry.heldSeq()), [0, 40_002, 40_002])
    assert.deepStrictEqual(entries.map((entry) => entry.log.value.state), ["summary", "whole", "whole"])
  })
})
