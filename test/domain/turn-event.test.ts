import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import { journals } from "./turns.ts"

const encode = (event: TurnEvent.TurnEvent) =>
  TurnEvent.json(TurnEvent.head(event.turnId, event.sessionId), event.seq, TurnEvent.tail(event))

describe("an event's bytes", () => {
  it("hold the whole event: what is decoded is what was encoded", () => {
    FastCheck.assert(FastCheck.property(journals, (events) => {
      for (const event of events) {
        const decoded = TurnEvent.decode(JSON.parse(encode(event)))
        // -0 and undefined have no JSON: compare what JSON can hold.
        assert.deepStrictEqual(JSON.parse(JSON.stringify(decoded)), JSON.parse(JSON.stringify(event)))
      }
    }))
  })

  it("name their type without being parsed, whatever their text says", () => {
    FastCheck.assert(FastCheck.property(journals, (events) => {
      for (const event of events) assert.strictEqual(TurnEvent.typeOfTail(TurnEvent.tail(event)), event.type)
    }))
    const [event] = FastCheck.sample(journals, 1)[0] ?? []
    if (event === undefined) throw new Error("no event")
    const tail = TurnEvent.tail({
      at: event.at,
      attempt: 3,
      type: "model.delta",
      data: { kind: "text", text: `"type":"turn.completed"` }
    })
    assert.strictEqual(TurnEvent.typeOfTail(tail), "model.delta")
  })

  it("hold no raw line feed or carriage return", () => {
    FastCheck.assert(FastCheck.property(journals, FastCheck.constantFrom("\n", "\r", "\r\n"), (events, end) => {
      for (const event of events) {
        const tail = event.type === "model.delta"
          ? TurnEvent.tail({ ...event, data: { ...event.data, text: event.data.text + end } })
          : TurnEvent.tail(event)
        assert.notMatch(tail, /[\n\r]/)
      }
    }))
  })

  it("refuse an envelope of another version, a seq of 0, a local time and an unknown type", () => {
    const [events] = FastCheck.sample(journals, 1)
    const event = events?.[0]
    if (event === undefined) throw new Error("no event")
    for (const wrong of [{ v: 2 }, { seq: 0 }, { at: "2026-01-02T03:04:05+01:00" }, { type: "turn.paused" }]) {
      assert.throws(() => TurnEvent.decode({ ...event, ...wrong }))
    }
  })
})
