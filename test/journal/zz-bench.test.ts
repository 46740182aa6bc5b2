import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Journal } from "../../src/journal/Journal.ts"
import { freshFolder } from "./databaseFixture.ts"
import { admit, append, answering, attempt, built, createSession, delta, turnId } from "./fixtures.ts"
import { layerIn } from "./sqlFixture.ts"

const time = <A, E, R>(label: string, n: number, e: Effect.Effect<A, E, R>) => Effect.suspend(() => {
  const t = performance.now()
  return Effect.tap(e, () => Effect.sync(() => { const ms = performance.now() - t; console.log(label, ms.toFixed(0) + "ms", (ms * 1000 / n).toFixed(1) + "us each") }))
})
it.scopedLive("bench", () => Effect.gen(function*() {
  for (const durability of ["full", "relaxed"] as const) {
    const dir = yield* freshFolder
    yield* Effect.provide(Effect.gen(function*() {
      const journal = yield* Journal
      const turns = Array.from({ length: 64 }, (_, i) => `t${i}`)
      for (const t of turns) { yield* createSession(`s-${t}`); yield* admit(t, `s-${t}`); yield* append(t, `s-${t}`, 2, [built, attempt()]) }
      yield* time(durability + " 64 turns x 100 appends x 8 deltas", 64 * 800, Effect.forEach(turns, (t) => Effect.gen(function*() {
        for (let i = 0; i < 100; i++) yield* append(t, `s-${t}`, 4 + i * 8, Array.from({ length: 8 }, () => delta("some words here ")))
      }), { concurrency: "unbounded" }))
      yield* time(durability + " 1 turn x 500 appends x 1 delta", 500, Effect.gen(function*() {
        for (let i = 0; i < 500; i++) yield* append("t0", "s-t0", 804 + i, [delta("some words here ")])
      }))
      yield* time("replay 1303 events", 1303, Stream.runDrain(Stream.take(journal.follow(turnId("t0"), 0), 1303)))
      yield* time("fold 1303 events from rows", 1303, journal.checkpoints(turnId("t0")))
    }), layerIn(dir, { durability }))
  }
  const dir = yield* freshFolder
  yield* Effect.provide(Effect.gen(function*() {
    for (let i = 0; i < 10_000; i += 500) yield* Effect.forEach(Array.from({ length: 500 }, (_, k) => i + k), (n) => Effect.gen(function*() {
      yield* createSession(`s${n}`); yield* admit(`t${n}`, `s${n}`); yield* append(`t${n}`, `s${n}`, 2, [built, attempt(), delta("x"), delta("y")])
    }), { concurrency: "unbounded" })
  }), layerIn(dir))
  yield* Effect.provide(time("recover 10,000 orphans", 10_000, Effect.gen(function*() {
    const journal = yield* Journal
    const ids = yield* journal.runningTurns
    yield* Effect.forEach(ids, (id) => Effect.gen(function*() {
      const state = yield* journal.state(id)
      yield* append(id, state.sessionId, state.lastSeq + 1, answering(id, ["x", "y"]).slice(4))
    }), { concurrency: 256 })
    console.log((yield* journal.runningTurns).length, "left")
  })), layerIn(dir))
}), 120_000)
