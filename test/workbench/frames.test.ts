import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { vi } from "vitest"
import * as Clock from "../../src/workbench/kit/Clock.ts"
import * as Frames from "../../src/workbench/kit/Frames.ts"

const frameMs = 16

describe("work once a frame", () => {
  let isSeen = true
  beforeEach(() => {
    isSeen = true
    vi.useFakeTimers()
    vi.stubGlobal("requestAnimationFrame", (task: () => void) => {
      setTimeout(() => isSeen && task(), frameMs)
    })
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  const counted = (workMs = 0) => {
    const times: Array<number> = []
    const frames = Frames.make(() => {
      times.push(Clock.nowMs())
      vi.advanceTimersByTime(workMs)
    })
    return { frames, times }
  }

  it("however often it is asked for, it is done once, in the next frame", () => {
    const { frames, times } = counted()
    for (let i = 0; i < 100; i++) frames.request()
    assert.lengthOf(times, 0)
    vi.advanceTimersByTime(frameMs)
    assert.lengthOf(times, 1)
    vi.advanceTimersByTime(5_000)
    assert.lengthOf(times, 1)
    frames.request()
    vi.advanceTimersByTime(frameMs)
    assert.lengthOf(times, 2)
  })

  it("a page that is hidden after a frame was asked for still gets the last work done", () => {
    const { frames, times } = counted()
    frames.request()
    isSeen = false
    vi.advanceTimersByTime(499)
    assert.lengthOf(times, 0)
    vi.advanceTimersByTime(1)
    assert.lengthOf(times, 1)
    // and it goes on, there and once it is seen again
    frames.request()
    vi.advanceTimersByTime(500)
    assert.lengthOf(times, 2)
    isSeen = true
    frames.request()
    vi.advanceTimersByTime(frameMs)
    assert.lengthOf(times, 3)
  })

  it("after slow work the page has as long for the reader", () => {
    const { frames, times } = counted(200)
    frames.request()
    vi.advanceTimersByTime(frameMs)
    assert.lengthOf(times, 1)
    vi.advanceTimersByTime(0)
    frames.request()
    vi.advanceTimersByTime(150)
    assert.lengthOf(times, 1)
    vi.advanceTimersByTime(50 + frameMs)
    assert.lengthOf(times, 2)
  })

  it("nothing is done once it is stopped", () => {
    const { frames, times } = counted()
    frames.request()
    frames.stop()
    frames.request()
    vi.advanceTimersByTime(5_000)
    assert.lengthOf(times, 0)
  })
})
