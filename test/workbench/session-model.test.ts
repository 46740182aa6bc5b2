import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import * as TurnState from "../../src/domain/TurnState.ts"
import * as SessionModel from "../../src/workbench/session/SessionModel.ts"
import * as Events from "./events.ts"
import { summary } from "./resources.ts"

const after = (events: Iterable<TurnEvent>) => {
  const model = SessionModel.make()
  for (const event of events) model.take(event)
  model.publish()
  return model
}

const entryOf = (model: SessionModel.SessionModel, id = "t1") => model.turn(id) ?? assert.fail(`no turn ${id}`)

describe("session model", () => {
  it("a turn on the page is the same fold as the server's", () => {
    const events = Events.plain("t1")
    const { log } = entryOf(after(events))
    assert.deepStrictEqual(log.value.folded, TurnState.fold(events))
    assert.deepStrictEqual([log.value.state, log.value.missing], ["whole", undefined])
  })

  it("an event of a type that this page does not know is listed and passed over", () => {
    const [first, ...others] = Events.plain("t1")
    const foreign = { ...first, seq: 2, type: "tool.started", data: {} } as unknown as TurnEvent
    const later = others.map((event) => ({ ...event, seq: event.seq + 1 }))
    const { facts, log } = entryOf(after([first ?? assert.fail(), foreign, ...later]))
    assert.deepStrictEqual([log.value.state, log.value.fault, log.value.missing], ["whole", undefined, undefined])
    assert.deepStrictEqual(log.value.events.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert.deepStrictEqual([facts.value.status, facts.value.text, facts.value.lastSeq], ["completed", "Hello", 9])
  })

  it("P15: whatever the order and the repetitions in which events come, each counts once and in its place", () => {
    const events = Events.plain("t1")
    const [first, ...others] = events
    const order = FastCheck.shuffledSubarray([...others, ...others], { minLength: 0 }).map((
      some
    ) => [...some, ...others])
    FastCheck.assert(FastCheck.property(order, (rest) => {
      const { log } = entryOf(after([first ?? assert.fail(), ...rest]))
      assert.deepStrictEqual(log.value.events, events)
      assert.strictEqual(log.value.state, "whole")
    }))
  })

  it("what is missing is named until it is there", () => {
    const events = Events.plain("t1")
    const model = after([...events.slice(0, 3), ...events.slice(5, 6)])
    const entry = entryOf(model)
    assert.deepStrictEqual(entry.log.value.missing, { from: 4, to: 5 })
    assert.strictEqual(entry.facts.value.lastSeq, 3)
    assert.strictEqual(model.take(events[6] ?? assert.fail()), entry)
    for (const event of events.slice(3, 5)) model.take(event)
    model.publish()
    assert.deepStrictEqual([entry.log.value.missing, entry.facts.value.lastSeq], [undefined, 7])
  })

  it("an event of a turn that was never seen to begin gives its id", () => {
    assert.strictEqual(SessionModel.make().take(Events.plain("t9")[3] ?? assert.fail()), "t9")
  })

  it("turns that interleave in one stream are kept apart, in the order in which they were accepted", () => {
    const [first, second] = [Events.plain("t1"), Events.turn("t2", [Events.started(), Events.built])]
    const model = after([...first.slice(0, 4), ...second.slice(0, 1), ...first.slice(4), ...second.slice(1)])
    assert.deepStrictEqual(model.turns.value.map(({ id, number }) => [id, number]), [["t1", 1], ["t2", 2]])
    assert.deepStrictEqual(entryOf(model).facts.value.text, "Hello")
    assert.deepStrictEqual(entryOf(model, "t2").facts.value.status, "running")
  })

  it("a turn knows which turns came of it, from events and from summaries", () => {
    const model = after([...Events.plain("t1"), ...Events.turn("t2", [Events.started({ retryOf: "t1" })])])
    model.addSummaries([summary("t3", 8, { resumedFrom: "t1" })])
    model.publish()
    const entry = entryOf(model)
    assert.deepStrictEqual([entry.retriedIn.value, entry.resumedIn.value], [2, 3])
  })

  it("a summary is shown until the events say more, and again when they are let go", () => {
    const model = SessionModel.make()
    model.addSummaries([summary("t1", 8)])
    model.publish()
    const entry = entryOf(model)
    assert.deepStrictEqual([entry.log.value.state, entry.facts.value.text], ["summary", "Hello"])
    const events = Events.plain("t1")
    for (const event of events.slice(0, 4)) model.take(event)
    model.publish()
    assert.strictEqual(entry.facts.value.text, "Hello")
    for (const event of events.slice(4)) model.take(event)
    model.publish()
    assert.strictEqual(entry.facts.value.firstDeltaAt, "2026-01-01T00:00:00.000Z")
    entry.release()
    entry.publish()
    assert.deepStrictEqual([entry.log.value.state, entry.log.value.events, entry.facts.value.text], [
      "summary",
      [],
      "Hello"
    ])
  })

  it("a turn of which the server says more than its events do is shown as the server says", () => {
    const model = after(Events.plain("t1").slice(0, 5))
    model.addSummaries([summary("t1", 8)])
    model.publish()
    const entry = entryOf(model)
    assert.deepStrictEqual([entry.facts.value.status, entry.isBehind()], ["completed", true])
  })

  it("a turn that retention folds lets go of its events, and is not behind", () => {
    const model = after(Events.plain("t1"))
    model.addSummaries([summary("t1", 8, { foldedAt: "2026-02-01T00:00:00.000Z" })])
    model.publish()
    const { facts, isBehind, log } = entryOf(model)
    assert.deepStrictEqual([log.value.state, log.value.events, isBehind()], ["folded", [], false])
    assert.strictEqual(facts.value.foldedAt, "2026-02-01T00:00:00.000Z")
  })

  it("a folded turn asks for nothing more", () => {
    const model = SessionModel.make()
    model.addSummaries([summary("t1", 8, { foldedAt: "2026-02-01T00:00:00.000Z" })])
    model.publish()
    assert.deepStrictEqual([entryOf(model).log.value.state, entryOf(model).log.value.missing], ["folded", undefined])
  })

  it("an event that the protocol does not allow breaks the log with the reason, and changes nothing more", () => {
    const events = Events.turn("t1", [Events.started(), Events.delta("too early"), Events.built])
    const entry = entryOf(after(events))
    assert.deepStrictEqual([entry.log.value.state, entry.log.value.fault], [
      "broken",
      "model.delta is not legal in phase accepted"
    ])
    assert.strictEqual(entry.facts.value.lastSeq, 1)
  })

  it("nothing is shown before it is published", () => {
    const model = SessionModel.make()
    for (const event of Events.plain("t1")) model.take(event)
    assert.deepStrictEqual(model.turns.value, [])
    assert.strictEqual(model.publish().length, 1)
    assert.strictEqual(model.publish().length, 0)
  })
})
