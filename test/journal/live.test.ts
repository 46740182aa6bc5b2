import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { EventBody } from "../../src/domain/TurnEvent.ts"
import * as Follow from "../../src/journal/Follow.ts"
import * as Live from "../../src/journal/Live.ts"
import * as Projection from "../../src/journal/Projection.ts"
import { answering, attempt, built, delta, place, sessionId, started, turnId } from "./fixtures.ts"

const projected = (bodies: ReadonlyArray<EventBody>): Projection.Projected => {
  const result = Projection.project(undefined, place("t", "s", 1, bodies))
  if (typeof result === "string") throw new Error(result)
  return result
}
const noPages: Follow.Pages = {
  turnPage: () => Effect.succeed({ events: [], ended: false }),
  sessionPage: (_, pos) => Effect.succeed({ events: [], pos }),
  sessionStart: () => Effect.die("not asked for")
}

describe("what is live", () => {
  it.effect("a follower that leaves leaves nothing behind", () =>
    Effect.gen(function*() {
      const live = Live.make()
      const turn = yield* Effect.fork(Stream.runDrain(Follow.follow(live, noPages, turnId("t"), 0)))
      const session = yield* Effect.fork(
        Stream.runDrain(Follow.followSession(live, noPages, sessionId("s"), undefined, true))
      )
      while (live.waiting() < 2) yield* Effect.yieldNow()
      assert.isDefined(live.sessionFeed(sessionId("s")))
      yield* Fiber.interrupt(turn)
      yield* Fiber.interrupt(session)
      assert.strictEqual(live.waiting(), 0)
      assert.isUndefined(live.sessionFeed(sessionId("s")))
    }))

  it.effect("a wait that comes after the wake does not wait", () =>
    Effect.gen(function*() {
      const live = Live.make()
      const seen = live.version()
      const { events, state } = projected([started("t")])
      live.publish([{ state, events, pos: 1 }])
      yield* live.wait(turnId("t"), seen)
      assert.strictEqual(live.waiting(), 0)
    }))

  it("one who throws when told keeps the others from nothing, and is told no more", () => {
    const live = Live.make()
    const heard: Array<string> = []
    const hear = (name: string, then: () => boolean) =>
      live.listen(turnId("t"), live.version(), () => {
        heard.push(name)
        return then()
      })
    hear("first", () => {
      throw new Error("first")
    })
    hear("second", () => true)
    const { events, state } = projected([started("t")])
    const publish = () => live.publish([{ state, events, pos: 1 }])
    assert.throws(publish, "first")
    publish()
    assert.deepStrictEqual(heard, ["first", "second", "second"])
  })

  it("a running turn's feed is bounded, covers what it says, and goes with the turn's end", () => {
    const live = Live.make()
    let { events, state } = projected([started("t"), built, attempt()])
    live.publish([{ state, events, pos: 1 }])
    const text = "x".repeat(10_000)
    for (let pos = 2; pos < 100; pos++) {
      const next = Projection.project(state, place("t", "s", state.lastSeq + 1, [delta(text)]))
      if (typeof next === "string") throw new Error(next)
      ;({ events, state } = next)
      live.publish([{ state, events, pos }])
    }
    const feed = live.turn(turnId("t"))?.feed
    if (feed === undefined) throw new Error("not live")
    assert.isAtMost(feed.size, Live.feedBytesMax)
    assert.isAbove(feed.floor, 3)
    assert.isUndefined(Live.chunksAfter(feed, feed.floor - 1))
    const covered = Live.chunksAfter(feed, feed.floor)?.flatMap((chunk) => chunk.events.map((event) => event.seq))
    assert.deepStrictEqual(covered, Array.from({ length: state.lastSeq - feed.floor }, (_, i) => feed.floor + 1 + i))
    const end = Projection.project(state, place("t", "s", state.lastSeq + 1, answering("t", []).slice(2)))
    if (typeof end === "string") throw new Error(end)
    live.publish([{ state: end.state, events: end.events, pos: 100 }])
    assert.isUndefined(live.turn(turnId("t")))
  })
})
