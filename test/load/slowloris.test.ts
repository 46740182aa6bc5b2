import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { ask, folder, serve } from "../process/harness.ts"
import { figures } from "./load.ts"

const limits = { headerTimeoutMs: 600, requestTimeoutMs: 1_000, writeStallMs: 5_000 }
const crowd = 100

interface Dribble {
  readonly answer: string
  readonly ms: number
}

/** Sends `head`, then a byte every 50 ms until the other side closes. */
const dribble = (port: number, head: string): Promise<Dribble> =>
  new Promise((resolve) => {
    const begun = performance.now()
    let answer = ""
    let timer: NodeJS.Timeout | undefined
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(head)
      timer = setInterval(() => socket.write("x"), 50)
    })
    socket.setEncoding("latin1").on("data", (part: string) => {
      answer += part
    })
    // writing to what was closed
    socket.on("error", () => {})
    socket.on("close", () => {
      clearInterval(timer)
      resolve({ answer, ms: performance.now() - begun })
    })
  })

const portOf = (url: string): number => Number(new URL(url).port)

/** The median of asks for health that are made one after another until `done`. */
const healthUntil = async (url: string, done: () => boolean): Promise<number> => {
  const times: Array<number> = []
  while (!done()) {
    const begun = performance.now()
    const response = await fetch(`${url}/health/ready`)
    assert.strictEqual(response.status, 200)
    await response.text()
    times.push(performance.now() - begun)
  }
  return times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0
}

const all = (url: string, head: string) =>
  Effect.promise(async () => {
    let open = crowd
    const dribbles = Array.from({ length: crowd }, () => dribble(portOf(url), head).finally(() => open--))
    const healthMs = await healthUntil(url, () => open === 0)
    return { healthMs, ended: await Promise.all(dribbles) }
  })

describe("slow peers", () => {
  const cases = [
    ["headers", "GET /v1/sessions HTTP/1.1\r\nHost: HOST\r\nX-Slow: ", limits.headerTimeoutMs],
    [
      "a body",
      'POST /v1/sessions HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"title":"',
      limits.requestTimeoutMs
    ],
    [
      "a chunked body",
      'POST /v1/sessions HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n186A0\r\n{"title":"',
      limits.requestTimeoutMs
    ]
  ] as const
  for (const [what, head, limitMs] of cases) {
    it.scopedLive(`P18: ${crowd} peers that send ${what} a byte at a time are told 408 and dropped at the limit, and delay nobody`, () =>
      Effect.gen(function*() {
        const { url } = yield* serve({ dataDir: yield* folder, config: { limits } })
        const { ended, healthMs } = yield* all(url, head.replace("HOST", new URL(url).host))
        const slowest = Math.max(...ended.map(({ ms }) => ms))
        yield* figures(`P18, ${what}`, { "limit ms": limitMs, "all dropped after ms": slowest, "health ms": healthMs })
        for (const { answer, ms } of ended) {
          assert.isAtLeast(ms, limitMs - 50)
          if (answer !== "") assert.match(answer, /^HTTP\/1\.1 408 [^]*"code":"RequestTimeout"/)
        }
        assert.isAbove(ended.filter(({ answer }) => answer !== "").length, 0)
        assert.isBelow(slowest, limitMs + 1_500)
        assert.isBelow(healthMs, 500)
      }))
  }

  it.scopedLive("P18: connections beyond limits.connections are closed at once, and those that leave make room", () =>
    Effect.gen(function*() {
      const { url } = yield* serve({ dataDir: yield* folder, config: { limits: { connections: 20 } } })
      const open = Effect.acquireRelease(
        Effect.promise(async () => {
          const socket = connect(portOf(url), "127.0.0.1").resume()
          await once(socket, "connect")
          return socket
        }),
        (socket: Socket) => Effect.sync(() => socket.destroy())
      )
      const held = yield* Effect.forEach(Array.from({ length: 20 }), () => open)
      const beyond = yield* Effect.forEach(Array.from({ length: 10 }), () => open)
      yield* Effect.forEach(
        beyond,
        (socket) => socket.closed ? Effect.void : Effect.promise(() => once(socket, "close"))
      )
      assert.isTrue(held.every((socket) => !socket.closed))
      yield* Effect.forEach(held.slice(0, 5), (socket) =>
        Effect.promise(async () => {
          socket.end()
          await once(socket, "close")
        }))
      assert.strictEqual((yield* ask(`${url}/health/ready`)).status, 200)
    }))
})
