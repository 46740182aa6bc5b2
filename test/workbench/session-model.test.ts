import { assert, describe, it } from "@effect/vitest"
import * as TurnState from "../../src/domain/TurnState.ts"
import { seqText } from "../../src/workbench/EventLog.ts"
import * as SessionModel from "../../src/workbench/SessionModel.ts"
import * as Events from "./events.ts"

const after = (events: Iterable<Parameters<SessionModel.SessionModel["take"]>[0]>) => {
  const model = SessionModel.make()
  for (const event of events) model.take(event)
  return model
}

describe("session model", () => {
  it("a turn on the page is the same fold as the server's", () => {
    const events = Events.plain("t1")
    assert.deepStrictEqual(after(events).turns[0]?.state, TurnState.fold(events))
  })

  it("P15: events that come again change nothing", () => {
    const events = Events.plain("t1")
    const once = after(events)
    const twice = after([...events.slice(0, 5), ...events.slice(2), ...events])
    assert.deepStrictEqual(twice.turns, once.turns)
    assert.deepStrictEqual(once.take(events[3] ?? assert.fail()), [])
  })

  it("turns that interleave in one stream are kept apart, in the order in which they were accepted", () => {
    const [first, second] = [Events.plain("t1"), Events.turn("t2", [Events.started(), Events.built])]
    const model = after([...first.slice(0, 4), ...second.slice(0, 1), ...first.slice(4), ...second.slice(1)])
    assert.deepStrictEqual(model.turns.map(({ id, number }) => [id, number]), [["t1", 1], ["t2", 2]])
    assert.deepStrictEqual(model.turn("t1")?.state.text, "Hello")
    assert.deepStrictEqual(model.running()?.id, "t2")
  })

  it("a run of deltas is one line of the log, every other event one each", () => {
    const rows = after(Events.turn("t1", [
      Events.started(),
      Events.built,
      Events.attempt(1),
      Events.delta("Hm", "reasoning"),
      Events.delta("He"),
      Events.delta("llo"),
      Events.used,
      Events.checkpoint,
      Events.completed()
    ])).turns[0]?.rows ?? []
    assert.deepStrictEqual(rows.map((row) => `${seqText(row)} ${row.type}: ${row.detail}`), [
      "1 turn.started: deterministic / echo",
      "2 context.built: 5 of 90 tokens, 0 slots, hash 0123456789ab",
      "3 attempt.started: attempt 1, deterministic / echo",
      "4 model.delta: reasoning, 1 delta, 2 characters",
      "5–6 model.delta: text, 2 deltas, 5 characters",
      "7 telemetry.usage: 3 in, 4 out, 7 total tokens (deterministic)",
      "8 checkpoint.saved: checkpoint 1 in phase committing, covers seq 6",
      "9 turn.completed: finish reason stop"
    ])
  })

  it("P17: the log of a long answer stays short, and a long value is cut", () => {
    const deltas = Array.from({ length: 5_000 }, () => Events.delta("abcdefgh"))
    const call = {
      type: "model.tool-call" as const,
      data: { toolCallId: "c", toolName: "find", arguments: { q: "y".repeat(1_000) } }
    }
    const rows = after(Events.turn("t1", [Events.started(), Events.built, Events.attempt(1), ...deltas, call]))
      .turns[0]?.rows ?? []
    assert.strictEqual(rows.length, 5)
    assert.strictEqual(rows[3]?.detail, "text, 5000 deltas, 40000 characters")
    assert.isBelow(rows[4]?.detail.length ?? Infinity, 130)
  })

  it("an event that does not follow marks its turn and no other", () => {
    const events = Events.plain("t1")
    const model = after([...events.slice(0, 2), ...events.slice(3), ...Events.plain("t2")])
    assert.strictEqual(model.turn("t1")?.fault, "seq 4 after 2")
    assert.strictEqual(model.turn("t1")?.state.lastSeq, 2)
    assert.strictEqual(model.turn("t2")?.state.status, "completed")
    assert.isUndefined(model.running())
  })

  it("retry and resume are known to the parent, which changes with its child", () => {
    const model = after([
      ...Events.turn("t1", [Events.started(), Events.failed(Events.interrupted)]),
      ...Events.turn("t2", [Events.started({ resumedFrom: "t1" })])
    ])
    const changed = model.take(Events.turn("t3", [Events.started({ retryOf: "t1" })])[0] ?? assert.fail())
    assert.deepStrictEqual(changed.map(({ id }) => id), ["t3", "t1"])
    assert.strictEqual(model.turn("t1")?.resumedIn, 2)
    assert.strictEqual(model.turn("t1")?.retriedIn, 3)
  })
})
