import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { once } from "node:events"
import type { Socket } from "node:net"
import { ask, folder, serve } from "../process/harness.ts"
import { fastReader, figures, gauge, needsProc, openRaw, socketsOf, startLong, stuckReader, titled } from "./load.ts"

const streams = "turnstream_event_streams"

/** What a reader that took nothing gets when it reads at last. */
const rest = (socket: Socket) =>
  Effect.async<string>((resume) => {
    let text = ""
    socket.setEncoding("latin1").on("data", (part: string) => {
      text += part
    })
    socket.on("close", () => resume(Effect.succeed(text)))
    socket.resume()
  })

const patience = Schedule.intersect(Schedule.spaced("25 millis"), Schedule.recurs(800))

/** Nothing outside tells when a server has dropped a peer: it is asked until it has, for a bounded time. */
const gone = (url: string, pid: number | undefined, socketsMax: number) =>
  gauge(url, streams).pipe(
    Effect.map((open) => ({ open, sockets: socketsOf(pid) })),
    Effect.filterOrFail(({ open, sockets }) => open === 0 && sockets <= socketsMax),
    Effect.retry(patience)
  )

describe.skipIf(needsProc !== undefined)(titled("readers that vanish"), () => {
  it.scopedLive(
    "P13, P18: 500 readers that vanish in mid-stream cancel nothing, and give back every slot and socket",
    () =>
      Effect.gen(function*() {
        const config = { limits: { eventStreams: 512, outputBytesPerTurn: 8_388_608 } }
        const server = yield* serve({ dataDir: yield* folder, config })
        yield* gauge(server.url, streams)
        const before = socketsOf(server.child.pid)
        const script = { deltas: 500, delayMs: 5, bytes: 100 }
        const session = String((yield* ask(`${server.url}/v1/sessions`, "POST", {})).body["id"])
        const { body } = yield* ask(`${server.url}/v1/sessions/${session}/turns`, "POST", {
          message: "go",
          options: { script }
        })
        const path = `/v1/turns/${String(body["id"])}/events`
        yield* Effect.forEach(
          Array.from({ length: 500 }),
          (_, i) =>
            Effect.flatMap(openRaw(server.url, path), (socket) =>
              Effect.promise(async () => {
                await once(socket, "data")
                // by a reset or by a close
                if (i % 2 === 0) socket.resetAndDestroy()
                else socket.destroy()
              })),
          { concurrency: 100, discard: true }
        )
        yield* gone(server.url, server.child.pid, before + 2)
        const { last } = yield* fastReader(server.url, String(body["id"]))
        assert.include(last, "event: turn.completed")
        assert.strictEqual(
          String((yield* ask(`${server.url}/v1/turns/${String(body["id"])}`)).body["text"]).length,
          50_000
        )
      }),
    60_000
  )

  it.scopedLive(
    "P18: readers that take nothing are dropped after the stall limit, and the turn is not delayed",
    () =>
      Effect.gen(function*() {
        const limits = { writeStallMs: 1_000, heartbeatMs: 500, outputBytesPerTurn: 33_554_432 }
        const server = yield* serve({ dataDir: yield* folder, config: { limits } })
        yield* gauge(server.url, streams)
        const before = socketsOf(server.child.pid)
        const { turnId } = yield* startLong(server.url, 16_777_216, 4_096)
        const stuck = yield* Effect.forEach(
          Array.from({ length: 40 }),
          () => stuckReader(server.url, turnId),
          { concurrency: 10 }
        )
        const { last } = yield* fastReader(server.url, turnId)
        assert.include(last, "event: turn.completed")
        const begun = performance.now()
        yield* gone(server.url, server.child.pid, before + 2)
        const ms = performance.now() - begun
        yield* figures("P18", { "stall limit ms": limits.writeStallMs, "all 40 dropped after ms": ms })
        // 45 s by default is one and a half stall limits
        assert.isBelow(ms, 3 * limits.writeStallMs)
        for (const text of yield* Effect.forEach(stuck, rest, { concurrency: "unbounded" })) {
          assert.match(text, /^HTTP\/1\.1 200 /)
          assert.notInclude(text, "event: turn.completed", "it was served to its end")
        }
      }),
    60_000
  )
})
