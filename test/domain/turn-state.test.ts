import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { eventTypes, type TurnEvent } from "../../src/domain/TurnEvent.ts"
import * as TurnState from "../../src/domain/TurnState.ts"
import { journals, place } from "./turns.ts"

const stateAfter = (events: ReadonlyArray<TurnEvent>) => {
  const state = TurnState.fold(events)
  if (state === undefined) throw new Error("no events")
  return state
}

describe("the fold of a turn", () => {
  it("accepts every legal journal and knows its text, its attempts and its end", () => {
    FastCheck.assert(FastCheck.property(journals, (events) => {
      const state = stateAfter(events)
      const reset = events.findLastIndex((event) => event.type === "model.reset")
      const text = events.slice(reset + 1)
        .map((event) => event.type === "model.delta" && event.data.kind === "text" ? event.data.text : "").join("")
      assert.strictEqual(state.text, text)
      assert.strictEqual(state.lastSeq, events.length)
      assert.strictEqual(state.attempts, events.filter((event) => event.type === "attempt.started").length)
      assert.strictEqual(state.usages.length, events.filter((event) => event.type === "telemetry.usage").length)
      const last = events.at(-1)?.type
      assert.strictEqual(
        state.status,
        last === "turn.completed" ? "completed" : last === "turn.failed" ? "failed" : "running"
      )
    }))
  })

  it("of a journal is the fold of its rest from the fold of its beginning, at every cut", () => {
    FastCheck.assert(
      FastCheck.property(journals, (events) => {
        const whole = TurnState.fold(events)
        for (let cut = 0; cut <= events.length; cut++) {
          assert.deepStrictEqual(TurnState.fold(events.slice(cut), TurnState.fold(events.slice(0, cut))), whole)
        }
      }),
      { numRuns: 50 }
    )
  })

  it("changes no earlier state", () => {
    FastCheck.assert(
      FastCheck.property(journals, (events) => {
        let state: TurnState.TurnState | undefined
        for (const event of events) {
          const before = state === undefined ? undefined : JSON.stringify(state)
          const after = TurnState.apply(state, event)
          if (state !== undefined) assert.strictEqual(JSON.stringify(state), before)
          state = after
        }
      }),
      { numRuns: 50 }
    )
  })

  it("P2, P3: refuses a gap, a repeat, another turn, a second start, a missing start and anything after the end", () => {
    FastCheck.assert(FastCheck.property(journals, FastCheck.nat(), (events, pick) => {
      const at = pick % events.length
      const event = events[at]
      if (event === undefined) return
      const before = TurnState.fold(events.slice(0, at))
      const wrong = (changed: TurnEvent) => assert.isString(TurnState.violation(before, changed))
      assert.isUndefined(TurnState.violation(before, event))
      wrong({ ...event, seq: event.seq + 1 })
      wrong({ ...event, seq: event.seq - 1 })
      if (before !== undefined) {
        wrong({ ...event, turnId: "other" as typeof event.turnId })
        const [start] = events
        if (start !== undefined) wrong({ ...start, seq: event.seq })
      } else for (const later of events.slice(1)) wrong({ ...later, seq: 1 })
      const state = stateAfter(events)
      if (state.status === "running") return
      for (const any of events) assert.isString(TurnState.violation(state, { ...any, seq: state.lastSeq + 1 }))
      assert.throws(() => TurnState.apply(state, { ...event, seq: state.lastSeq + 1 }), RangeError)
    }))
  })

  it("allows usage once per attempt, deltas only within one, attempts and checkpoints only in order", () => {
    const [started, built] = place([
      { type: "turn.started", data: { provider: "p", model: "m", userMessageId: "m" as never } },
      {
        type: "context.built",
        data: { slots: [], budget: 1, reserve: 1, window: 2, total: 1, hash: "h", compaction: false }
      }
    ])
    if (started === undefined || built === undefined) throw new Error("no events")
    const open = stateAfter([started, built])
    const next = (type: "attempt.started" | "checkpoint.saved", n: number) =>
      TurnState.violation(open, {
        ...built,
        seq: 3,
        ...(type === "attempt.started"
          ? { type, data: { attempt: n, provider: "p", model: "m" } }
          : { type, data: { checkpoint: n, phase: "building-context", seq: 2 } })
      })
    assert.isUndefined(next("attempt.started", 1))
    assert.isString(next("attempt.started", 2))
    assert.isUndefined(next("checkpoint.saved", 1))
    assert.isString(next("checkpoint.saved", 2))
    FastCheck.assert(FastCheck.property(journals, (events) => {
      for (const [index, event] of events.entries()) {
        const after = TurnState.fold(events.slice(0, index + 1))
        if (event.type === "telemetry.usage") {
          assert.isString(TurnState.violation(after, { ...event, seq: event.seq + 1 }))
        }
      }
    }))
  })

  it("a reader passes over a type that it does not know, and moves its seq; a writer refuses it", () => {
    FastCheck.assert(FastCheck.property(journals, FastCheck.nat(), (events, pick) => {
      // at the beginning there is nothing to go on from, and nothing follows the end
      const at = 1 + pick % Math.max(1, events.length - 1)
      const [first] = events
      if (first === undefined || events.length === 1) return
      const foreign = { ...first, seq: at + 1, type: "tool.started", data: { tool: "search" } } as unknown as TurnEvent
      const later = events.slice(at).map((event) => ({ ...event, seq: event.seq + 1 }))
      const reader = TurnState.makeReaderFold()
      for (const event of [...events.slice(0, at), foreign, ...later]) assert.isUndefined(reader.add(event))
      const { answerAfter: _, lastSeq, ...read } = reader.state() ?? assert.fail()
      const { answerAfter: __, lastSeq: ___, ...whole } = stateAfter(events)
      assert.deepStrictEqual(read, whole)
      assert.strictEqual(lastSeq, events.length + 1)
      const before = TurnState.fold(events.slice(0, at))
      assert.isString(TurnState.violation(before, foreign))
      assert.isString(TurnState.makeFold(before).add(foreign))
      // what is wrong by its place is wrong for a reader too
      for (const wrong of [{ ...foreign, seq: at + 2 }, { ...foreign, turnId: "other" }, { ...first, seq: at + 1 }]) {
        assert.isString(TurnState.makeReaderFold(before).add(wrong as TurnEvent))
      }
      assert.isString(TurnState.makeReaderFold().add({ ...foreign, seq: 1 } as TurnEvent))
    }))
  })

  it("has no way out of an ended phase", () => {
    for (const type of eventTypes) {
      assert.isUndefined(TurnState.nextPhase("completed", type))
      assert.isUndefined(TurnState.nextPhase("failed", type))
    }
  })
})
