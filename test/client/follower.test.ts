import { assert, describe, it } from "@effect/vitest"
import * as Follower from "../../src/client/Follower.ts"
import { TurnstreamError } from "../../src/client/TurnstreamError.ts"
import * as Events from "../workbench/events.ts"

interface Request {
  readonly after: string
  readonly live: boolean
  readonly send: (text: string) => void
  readonly end: () => void
  readonly break: () => void
  readonly refuse: (error: unknown) => void
  readonly signal: AbortSignal
}

/** A stage on which requests, timers and what was heard are in the test's hands. */
const stage = (place = "") => {
  const waiting: Array<(request: Request) => void> = []
  const arrived: Array<Request> = []
  const timers: Array<{ readonly ms: number; readonly task: () => void }> = []
  const heard: Array<string> = []
  const told = new Map<string, () => void>()
  const hear = (what: string): void => {
    heard.push(what)
    told.get(what)?.()
    told.delete(what)
  }
  const options: Follower.Options = {
    silentMs: 45_000,
    begin: () => {
      hear("begin")
      return Promise.resolve(place)
    },
    open: ({ after, live, signal }) =>
      new Promise((resolve, reject) => {
        let controller: ReadableStreamDefaultController<Uint8Array> | undefined
        const body = new ReadableStream<Uint8Array>({ start: (c) => void (controller = c) })
        let isOpen = false
        const opened = () => {
          if (!isOpen) resolve(new Response(body))
          isOpen = true
        }
        signal.addEventListener("abort", () => {
          reject(new Error("aborted"))
          try {
            controller?.error(new Error("aborted"))
          } catch {
            // it had ended
          }
        })
        const request: Request = {
          after,
          live,
          signal,
          send: (text) => {
            opened()
            controller?.enqueue(new TextEncoder().encode(text))
          },
          end: () => {
            opened()
            controller?.close()
          },
          break: () => {
            opened()
            controller?.error(new Error("cut"))
          },
          refuse: reject
        }
        const taker = waiting.shift()
        if (taker === undefined) arrived.push(request)
        else taker(request)
      }),
    onEvent: (event) => hear(`event ${event.seq}`),
    isTwoStep: true,
    judge: ({ status }, _, hasBegun) =>
      status === 400 && hasBegun ? "anew" : status === 0 || status === 503 ? "again" : "end",
    random: () => 0,
    onConnection: (connection) =>
      hear(
        connection.state === "live"
          ? `live, ${connection.replayed} replayed`
          : connection.state === "ended"
          ? `ended with ${connection.error?.status}`
          : "delayMs" in connection && connection.delayMs === 0
          ? "trying"
          : connection.state
      ),
    timer: (ms, task) => {
      const timer = { ms, task }
      timers.push(timer)
      return () => {
        const at = timers.indexOf(timer)
        if (at !== -1) timers.splice(at, 1)
      }
    }
  }
  return {
    heard,
    timers,
    follow: (other: Partial<Follower.Options> = {}) => Follower.follow({ ...options, ...other }),
    /** The next request that the follower makes. */
    request: () => {
      const first = arrived.shift()
      return first === undefined ? new Promise<Request>((resolve) => waiting.push(resolve)) : Promise.resolve(first)
    },
    /** Completes when the follower next says this. */
    says: (what: string) => new Promise<void>((resolve) => told.set(what, resolve)),
    /** Lets the time of the only open timer pass. */
    pass: () => {
      const timer = timers.shift() ?? assert.fail("no timer is open")
      timer.task()
      return timer.ms
    }
  }
}

const frame = (index: number) => {
  const event = Events.plain("t1")[index] ?? assert.fail()
  return `id: t1.${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
}

/** Answers the reading of what was missed, and opens the live stream after it. */
const connect = async (at: ReturnType<typeof stage>, missed: ReadonlyArray<string> = []) => {
  const history = await at.request()
  history.send(`:\n\n${missed.join("")}`)
  const isLive = at.says(`live, ${missed.length} replayed`)
  history.end()
  const request = await at.request()
  request.send(": turnstream\n\n")
  await isLive
  return { history, request }
}

/** A follower that has read two events of history and is live. */
const live = async (at: ReturnType<typeof stage>) => {
  const follower = at.follow()
  return { follower, ...await connect(at, [frame(0), frame(1)]) }
}

describe("follower", () => {
  it("reads history to its end, then follows live after the last event", async () => {
    const at = stage()
    const { history, request } = await live(at)
    assert.deepStrictEqual([history.live, history.after, request.live, request.after], [false, "", true, "t1.2"])
    assert.deepStrictEqual(at.heard, [
      "connecting",
      "begin",
      "replaying",
      "event 1",
      "event 2",
      "live, 2 replayed"
    ])
  })

  it("begins after the place that it is told", async () => {
    const at = stage("t0.9")
    at.follow()
    const { history, request } = await connect(at)
    assert.deepStrictEqual([history.after, request.after], ["t0.9", "t0.9"])
  })

  it("a beginning that fails is tried again", async () => {
    const at = stage()
    let failures = 1
    const follower = at.follow({
      begin: () =>
        failures-- > 0 ? Promise.reject(new TurnstreamError(503, "StorageUnavailable", "no")) : Promise.resolve("t1.2")
    })
    await at.says("reconnecting")
    at.pass()
    assert.strictEqual((await at.request()).after, "t1.2")
    follower.stop()
  })

  for (const how of ["end", "break"] as const) {
    it(`P15: a live stream that comes to a${how === "end" ? "n end" : " break"} is taken up after the last id`, async () => {
      const at = stage()
      const { request } = await live(at)
      const reconnecting = at.says("reconnecting")
      const read = at.says("event 3")
      request.send(frame(2) + frame(3).slice(0, 20))
      await read
      request[how]()
      await reconnecting
      assert.strictEqual(at.pass(), 500)
      const { history, request: next } = await connect(at, [frame(3)])
      assert.deepStrictEqual([history.live, history.after, next.live, next.after], [false, "t1.3", true, "t1.4"])
      assert.deepStrictEqual(at.heard.slice(-4), ["trying", "replaying", "event 4", "live, 1 replayed"])
    })
  }

  it("an error event without an id keeps the place; a session that is gone ends the following", async () => {
    const at = stage()
    const { request } = await live(at)
    const reconnecting = at.says("reconnecting")
    request.send(`event: error\ndata: {"code":"StorageUnavailable","message":"Storage refused."}\n\n`)
    await reconnecting
    at.pass()
    const next = await at.request()
    assert.strictEqual(next.after, "t1.2")
    const ended = at.says("ended with 404")
    next.send(`event: error\ndata: {"code":"SessionNotFound","message":"The session was deleted."}\n\n`)
    await ended
    assert.strictEqual(at.heard.at(-1), "ended with 404")
    assert.deepStrictEqual(at.timers, [])
  })

  it("says Offline after four failures in a row, goes on trying, and is live again", async () => {
    const at = stage()
    at.follow()
    const waits: Array<number> = []
    for (let failures = 1; failures <= 7; failures++) {
      const said = at.says(failures >= 4 ? "offline" : "reconnecting")
      ;(await at.request()).refuse(new TurnstreamError(0, "Unreachable", "no answer"))
      await said
      waits.push(at.pass())
    }
    assert.deepStrictEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
    await connect(at)
    assert.deepStrictEqual(
      at.heard.filter((what) => what !== "trying").slice(0, 7),
      ["connecting", "begin", "reconnecting", "reconnecting", "reconnecting", "offline", "offline"]
    )
  })

  it("a wait is cut short on request", async () => {
    const at = stage()
    const { follower, request } = await live(at)
    const reconnecting = at.says("reconnecting")
    request.end()
    await reconnecting
    follower.retryNow()
    assert.strictEqual((await at.request()).after, "t1.2")
  })

  it("an attempt that hangs is given up on request, and made again at once", async () => {
    const at = stage()
    const follower = at.follow()
    const hanging = await at.request()
    follower.retryNow()
    assert.isTrue(hanging.signal.aborted)
    await connect(at)
    assert.notInclude(at.heard, "reconnecting")
  })

  it("a page that nobody sees gives its stream up, and goes on where it was", async () => {
    const at = stage()
    const { follower, request } = await live(at)
    const resting = at.says("resting")
    follower.rest()
    await resting
    assert.isTrue(request.signal.aborted)
    assert.deepStrictEqual(at.timers, [])
    follower.retryNow()
    const { history } = await connect(at, [frame(2)])
    assert.strictEqual(history.after, "t1.2")
    assert.notInclude(at.heard, "reconnecting")
  })

  it("a page that nobody sees from the beginning reads what there is, and opens no stream", async () => {
    const at = stage()
    at.follow().rest()
    const history = await at.request()
    history.send(frame(0))
    const resting = at.says("resting")
    history.end()
    await resting
    assert.deepStrictEqual(at.heard, ["connecting", "begin", "replaying", "event 1", "resting"])
  })

  it("a session whose id no server takes is gone", async () => {
    const at = stage()
    const ended = at.says("ended with 400")
    at.follow({ begin: () => Promise.reject(new TurnstreamError(400, "InvalidRequest", "no id")) })
    await ended
    assert.deepStrictEqual(at.timers, [])
  })

  it("P18: a stream that is silent beyond the limit is given up and taken up again", async () => {
    const at = stage()
    const { request } = await live(at)
    const reconnecting = at.says("reconnecting")
    assert.strictEqual(at.pass(), 45_000)
    await reconnecting
    assert.isTrue(request.signal.aborted)
  })

  it("P18: a beginning that nobody answers is given up too", async () => {
    const at = stage()
    let aborted: AbortSignal | undefined
    at.follow({
      begin: (signal) =>
        new Promise((_, reject) => {
          aborted = signal
          signal.addEventListener("abort", () => reject(new Error("aborted")))
        })
    })
    const reconnecting = at.says("reconnecting")
    assert.strictEqual(at.pass(), 45_000)
    await reconnecting
    assert.strictEqual(aborted?.aborted, true)
  })

  it("P18: a server that takes the request and says nothing is given up too", async () => {
    const at = stage()
    at.follow()
    const request = await at.request()
    const reconnecting = at.says("reconnecting")
    assert.strictEqual(at.pass(), 45_000)
    await reconnecting
    assert.isTrue(request.signal.aborted)
  })

  it("a live stream clears the count of failures: the next wait is short again", async () => {
    const at = stage()
    const { request } = await live(at)
    let reconnecting = at.says("reconnecting")
    request.end()
    for (let failures = 1; failures <= 2; failures++) {
      await reconnecting
      assert.strictEqual(at.pass(), 500)
      const { request: next } = await connect(at)
      reconnecting = at.says("reconnecting")
      next.end()
    }
    await reconnecting
  })

  for (const status of [401, 404]) {
    it(`HTTP ${status} ends the following`, async () => {
      const at = stage()
      at.follow()
      const ended = at.says(`ended with ${status}`)
      ;(await at.request()).refuse(new TurnstreamError(status, "x", "x"))
      await ended
      assert.deepStrictEqual(at.heard, ["connecting", "begin", `ended with ${status}`])
    })
  }

  it("P16: a place that is judged to be of no use is given up: it begins again", async () => {
    const at = stage()
    const { request } = await live(at)
    let reconnecting = at.says("reconnecting")
    request.end()
    await reconnecting
    at.pass()
    reconnecting = at.says("reconnecting")
    ;(await at.request()).refuse(new TurnstreamError(400, "x", "names no event"))
    await reconnecting
    at.pass()
    assert.strictEqual((await at.request()).after, "")
    assert.strictEqual(at.heard.filter((what) => what === "begin").length, 2)
  })

  it("P13: stopping aborts the request and is followed by nothing", async () => {
    const at = stage()
    const { follower, request } = await live(at)
    const before = [...at.heard]
    follower.stop()
    assert.isTrue(request.signal.aborted)
    // every step that a follower takes without a timer or an answer is a microtask
    for (let step = 0; step < 50; step++) await Promise.resolve()
    assert.deepStrictEqual(at.heard, before)
    assert.deepStrictEqual(at.timers, [])
  })
})
