import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import { TurnstreamError } from "../../src/client/TurnstreamError.ts"
import type { Turn } from "../../src/domain/Resources.ts"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import type { Server } from "../../src/workbench/server/Server.ts"
import * as OpenSession from "../../src/workbench/session/OpenSession.ts"
import * as Events from "./events.ts"
import { summary } from "./resources.ts"

beforeEach(() => {
  vi.stubGlobal("document", { visibilityState: "visible" })
  vi.stubGlobal("requestAnimationFrame", (task: () => void) => queueMicrotask(task))
})
afterEach(() => void vi.unstubAllGlobals())

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

const frame = (event: TurnEvent) => `id: ${event.turnId}.${event.seq}\ndata: ${JSON.stringify(event)}\n\n`

/** A server that keeps what it is given, and streams by hand. */
const stage = (given: { readonly turns?: ReadonlyArray<Turn>; readonly journal?: ReadonlyArray<TurnEvent> }) => {
  const asked: Array<string> = []
  const turns = [...given.turns ?? []]
  const journal = [...given.journal ?? []]
  const said: Array<string> = []
  let live: ReadableStreamDefaultController<Uint8Array> | undefined
  const refusals: Array<TurnstreamError> = []
  const send = (text: string) => live?.enqueue(new TextEncoder().encode(text))
  const server: Partial<Server> = {
    turns: () => {
      asked.push("turns")
      return Promise.resolve(turns)
    },
    turn: (id) => {
      asked.push(`turn ${id}`)
      return Promise.resolve(turns.find((turn) => turn.id === id) ?? assert.fail(id))
    },
    turnEvents: (id, after) => {
      asked.push(`events of ${id} after ${after}`)
      return Promise.resolve({ items: journal.filter(({ seq, turnId }) => turnId === id && seq > after) })
    },
    messages: () => {
      asked.push("messages")
      return Promise.resolve({ items: [] })
    },
    events: (_, { after, live: isLive, signal }) => {
      const refusal = refusals.shift()
      if (refusal !== undefined) return Promise.reject(refusal)
      asked.push(`${isLive ? "live" : "missed"} after ${after}`)
      if (!isLive) return Promise.resolve(new Response(":\n\n"))
      const body = new ReadableStream<Uint8Array>({ start: (controller) => void (live = controller) })
      // as a browser does: what is given up fails
      signal.addEventListener("abort", () => {
        try {
          live?.error(new Error("aborted"))
        } catch {
          // it had ended
        }
      })
      return Promise.resolve(new Response(body))
    }
  }
  const ends: Array<string> = []
  const open = () =>
    OpenSession.open({
      // what a session uses of it
      server: server as Server,
      sessionId: "s1",
      silentMs: 45_000,
      announce: (text) => said.push(text),
      onEnd: (why) => ends.push(why),
      onRefused: (error) => assert.fail(String(error))
    })
  return {
    asked,
    said,
    ends,
    turns,
    journal,
    open,
    /** The place of the next connections is refused. */
    refuse: (status: number) => refusals.push(new TurnstreamError(status, "x", "x")),
    stream: async (events: ReadonlyArray<TurnEvent>) => {
      send(events.map(frame).join(""))
      await settle()
    },
    cut: async () => {
      live?.close()
      await settle()
    }
  }
}

const running = { status: "running", phase: "streaming" } as const

describe("an open session", () => {
  it("follows after the last turn that had ended, so that what runs comes from its beginning", async () => {
    const at = stage({ turns: [summary("t1", 8), summary("t2", 5, running)] })
    const session = at.open()
    await settle()
    assert.deepStrictEqual(at.asked.slice(0, 3), ["turns", "missed after t1.8", "live after t1.8"])
    await at.stream(Events.plain("t2"))
    assert.deepStrictEqual(session.turns.value.map(({ facts }) => facts.value.status), ["completed", "completed"])
    assert.deepStrictEqual([session.running.value, session.lastSeq.value], [undefined, 8])
    assert.notInclude(at.asked.join(), "events of")
    session.close()
  })

  it("tells listeners of transitions that come live, and not of the past", async () => {
    const at = stage({ turns: [summary("t1", 8)] })
    const session = at.open()
    await settle()
    await at.stream(Events.plain("t2"))
    assert.deepStrictEqual(at.said, ["Turn 2: completed."])
    session.close()
  })

  it("P15: reads what the stream left out, once, and then shows all of it", async () => {
    const events = Events.plain("t1")
    const at = stage({ journal: events })
    const session = at.open()
    await settle()
    await at.stream([...events.slice(0, 3), ...events.slice(5)])
    await settle()
    assert.strictEqual(session.turns.value[0]?.facts.value.status, "completed")
    assert.deepStrictEqual(session.turns.value[0]?.log.value.events, events)
    assert.lengthOf(at.asked.filter((what) => what.startsWith("events of")), 1)
    session.close()
  })

  it("asks once for a turn whose beginning it never saw, however much comes of it", async () => {
    const events = Events.plain("t9")
    const at = stage({ turns: [], journal: events })
    const session = at.open()
    await settle()
    at.turns.push(summary("t9", 8))
    await at.stream(events.slice(3))
    await settle()
    assert.lengthOf(at.asked.filter((what) => what === "turn t9"), 1)
    assert.deepStrictEqual(session.turns.value[0]?.log.value.events, events)
    session.close()
  })

  for (const [status, why] of [[401, "unauthorized"], [404, "gone"]] as const) {
    it(`HTTP ${status} ends it as ${why}`, async () => {
      const at = stage({ turns: [summary("t1", 8)] })
      at.refuse(status)
      const session = at.open()
      await settle()
      assert.deepStrictEqual(at.ends, [why])
      session.retryNow()
      await settle()
      assert.deepStrictEqual(at.asked, ["turns"])
      session.close()
    })
  }

  for (const status of [400, 410]) {
    it(`P16: a place that the server does not know or keep (${status}) is given up: it begins again`, async () => {
      const at = stage({ turns: [summary("t1", 8)] })
      at.refuse(status)
      const session = at.open()
      await settle()
      session.retryNow()
      await settle()
      assert.deepStrictEqual(at.asked.slice(0, 4), ["turns", "turns", "missed after t1.8", "live after t1.8"])
      assert.deepStrictEqual(at.ends, [])
      session.close()
    })
  }

  it("P16: begun again, a turn that ended meanwhile is shown as ended, and its events are read", async () => {
    const events = Events.plain("t1")
    const at = stage({ turns: [summary("t1", 5, running)], journal: events })
    const session = at.open()
    await settle()
    await at.stream(events.slice(0, 5))
    assert.strictEqual(session.running.value?.id, "t1")
    at.turns[0] = summary("t1", 8)
    at.refuse(410)
    await at.cut()
    session.retryNow()
    await settle()
    session.retryNow()
    await settle()
    await settle()
    assert.deepStrictEqual([session.running.value, session.turns.value[0]?.log.value.events], [undefined, events])
    session.close()
  })

  it("a request that finds no connection for a second takes that of the stream, which comes back after it", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    try {
      const at = stage({ turns: [summary("t1", 8)] })
      const session = at.open()
      await settle()
      let answer = (): void => {}
      const asked = session.withRoom(() => new Promise<void>((resolve) => answer = resolve))
      vi.advanceTimersByTime(999)
      await settle()
      assert.strictEqual(session.connection.value.state, "live")
      vi.advanceTimersByTime(1)
      await settle()
      assert.strictEqual(session.connection.value.state, "resting")
      answer()
      await asked
      await settle()
      await settle()
      assert.strictEqual(session.connection.value.state, "live")
      session.close()
    } finally {
      vi.useRealTimers()
    }
  })

  it("nothing of it is heard after it is closed", async () => {
    const at = stage({})
    const session = at.open()
    await settle()
    session.close()
    await at.stream(Events.plain("t1")).catch(() => {})
    assert.deepStrictEqual([session.turns.value, at.said], [[], []])
  })
})
