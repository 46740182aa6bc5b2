import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { effect } from "@preact/signals"
import { vi } from "vitest"
import * as ConnectionView from "../../src/workbench/header/ConnectionView.ts"
import * as Clock from "../../src/workbench/kit/Clock.ts"

const at = 1_000_000
const text = (connection: Parameters<typeof ConnectionView.view>[0], lastSeq = 23, nowMs = at) =>
  ConnectionView.view(connection, lastSeq, (thenMs) => Math.max(0, thenMs - nowMs)).text

const live = { state: "live", replayed: 0, sinceMs: at } as const
const waiting = { state: "reconnecting", reason: "cut", delayMs: 2_000, sinceMs: at } as const

describe("connection view", () => {
  it("live names the last seq; what was replayed is told for a moment", () => {
    assert.strictEqual(text(live), "Live · seq 23")
    assert.strictEqual(text(live, 0), "Live")
    assert.strictEqual(text({ ...live, replayed: 17 }), "Replayed 17")
    assert.strictEqual(text({ ...live, replayed: 17 }, 23, at + 4_000), "Live · seq 23")
  })

  it("a broken connection counts down, names the place, and can be tried at once", () => {
    assert.strictEqual(text(waiting), "Reconnecting in 2 s from seq 23")
    assert.strictEqual(text(waiting, 23, at + 1_500), "Reconnecting in 1 s from seq 23")
    assert.strictEqual(text({ ...waiting, delayMs: 0 }), "Reconnecting from seq 23")
    assert.strictEqual(text({ ...waiting, state: "offline" }), "Offline · next try in 2 s")
    const view = ConnectionView.view(waiting, 23, () => 2_000)
    assert.deepStrictEqual([view.canRetry, view.reason], [true, "cut"])
  })

  it("listeners are told when it breaks and when it is well again, and of nothing else", () => {
    const loading = { state: "loading", sinceMs: at } as const
    assert.strictEqual(ConnectionView.announcement(loading, live), "")
    assert.strictEqual(ConnectionView.announcement(live, waiting), "Reconnecting. cut")
    assert.strictEqual(ConnectionView.announcement(waiting, { ...waiting, delayMs: 0 }), "")
    assert.strictEqual(ConnectionView.announcement(waiting, { ...waiting, state: "offline" }), "Offline. cut")
    assert.strictEqual(ConnectionView.announcement(waiting, live), "Connected again.")
  })
})

describe("the connection in the header", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  /** How often it is drawn in a minute, and what is drawn last. */
  const drawn = (connection: Parameters<typeof ConnectionView.view>[0]) => {
    const texts: Array<string> = []
    const stop = effect(() => void texts.push(ConnectionView.view(connection, 23, Clock.leftUntil).text))
    vi.advanceTimersByTime(60_000)
    stop()
    return texts
  }

  it("an idle page stands still: what does not depend on the time does not look at it", () => {
    const sinceMs = Clock.nowMs()
    assert.deepStrictEqual(drawn({ ...live, sinceMs }), ["Live · seq 23"])
    assert.deepStrictEqual(drawn({ state: "ready", sinceMs }), ["Ready"])
    assert.deepStrictEqual(drawn({ ...waiting, delayMs: 0, sinceMs }), ["Reconnecting from seq 23"])
  })

  it("what was replayed is told for four seconds, and a wait to its end; then it stands still too", () => {
    const replayed = drawn({ ...live, replayed: 17, sinceMs: Clock.nowMs() })
    assert.strictEqual(replayed[0], "Replayed 17")
    assert.strictEqual(replayed.at(-1), "Live · seq 23")
    assert.isAtMost(replayed.length, 10)
    const counted = drawn({ ...waiting, sinceMs: Clock.nowMs() })
    assert.strictEqual(counted[0], "Reconnecting in 2 s from seq 23")
    assert.strictEqual(counted.at(-1), "Reconnecting from seq 23")
    assert.isAtMost(counted.length, 6)
  })
})
