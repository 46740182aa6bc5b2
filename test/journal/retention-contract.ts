/** What every journal keeps of answers that are too long to be held, and of turns that retention folded. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { heldCharsMax, type Message } from "../../src/domain/Message.ts"
import type { EventBody } from "../../src/domain/TurnEvent.ts"
import { type AnswerKind, Journal } from "../../src/journal/Journal.ts"
import * as Transcript from "../../src/journal/Transcript.ts"
import {
  admit,
  answered,
  answering,
  append,
  at,
  attempt,
  built,
  checkpoint,
  completed,
  createSession,
  delta,
  messageId,
  reasoning,
  sessionId,
  turnId,
  used
} from "./fixtures.ts"

const foldedAt = "2026-03-01T00:00:00.000Z"
/** After every event of these tests. */
const later = "2026-02-01T00:00:00.000Z"

const call: EventBody = {
  type: "model.tool-call",
  data: { toolCallId: "c1", toolName: "look", arguments: { at: "sky" } },
  attempt: 1
}

/** Pieces that together are longer than may be held; each ends in half of a character. */
const piece = `${"x".repeat(99_999)}\u{1f600}`
const halves = (count: number): ReadonlyArray<EventBody> =>
  Array.from({ length: count }, (_, i) => {
    const from = i === 0 ? "" : piece.slice(-1)
    return delta(`${from}${piece.slice(0, -1)}${i === count - 1 ? piece.slice(-1) : ""}`)
  })
const count = Math.ceil(heldCharsMax / piece.length) + 1
export const longText = piece.repeat(count)

/** A turn that says more than is held, in several commits. */
export const longTurn = (turn: string, session: string) =>
  Effect.gen(function*() {
    yield* admit(turn, session)
    yield* append(turn, session, 2, [built, attempt(), reasoning("hm")])
    let seq = 5
    for (const body of halves(count)) yield* append(turn, session, seq++, [body])
    yield* append(turn, session, seq, [
      call,
      used({ outputTokens: 9 }),
      checkpoint(1, seq + 1),
      completed(turn)
    ])
    return seq + 3
  })

export const said = (turn: string, kind: AnswerKind, upTo?: number) =>
  Effect.flatMap(Journal, (journal) =>
    Stream.runFold(
      journal.answer(turnId(turn), kind, upTo),
      "",
      (text, part) => text + ("text" in part ? part.text : JSON.stringify(part))
    ))

export const foldAll = Effect.flatMap(Journal, (journal) => journal.foldTurns(later, foldedAt, 100))

const deleteSession = Effect.flatMap(Journal, (journal) => journal.deleteSession(sessionId("s")))

/** Reads the answer; `meanwhile` happens after its first part. It is whole then, or the stream fails: it never ends short. */
const readWhile = <E>(turn: string, meanwhile: Effect.Effect<unknown, E, Journal>) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    let text = ""
    const read = Stream.runForEach(journal.answer(turnId(turn), "text"), (part) => {
      const isFirst = text === ""
      text += part.type === "text" ? part.text : ""
      return isFirst ? meanwhile : Effect.void
    })
    const ended = yield* Effect.either(read)
    if (Either.isLeft(ended)) assert.deepInclude(ended.left, { _tag: "JournalFailure", retryable: true })
    else assert.isTrue(text === longText)
  })

const all = { cursor: undefined, limit: 100 }

export const retentionContract = <E>(name: string, layer: Layer.Layer<Journal, E>): void => {
  const check = (title: string, body: () => Effect.Effect<unknown, unknown, Journal>) =>
    it.effect(title, () => Effect.provide(body(), layer), 20_000)

  describe(`${name}: answers too long to be held`, () => {
    check(
      "P17: turn, message and checkpoint say so and hold nothing; the answer is there in pieces",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          const lastSeq = yield* longTurn("t", "s")
          const { turn } = yield* journal.turn(turnId("t"))
          assert.deepInclude(turn, { whole: false, text: "", reasoning: "", lastSeq, status: "completed" })
          const [, message] = (yield* journal.messages(sessionId("s"), all)).items
          assert.deepInclude(message, { whole: false, parts: [], state: "complete" })
          const [saved] = yield* journal.checkpoints(turnId("t"))
          assert.deepInclude(saved, { whole: false, text: "" })
          assert.isTrue((yield* said("t", "text")) === longText)
          assert.strictEqual(yield* said("t", "reasoning"), "hm")
          assert.deepStrictEqual(JSON.parse(yield* said("t", "tool-call")), { type: "tool-call", ...call.data })
          assert.isTrue((yield* said("t", "text", 6)) === longText.slice(0, piece.length * 2 - 1))
        })
    )

    check("a running one is counted while it grows, and read as far as it is committed", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        yield* admit("t", "s")
        yield* append("t", "s", 2, [built, attempt(), ...halves(count)])
        assert.deepInclude((yield* journal.turn(turnId("t"))).turn, { whole: false, text: "", status: "running" })
        const state = yield* journal.state(turnId("t"))
        assert.deepInclude(state, { whole: false, textChars: longText.length })
        assert.isTrue((yield* said("t", "text")) === longText)
      }))

    check(
      "P17: folded or deleted while it is read, it is whole or fails: it never ends as if that had been all",
      () =>
        Effect.gen(function*() {
          yield* createSession("s")
          yield* longTurn("t", "s")
          yield* readWhile("t", foldAll)
          yield* longTurn("u", "s")
          yield* readWhile("u", deleteSession)
        })
    )

    check("an export has it in full, between the others", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        yield* answered("a", "s", ["short"])
        yield* longTurn("t", "s")
        yield* answered("b", "s", ["after"])
        const session = yield* journal.session(sessionId("s"))
        const text = yield* Effect.flatMap(Transcript.encode(journal, session), Stream.mkString)
        const { messages } = JSON.parse(text) as Transcript.Transcript
        assert.deepStrictEqual(messages.map(({ role }) => role), [
          "user",
          "assistant",
          "user",
          "assistant",
          "user",
          "assistant"
        ])
        assert.isTrue(messages[3]?.parts[0]?.text === longText)
        assert.strictEqual(messages[5]?.parts[0]?.text, "after")
      }))

    check("history reads it where a context could hold it, and else only tells its size", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        yield* longTurn("t", "s")
        const history = journal.history({ sessionId: sessionId("s"), before: undefined, asOfTurn: undefined })
        const [whole] = (yield* history(undefined, longText.length * 2)).exchanges
        assert.deepStrictEqual(whole?.answer?.parts.map(({ type }) => type), ["text", "tool-call"])
        const [part] = whole?.answer?.parts ?? []
        assert.isTrue(part?.type === "text" && part.text === longText)
        const [left] = (yield* history(undefined, 1_000)).exchanges
        assert.deepStrictEqual(left?.answer?.parts, [])
        assert.isAbove(left?.answer?.unreadChars ?? 0, 1_000)
      }))
  })

  describe(`${name}: retention`, () => {
    check(
      "folds what ended before the time, oldest first, no more than asked, and nothing twice",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          yield* answered("a", "s", ["one"])
          yield* answered("b", "s", ["two"])
          yield* admit("open", "s")
          assert.strictEqual(yield* journal.foldTurns(at, foldedAt, 100), 0)
          assert.strictEqual(yield* journal.foldTurns(later, foldedAt, 1), 1)
          assert.strictEqual((yield* journal.turn(turnId("a"))).turn.foldedAt, foldedAt)
          assert.isUndefined((yield* journal.turn(turnId("b"))).turn.foldedAt)
          assert.strictEqual(yield* foldAll, 1)
          assert.strictEqual(yield* foldAll, 0)
          assert.isUndefined((yield* journal.turn(turnId("open"))).turn.foldedAt)
        })
    )

    check(
      "keeps the lifecycle events under their seqs, the turn, its message, usage and last checkpoint",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          yield* answered("t", "s", ["one ", "two"])
          const facts = Effect.gen(function*() {
            const { turn: { foldedAt: _, ...turn }, ...record } = yield* journal.turn(turnId("t"))
            return {
              turn,
              record,
              messages: (yield* journal.messages(sessionId("s"), all)).items,
              checkpoints: yield* journal.checkpoints(turnId("t")),
              usage: yield* journal.usage({ by: ["model"] })
            }
          })
          const before = yield* facts
          const events = yield* journal.readAfter(turnId("t"), 0, 100)
          yield* foldAll
          assert.deepStrictEqual(yield* facts, before)
          const left = yield* journal.readAfter(turnId("t"), 0, 100)
          const kept = events.filter(({ type }) => type !== "model.delta")
          assert.deepStrictEqual(
            left.map(({ json, seq }) => ({ json, seq })),
            kept.map(({ json, seq }) => ({ json, seq }))
          )
          assert.deepStrictEqual((yield* journal.readAfter(turnId("t"), 3, 1)).map(({ seq }) => seq), [6])
          const state = yield* journal.state(turnId("t"))
          assert.deepInclude(state, { status: "completed", lastSeq: before.turn.lastSeq, attempts: 1 })
        })
    )

    check(
      "following a folded turn is Gone and says where the message is; from its end there is nothing to miss",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          yield* answered("t", "s", ["one"])
          yield* foldAll
          const { turn } = yield* journal.turn(turnId("t"))
          for (const seq of [0, 3]) {
            const error = yield* Effect.flip(Stream.runDrain(journal.follow(turnId("t"), seq)))
            assert.deepInclude(error, { _tag: "Gone", turnId: "t", messageId: messageId("t-answer"), foldedAt })
          }
          assert.strictEqual(yield* Stream.runCount(journal.follow(turnId("t"), turn.lastSeq)), 0)
        })
    )

    check(
      "a session's stream passes over folded turns; a cursor inside one is Gone, at its end it goes on",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          yield* answered("a", "s", ["one"])
          yield* foldAll
          yield* answered("b", "s", ["two"])
          const read = (seq: number | undefined) =>
            journal.followSession(
              sessionId("s"),
              seq === undefined ? undefined : { turnId: turnId("a"), seq },
              false
            ).pipe(Stream.runCollect, Effect.map((events) => [...new Set([...events].map((event) => event.turnId))]))
          assert.deepStrictEqual(yield* read(undefined), [turnId("b")])
          assert.deepStrictEqual(yield* read(7), [turnId("b")])
          assert.deepInclude(yield* Effect.flip(read(4)), { _tag: "Gone", turnId: "a" })
        })
    )

    check("later contexts, resumes and deletes work as before", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        yield* answered("a", "s", ["one"])
        yield* answered("b", "s", ["two"])
        const history = (asOfTurn: string | undefined) =>
          Effect.map(
            journal.history({
              sessionId: sessionId("s"),
              before: asOfTurn === undefined ? undefined : messageId(`${asOfTurn}-question`),
              asOfTurn: asOfTurn === undefined ? undefined : turnId(asOfTurn)
            })(undefined, 1_000),
            ({ exchanges }) => exchanges.map(({ answer, user }) => [user.id, answer?.parts])
          )
        const before = [yield* history(undefined), yield* history("b")]
        yield* foldAll
        assert.deepStrictEqual([yield* history(undefined), yield* history("b")], before)
        assert.deepStrictEqual(
          yield* admit("c", "s", { link: { retryOf: "a", question: "a-question" } }),
          { _tag: "Started", turnId: turnId("c"), ahead: [] }
        )
        yield* append("c", "s", 2, answering("c", ["three"]))
        yield* journal.deleteSession(sessionId("s"))
        assert.isTrue(Either.isLeft(yield* Effect.either(journal.turn(turnId("a")))))
      }))

    check("P17: a folded answer that is deleted while it is read is whole or fails", () =>
      Effect.gen(function*() {
        yield* createSession("s")
        yield* longTurn("t", "s")
        yield* foldAll
        yield* readWhile("t", deleteSession)
      }))

    check("P17: a long answer outlives its events, piece by piece", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        yield* longTurn("t", "s")
        yield* foldAll
        assert.isTrue((yield* said("t", "text")) === longText)
        assert.strictEqual(yield* said("t", "reasoning"), "hm")
        const messages: ReadonlyArray<Message> = (yield* journal.messages(sessionId("s"), all)).items
        assert.deepInclude(messages[1], { whole: false })
        assert.deepInclude((yield* journal.checkpoints(turnId("t")))[0], { whole: false })
      }))
  })
}
