import { assert, describe, it } from "@effect/vitest"
import type { TurnErrorInfo } from "../../src/domain/TurnError.ts"
import * as SessionModel from "../../src/workbench/SessionModel.ts"
import * as TurnView from "../../src/workbench/TurnView.ts"
import * as Events from "./events.ts"

const modelOf = (bodies: Parameters<typeof Events.turn>[1]) => {
  const model = SessionModel.make()
  for (const event of Events.turn("t1", bodies)) model.take(event)
  return model
}

const viewOf = (model: SessionModel.SessionModel, id = "t1", waiting = false) =>
  TurnView.view(model.turn(id) ?? assert.fail(), waiting, (turnId) => model.turn(turnId)?.number)

const calling = [Events.started(), Events.built, Events.attempt(1)]
const streaming = [...calling, Events.delta("He")]
const endedBy = (error: TurnErrorInfo, before = streaming) =>
  viewOf(modelOf([...before, ...(before === streaming ? [Events.used] : []), Events.failed(error)]))

describe("turn view", () => {
  it("a running turn names its phase and offers cancel", () => {
    const phases = [
      [[Events.started()], "Accepted"],
      [[Events.started(), Events.built], "Building context"],
      [calling, "Calling the model"],
      [streaming, "Streaming"],
      [[...streaming, Events.used], "Committing"]
    ] as const
    for (const [bodies, word] of phases) {
      const view = viewOf(modelOf(bodies))
      assert.deepStrictEqual([view.status, view.tone, view.verbs], [word, "running", ["cancel"]])
    }
    assert.strictEqual(viewOf(modelOf([Events.started()]), "t1", true).status, "Queued")
  })

  it("a second call of the model is told", () => {
    const again = [
      ...calling,
      Events.used,
      { type: "attempt.failed", data: { attempt: 1, error: Events.failure } }
    ] as const
    assert.strictEqual(viewOf(modelOf(again)).status, "Calling the model, attempt 2")
    assert.strictEqual(viewOf(modelOf([...again, Events.attempt(2)])).status, "Calling the model, attempt 2")
  })

  it("each ending has its word and its verbs, and its message says what to do", () => {
    const complete = viewOf(modelOf([...streaming, Events.used, Events.completed()]))
    assert.deepStrictEqual([complete.status, complete.verbs, complete.error], ["Completed", ["retry"], ""])
    const length = viewOf(modelOf([...streaming, Events.used, Events.completed("length")]))
    assert.strictEqual(length.status, "Completed (length)")
    const endings = [
      [Events.cancelled, "Cancelled", "stopped", ["resume", "retry"]],
      [Events.interrupted, "Interrupted", "stopped", ["resume", "retry"]],
      [Events.failure, "Failed", "failed", ["resume", "retry"]]
    ] as const
    for (const [error, status, tone, verbs] of endings) {
      const view = endedBy(error)
      assert.deepStrictEqual([view.status, view.tone, view.verbs, view.error], [status, tone, verbs, error.message])
    }
    assert.deepStrictEqual(endedBy(Events.failure, calling).verbs, ["retry"])
  })

  it("a blocked turn names the variable to set", () => {
    const view = endedBy(Events.blocked, [Events.started()])
    assert.strictEqual(view.status, "Blocked")
    assert.include(view.error, "Set OPENAI_API_KEY")
  })

  it("P8: a child takes the place of the verb that made it, and names its parent", () => {
    const model = modelOf([...streaming, Events.used, Events.failed(Events.interrupted)])
    for (const event of Events.turn("t2", [Events.started({ resumedFrom: "t1" })])) model.take(event)
    assert.deepStrictEqual(viewOf(model).verbs, ["retry"])
    assert.strictEqual(viewOf(model).relation, "Resumed in turn 2.")
    assert.strictEqual(viewOf(model, "t2").relation, "Continues turn 1.")
    for (const event of Events.turn("t3", [Events.started({ retryOf: "t1" })])) model.take(event)
    assert.deepStrictEqual(viewOf(model).verbs, [])
  })

  it("usage says who counted, and what nobody counted is unknown", () => {
    const reported = { ...Events.usage, inputTokens: null, totalTokens: null }
    const view = viewOf(modelOf([
      ...streaming,
      { type: "telemetry.usage", data: { usage: reported, source: "estimated", contextPercent: null } }
    ]))
    assert.strictEqual(view.usage, "unknown in, 4 out, unknown total tokens (estimated)")
    const nothing = { ...reported, outputTokens: null }
    const none = viewOf(modelOf([
      ...streaming,
      { type: "telemetry.usage", data: { usage: nothing, source: "estimated", contextPercent: null } }
    ]))
    assert.strictEqual(none.usage, "tokens unknown (estimated)")
  })

  it("a turn that could not be followed says so", () => {
    const model = modelOf(calling)
    for (const event of Events.plain("t1").slice(4)) model.take(event)
    assert.include(viewOf(model).error, "seq 5 after 3")
    assert.include(viewOf(model).error, "GET /v1/turns/t1")
  })

  it("listeners are told of transitions and never of tokens", () => {
    const model = SessionModel.make()
    const heard: Array<string> = []
    const bodies = [
      ...streaming,
      ...Array.from({ length: 50 }, () => Events.delta("x")),
      Events.used,
      Events.completed()
    ]
    for (const event of Events.turn("t1", bodies)) {
      const entry = model.take(event)[0] ?? assert.fail()
      const words = TurnView.announcement(entry, viewOf(model))
      if (entry.state.phase === "calling-model") assert.strictEqual(words, "")
      if (words !== "" && words !== heard.at(-1)) heard.push(words)
    }
    assert.deepStrictEqual(heard, ["Turn 1 is streaming.", "Turn 1: completed."])
  })

  it("P12: a cancel tells what the server committed, not what was wished", () => {
    const kept = TurnView.cancelConfirmed({ status: "failed", text: "Hello", error: Events.cancelled })
    assert.strictEqual(kept, "The server confirmed the cancel (user_stop); 5 characters are kept.")
    assert.include(TurnView.cancelConfirmed({ status: "completed", text: "Hello" }), "completed before")
    assert.include(TurnView.cancelConfirmed({ status: "failed", text: "", error: Events.failure }), "already ended")
  })
})
