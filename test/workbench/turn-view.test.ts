import { assert, describe, it } from "@effect/vitest"
import type { TurnErrorInfo } from "../../src/domain/TurnError.ts"
import * as TurnState from "../../src/domain/TurnState.ts"
import * as TurnFacts from "../../src/workbench/session/TurnFacts.ts"
import * as TurnView from "../../src/workbench/turn/TurnView.ts"
import * as Events from "./events.ts"

type Bodies = Parameters<typeof Events.turn>[1]

const factsOf = (bodies: Bodies): TurnFacts.TurnFacts => {
  const events = Events.turn("t1", bodies)
  return TurnFacts.ofState(
    TurnState.fold(events) ?? assert.fail(),
    events.flatMap((event) => event.type === "attempt.failed" ? [event] : [])
  )
}

const startMs = Date.parse("2026-01-01T00:00:00.000Z")
const around: TurnView.Surroundings = {
  before: 0,
  nowMs: startMs,
  lastEventMs: startMs,
  limits: { firstTokenMs: 60_000, idleMs: 30_000 }
}
const noChildren = { retriedIn: undefined, resumedIn: undefined }

const calling = [Events.started(), Events.built, Events.attempt(1)]
const streaming = [...calling, Events.delta("He")]
const failedOnce = [
  ...calling,
  Events.used,
  { type: "attempt.failed", data: { attempt: 1, error: Events.failure, retryInMs: 2_500 } }
] as const
const endedBy = (error: TurnErrorInfo) => factsOf([...streaming, Events.used, Events.failed(error)])

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
      const facts = factsOf(bodies)
      const status = TurnView.statusOf(facts, around)
      assert.deepStrictEqual([status.word, status.tone], [word, "running"])
      assert.deepStrictEqual(TurnView.verbsOf(facts, noChildren), ["cancel"])
    }
  })

  it("a queued turn says how many are before it", () => {
    const facts = factsOf([Events.started()])
    const words = [1, 2].map((before) => TurnView.statusOf(facts, { ...around, before }))
    assert.deepStrictEqual(words.map(({ detail, word }) => `${word}: ${detail}`), [
      "Queued: next",
      "Queued: 2 turns before it"
    ])
  })

  it("between two attempts it counts down to the next", () => {
    const facts = factsOf(failedOnce)
    const at = (ms: number) => TurnView.statusOf(facts, { ...around, nowMs: startMs + ms })
    assert.deepStrictEqual([at(0).word, at(0).detail], ["Retrying", "attempt 2 in 3 s"])
    assert.strictEqual(at(2_600).detail, "attempt 2")
    assert.deepStrictEqual(TurnView.notesOf(facts).map(({ title }) => title), ["Attempt 1 failed"])
    const [note] = TurnView.notesOf(factsOf(
      failedOnce.map((body) =>
        body.type === "attempt.failed" ? { ...body, data: { ...body.data, error: Events.overloaded } } : body
      )
    ))
    assert.strictEqual(note?.text, "overloaded, HTTP 529, the script says so. It is tried again by itself.")
    assert.strictEqual(TurnView.statusOf(factsOf([...failedOnce, Events.attempt(2)]), around).word, "Calling the model")
  })

  it("a model without a word is stalled, with the limit that ends it; a pause is not", () => {
    const at = (bodies: Bodies, ms: number) => TurnView.statusOf(factsOf(bodies), { ...around, nowMs: startMs + ms })
    assert.strictEqual(at(streaming, 4_900).word, "Streaming")
    assert.deepStrictEqual([at(streaming, 12_000).word, at(streaming, 12_000).detail], [
      "Stalled",
      "no word for 12 s; the server gives up after 30 s"
    ])
    assert.include(at(calling, 12_000).detail, "after 60 s")
    assert.strictEqual(TurnView.statusOf(factsOf(streaming), { ...around, lastEventMs: undefined }).word, "Streaming")
  })

  it("each ending has its word, its verbs and a note that says what to do", () => {
    const complete = factsOf([...streaming, Events.used, Events.completed()])
    assert.deepStrictEqual([TurnView.statusOf(complete, around).word, TurnView.notesOf(complete)], ["Completed", []])
    assert.deepStrictEqual(TurnView.verbsOf(complete, noChildren), ["retry"])
    const cut = factsOf([...streaming, Events.used, Events.completed("length")])
    assert.strictEqual(TurnView.statusOf(cut, around).detail, "length")
    const endings = [
      [Events.cancelled, "Cancelled", "stopped", ["resume", "retry"]],
      [Events.interrupted, "Interrupted", "stopped", ["resume", "retry"]],
      [Events.failure, "Failed", "failed", ["resume", "retry"]]
    ] as const
    for (const [error, word, tone, verbs] of endings) {
      const facts = endedBy(error)
      const status = TurnView.statusOf(facts, around)
      assert.deepStrictEqual([status.word, status.tone, TurnView.verbsOf(facts, noChildren)], [word, tone, verbs])
      assert.include(TurnView.notesOf(facts)[0]?.text ?? "", error.message)
    }
    const blocked = factsOf([Events.started(), Events.failed(Events.blocked)])
    assert.deepStrictEqual([TurnView.statusOf(blocked, around).word, TurnView.verbsOf(blocked, noChildren)], [
      "Blocked",
      ["retry"]
    ])
    assert.include(TurnView.notesOf(blocked)[0]?.text ?? "", "OPENAI_API_KEY")
  })

  it("a verb that was given is not offered again, and the child is named", () => {
    const facts = endedBy(Events.interrupted)
    assert.deepStrictEqual(TurnView.verbsOf(facts, { retriedIn: undefined, resumedIn: 2 }), ["retry"])
    assert.deepStrictEqual(TurnView.relationsOf(facts, { retriedIn: 3, resumedIn: 2 }, () => undefined), [
      "resumed in turn 2",
      "retried in turn 3"
    ])
    const child = factsOf([Events.started({ resumedFrom: "t0" })])
    assert.deepStrictEqual(TurnView.relationsOf(child, noChildren, () => 1), ["continues turn 1"])
  })

  it("listeners are told of transitions and never of deltas", () => {
    const told = (bodies: Bodies) => {
      const facts = factsOf(bodies)
      return TurnView.announcement(1, facts, TurnView.statusOf(facts, around))
    }
    assert.strictEqual(told(streaming), "Turn 1: streaming.")
    assert.strictEqual(told([...streaming, Events.delta("llo")]), told(streaming))
    assert.strictEqual(told(calling), "")
    assert.strictEqual(told([...streaming, Events.used, Events.completed()]), "Turn 1: completed.")
    assert.include(told([...streaming, Events.used, Events.failed(Events.failure)]), "Retry the turn.")
  })

  it("unknown usage is not zero", () => {
    assert.strictEqual(TurnView.usageText(null), "")
    assert.strictEqual(TurnView.usageText({ ...Events.usage, outputTokens: null }), "3 in")
    assert.strictEqual(TurnView.usageText({ ...Events.usage, cacheReadTokens: 2_000 }), "3 in · 4 out · 2,000 cached")
  })

  it("a cancel is told as the server ended it", () => {
    const turn = { text: "abc", status: "failed" as const }
    assert.include(TurnView.cancelConfirmed({ ...turn, error: Events.cancelled }), "3 characters kept")
    assert.include(TurnView.cancelConfirmed({ text: "", status: "completed" }), "had completed before the cancel")
    assert.include(TurnView.cancelConfirmed({ ...turn, error: Events.failure }), Events.failure.message)
  })
})
