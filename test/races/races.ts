/**
 * Races that an engine must win, each as many rounds as asked: a few hundred in the tests, thousands by `npm run races`.
 * Each answers with what it counted; what breaks a promise is in `wrong`.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { SessionId, TurnId } from "../../src/domain/Ids.ts"
import { checkJournal, checkSession } from "../../src/domain/Invariants.ts"
import { Journal } from "../../src/journal/Journal.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import {
  type JournalKind,
  layerOf,
  layerOn,
  makeCounter,
  makeDice,
  newSession,
  terminals,
  textOf,
  withFolder
} from "./engine.ts"
import { eventsOf, parsed, pause, tagOf } from "./rounds.ts"

/**
 * Cancel against completion (P12). The aim follows the outcomes: later after a cancel that won, earlier after one that
 * came too late, so that most rounds are decided by a hair.
 */
export const cancelAgainstCompletion = (kind: JournalKind, rounds: number) =>
  Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    const dice = makeDice(1)
    const counts = { cancelled: 0, completed: 0 }
    const wrong: Array<string> = []
    let sessionId = yield* newSession
    let aim = 3
    for (let round = 0; round < rounds; round++) {
      // a context that grows would slow the rounds down
      if (round % 10 === 9) sessionId = yield* newSession
      const { turn } = yield* runtime.submit({ sessionId, message: "3" })
      yield* pause(Math.max(0, aim + dice(3) - 1), dice(12))
      const told = yield* runtime.cancel(turn.id)
      const events = yield* eventsOf(turn.id)
      yield* pause(2, 2)
      const after = yield* eventsOf(turn.id)
      const ends = terminals(events)
      const due = told.status === "completed" ? "turn.completed" : "turn.failed"
      if (told.status === "running" || ends.length !== 1 || ends[0] !== due || events.at(-1)?.type !== due) {
        wrong.push(`cancel answered ${told.status} ${told.error?._tag ?? ""}; the journal has ${ends.join(", ")}`)
      }
      if (after.length !== events.length) wrong.push("something followed the end")
      for (const { what } of checkJournal(parsed(events), { ended: true })) wrong.push(what)
      if (told.status === "completed") {
        counts.completed++
        aim = Math.max(0, aim - 1)
      } else {
        if (told.error?._tag !== "Cancelled") wrong.push(`ended as ${told.error?._tag}`)
        counts.cancelled++
        aim++
      }
    }
    return { rounds, counts, wrong }
  }).pipe(Effect.provide(layerOf(kind)))

/** 100 callers with one idempotency key at once (P9); in every fifth round the process restarts between them. */
export const sameKey = (rounds: number, callers = 100) =>
  withFolder((dataDir) =>
    Effect.gen(function*() {
      const counter = makeCounter()
      const wrong: Array<string> = []
      const counts = { calls: 0, restarts: 0 }
      const callAll = (sessionId: SessionId, key: string, count: number) =>
        Effect.flatMap(TurnRuntime, (runtime) =>
          Effect.forEach(
            Array.from({ length: count }),
            () => runtime.submit({ sessionId, message: "2", idempotencyKey: key, onBusy: "queue" }),
            { concurrency: "unbounded" }
          ))
      const life = <A, E>(body: Effect.Effect<A, E, TurnRuntime | Journal>) =>
        Effect.provide(body, layerOn(dataDir, counter))
      const judge = (
        round: number,
        before: number,
        all: ReadonlyArray<{ readonly turn: { readonly id: TurnId }; readonly existing: boolean }>
      ) => {
        const turns = new Set(all.map(({ turn }) => turn.id)).size
        const made = all.filter(({ existing }) => !existing).length
        const calls = counter.calls - before
        counts.calls += calls
        if (turns !== 1 || made !== 1 || calls !== 1 || all.length !== callers) {
          wrong.push(`round ${round}: ${all.length} answers, ${turns} turns, ${made} made, ${calls} calls`)
        }
      }
      const restarting = (round: number) =>
        Effect.gen(function*() {
          const before = counter.calls
          counts.restarts++
          const first = yield* life(Effect.gen(function*() {
            const sessionId = yield* newSession
            const half = yield* callAll(sessionId, `k${round}`, callers / 2)
            return { sessionId, half, ends: yield* Effect.forEach(half.slice(0, 1), ({ turn }) => eventsOf(turn.id)) }
          }))
          const second = yield* life(callAll(first.sessionId, `k${round}`, callers / 2))
          judge(round, before, [...first.half, ...second])
        })
      const plain = (from: number, count: number) =>
        life(Effect.gen(function*() {
          const sessionId = yield* newSession
          for (let round = from; round < from + count; round++) {
            const before = counter.calls
            const all = yield* callAll(sessionId, `k${round}`, callers)
            yield* Effect.forEach(all.slice(0, 1), ({ turn }) => eventsOf(turn.id))
            judge(round, before, all)
          }
        }))
      for (let round = 0; round < rounds; round += 5) {
        yield* restarting(round)
        yield* plain(round + 1, Math.min(4, rounds - round - 1))
      }
      return { rounds, counts, wrong }
    })
  )

/** Submits against a drain (P22): each is refused, or its turn is ended when the drain is over. */
export const submitsAgainstDrain = (kind: JournalKind, rounds: number) =>
  Effect.gen(function*() {
    const wrong: Array<string> = []
    const counts = { accepted: 0, refused: 0 }
    const dice = makeDice(5)
    const round = Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const journal = yield* Journal
      const sessions = yield* Effect.forEach(Array.from({ length: 10 }), () => newSession)
      const submits = yield* Effect.forEach(sessions, (sessionId) => {
        const wait = pause(dice(6), dice(8))
        return Effect.fork(Effect.exit(Effect.zipRight(wait, runtime.submit({ sessionId, message: "hang" }))))
      })
      yield* pause(dice(5), dice(8))
      yield* runtime.drain
      const left = yield* journal.runningTurns
      if (left.length > 0) wrong.push(`${left.length} turns run after the drain`)
      for (const submit of submits) {
        const exit = yield* Fiber.join(submit)
        if (Exit.isSuccess(exit)) {
          counts.accepted++
          const { turn } = yield* journal.turn(exit.value.turn.id)
          if (turn.error?._tag !== "Interrupted") wrong.push(`an accepted turn is ${turn.status} ${turn.error?._tag}`)
        } else if (tagOf(exit) === "Draining") counts.refused++
        else wrong.push(`a submit was refused with ${tagOf(exit)}`)
      }
      if ((yield* journal.runningTurns).length > 0) wrong.push("a turn began after the drain")
    })
    for (let done = 0; done < rounds; done++) yield* Effect.provide(round, layerOf(kind))
    return { rounds, counts, wrong }
  })

/** Twenty messages at once, each in the place of the others (P10): never two at work, all end, one is the last. */
export const supersedes = (kind: JournalKind, rounds: number, at = 20) =>
  Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    const journal = yield* Journal
    const wrong: Array<string> = []
    const counts = { superseded: 0, completed: 0 }
    for (let round = 0; round < rounds; round++) {
      const sessionId = yield* newSession
      const all = yield* Effect.forEach(
        Array.from({ length: at }),
        () => runtime.submit({ sessionId, message: "2", onBusy: "supersede" }),
        { concurrency: "unbounded" }
      )
      yield* Effect.forEach(all, ({ turn }) => eventsOf(turn.id), { concurrency: "unbounded" })
      for (const { turn } of all) {
        const { turn: ended } = yield* journal.turn(turn.id)
        if (ended.status === "completed") counts.completed++
        else if (ended.error?._tag === "Cancelled" && ended.error.cause === "superseded") counts.superseded++
        else wrong.push(`ended as ${ended.error?._tag}`)
      }
      const last = yield* journal.turns(sessionId, { cursor: undefined, limit: 100 })
      if (last.items.length !== at || last.items.at(-1)?.status !== "completed") {
        wrong.push("the newest message has no answer")
      }
      const events = yield* Stream.runCollect(journal.followSession(sessionId, undefined, false))
      const list = parsed(Chunk.toReadonlyArray(events))
      for (const { what } of [...checkSession(list), ...checkJournal(list, { ended: true })]) wrong.push(what)
    }
    return { rounds, counts, wrong }
  }).pipe(Effect.provide(layerOf(kind)))

/** Resumes and retries of one turn at once (P8, P9): one child of each kind, whoever asked first. */
export const children = (kind: JournalKind, rounds: number, at = 20) =>
  Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    const wrong: Array<string> = []
    const counts = { answered: 0, busy: 0 }
    for (let round = 0; round < rounds; round++) {
      const { turn } = yield* runtime.submit({ sessionId: yield* newSession, message: "4" })
      yield* pause(2, 1)
      const parent = yield* runtime.cancel(turn.id)
      if (parent.status === "completed") continue
      const all = yield* Effect.forEach(
        Array.from({ length: at }, (_, index) => index),
        (index) => Effect.exit(index % 2 === 0 ? runtime.resume(turn.id) : runtime.retry(turn.id)),
        { concurrency: "unbounded" }
      )
      const found = { resumed: new Set<string>(), retried: new Set<string>() }
      for (const exit of all) {
        if (Exit.isSuccess(exit)) {
          counts.answered++
          ;(exit.value.turn.resumedFrom === turn.id ? found.resumed : found.retried).add(exit.value.turn.id)
        } else if (tagOf(exit) === "TurnConflict") counts.busy++
        else wrong.push(`refused with ${tagOf(exit)}`)
      }
      if (found.resumed.size > 1 || found.retried.size > 1 || found.resumed.size + found.retried.size === 0) {
        wrong.push(`${found.resumed.size} resumes and ${found.retried.size} retries of one turn`)
      }
      for (const id of [...found.resumed, ...found.retried]) yield* eventsOf(id as TurnId) // answered as ids
    }
    return { rounds, counts, wrong }
  }).pipe(Effect.provide(layerOf(kind)))

/** Answers cut anywhere and resumed, again and again (P8): the pieces are the whole text; a retry says all of it anew. */
export const continuations = (kind: JournalKind, rounds: number) =>
  Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    const journal = yield* Journal
    const dice = makeDice(6)
    const wrong: Array<string> = []
    const counts = { cuts: 0, retries: 0 }
    for (let round = 0; round < rounds; round++) {
      const count = 1 + dice(8)
      let { turn } = yield* runtime.submit({ sessionId: yield* newSession, message: String(count) })
      const first = turn.id
      let text = ""
      for (let cut = 0; cut < 5; cut++) {
        yield* cut === 4 ? Effect.void : pause(dice(count + 3), dice(6))
        const ended = yield* cut === 4
          ? Effect.zipRight(eventsOf(turn.id), Effect.map(journal.turn(turn.id), (record) => record.turn))
          : runtime.cancel(turn.id)
        text += ended.text
        if (ended.status === "completed") break
        counts.cuts++
        turn = (yield* runtime.resume(turn.id)).turn
      }
      if (text !== textOf(count)) wrong.push(`pieces of ${JSON.stringify(textOf(count))} are ${JSON.stringify(text)}`)
      if (dice(4) > 0) continue
      counts.retries++
      const again = yield* runtime.retry(first)
      yield* eventsOf(again.turn.id)
      const { turn: repeated } = yield* journal.turn(again.turn.id)
      if (repeated.text !== textOf(count)) wrong.push(`a retry said ${JSON.stringify(repeated.text)}`)
    }
    return { rounds, counts, wrong }
  }).pipe(Effect.provide(layerOf(kind)))
