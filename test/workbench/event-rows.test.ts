import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import * as UsageSum from "../../src/domain/UsageSum.ts"
import * as EventRows from "../../src/workbench/inspector/EventRows.ts"
import * as EventText from "../../src/workbench/inspector/EventText.ts"
import * as Events from "./events.ts"

const bodies = FastCheck.array(
  FastCheck.oneof(
    {
      weight: 6,
      arbitrary: FastCheck.tuple(
        FastCheck.constantFrom("a", "Be", "ced "),
        FastCheck.constantFrom("text", "reasoning", "tool-input")
      )
    },
    {
      weight: 1,
      arbitrary: FastCheck.constantFrom(
        Events.started(),
        Events.built,
        Events.attempt(1),
        Events.used,
        Events.checkpoint,
        Events.completed()
      )
    }
  ).map((body) => Array.isArray(body) ? Events.delta(body[0], body[1]) : body),
  { maxLength: 60 }
)

const choices = FastCheck.record({
  group: FastCheck.constantFrom("all" as const, ...EventRows.groups),
  isEach: FastCheck.boolean()
})

const seqsOf = (rows: ReadonlyArray<EventRows.EventRow>): ReadonlyArray<number> =>
  rows.flatMap(({ fromSeq, toSeq }) => Array.from({ length: toSeq - fromSeq + 1 }, (_, index) => fromSeq + index))

const rowsOf = (events: ReadonlyArray<TurnEvent>, choice: Partial<EventRows.Choice> = {}) =>
  EventRows.make({ ...EventRows.everything, ...choice }).take(events)

/** As many events as a long turn has, in deltas of which every hundredth is of another kind. */
const many = (count: number): ReadonlyArray<TurnEvent> => {
  const sample = Events.turn("t1", [Events.started(), Events.delta("x"), Events.delta("y", "reasoning")])
  return Array.from(
    { length: count },
    (_, index) => ({ ...sample[index === 0 ? 0 : index % 100 === 0 ? 2 : 1], seq: index + 1 }) as TurnEvent
  )
}

describe("the rows of events", () => {
  it("cover every seq exactly once and in order, whatever the events, folded or not", () => {
    FastCheck.assert(FastCheck.property(bodies, choices, (list, { isEach }) => {
      const events = Events.turn("t1", list)
      assert.deepStrictEqual(seqsOf(rowsOf(events, { isEach }).rows), events.map(({ seq }) => seq))
    }))
  })

  it("are the same when events come one by one as when they come at once", () => {
    FastCheck.assert(
      FastCheck.property(bodies, choices, FastCheck.integer({ min: 1, max: 7 }), (list, choice, step) => {
        const all = Events.turn("t1", list)
        const growing: Array<TurnEvent> = []
        const model = EventRows.make(choice)
        model.take(growing)
        for (let from = 0; from < all.length; from += step) {
          growing.push(...all.slice(from, from + step))
          assert.deepStrictEqual(model.take(growing), rowsOf(all.slice(0, from + step), choice))
        }
      })
    )
  })

  it("begin anew with another array, as after events were let go", () => {
    const model = EventRows.make(EventRows.everything)
    model.take(Events.plain("t1"))
    const other = Events.turn("t2", [Events.started(), Events.built])
    assert.deepStrictEqual(model.take(other), rowsOf(other))
    assert.deepStrictEqual(model.take([]), rowsOf([]))
  })

  it("are of the group that is chosen, and of nothing else", () => {
    FastCheck.assert(FastCheck.property(bodies, choices, (list, choice) => {
      const events = Events.turn("t1", list)
      const all = rowsOf(events, { ...choice, group: "all" }).rows
      const expected = all.filter(({ group }) => choice.group === "all" || group === choice.group)
      assert.deepStrictEqual(rowsOf(events, choice).rows, expected)
    }))
  })

  it("count the events of each group, whatever is shown", () => {
    FastCheck.assert(FastCheck.property(bodies, choices, (list, choice) => {
      const events = Events.turn("t1", list)
      const { counts } = rowsOf(events, choice)
      assert.strictEqual(counts.all, events.length)
      for (const group of EventRows.groups) {
        assert.strictEqual(counts[group], events.filter(({ type }) => EventRows.groupOf(type) === group).length)
      }
      assert.strictEqual(counts.turn + counts.model + counts.state, counts.all)
    }))
  })

  it("are not all made again for one more event", () => {
    const events = [...many(10_000)]
    const model = EventRows.make({ ...EventRows.everything, isEach: true })
    const before = model.take(events)
    assert.lengthOf(before.rows, 10_000)
    assert.strictEqual(model.take(events), before)
    events.push({ ...(events[1] as TurnEvent), seq: 10_001 })
    const { rows } = model.take(events)
    assert.lengthOf(rows, 10_001)
    assert.isTrue(before.rows.every((row, index) => row === rows[index]))
  })

  it("are one a run of deltas, or one a delta", () => {
    const events = Events.plain("t1")
    assert.deepStrictEqual(rowsOf(events).rows.map(({ key }) => key), ["1", "2", "3", "4", "6", "7", "8"])
    assert.lengthOf(rowsOf(events, { isEach: true }).rows, 8)
  })

  it("are found by a seq", () => {
    const { rows } = rowsOf(Events.plain("t1"))
    assert.deepStrictEqual([0, 1, 4, 5, 6, 99].map((seq) => EventRows.indexAt(rows, seq)), [-1, 0, 3, 3, 4, 6])
  })
})

describe("a row's bar", () => {
  const row = (fromMs: number, toMs: number) => ({ fromMs, toMs }) as EventRows.EventRow

  it("lies within the turn's time, also where a clock was put back", () => {
    assert.deepStrictEqual(EventRows.barOf(row(50, 100), 200), { left: 25, width: 25 })
    assert.deepStrictEqual(EventRows.barOf(row(0, 0), 0), { left: 0, width: 0 })
    assert.deepStrictEqual(EventRows.barOf(row(-50, 400), 200), { left: 0, width: 100 })
    assert.deepStrictEqual(EventRows.barOf(row(150, 100), 200), { left: 75, width: 0 })
  })
})

describe("an event in words", () => {
  const detail = (body: Parameters<typeof Events.turn>[1][number]) => {
    const events = Events.turn("t1", [body])
    const [row] = rowsOf(events).rows
    return EventText.detailOf(events[0] as TurnEvent, (row as EventRows.EventRow).chars)
  }

  it("says what matters of it in a line", () => {
    assert.strictEqual(detail(Events.started({ retryOf: "t0" })), "deterministic / echo, a retry")
    assert.strictEqual(detail(Events.built), "5 of 90 tokens, hash 0123456789ab")
    assert.strictEqual(detail(Events.used), "3 in, 4 out, 7 total (deterministic)")
    assert.strictEqual(detail(Events.checkpoint), "checkpoint 1, committing, covers seq 6")
    assert.strictEqual(detail(Events.delta("x")), "text, 1 character")
    assert.strictEqual(detail({ type: "model.reset", data: { fromSeq: 4, toSeq: 9 } }), "seq 4–9 no longer count")
    assert.strictEqual(
      detail({ type: "attempt.failed", data: { attempt: 1, error: Events.failure, retryInMs: 1_200 } }),
      "attempt 1, again in 1,200 ms: It failed. Retry the turn."
    )
    assert.strictEqual(detail(Events.failed(Events.cancelled)), "Cancelled: Cancelled on request.")
  })

  it("never says 0 for what nobody counted", () => {
    const data = { usage: UsageSum.unknown, source: "reported", contextPercent: null }
    assert.strictEqual(detail({ type: "telemetry.usage", data }), "tokens unknown (reported)")
    assert.include(
      detail({ type: "telemetry.usage", data: { ...data, usage: { ...UsageSum.unknown, outputTokens: 2 } } }),
      "unknown in, 2 out"
    )
  })

  it("as a row of a run is its first, with the text of all and the seq of the last", () => {
    const events = Events.plain("t1")
    assert.deepStrictEqual(EventText.contentOf(events, 4, 5), {
      ...events[3],
      toSeq: 5,
      data: { kind: "text", text: "Hello" }
    })
    assert.strictEqual(EventText.contentOf(events, 8, 8), events[7])
  })

  it("is cut where it is long, and says so; what is copied is whole", () => {
    const long = "x".repeat(9_000)
    const [event] = Events.turn("t1", [Events.delta(long)])
    assert.include(EventText.shownJson(event), "5,000 characters more")
    assert.isBelow(EventText.shownJson(event).length, 5_000)
    assert.include(EventText.json(event), long)
    assert.isBelow(detail(Events.failed({ ...Events.failure, message: long })).length, 130)
  })
})
