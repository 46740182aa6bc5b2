/** Each rule of the checker: silent on every legal journal, and red on the fault planted for it. */
import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { SessionId, TurnId } from "../../src/domain/Ids.ts"
import * as Invariants from "../../src/domain/Invariants.ts"
import type { Message, Part } from "../../src/domain/Message.ts"
import type { Turn } from "../../src/domain/Resources.ts"
import { Interrupted, toInfo, UnknownProvider } from "../../src/domain/TurnError.ts"
import type { EventBody, EventOf, EventType, TurnEvent } from "../../src/domain/TurnEvent.ts"
import * as TurnEventModule from "../../src/domain/TurnEvent.ts"
import * as TurnState from "../../src/domain/TurnState.ts"
import * as UsageSum from "../../src/domain/UsageSum.ts"
import { ids, journals, place } from "./turns.ts"

const usage = UsageSum.make({ inputTokens: 3, outputTokens: 2 })

/** A plain turn of two deltas in one attempt: seq 1 to 8. */
const plainBodies: ReadonlyArray<EventBody> = [
  { type: "turn.started", data: { provider: "p", model: "m", userMessageId: ids.messageId } },
  {
    type: "context.built",
    data: { slots: [], budget: 1, reserve: 1, window: 2, total: 1, hash: "h", compaction: false }
  },
  { type: "attempt.started", attempt: 1, data: { attempt: 1, provider: "p", model: "m" } },
  { type: "model.delta", attempt: 1, data: { kind: "text", text: "Hel" } },
  { type: "model.delta", attempt: 1, data: { kind: "text", text: "lo" } },
  { type: "telemetry.usage", attempt: 1, data: { usage, source: "reported", contextPercent: null } },
  { type: "checkpoint.saved", data: { checkpoint: 1, phase: "committing", seq: 6 } },
  { type: "turn.completed", data: { finishReason: "stop", messageId: ids.messageId, usage } }
]
const crashed: EventBody = {
  type: "turn.failed",
  data: {
    error: toInfo(new Interrupted({ cause: "crash" })),
    checkpoint: 1,
    partial: { messageId: ids.messageId, chars: 5 }
  }
}
const plain = place(plainBodies)
const failedBodies = [...plainBodies.slice(0, -1), crashed]

const promises = (found: ReadonlyArray<Invariants.Violation>) => [...new Set(found.map((one) => one.promise))]

/** The journal's violations, by promise, where nothing else is wrong. */
const broken = (bodies: ReadonlyArray<EventBody>) => promises(Invariants.checkJournal(place(bodies)))

/** A body of the plain turn, replaced. */
const changed = <T extends EventType>(
  bodies: ReadonlyArray<EventBody>,
  type: T,
  data: Partial<EventOf<T>["data"]>
): ReadonlyArray<EventBody> =>
  // the data of one type stays that of this type, which the spread hides from the checker
  bodies.map((body) => body.type === type ? { ...body, data: { ...body.data, ...data } } as EventBody : body)

const without = (bodies: ReadonlyArray<EventBody>, type: EventType) => bodies.filter((body) => body.type !== type)

describe("the checker of a journal", () => {
  it("finds nothing in any legal journal, one turn or many side by side", () => {
    FastCheck.assert(FastCheck.property(FastCheck.array(journals, { maxLength: 3 }), (turns) => {
      const named = turns.map((events, n) =>
        events.map((event): TurnEvent => ({ ...event, turnId: `turn${n}` as TurnId }))
      )
      const longest = Math.max(0, ...named.map((events) => events.length))
      const mixed = Array.from({ length: longest }, (_, at) => named.flatMap((events) => events.slice(at, at + 1)))
        .flat()
      assert.deepStrictEqual(Invariants.checkJournal(mixed), [])
    }))
    assert.deepStrictEqual(broken(plainBodies), [])
    assert.deepStrictEqual(broken(failedBodies), [])
  })

  it("P2: an event lost, doubled or swapped anywhere in any journal is found, at its seq", () => {
    FastCheck.assert(FastCheck.property(journals, FastCheck.nat(), (events, pick) => {
      const at = pick % events.length
      const doubled = [...events.slice(0, at + 1), ...events.slice(at)]
      assert.include(promises(Invariants.checkJournal(doubled)), "P2")
      if (at === 0 || at === events.length - 1) return
      const lost = events.filter((_, index) => index !== at)
      assert.deepInclude(Invariants.checkJournal(lost)[0], { promise: "P2", seq: at + 2 })
      const swapped = [...events.slice(0, at), ...events.slice(at, at + 2).reverse(), ...events.slice(at + 2)]
      assert.include(promises(Invariants.checkJournal(swapped)), "P2")
    }))
  })

  it("P3: a start that is missing or repeated, a second end, and anything after the end", () => {
    assert.deepStrictEqual(broken(plainBodies.slice(1, 5)), ["P3"])
    assert.include(broken([...plainBodies.slice(0, 3), ...plainBodies.slice(0, 1), ...plainBodies.slice(3)]), "P3")
    assert.deepStrictEqual(broken([...plainBodies, crashed]), ["P3"])
    assert.deepStrictEqual(broken([...failedBodies, ...plainBodies.slice(-1)]), ["P3"])
    FastCheck.assert(FastCheck.property(journals, FastCheck.nat(), (events, pick) => {
      const after = events[pick % events.length]
      if (after === undefined || events.at(-1)?.type.startsWith("turn.") !== true || events.length === 1) return
      const found = Invariants.checkJournal([...events, { ...after, seq: events.length + 1 }])
      assert.include(promises(found), "P3")
    }))
  })

  it("P14: usage twice, usage missing on either ending, and a total that is not the sum", () => {
    const [, , , , , used] = plainBodies
    if (used === undefined) throw new Error("no usage")
    assert.deepStrictEqual(broken([...plainBodies.slice(0, 6), used, ...plainBodies.slice(6)]), ["P14"])
    assert.include(broken(without(plainBodies, "telemetry.usage")), "P14")
    assert.deepStrictEqual(
      broken(
        changed(changed(without(failedBodies, "telemetry.usage"), "checkpoint.saved", { seq: 5 }), "turn.failed", {})
      ),
      ["P14"]
    )
    assert.deepStrictEqual(broken(changed(plainBodies, "turn.completed", { usage: null })), ["P14"])
    assert.deepStrictEqual(
      broken(changed(plainBodies, "turn.completed", { usage: { ...usage, outputTokens: 4 } })),
      ["P14"]
    )
    assert.deepStrictEqual(broken(changed(plainBodies, "telemetry.usage", { source: "estimated" })), ["P14"])
  })

  it("P14: of any journal with an end, its usage events are owed one by one", () => {
    FastCheck.assert(FastCheck.property(journals, FastCheck.nat(), (events, pick) => {
      const uses = events.filter((event) => event.type === "telemetry.usage")
      const gone = uses[pick % Math.max(1, uses.length)]
      const last = events.at(-1)
      if (gone === undefined || last === undefined || TurnState.fold(events)?.status === "running") return
      const rest = events.filter((event) => event !== gone).map((event, index): TurnEvent => ({
        ...event,
        seq: index + 1
      }))
      assert.include(promises(Invariants.checkJournal(rest)), "P14")
    }))
  })

  it("P5: a partial that is shorter or longer than what was said, or missing, or empty", () => {
    const partial = (chars: number) =>
      changed(failedBodies, "turn.failed", { partial: { messageId: ids.messageId, chars } })
    assert.deepStrictEqual(broken(partial(5)), [])
    assert.deepStrictEqual(broken(partial(4)), ["P5"])
    assert.deepStrictEqual(broken(partial(6)), ["P5"])
    assert.deepStrictEqual(broken(changed(failedBodies, "turn.failed", { partial: undefined })), ["P5"])
    const silent = changed(without(failedBodies, "model.delta"), "checkpoint.saved", { seq: 4 })
    const empty = changed(silent, "turn.failed", { partial: { messageId: ids.messageId, chars: 0 } })
    assert.deepStrictEqual(broken(empty), ["P5"])
  })

  it("P6, P22: an ending without a checkpoint, or with one that does not cover what was said; a refusal needs none", () => {
    const bare = changed(without(failedBodies, "checkpoint.saved"), "turn.failed", { checkpoint: undefined })
    assert.deepStrictEqual(broken(bare), ["P6"])
    const stopped = changed(bare, "turn.failed", { error: toInfo(new Interrupted({ cause: "shutdown" })) })
    assert.deepStrictEqual(broken(stopped), ["P22"])
    assert.deepStrictEqual(broken(without(plainBodies, "checkpoint.saved")), ["protocol"])
    assert.deepStrictEqual(broken(changed(failedBodies, "checkpoint.saved", { seq: 4 })), ["P6"])
    const refusal: EventBody = {
      type: "turn.failed",
      data: { error: toInfo(new UnknownProvider({ providerId: "x", known: [] })) }
    }
    assert.deepStrictEqual(broken([...plainBodies.slice(0, 1), refusal]), [])
  })

  it("P8: a new attempt while what was said still counts; a reset that does not take it all back", () => {
    const error = toInfo(new Interrupted({ cause: "crash" }))
    const failed: EventBody = { type: "attempt.failed", attempt: 1, data: { attempt: 1, error } }
    const again: EventBody = { type: "attempt.started", attempt: 2, data: { attempt: 2, provider: "p", model: "m" } }
    const reset = (fromSeq: number, toSeq: number): EventBody => ({ type: "model.reset", data: { fromSeq, toSeq } })
    const first = [...plainBodies.slice(0, 6), failed]
    assert.deepStrictEqual(broken([...first, again]), ["P8"])
    assert.deepStrictEqual(broken([...first, reset(4, 5), again]), [])
    assert.deepStrictEqual(broken([...first, reset(4, 4), again]), ["P8"])
    assert.deepStrictEqual(broken([...first, reset(4, 8), again]), ["P8"])
  })

  it("P23: a turn without an end, where all should have ended", () => {
    assert.deepStrictEqual(Invariants.checkJournal(plain.slice(0, 4)), [])
    assert.deepStrictEqual(promises(Invariants.checkJournal(plain.slice(0, 4), { ended: true })), ["P23"])
    assert.deepStrictEqual(Invariants.checkJournal(plain, { ended: true }), [])
  })

  it("an illegal transition, an envelope that disagrees and a checkpoint of the future break the protocol", () => {
    assert.deepStrictEqual(broken(without(plainBodies, "context.built")), ["protocol"])
    assert.deepStrictEqual(broken(changed(plainBodies, "checkpoint.saved", { checkpoint: 2 })), ["protocol"])
    assert.deepStrictEqual(broken(changed(plainBodies, "checkpoint.saved", { seq: 7 })), ["protocol"])
    const one = (change: (event: TurnEvent) => object) =>
      promises(Invariants.checkJournal(
        // what another program may have written is no TurnEvent
        plain.map((event) => event.seq === 4 ? { ...event, ...change(event) } as TurnEvent : event)
      ))
    assert.deepStrictEqual(one(() => ({ v: 2 })), ["protocol"])
    assert.deepStrictEqual(one(() => ({ at: "yesterday" })), ["protocol"])
    assert.deepStrictEqual(one(() => ({ sessionId: "other" })), ["protocol"])
    assert.deepStrictEqual(one(() => ({ attempt: 2 })), ["protocol"])
    assert.deepStrictEqual(one(() => ({})), [])
  })
})

/** The rows that follow from a journal, as a reader gives them. */
const rowsOf = (events: ReadonlyArray<TurnEvent>): Invariants.TurnRows => {
  const state = TurnState.fold(events)
  if (state === undefined) throw new Error("no events")
  const { checkpoints, error, finishReason, messageId, resumedFrom, retryOf, usages } = state
  // ids of a folded state are plain strings; the fields are those of a Turn
  const turn = {
    id: state.turnId,
    sessionId: state.sessionId,
    status: state.status,
    phase: state.phase,
    text: state.text,
    reasoning: state.reasoning,
    usage: UsageSum.reported(usages),
    lastSeq: state.lastSeq,
    provider: state.provider,
    model: state.model,
    attempts: state.attempts,
    userMessageId: state.userMessageId,
    startedAt: state.startedAt,
    finishReason,
    error,
    messageId,
    retryOf,
    resumedFrom,
    endedAt: state.endedAt,
    checkpoint: checkpoints.at(-1)?.checkpoint
  } as Turn
  const parts: ReadonlyArray<Part> = [
    ...(state.reasoning === "" ? [] : [{ type: "reasoning" as const, text: state.reasoning }]),
    ...(state.text === "" ? [] : [{ type: "text" as const, text: state.text }]),
    ...state.toolCalls
  ]
  const message: Message | undefined = messageId === undefined ? undefined : {
    id: ids.messageId,
    turnId: ids.turnId,
    role: "assistant",
    parts,
    state: state.status === "completed" ? "complete" : "partial",
    createdAt: state.endedAt ?? ""
  }
  return { turn, message }
}

describe("the checker of projections", () => {
  it("finds nothing where the rows are the fold of the events", () => {
    FastCheck.assert(FastCheck.property(journals, (events) => {
      assert.deepStrictEqual(Invariants.checkProjection(events, rowsOf(events)), [])
    }))
  })

  it("finds each field of a turn that says another thing, and names its promise", () => {
    const rows = rowsOf(plain)
    const other: Partial<Record<keyof Turn, readonly [unknown, string]>> = {
      sessionId: ["x", "projection"],
      status: ["failed", "P3"],
      phase: ["streaming", "P3"],
      text: ["Hell", "P5"],
      reasoning: ["x", "P5"],
      finishReason: ["length", "P3"],
      error: [toInfo(new Interrupted({ cause: "crash" })), "P3"],
      usage: [null, "P14"],
      lastSeq: [7, "P2"],
      provider: ["x", "projection"],
      model: ["x", "projection"],
      attempts: [2, "projection"],
      userMessageId: ["x", "projection"],
      messageId: ["x", "P5"],
      retryOf: ["x", "projection"],
      resumedFrom: ["x", "projection"],
      startedAt: ["x", "projection"],
      endedAt: [undefined, "projection"],
      checkpoint: [undefined, "P6"]
    }
    const fields = Object.entries(other)
    // every field but the id, by which it was found, and the place in the queue
    assert.strictEqual(fields.length, Object.keys(rows.turn).length - 1)
    for (const [field, [value, promise]] of fields) {
      const found = Invariants.checkProjection(plain, { ...rows, turn: { ...rows.turn, [field]: value } })
      assert.deepStrictEqual(promises(found), [promise], field)
    }
    assert.deepStrictEqual(promises(Invariants.checkProjection([], rows)), ["P4"])
    assert.deepStrictEqual(promises(Invariants.checkProjection(plain.slice(1), rows)), ["projection"])
  })

  it("P5: finds a message that is missing, not asked for, of another state, or cut", () => {
    const { message, turn } = rowsOf(plain)
    const wrong = (changed: Message | undefined) =>
      promises(Invariants.checkProjection(plain, { turn, message: changed }))
    if (message === undefined) throw new Error("no message")
    assert.deepStrictEqual(wrong(message), [])
    assert.deepStrictEqual(wrong(undefined), ["P5"])
    assert.deepStrictEqual(wrong({ ...message, state: "partial" }), ["P5"])
    assert.deepStrictEqual(wrong({ ...message, parts: [{ type: "text", text: "Hel" }] }), ["P5"])
    const open = plain.slice(0, 5)
    assert.deepStrictEqual(promises(Invariants.checkProjection(open, { ...rowsOf(open), message })), ["P5"])
  })

  it("P6: finds a checkpoint that is missing or covers other text", () => {
    const rows = rowsOf(plain)
    const mark = { checkpoint: 1, phase: "committing" as const, seq: 6, turnId: ids.turnId }
    const row = { ...mark, text: "Hello", reasoning: "", usage, contextHash: "h" }
    const wrong = (checkpoints: Invariants.TurnRows["checkpoints"] & {}) =>
      promises(Invariants.checkProjection(plain, { ...rows, checkpoints }))
    assert.deepStrictEqual(wrong([row]), [])
    assert.deepStrictEqual(wrong([]), ["P6"])
    assert.deepStrictEqual(wrong([{ ...row, text: "Hell" }]), ["P6"])
    assert.deepStrictEqual(wrong([{ ...row, usage: null }]), ["P6"])
    assert.deepStrictEqual(wrong([{ ...row, contextHash: null }]), ["P6"])
  })
})

describe("the checker of a session", () => {
  const named = (turn: string, events: ReadonlyArray<TurnEvent>, session: string = ids.sessionId) =>
    events.map((event): TurnEvent => ({ ...event, turnId: turn as TurnId, sessionId: session as SessionId }))
  const [a, b] = [named("a", plain), named("b", plain)]

  it("P10: allows turns one after the other, a turn that waits, and turns of other sessions", () => {
    const waiting = [...a.slice(0, 4), ...b.slice(0, 1), ...a.slice(4), ...b.slice(1)]
    assert.deepStrictEqual(Invariants.checkSession(waiting), [])
    assert.deepStrictEqual(
      Invariants.checkSession([...a.slice(0, 4), ...named("c", plain, "other"), ...a.slice(4)]),
      []
    )
  })

  it("P10: finds two turns of one session at once, wherever the second one works", () => {
    FastCheck.assert(FastCheck.property(FastCheck.integer({ min: 2, max: 7 }), (cut) => {
      const found = Invariants.checkSession([...a.slice(0, cut), ...b, ...a.slice(cut)])
      assert.deepStrictEqual(promises(found), ["P10"])
    }))
  })
})

describe("the checker of a follower", () => {
  const journal = plain.map((event) => ({
    seq: event.seq,
    json: TurnEventModule.json(
      TurnEventModule.head(event.turnId, event.sessionId),
      event.seq,
      TurnEventModule.tail(event)
    )
  }))
  const follower = (seen: typeof journal, after = 0, complete = true) =>
    promises(Invariants.checkFollower(seen, journal, { after, complete }))

  it("P15: accepts exactly the events after any cursor, and a part of them from who left early", () => {
    for (let after = 0; after <= journal.length; after++) {
      assert.deepStrictEqual(follower(journal.slice(after), after), [])
      for (let end = after; end <= journal.length; end++) {
        assert.deepStrictEqual(follower(journal.slice(after, end), after, false), [])
        if (end < journal.length) assert.deepStrictEqual(follower(journal.slice(after, end), after), ["P15"])
      }
    }
  })

  it("P15: finds what was missed, seen twice, out of order, before the cursor or in other bytes", () => {
    FastCheck.assert(FastCheck.property(FastCheck.integer({ min: 0, max: 6 }), (at) => {
      assert.deepStrictEqual(follower(journal.filter((_, index) => index !== at)), ["P15"])
      assert.deepStrictEqual(follower([...journal.slice(0, at + 1), ...journal.slice(at)]), ["P15"])
      const swapped = [...journal.slice(0, at), ...journal.slice(at, at + 2).reverse(), ...journal.slice(at + 2)]
      assert.deepStrictEqual(follower(swapped), ["P15"])
      assert.deepStrictEqual(follower(journal.slice(at), at + 1), ["P15"])
      const bytes = journal.map((event, index) => index === at ? { ...event, json: `${event.json} ` } : event)
      assert.deepStrictEqual(follower(bytes), ["P15"])
    }))
  })

  it("P1: finds what was seen and is not committed", () => {
    const seen = journal.slice(0, 6)
    const found = Invariants.checkFollower(seen, journal.slice(0, 5), { after: 0, complete: false })
    assert.deepStrictEqual(found.map(({ promise, seq, turnId }) => ({ promise, seq, turnId })), [
      { promise: "P1", seq: 6, turnId: ids.turnId }
    ])
    assert.deepStrictEqual(promises(Invariants.checkFollower(seen, [], { after: 0, complete: true })), ["P1"])
    const other = seen.map((event) => event.seq === 5 ? { ...event, json: event.json.replace("lo", "LO") } : event)
    assert.deepStrictEqual(promises(Invariants.checkFollower(other, journal, { after: 0, complete: false })), ["P1"])
  })
})
