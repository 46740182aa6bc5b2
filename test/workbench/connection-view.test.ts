import { assert, describe, it } from "@effect/vitest"
import * as ConnectionView from "../../src/workbench/header/ConnectionView.ts"

const at = 1_000_000
const text = (connection: Parameters<typeof ConnectionView.view>[0], lastSeq = 23, nowMs = at) =>
  ConnectionView.view(connection, lastSeq, nowMs).text

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
    const view = ConnectionView.view(waiting, 23, at)
    assert.deepStrictEqual([view.canRetry, view.reason], [true, "cut"])
  })

  it("listeners are told when it breaks and when it is well again, and of nothing else", () => {
    const loading = { state: "loading", sinceMs: at } as const
    assert.strictEqual(ConnectionView.announcement(loading, live), "")
    assert.strictEqual(ConnectionView.announcement(live, waiting), "Reconnecting. cut")
    assert.strictEqual(ConnectionView.announcement(waiting, { ...waiting, delayMs: 0 }), "")
    assert.strictEqual(ConnectionView.announcement(waiting, { ...waiting, state: "offline" }), "Offline. cut")
    assert.strictEqual(ConnectionView.announcement(waiting, live), "Connected again.")
    assert.include(ConnectionView.announcement(waiting, { ...live, replayed: 4 }), "4 events replayed")
  })
})
