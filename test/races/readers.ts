/** Races of readers: joining anywhere, leaving anywhere, and a session that is deleted under them. */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { checkFollower } from "../../src/domain/Invariants.ts"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import { Journal } from "../../src/journal/Journal.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { type JournalKind, layerOf, makeDice, newSession } from "./engine.ts"
import { eventsOf, pause, tagOf } from "./rounds.ts"

/** Followers that join a turn, or its session, at any offset, while it speaks (P15, P1): exactly what follows, once. */
export const joins = (kind: JournalKind, count: number, perTurn = 50) =>
  Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    const journal = yield* Journal
    const dice = makeDice(2)
    const wrong: Array<string> = []
    const counts = { live: 0, replayed: 0 }
    for (let done = 0; done < count; done += perTurn) {
      const sessionId = yield* newSession
      const { turn } = yield* runtime.submit({ sessionId, message: "20" })
      const join = Effect.gen(function*() {
        yield* pause(dice(24), dice(6))
        const { turn: now } = yield* journal.turn(turn.id)
        const after = dice(4) === 0 ? now.lastSeq : dice(now.lastSeq + 1)
        if (now.status === "running") counts.live++
        else counts.replayed++
        const ofSession = dice(5) === 0
        const events = ofSession
          ? journal.followSession(sessionId, after === 0 ? undefined : { turnId: turn.id, seq: after }, true).pipe(
            Stream.takeUntil(({ type }) => TurnEvent.isTerminalType(type)),
            // a reader that has the end already would wait for the session's next turn
            (stream) => after > 0 && now.status !== "running" && after === now.lastSeq ? Stream.take(stream, 0) : stream
          )
          : journal.follow(turn.id, after)
        return { after, seen: Chunk.toReadonlyArray(yield* Stream.runCollect(events)) }
      })
      const readers = yield* Effect.forEach(Array.from({ length: perTurn }), () => join, { concurrency: "unbounded" })
      const stands = yield* journal.readAfter(turn.id, 0, 10_000)
      for (const { after, seen } of readers) {
        for (const { what } of checkFollower(seen, stands, { after, complete: true })) wrong.push(what)
      }
    }
    return { rounds: count, counts, wrong }
  }).pipe(Effect.provide(layerOf(kind)))

/** Readers that leave in the middle (P13): the turn goes on as if they had never been there. */
export const leavers = (kind: JournalKind, count: number, perTurn = 50) =>
  Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    const journal = yield* Journal
    const dice = makeDice(3)
    const wrong: Array<string> = []
    const counts = { left: 0 }
    for (let done = 0; done < count; done += perTurn) {
      const { turn } = yield* runtime.submit({ sessionId: yield* newSession, message: "12" })
      const leave = Effect.gen(function*() {
        const reader = yield* Effect.fork(Stream.runDrain(journal.follow(turn.id, 0)))
        yield* pause(dice(10), dice(8))
        yield* Fiber.interrupt(reader)
        counts.left++
      })
      yield* Effect.forEach(Array.from({ length: perTurn }), () => leave, { concurrency: "unbounded" })
      yield* eventsOf(turn.id)
      const { turn: ended } = yield* journal.turn(turn.id)
      if (ended.status !== "completed") wrong.push(`ended as ${ended.error?._tag} when its readers left`)
    }
    return { rounds: count, counts, wrong }
  }).pipe(Effect.provide(layerOf(kind)))

/** Deletion against a running turn: its readers are told, no row is left, nothing is written later. */
export const deletes = (kind: JournalKind, rounds: number) =>
  Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    const journal = yield* Journal
    const dice = makeDice(4)
    const wrong: Array<string> = []
    const counts = { told: 0, ended: 0 }
    for (let round = 0; round < rounds; round++) {
      const sessionId = yield* newSession
      const { turn } = yield* runtime.submit({ sessionId, message: "6" })
      const queued = yield* runtime.submit({ sessionId, message: "2", onBusy: "queue" })
      const followers = yield* Effect.forEach(
        [
          journal.follow(turn.id, 0),
          journal.follow(queued.turn.id, 0),
          journal.followSession(sessionId, undefined, true)
        ],
        (events) => Effect.fork(Effect.exit(Stream.runDrain(events)))
      )
      yield* pause(dice(14), dice(8))
      yield* runtime.deleteSession(sessionId)
      for (const [index, fiber] of followers.entries()) {
        const exit = yield* Fiber.join(fiber)
        const why = Exit.isSuccess(exit) ? "ended" : Cause.failureOption(exit.cause)
        if (why === "ended") counts.ended++
        else if (why._tag === "Some" && why.value._tag === "FollowEnded" && why.value.reason === "deleted") {
          counts.told++
        } else wrong.push(`follower ${index}: ${Exit.isSuccess(exit) ? "" : Cause.pretty(exit.cause).slice(0, 200)}`)
        // a turn's reader may have had the end; a session's has none
        if (index === 2 && why === "ended") wrong.push("a session's follower ended as if it were complete")
      }
      yield* pause(3, 3)
      for (const id of [turn.id, queued.turn.id]) {
        const left = tagOf(yield* Effect.exit(journal.turn(id)))
        if (left !== "TurnNotFound") wrong.push(`turn ${id} is still there: ${left}`)
      }
      if (tagOf(yield* Effect.exit(journal.session(sessionId))) !== "SessionNotFound") {
        wrong.push("the session is still there")
      }
    }
    const usage = yield* journal.usage({ by: [] })
    const running = yield* journal.runningTurns
    if (usage.some(({ turns }) => turns > 0) || running.length > 0) wrong.push("rows of deleted sessions are left")
    return { rounds, counts, wrong }
  }).pipe(Effect.provide(layerOf(kind)))
