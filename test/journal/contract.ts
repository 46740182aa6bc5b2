/** What every journal keeps. Each test gets a journal of its own. */
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Exchange } from "../../src/domain/History.ts"
import { textOf } from "../../src/domain/Message.ts"
import type { EventBody } from "../../src/domain/TurnEvent.ts"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import { type EventSink, Journal, type JournaledEvent } from "../../src/journal/Journal.ts"
import {
  admit,
  answered,
  answering,
  append,
  at,
  attempt,
  built,
  cancelled,
  checkpoint,
  completed,
  createSession,
  cutting,
  delta,
  imported,
  messageId,
  place,
  reasoning,
  refusedAtOnce,
  sessionId,
  started,
  turnId,
  used
} from "./fixtures.ts"

const everything = { cursor: undefined, limit: 10_000 }
const seqs = (events: Iterable<JournaledEvent>) => [...events].map((event) => event.seq)
const count = (n: number) => Array.from({ length: n }, (_, index) => index + 1)
const follow = (turn: string, seq: number) =>
  Stream.unwrap(Effect.map(Journal, (journal) => journal.follow(turnId(turn), seq)))
/** The same, as a sink gets it that takes four events before somebody reads them. */
const followInto = (turn: string, seq: number) =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const journal = yield* Journal
    const given = yield* Mailbox.make<JournaledEvent, Effect.Effect.Error<ReturnType<typeof journal.followInto>>>(4)
    const sink: EventSink = {
      write: (events) => {
        const rest = given.unsafeOfferAll(events)
        return Chunk.isEmpty(rest) ? undefined : Effect.asVoid(given.offerAll(rest))
      }
    }
    yield* Effect.forkScoped(Mailbox.into(journal.followInto(turnId(turn), seq, sink), given))
    return Mailbox.toStream(given)
  }))
const ways = { "as a stream": follow, "into a sink": followInto } as const
const followSession = (session: string, live: boolean, after?: { readonly turn: string; readonly seq: number }) =>
  Stream.unwrap(Effect.map(Journal, (journal) =>
    journal.followSession(
      sessionId(session),
      after === undefined ? undefined : { turnId: turnId(after.turn), seq: after.seq },
      live
    )))
/** A follower in a fiber of its own that has taken its first event: from here on it waits. */
const forkJoined = <E, R>(stream: Stream.Stream<JournaledEvent, E, R>) =>
  Effect.gen(function*() {
    const joined = yield* Deferred.make<void>()
    const fiber = yield* Effect.fork(collect(Stream.tap(stream, () => Deferred.succeed(joined, undefined))))
    yield* Deferred.await(joined)
    return fiber
  })
const collect = <E, R>(stream: Stream.Stream<JournaledEvent, E, R>) =>
  Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)

/** All history before a message, oldest first, as [question, answer] texts. */
const historyOf = (session: string, before: string | undefined, asOfTurn?: string) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const next = journal.history({
      sessionId: sessionId(session),
      before: before === undefined ? undefined : messageId(before),
      asOfTurn: asOfTurn === undefined ? undefined : turnId(asOfTurn)
    })
    const all: Array<Exchange> = []
    let cursor: number | undefined
    do {
      const page = yield* next(cursor, Number.MAX_SAFE_INTEGER)
      all.unshift(...page.exchanges.toReversed())
      cursor = page.cursor
    } while (cursor !== undefined)
    return all.map(({ answer, user }) => [textOf(user.parts), answer === undefined ? null : textOf(answer.parts)])
  })

/** Two sessions: one with two turns that their provider counted, one with a turn that was estimated. */
const twoThatSpent = Effect.gen(function*() {
  yield* createSession("a")
  yield* createSession("b")
  yield* answered("t1", "a", ["x"])
  yield* answered("t2", "a", ["x", "y"])
  yield* admit("t3", "b")
  yield* append("t3", "b", 2, [built, attempt(), delta("x"), used({ outputTokens: 5 }, "estimated"), completed("t3")])
})

export const contract = <E>(name: string, layer: Layer.Layer<Journal, E>): void => {
  const check = (title: string, body: () => Effect.Effect<unknown, unknown, Journal>, timeout = 20_000) =>
    it.effect(title, () => Effect.provide(body(), layer), timeout)

  describe(`${name}: imports`, () => {
    const session = (id: string) =>
      ({ id: sessionId(id), title: "old", provider: undefined, model: undefined, system: undefined, at }) as const
    const listed = Effect.flatMap(
      Journal,
      (journal) => Effect.map(journal.sessions(everything), ({ items }) => items.map(({ id }) => id))
    )
    /** Every message of a session, page by page. */
    const texts = (id: string) =>
      Effect.gen(function*() {
        const journal = yield* Journal
        const all: Array<string> = []
        let cursor: string | undefined
        do {
          const page = yield* journal.messages(sessionId(id), { cursor, limit: 10_000 })
          all.push(...page.items.map(({ parts }) => textOf(parts)))
          cursor = page.nextCursor
        } while (cursor !== undefined)
        return all
      })
    const many = 12_000
    const expected = count(many).map((n) => `message ${n}`)

    check("an import of many pieces is there whole, in its order", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        const created = yield* journal.createSession(session("big"), imported("big", many))
        assert.deepInclude(created, { id: sessionId("big"), title: "old", turnCount: 0, running: null })
        assert.deepStrictEqual(yield* texts("big"), expected)
        yield* answered("t", "big", ["live"])
        assert.strictEqual((yield* historyOf("big", undefined)).length, many / 2 + 1)
        yield* journal.deleteSession(sessionId("big"))
        assert.deepStrictEqual(yield* listed, [])
      }))

    check("nobody sees a session before its import is whole, and then it is the newest", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        const begun = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(
          journal.createSession(
            session("big"),
            imported("big", many, (n) => {
              if (n === 2_000) Deferred.unsafeDone(begun, Effect.void)
            })
          )
        )
        yield* Deferred.await(begun)
        yield* createSession("between")
        const missing = [
          journal.session(sessionId("big")),
          journal.messages(sessionId("big"), everything),
          journal.turns(sessionId("big"), everything),
          journal.updateSession(sessionId("big"), { title: "x" }, at),
          journal.deleteSession(sessionId("big")),
          admit("t", "big")
        ]
        for (const one of missing) {
          const error: { readonly _tag: string } = yield* Effect.flip<unknown, { readonly _tag: string }, Journal>(one)
          assert.strictEqual(error._tag, "SessionNotFound")
        }
        assert.deepStrictEqual(yield* listed, [sessionId("between")])
        assert.isNull(fiber.unsafePoll(), "it was over before anybody looked")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(yield* listed, [sessionId("between"), sessionId("big")])
        yield* createSession("after")
        assert.deepStrictEqual(yield* listed, ["between", "big", "after"].map(sessionId))
        assert.deepStrictEqual(yield* texts("big"), expected)
      }))

    check("two imports at once, and turns beside them, come out as one after the other", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        yield* Effect.all([
          journal.createSession(session("a"), imported("a", 5_000)),
          journal.createSession(session("b"), imported("b", 5_000)),
          answered("t", "s", ["x", "y"])
        ], { concurrency: "unbounded" })
        assert.sameMembers([...(yield* listed)], ["s", "a", "b"].map(sessionId))
        for (const id of ["a", "b"]) assert.deepStrictEqual(yield* texts(id), expected.slice(0, 5_000))
        assert.strictEqual((yield* journal.turn(turnId("t"))).turn.text, "xy")
      }))

    check(
      "an import that is given up in the middle leaves nothing, and the same may come again",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          const begun = yield* Deferred.make<void>()
          const fiber = yield* Effect.fork(
            journal.createSession(
              session("big"),
              imported("big", many, (n) => {
                if (n === 2_000) Deferred.unsafeDone(begun, Effect.void)
              })
            )
          )
          yield* Deferred.await(begun)
          yield* Fiber.interrupt(fiber)
          const broken = imported("bad", many, (n) => {
            if (n === 3_000) throw new Error("no more of it")
          })
          assert.isTrue((yield* Effect.exit(journal.createSession(session("bad"), broken)))._tag === "Failure")
          assert.deepStrictEqual(yield* listed, [])
          yield* journal.createSession(session("other"), imported("other", 3))
          assert.deepStrictEqual(yield* listed, [sessionId("other")])
        })
    )
  })

  describe(`${name}: turns`, () => {
    check("an admitted turn is there with its question, its options and its place", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        const admitted = yield* admit("t", "s")
        assert.deepStrictEqual(admitted, { _tag: "Started", turnId: turnId("t"), ahead: [] })
        const { options, turn } = yield* journal.turn(turnId("t"))
        assert.deepStrictEqual(options, { temperature: 0.5 })
        assert.deepStrictEqual(turn, {
          id: turnId("t"),
          sessionId: sessionId("s"),
          status: "running",
          phase: "accepted",
          text: "",
          reasoning: "",
          usage: null,
          lastSeq: 1,
          provider: "deterministic",
          model: "echo",
          attempts: 0,
          userMessageId: messageId("t-question"),
          startedAt: at
        })
        const session = yield* journal.session(sessionId("s"))
        assert.strictEqual(session.running, "t")
        assert.strictEqual(session.turnCount, 1)
      }))

    check("a turn shows its committed text while it runs and the same once it has ended", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        yield* admit("t", "s")
        yield* append("t", "s", 2, [built, attempt(), reasoning("hm"), delta("one "), delta("two")])
        const running = (yield* journal.turn(turnId("t"))).turn
        assert.deepInclude(running, {
          status: "running",
          phase: "streaming",
          text: "one two",
          reasoning: "hm",
          lastSeq: 6
        })
        yield* append("t", "s", 7, [used({ outputTokens: 2 }), checkpoint(1, 7), completed("t")])
        const ended = (yield* journal.turn(turnId("t"))).turn
        assert.deepInclude(ended, {
          status: "completed",
          phase: "completed",
          text: "one two",
          reasoning: "hm",
          lastSeq: 9,
          finishReason: "stop",
          attempts: 1,
          checkpoint: 1,
          messageId: messageId("t-answer"),
          endedAt: at
        })
        assert.strictEqual(ended.usage?.outputTokens, 2)
        assert.strictEqual((yield* journal.session(sessionId("s"))).running, null)
        assert.strictEqual((yield* journal.state(turnId("t"))).text, "one two")
        const { items } = yield* journal.messages(sessionId("s"), everything)
        assert.deepStrictEqual(items.map((item) => [item.role, item.state, item.parts]), [
          ["user", "complete", [{ type: "text", text: "question of t" }]],
          ["assistant", "complete", [{ type: "reasoning", text: "hm" }, { type: "text", text: "one two" }]]
        ])
      }))

    check("a cancelled turn keeps its partial; one without text has no message", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        yield* admit("t", "s")
        yield* append("t", "s", 2, cutting("t", ["half"]))
        yield* admit("u", "s")
        yield* append("u", "s", 2, [built, attempt(), cancelled("u", 0)])
        assert.deepInclude((yield* journal.turn(turnId("t"))).turn, { status: "failed", text: "half" })
        const { turn } = yield* journal.turn(turnId("u"))
        assert.deepInclude(turn, { status: "failed", text: "", attempts: 1 })
        assert.strictEqual(turn.error?._tag, "Cancelled")
        assert.isFalse("messageId" in turn)
        const { items } = yield* journal.messages(sessionId("s"), everything)
        assert.deepStrictEqual(items.map((item) => [item.id, item.state]), [
          [messageId("t-question"), "complete"],
          [messageId("t-answer"), "partial"],
          [messageId("u-question"), "complete"]
        ])
      }))

    check(
      "P2, P3: a gap, a foreign turn, a second start and an event after the end are refused, typed, and change nothing",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          yield* admit("t", "s")
          const refusal = (seq: number, bodies: ReadonlyArray<EventBody>) => Effect.flip(append("t", "s", seq, bodies))
          const errors = [
            yield* refusal(3, [built]),
            yield* refusal(2, [started("t")]),
            yield* refusal(2, [built, delta("before an attempt")]),
            yield* Effect.flip(append("none", "s", 1, [started("none")])),
            yield* Effect.flip(append("t", "other", 2, [built]))
          ]
          for (const error of errors) assert.deepInclude(error, { _tag: "JournalFailure", retryable: false })
          yield* append("t", "s", 2, answering("t", ["x"]))
          assert.include(String((yield* refusal(8, [delta("late")])).message), "nothing follows the end")
          assert.deepStrictEqual(seqs(yield* journal.readAfter(turnId("t"), 0, 100)), count(7))
        })
    )

    check(
      "a repeated append succeeds without writing, a longer one writes the rest, another content is refused",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          yield* admit("t", "s")
          const first = [built, attempt(), delta("a")]
          yield* append("t", "s", 2, first)
          yield* append("t", "s", 2, first)
          yield* append("t", "s", 2, [...first, delta("b")])
          assert.strictEqual((yield* journal.turn(turnId("t"))).turn.text, "ab")
          const error = yield* Effect.flip(append("t", "s", 4, [delta("other")]))
          assert.deepInclude(error, { _tag: "JournalFailure", retryable: false })
          const ending = [used({}), checkpoint(1, 6), completed("t")]
          yield* append("t", "s", 6, ending)
          yield* append("t", "s", 6, ending)
          assert.deepStrictEqual(seqs(yield* journal.readAfter(turnId("t"), 0, 100)), count(8))
        })
    )

    check("events are read in any slice, as the bytes that were encoded once", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        yield* admit("t", "s")
        const bodies = [built, attempt(), ...count(700).map((n) => delta(`line\n${n} é 日本 \u2028`))]
        for (let index = 0; index < bodies.length; index += 90) {
          yield* append("t", "s", 2 + index, bodies.slice(index, index + 90))
        }
        const events = place("t", "s", 1, [started("t"), ...bodies])
        const all = yield* journal.readAfter(turnId("t"), 0, 10_000)
        assert.deepStrictEqual(
          all.map((event) => event.json),
          events.map((event) => TurnEvent.json(TurnEvent.head("t", "s"), event.seq, TurnEvent.tail(event)))
        )
        assert.deepStrictEqual(all.map((event) => TurnEvent.decode(JSON.parse(event.json))), [...events])
        assert.deepStrictEqual(seqs(yield* journal.readAfter(turnId("t"), 100, 7)), count(107).slice(100))
        assert.deepStrictEqual(yield* journal.readAfter(turnId("t"), 703, 10), [])
        assert.strictEqual((yield* Effect.flip(journal.readAfter(turnId("no"), 0, 10)))._tag, "TurnNotFound")
      }))

    check(
      "P9: the same key and body is the same turn, another body is refused, another session does not see the key",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          yield* createSession("r")
          const keyed = (bodyHash: string) => ({ idempotency: { key: "k", bodyHash } })
          yield* admit("t", "s", keyed("h"))
          assert.deepStrictEqual(yield* admit("u", "s", keyed("h")), { _tag: "Existing", turnId: turnId("t") })
          assert.deepInclude(yield* Effect.flip(admit("u", "s", keyed("other"))), {
            _tag: "IdempotencyConflict",
            turnId: "t"
          })
          assert.strictEqual((yield* admit("v", "r", keyed("other")))._tag, "Started")
          assert.deepStrictEqual(yield* journal.byKey(sessionId("s"), "k"), { turnId: turnId("t"), bodyHash: "h" })
          assert.strictEqual(yield* journal.byKey(sessionId("s"), "none"), undefined)
          assert.strictEqual((yield* journal.session(sessionId("s"))).turnCount, 1)
        })
    )

    check("P9: of 100 callers at once with one key, one makes the turn", () =>
      Effect.gen(function*() {
        yield* createSession("s")
        const results = yield* Effect.forEach(
          count(100),
          (n) => admit(`t${n}`, "s", { idempotency: { key: "k", bodyHash: "h" } }),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(results.filter((one) => one._tag === "Started").length, 1)
        assert.strictEqual(new Set(results.map((one) => "turnId" in one ? one.turnId : one._tag)).size, 1)
      }))

    check(
      "a busy session refuses, queues in order up to its limit, or lets the new turn supersede",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          yield* admit("t1", "s")
          assert.deepInclude(yield* Effect.flip(admit("t2", "s")), { reason: "session-busy", turnId: "t1" })
          const queue = { onBusy: "queue", queueMax: 2 } as const
          assert.deepStrictEqual(yield* admit("t2", "s", queue), {
            _tag: "Started",
            turnId: turnId("t2"),
            ahead: [turnId("t1")]
          })
          yield* admit("t3", "s", queue)
          assert.deepInclude(yield* Effect.flip(admit("t4", "s", queue)), { reason: "queue-full", turnId: "t1" })
          const refused = place("t5", "s", 1, [started("t5"), refusedAtOnce])
          assert.strictEqual((yield* admit("t5", "s", { ...queue, events: refused }))._tag, "Started")
          const last = yield* admit("t6", "s", { onBusy: "supersede" })
          assert.deepInclude(last, { ahead: [turnId("t1"), turnId("t2"), turnId("t3")] })
          const places = yield* Effect.forEach(["t1", "t2", "t3", "t6"], (id) => journal.turn(turnId(id)))
          assert.deepStrictEqual(places.map(({ turn }) => turn.queuePosition), [undefined, 1, 2, 3])
          assert.deepStrictEqual(yield* journal.runningTurns, ["t1", "t2", "t3", "t6"].map(turnId))
          yield* append("t1", "s", 2, [built, attempt(), cancelled("t1", 0)])
          assert.strictEqual((yield* journal.session(sessionId("s"))).running, "t2")
          assert.strictEqual((yield* journal.turn(turnId("t2"))).turn.queuePosition, undefined)
        })
    )

    check(
      "a turn that is to be alone begins with its context and its first attempt, or is not written at all",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          const opening = (turn: string) => ({
            alone: true,
            events: place(turn, "s", 1, [started(turn), built, attempt()]),
            contents: [{ hash: "h1", content: "one" }]
          })
          assert.deepStrictEqual(yield* admit("t1", "s", opening("t1")), {
            _tag: "Started",
            turnId: turnId("t1"),
            ahead: []
          })
          const { turn } = yield* journal.turn(turnId("t1"))
          assert.deepInclude(turn, { status: "running", phase: "calling-model", attempts: 1, lastSeq: 3 })
          assert.deepStrictEqual([...yield* journal.contents(sessionId("s"), ["h1"])], [["h1", "one"]])
          assert.deepStrictEqual(yield* admit("t1", "s", opening("t1")), {
            _tag: "Started",
            turnId: turnId("t1"),
            ahead: []
          })
          for (const onBusy of ["queue", "supersede", "reject"] as const) {
            assert.deepStrictEqual(yield* admit("t2", "s", { ...opening("t2"), onBusy }), { _tag: "Occupied" })
          }
          assert.strictEqual((yield* Effect.flip(journal.turn(turnId("t2"))))._tag, "TurnNotFound")
          yield* append("t1", "s", 4, [cancelled("t1", 0)])
          assert.strictEqual((yield* admit("t2", "s", opening("t2")))._tag, "Started")
        })
    )

    check(
      "a turn refused at once is ended and keeps its question, also beside a running turn",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          yield* admit("t", "s", { events: place("t", "s", 1, [started("t"), refusedAtOnce]) })
          const { turn } = yield* journal.turn(turnId("t"))
          assert.deepInclude(turn, { status: "failed", lastSeq: 2, attempts: 0 })
          assert.deepStrictEqual(yield* journal.runningTurns, [])
          assert.strictEqual((yield* journal.messages(sessionId("s"), everything)).items.length, 1)
          assert.deepStrictEqual(seqs(yield* collect(follow("t", 0))), [1, 2])
        })
    )

    check(
      "a turn has one resume and one retry; a running parent and the resume of a completed one are refused",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          yield* createSession("other")
          yield* admit("p", "s")
          const resume = { link: { resumedFrom: "p", question: "p-question" }, onBusy: "queue" } as const
          const retry = { link: { retryOf: "p", question: "p-question" } } as const
          assert.deepInclude(yield* Effect.flip(admit("c", "s", resume)), { reason: "parent-running", turnId: "p" })
          yield* append("p", "s", 2, cutting("p", ["half "]))
          assert.strictEqual((yield* Effect.flip(admit("c", "other", resume)))._tag, "TurnNotFound")
          assert.strictEqual((yield* admit("c", "s", resume))._tag, "Started")
          assert.deepStrictEqual(yield* admit("c2", "s", resume), { _tag: "Existing", turnId: turnId("c") })
          yield* append("c", "s", 2, answering("c", ["done"]))
          assert.strictEqual((yield* admit("r", "s", retry))._tag, "Started")
          assert.deepStrictEqual(yield* admit("r2", "s", retry), { _tag: "Existing", turnId: turnId("r") })
          const record = yield* journal.turn(turnId("p"))
          assert.deepInclude(record, { resumedBy: turnId("c"), retriedBy: turnId("r") })
          const again = { link: { resumedFrom: "c", question: "p-question" } } as const
          assert.deepInclude(yield* Effect.flip(admit("x", "s", again)), { reason: "parent-completed", turnId: "c" })
        })
    )

    check("a repeat of the very same admission finds the turn that it made", () =>
      Effect.gen(function*() {
        yield* createSession("s")
        const first = yield* admit("t", "s")
        assert.deepStrictEqual(yield* admit("t", "s"), first)
      }))

    check("a submit to no session is refused", () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* Effect.flip(admit("t", "none")))._tag, "SessionNotFound")
      }))

    check("checkpoints give the text, usage and context at their seq", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        yield* admit("t", "s")
        yield* append("t", "s", 2, [built, attempt(), delta("one "), checkpoint(1, 4), delta("two")])
        yield* append("t", "s", 7, [used({ outputTokens: 2 }), checkpoint(2, 7), completed("t")])
        const found = yield* journal.checkpoints(turnId("t"))
        assert.deepStrictEqual(
          found.map((one) => [one.checkpoint, one.seq, one.text, one.usage?.outputTokens ?? null, one.contextHash]),
          [[1, 4, "one ", null, "context-hash"], [2, 7, "one two", 2, "context-hash"]]
        )
      }))

    check("P21: order does not depend on the clock", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        yield* admit("t", "s", { events: place("t", "s", 1, [started("t")], "2030-01-01T00:00:00.000Z") })
        yield* append("t", "s", 2, answering("t", ["first"]))
        yield* admit("u", "s", { events: place("u", "s", 1, [started("u")], "2001-01-01T00:00:00.000Z") })
        yield* append("u", "s", 2, answering("u", ["second"]))
        const { items } = yield* journal.turns(sessionId("s"), everything)
        assert.deepStrictEqual(items.map((turn) => turn.text), ["first", "second"])
        const stream = yield* collect(followSession("s", false))
        assert.deepStrictEqual(stream.map((event) => event.turnId).filter((id, i, all) => id !== all[i - 1]), [
          turnId("t"),
          turnId("u")
        ])
      }))
  })

  describe(`${name}: sessions`, () => {
    check("settings are kept, patched and cleared", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        const made = yield* journal.createSession({
          id: sessionId("s"),
          title: "a",
          provider: "p",
          model: undefined,
          system: "be brief",
          at
        })
        assert.deepStrictEqual(made, {
          id: sessionId("s"),
          title: "a",
          provider: "p",
          system: "be brief",
          createdAt: at,
          updatedAt: at,
          turnCount: 0,
          running: null
        })
        const later = "2026-01-03T00:00:00.000Z"
        const patched = yield* journal.updateSession(sessionId("s"), { title: "b", system: null, model: "m" }, later)
        assert.deepStrictEqual(patched, {
          id: sessionId("s"),
          title: "b",
          provider: "p",
          model: "m",
          createdAt: at,
          updatedAt: later,
          turnCount: 0,
          running: null
        })
        const error = yield* Effect.flip(journal.updateSession(sessionId("none"), {}, later))
        assert.strictEqual(error._tag, "SessionNotFound")
      }))

    check("lists are paged without loss or repeat", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* Effect.forEach(count(7), (n) => createSession(`s${n}`))
        for (const n of count(5)) yield* answered(`t${n}`, "s1", ["x"])
        const walk = (
          next: (cursor: string | undefined) => Effect.Effect<
            { readonly items: ReadonlyArray<{ readonly id: string }>; readonly nextCursor?: string },
            unknown
          >
        ) =>
          Effect.gen(function*() {
            const sizes: Array<number> = []
            const ids: Array<string> = []
            let cursor: string | undefined
            do {
              const page = yield* next(cursor)
              sizes.push(page.items.length)
              ids.push(...page.items.map((item) => item.id))
              cursor = page.nextCursor
            } while (cursor !== undefined)
            return { sizes, ids }
          })
        const sessions = yield* walk((cursor) => journal.sessions({ cursor, limit: 3 }))
        assert.deepStrictEqual(sessions, { sizes: [3, 3, 1], ids: count(7).map((n) => `s${n}`) })
        const turns = yield* walk((cursor) => journal.turns(sessionId("s1"), { cursor, limit: 5 }))
        assert.deepStrictEqual(turns, { sizes: [5], ids: count(5).map((n) => `t${n}`) })
        const messages = yield* walk((cursor) => journal.messages(sessionId("s1"), { cursor, limit: 4 }))
        assert.deepStrictEqual(messages, {
          sizes: [4, 4, 2],
          ids: count(5).flatMap((n) => [`t${n}-question`, `t${n}-answer`])
        })
        const error = yield* Effect.flip(journal.sessions({ cursor: "x", limit: 3 }))
        assert.deepInclude(error, { _tag: "JournalFailure", reason: "a malformed cursor" })
      }))

    check(
      "an answer stands after its question, also when a later question was queued before it ended",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          yield* admit("t1", "s")
          yield* admit("t2", "s", { onBusy: "queue" })
          yield* append("t1", "s", 2, answering("t1", ["a1"]))
          yield* append("t2", "s", 2, answering("t2", ["a2"]))
          const { items } = yield* journal.messages(sessionId("s"), everything)
          assert.deepStrictEqual(items.map((item) => textOf(item.parts)), [
            "question of t1",
            "a1",
            "question of t2",
            "a2"
          ])
        })
    )

    check(
      "deleting a session removes every trace, ends its followers and leaves others alone",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("s")
          yield* createSession("kept")
          yield* answered("t", "s", ["x"])
          yield* admit("open", "s")
          yield* answered("k", "kept", ["y"])
          const followers = [
            yield* forkJoined(followSession("s", true)),
            yield* forkJoined(follow("open", 0))
          ]
          yield* journal.deleteSession(sessionId("s"))
          for (const fiber of followers) {
            assert.deepInclude(yield* Effect.flip(Fiber.join(fiber)), { _tag: "FollowEnded", reason: "deleted" })
          }
          assert.strictEqual((yield* Effect.flip(journal.session(sessionId("s"))))._tag, "SessionNotFound")
          assert.strictEqual((yield* Effect.flip(journal.turn(turnId("t"))))._tag, "TurnNotFound")
          assert.strictEqual((yield* Effect.flip(collect(follow("t", 0))))._tag, "TurnNotFound")
          assert.strictEqual((yield* Effect.flip(journal.deleteSession(sessionId("s"))))._tag, "SessionNotFound")
          assert.strictEqual((yield* journal.turn(turnId("k"))).turn.text, "y")
          assert.deepStrictEqual((yield* journal.usage({ by: ["session"] })).map((one) => one.by.session), ["kept"])
        })
    )

    check("usage is summed by group, an unknown count stays unknown", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        assert.deepStrictEqual(yield* journal.usage({ by: [] }), [])
        yield* twoThatSpent
        const bySession = yield* journal.usage({ by: ["session"] })
        assert.deepStrictEqual(
          bySession.map((
            { by, turns, usage }
          ) => [by, turns, usage.inputTokens, usage.outputTokens, usage.totalTokens]),
          [[{ session: "a" }, 2, 2, 3, 5], [{ session: "b" }, 1, null, 5, null]]
        )
        const byDay = yield* journal.usage({ by: ["day", "model"] })
        assert.deepStrictEqual(byDay.map(({ by, turns }) => [by, turns]), [[{ day: "2026-01-02", model: "echo" }, 3]])
        assert.strictEqual((yield* journal.usage({ by: [] }))[0]?.usage.outputTokens, 8)
        assert.strictEqual((yield* journal.turn(turnId("t3"))).turn.usage, null)
        const bySource = yield* journal.usage({ by: ["source", "turn"], where: { session: "a" }, skip: 1, limit: 5 })
        assert.deepStrictEqual(bySource.map((one) => one.by), [{ source: "deterministic", turn: "t2" }])
        const none = { turn: "t3", provider: "other" }
        assert.deepStrictEqual(yield* journal.usage({ by: ["turn"], where: none }), [])
        assert.lengthOf(yield* journal.usage({ by: ["turn"], where: { from: "2026-01-02", to: "2026-01-02" } }), 3)
        assert.deepStrictEqual(yield* journal.usage({ by: ["turn"], where: { to: "2026-01-01" } }), [])
        assert.deepStrictEqual(yield* journal.usage({ by: [], where: { from: "2026-01-03" } }), [])
      }))

    check("cost is the sum of what is known, and unknown where nothing is", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        const priced = (turn: string, cost: number | undefined, contextPercent: number | null) =>
          Effect.gen(function*() {
            yield* admit(turn, "s")
            const more = { contextPercent, ...(cost === undefined ? {} : { cost }) }
            const usage = used({ inputTokens: 1, outputTokens: 2 }, "reported", more)
            yield* append(turn, "s", 2, [built, attempt(), delta("x"), usage, completed(turn)])
          })
        yield* priced("t1", 0.1, 12.5)
        yield* priced("t2", 0.2, null)
        yield* priced("t3", undefined, 3)
        const [all] = yield* journal.usage({ by: [] })
        assert.deepInclude(all, { attempts: 3, costNanos: 300_000_000, unpriced: 1, contextPercent: 12.5 })
        // three of the largest that a row holds, which is more than an integer does
        for (const turn of ["t4", "t5", "t6"]) yield* priced(turn, 9_007_199, 0)
        const [large] = yield* journal.usage({ by: [] })
        assert.closeTo((large?.costNanos ?? 0) / 1e9, 3 * 9_007_199 + 0.3, 1e-3)
        const [unknown] = yield* journal.usage({ by: ["turn"], where: { turn: "t3" } })
        assert.deepInclude(unknown, { costNanos: undefined, unpriced: 1 })
      }))

    check(
      "what is spent counts every attempt, and a day keeps what a deleted session spent",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          const day = "2026-01-02"
          const spent = (session: string | undefined) =>
            Effect.map(
              journal.spent(
                session === undefined ? { session, fullest: true, day } : { session: sessionId(session), day }
              ),
              (found) => [found.session, found.day]
            )
          assert.deepStrictEqual(yield* spent("a"), [0, 0])
          yield* twoThatSpent
          assert.deepStrictEqual(yield* spent("a"), [5, 10])
          assert.deepStrictEqual(yield* spent("b"), [5, 10])
          assert.deepStrictEqual(yield* spent(undefined), [5, 10])
          assert.deepStrictEqual(yield* spent("nobody"), [0, 10])
          yield* journal.deleteSession(sessionId("a"))
          assert.deepStrictEqual(yield* spent("a"), [0, 10])
          assert.strictEqual((yield* journal.spent({ session: undefined, day: "2026-01-03" })).day, 0)
        })
    )

    check("a turn's span is kept with it, and its commits are told", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" }
        yield* admit("t1", "s", { trace })
        yield* admit("t2", "s", { onBusy: "queue" })
        assert.deepStrictEqual((yield* journal.turn(turnId("t1"))).trace, trace)
        assert.isUndefined((yield* journal.turn(turnId("t2"))).trace)
        const ids = ["t1", "t2", "nobody"].map(turnId)
        assert.deepStrictEqual([...(yield* journal.traces(ids))], [["t1", trace]])
        yield* append("t1", "s", 2, [built, attempt(), delta("x")])
        yield* append("t1", "s", 5, [delta("y")])
        const commits = yield* journal.commits(turnId("t1"), 0, 10)
        assert.deepStrictEqual(commits.map(({ firstSeq, lastSeq }) => [firstSeq, lastSeq]), [[1, 1], [2, 4], [5, 5]])
        assert.isTrue(commits.every(({ chars }) => chars > 0))
        assert.lengthOf(yield* journal.commits(turnId("t1"), 1, 1), 1)
        assert.strictEqual((yield* Effect.flip(journal.commits(turnId("nobody"), 0, 1)))._tag, "TurnNotFound")
      }))
  })

  describe(`${name}: history`, () => {
    check(
      "of sibling answers the newest completed counts; refused questions stay out, failed ones stay in",
      () =>
        Effect.gen(function*() {
          yield* createSession("s")
          yield* answered("t1", "s", ["old"])
          yield* answered("t1b", "s", ["new"], { link: { retryOf: "t1", question: "t1-question" } })
          yield* admit("t2", "s", { events: place("t2", "s", 1, [started("t2"), refusedAtOnce]) })
          yield* admit("t3", "s")
          yield* append("t3", "s", 2, cutting("t3", ["partial"]))
          yield* admit("t4", "s")
          const expected = [["question of t1", "new"], ["question of t3", null]]
          assert.deepStrictEqual(yield* historyOf("s", "t4-question"), expected)
          assert.deepStrictEqual(yield* historyOf("s", "t1-question"), [])
          assert.deepStrictEqual(yield* historyOf("s", undefined), [...expected, ["question of t4", null]])
        })
    )

    check("a resumed answer is its whole chain of partials, joined", () =>
      Effect.gen(function*() {
        yield* createSession("s")
        yield* admit("t1", "s")
        yield* append("t1", "s", 2, cutting("t1", ["one "]))
        yield* admit("t2", "s", { link: { resumedFrom: "t1", question: "t1-question" } })
        yield* append("t2", "s", 2, cutting("t2", ["two "]))
        yield* answered("t3", "s", ["three"], { link: { resumedFrom: "t2", question: "t1-question" } })
        assert.deepStrictEqual(yield* historyOf("s", undefined), [["question of t1", "one two three"]])
      }))

    check("a rebuild sees the history as it was when the context was built", () =>
      Effect.gen(function*() {
        yield* createSession("s")
        yield* admit("t1", "s")
        yield* admit("t2", "s", { onBusy: "queue" })
        yield* append("t1", "s", 2, answering("t1", ["first"]))
        yield* append("t2", "s", 2, answering("t2", ["x"]))
        const before = yield* historyOf("s", "t2-question", "t2")
        yield* answered("t1b", "s", ["another"], { link: { retryOf: "t1", question: "t1-question" } })
        assert.deepStrictEqual(before, [["question of t1", "first"]])
        assert.deepStrictEqual(yield* historyOf("s", "t2-question", "t2"), before)
        assert.deepStrictEqual(yield* historyOf("s", "t2-question"), [["question of t1", "another"]])
      }))

    check(
      "imported messages pair up in order and none is lost, over any number of pages",
      () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          const roles = [
            "assistant",
            "user",
            "user",
            "assistant",
            "assistant",
            ...count(100).flatMap(() => ["user", "assistant"] as const)
          ] as const
          yield* journal.createSession(
            { id: sessionId("s"), title: undefined, provider: undefined, model: undefined, system: undefined, at },
            roles.map((role, index) => ({
              id: messageId(`m${index}`),
              role,
              parts: [{ type: "text" as const, text: `${role} ${index}` }]
            }))
          )
          yield* answered("t", "s", ["live"])
          const history = yield* historyOf("s", undefined)
          assert.deepStrictEqual(history.slice(0, 4), [
            ["assistant 0", null],
            ["user 1", null],
            ["user 2", "assistant 3"],
            ["assistant 4", null]
          ])
          assert.deepStrictEqual(history.slice(4), [
            ...count(100).map((n) => [`user ${3 + 2 * n}`, `assistant ${4 + 2 * n}`]),
            ["question of t", "live"]
          ])
        })
    )

    check("contents of context slots are stored once per session and hash", () =>
      Effect.gen(function*() {
        const journal = yield* Journal
        yield* createSession("s")
        yield* admit("t", "s")
        const contents = [{ hash: "h1", content: "one" }, { hash: "h2", content: "two" }]
        yield* journal.append({ turnId: turnId("t"), events: place("t", "s", 2, [built]), contents })
        yield* journal.append({ turnId: turnId("t"), events: place("t", "s", 3, [attempt()]), contents })
        const found = yield* journal.contents(sessionId("s"), ["h1", "h2", "h3"])
        assert.deepStrictEqual([...found.entries()].sort(), [["h1", "one"], ["h2", "two"]])
        assert.strictEqual((yield* journal.contents(sessionId("other"), ["h1"])).size, 0)
      }))
  })

  for (const [way, follow] of Object.entries(ways)) {
    describe(`${name}: followers ${way}`, () => {
      check(
        "P15: a follower that joins anywhere, at any time, gets exactly the events after its cursor",
        () =>
          Effect.gen(function*() {
            const journal = yield* Journal
            const total = 60
            let run = 0
            const one = (join: number, cursor: number, steps: ReadonlyArray<number>) =>
              Effect.gen(function*() {
                const [session, turn] = [`s${++run}`, `t${run}`]
                yield* createSession(session)
                yield* admit(turn, session)
                const bodies = [built, attempt(), ...count(total).map((n) => delta(`${n} `)), used({}), completed(turn)]
                const last = bodies.length + 1
                const from = Math.min(cursor, join + 1)
                let follower: Fiber.RuntimeFiber<ReadonlyArray<JournaledEvent>, unknown> | undefined
                let seq = 2
                for (let index = 0; seq <= last; index++) {
                  if (follower === undefined && seq > join) follower = yield* Effect.fork(collect(follow(turn, from)))
                  const size = steps[index % steps.length] ?? 1
                  yield* append(turn, session, seq, bodies.slice(seq - 2, seq - 2 + size))
                  seq += size
                }
                const events = follower === undefined ? yield* collect(follow(turn, from)) : yield* Fiber.join(follower)
                assert.deepStrictEqual(seqs(events), count(last).slice(from))
                const stored = yield* journal.readAfter(turnId(turn), from, last)
                assert.deepStrictEqual(events.map((event) => event.json), stored.map((event) => event.json))
              })
            const samples = FastCheck.sample(
              FastCheck.tuple(
                FastCheck.integer({ min: 1, max: total + 4 }),
                FastCheck.integer({ min: 0, max: total }),
                FastCheck.array(FastCheck.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 })
              ),
              { numRuns: 150, seed: 42 }
            )
            yield* Effect.forEach(samples, ([join, cursor, steps]) => one(join, cursor, steps), { discard: true })
          }),
        60_000
      )

      check(
        "a follower at the head gets a commit as one chunk, and the live bytes are the replayed bytes",
        () =>
          Effect.gen(function*() {
            yield* createSession("s")
            yield* admit("t", "s")
            const taken = yield* Queue.bounded<Chunk.Chunk<JournaledEvent>>(16)
            yield* Effect.fork(Stream.runForEach(Stream.chunks(follow("t", 0)), (chunk) => Queue.offer(taken, chunk)))
            const live = [yield* Queue.take(taken)]
            yield* append("t", "s", 2, [built, attempt(), delta("a"), delta("b")])
            live.push(yield* Queue.take(taken))
            yield* append("t", "s", 6, [used({}), completed("t")])
            live.push(yield* Queue.take(taken))
            if (way === "as a stream") {
              assert.deepStrictEqual(live.map((chunk) => seqs(chunk)), [[1], [2, 3, 4, 5], [6, 7]])
            }
            const replayed = yield* collect(follow("t", 0))
            assert.deepStrictEqual(
              replayed.map((one) => one.json),
              live.flatMap((chunk) => [...chunk]).map((one) => one.json)
            )
          })
      )

      check(
        "a follower of an ended turn gets the rest and ends; after the end it gets nothing",
        () =>
          Effect.gen(function*() {
            yield* createSession("s")
            yield* answered("t", "s", ["a", "b"])
            assert.deepStrictEqual(seqs(yield* collect(follow("t", 0))), count(8))
            assert.deepStrictEqual(seqs(yield* collect(follow("t", 6))), [7, 8])
            assert.deepStrictEqual(seqs(yield* collect(follow("t", 8))), [])
            assert.strictEqual((yield* Effect.flip(collect(follow("none", 0))))._tag, "TurnNotFound")
          })
      )

      check(
        "P17: a reader that takes nothing delays neither the turn nor other readers, and gets all of it later",
        () =>
          Effect.gen(function*() {
            yield* createSession("s")
            yield* admit("t", "s")
            const gate = Effect.unsafeMakeLatch(false)
            const slow = yield* Effect.fork(collect(Stream.tap(follow("t", 0), () => gate.await)))
            const fast = yield* Effect.fork(collect(follow("t", 0)))
            const text = "x".repeat(1000)
            const bodies = [built, attempt(), ...count(900).map((n) => delta(`${n} ${text}`)), used({}), completed("t")]
            for (let index = 0; index < bodies.length; index += 25) {
              yield* append("t", "s", 2 + index, bodies.slice(index, index + 25))
            }
            assert.deepStrictEqual(seqs(yield* Fiber.join(fast)), count(bodies.length + 1))
            yield* gate.open
            assert.deepStrictEqual(seqs(yield* Fiber.join(slow)), count(bodies.length + 1))
          })
      )

      check(
        "a session's stream holds every event in commit order, resumes after any event, and stays open between turns",
        () =>
          Effect.gen(function*() {
            yield* createSession("s")
            yield* createSession("noise")
            yield* answered("t1", "s", ["a"])
            const live = yield* Effect.fork(collect(Stream.take(followSession("s", true), 21)))
            yield* answered("n1", "noise", ["x"])
            yield* answered("t2", "s", ["b"])
            yield* answered("n2", "noise", ["x"])
            yield* answered("t3", "s", ["c"])
            const expected = ["t1", "t2", "t3"].flatMap((id) => count(7).map((seq) => `${id}.${seq}`))
            const names = (events: ReadonlyArray<JournaledEvent>) =>
              events.map((event) => `${event.turnId}.${event.seq}`)
            assert.deepStrictEqual(names(yield* Fiber.join(live)), expected)
            for (let index = 0; index < expected.length; index++) {
              const [turn = "", seq = ""] = expected[index]?.split(".") ?? []
              const rest = yield* collect(followSession("s", false, { turn, seq: Number(seq) }))
              assert.deepStrictEqual(names(rest), expected.slice(index + 1))
            }
            const error = yield* Effect.flip(collect(followSession("s", false, { turn: "n1", seq: 1 })))
            assert.strictEqual(error._tag, "TurnNotFound")
            assert.strictEqual((yield* Effect.flip(collect(followSession("no", true))))._tag, "SessionNotFound")
          })
      )

      check(
        "ending all followers ends each after what is committed, also those that come later",
        () =>
          Effect.gen(function*() {
            const journal = yield* Journal
            yield* createSession("s")
            yield* admit("t", "s")
            const waiting = yield* forkJoined(follow("t", 0))
            const open = yield* forkJoined(followSession("s", true))
            yield* journal.endFollowers("shutdown")
            assert.deepInclude(yield* Effect.flip(Fiber.join(waiting)), { reason: "shutdown" })
            assert.deepInclude(yield* Effect.flip(Fiber.join(open)), { reason: "shutdown" })
            const seen: Array<number> = []
            const late = yield* Effect.flip(
              Stream.runForEach(follow("t", 0), (event) => Effect.sync(() => seen.push(event.seq)))
            )
            assert.deepInclude(late, { reason: "shutdown" })
            assert.deepStrictEqual(seen, [1])
          })
      )

      check("ending one turn's followers leaves the others", () =>
        Effect.gen(function*() {
          const journal = yield* Journal
          yield* createSession("a")
          yield* createSession("b")
          yield* admit("t", "a")
          yield* admit("u", "b")
          const broken = yield* forkJoined(follow("t", 0))
          const whole = yield* forkJoined(follow("u", 0))
          yield* journal.endFollowers("storage", turnId("t"))
          assert.deepInclude(yield* Effect.flip(Fiber.join(broken)), { reason: "storage" })
          yield* append("u", "b", 2, answering("u", ["x"]))
          assert.deepStrictEqual(seqs(yield* Fiber.join(whole)), count(7))
        }))
    })
  }
}
