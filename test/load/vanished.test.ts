import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { folder, serve } from "../process/harness.ts"
import { figures, socketsOf } from "./load.ts"

const limits = { heartbeatMs: 500, writeStallMs: 1_000 }
const space = `ts${process.pid % 100_000}`

const ip = (...args: ReadonlyArray<string>): boolean => spawnSync("ip", args).status === 0

/** Why no network can be made that can be taken away, or undefined. */
const cannotMake: string | undefined = (() => {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root may make a network"
  if (!ip("netns", "add", `${space}t`)) return "making a network is not allowed here"
  ip("netns", "del", `${space}t`)
  return undefined
})()

/** A loopback of its own, for server and peer; without it packets are lost on the way, and nobody is told. */
const network = Effect.acquireRelease(
  Effect.sync(() => {
    assert.isTrue(ip("netns", "add", space) && ip("-n", space, "link", "set", "lo", "up"))
    return { takeAway: Effect.sync(() => ip("-n", space, "link", "set", "lo", "down")) }
  }),
  () => Effect.sync(() => ip("netns", "del", space))
)

/** Opens a session and follows it; what it prints is what it got. */
const program = (url: string) => `
  const headers = { "content-type": "application/json" }
  const session = await (await fetch("${url}/v1/sessions", { method: "POST", headers, body: "{}" })).json()
  const accept = "text/event-stream"
  const response = await fetch("${url}/v1/sessions/" + session.id + "/events", { headers: { accept } })
  for await (const part of response.body) process.stdout.write(part)
`

const peer = (url: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const args = ["netns", "exec", space, process.execPath, "--input-type=module", "-e", program(url)]
      return spawn("ip", args, { stdio: ["ignore", "pipe", "inherit"] })
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

describe("a peer whose network is gone", () => {
  it.scopedLive("P18: says nothing and acknowledges nothing: an idle stream to it is dropped after the stall limit", (context) =>
    Effect.gen(function*() {
      if (cannotMake !== undefined) return context.skip(cannotMake)
      const { takeAway } = yield* network
      const server = yield* serve({ dataDir: yield* folder, config: { limits }, networkSpace: space })
      const child = yield* peer(server.url)
      // two heartbeats: it is idle, and it is heard
      for (let said = ""; !/heartbeat[^]*heartbeat/.test(said);) {
        said += String((yield* Effect.promise(() => once(child.stdout, "data")))[0])
      }
      const open = socketsOf(server.child.pid)
      yield* takeAway
      const begun = performance.now()
      yield* Effect.sync(() => socketsOf(server.child.pid)).pipe(
        Effect.filterOrFail((sockets) => sockets < open),
        Effect.retry(Schedule.intersect(Schedule.spaced("25 millis"), Schedule.recurs(800)))
      )
      const ms = performance.now() - begun
      yield* figures("P18, no network", { "stall limit ms": limits.writeStallMs, "dropped after ms": ms })
      assert.isBelow(ms, 5 * limits.writeStallMs)
    }))
})
