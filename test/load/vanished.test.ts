import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { folder, serve } from "../process/harness.ts"
import { figures, socketsOf } from "./load.ts"

const token = "token-of-this-test"
const limits = { heartbeatMs: 500, writeStallMs: 1_000 }
/** An address of its own for each run, in a range that is nobody's. */
const net = `198.18.${process.pid % 250}`
const space = `ts${process.pid % 100_000}`

const ip = (...args: ReadonlyArray<string>): boolean => spawnSync("ip", args).status === 0

/** A second machine behind a cable that can be pulled, or why there is none. */
const cannotCable: string | undefined = (() => {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root may make a network"
  if (!ip("netns", "add", `${space}t`)) return "making a network is not allowed here"
  ip("netns", "del", `${space}t`)
  return undefined
})()

const cable = Effect.acquireRelease(
  Effect.sync(() => {
    const near = `${space}a`
    const far = `${space}b`
    const made = ip("netns", "add", space) && ip("link", "add", near, "type", "veth", "peer", "name", far) &&
      ip("link", "set", far, "netns", space) && ip("addr", "add", `${net}.1/24`, "dev", near) &&
      ip("link", "set", near, "up") && ip("-n", space, "addr", "add", `${net}.2/24`, "dev", far) &&
      ip("-n", space, "link", "set", far, "up")
    assert.isTrue(made)
    return { host: `${net}.1`, pull: Effect.sync(() => ip("link", "set", near, "down")) }
  }),
  () =>
    Effect.sync(() => {
      ip("link", "del", `${space}a`)
      ip("netns", "del", space)
    })
)

/** Opens a session and follows it, on the far machine; what it prints is what it got. */
const program = (url: string) => `
  const headers = { authorization: "Bearer ${token}", "content-type": "application/json" }
  const session = await (await fetch("${url}/v1/sessions", { method: "POST", headers, body: "{}" })).json()
  const accept = "text/event-stream"
  const response = await fetch("${url}/v1/sessions/" + session.id + "/events", { headers: { ...headers, accept } })
  for await (const part of response.body) process.stdout.write(part)
`

const farReader = (url: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const args = ["netns", "exec", space, process.execPath, "--input-type=module", "-e", program(url)]
      // the guard of the suite would take the far machine for the world
      return spawn("ip", args, { env: { PATH: process.env["PATH"] ?? "" }, stdio: ["ignore", "pipe", "inherit"] })
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

describe("a peer whose network is gone", () => {
  it.scopedLive("P18: says nothing and acknowledges nothing: an idle stream to it is dropped after the stall limit", (context) =>
    Effect.gen(function*() {
      if (cannotCable !== undefined) return context.skip(cannotCable)
      const { host, pull } = yield* cable
      const server = yield* serve({
        dataDir: yield* folder,
        config: { limits, hosts: [host] },
        env: { TURNSTREAM_HOST: host, TURNSTREAM_TOKEN: token }
      })
      const child = yield* farReader(server.url)
      // two heartbeats: it is idle, and it is heard
      for (let said = ""; !/heartbeat[^]*heartbeat/.test(said);) {
        said += String((yield* Effect.promise(() => once(child.stdout, "data")))[0])
      }
      const open = socketsOf(server.child.pid)
      yield* pull
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
