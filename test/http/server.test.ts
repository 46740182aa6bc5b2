import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { once } from "node:events"
import { connect } from "node:net"
import * as Page from "../../src/http/Page.ts"
import * as Server from "../../src/http/Server.ts"
import { layerTest } from "../../src/layers.ts"
import { get, newSession, openStream, rawRequest, start, statusOf, submit, type TestSettings } from "./harness.ts"

const failureOf = (settings: TestSettings) =>
  Layer.launch(Server.layer.pipe(Layer.provide(Page.layerEmpty), Layer.provide(layerTest(settings)))).pipe(
    Effect.exit,
    Effect.map((exit) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined),
    Effect.runPromise
  )

describe("starting", () => {
  it("refuses any host but loopback without a token, and says what to do", async () => {
    for (const host of ["0.0.0.0", "::", "192.168.1.1", "chat.example"]) {
      const error = await failureOf({ host })
      assert.instanceOf(error, Server.ServerError)
      assert.strictEqual((error as Server.ServerError).kind, "token-needed")
      assert.include((error as Server.ServerError).message, "TURNSTREAM_TOKEN")
    }
  })

  it("says that the port is in use", async () => {
    const server = await start()
    const error = await failureOf({ port: server.port })
    assert.instanceOf(error, Server.ServerError)
    assert.strictEqual((error as Server.ServerError).kind, "address-in-use")
    await server.stop()
  })

  it("with a token it listens on every address, for loopback names only", async () => {
    const server = await start({ host: "0.0.0.0", token: Redacted.make("t") })
    const ask = async (host: string) =>
      statusOf(await rawRequest(server.port, "GET /health/live HTTP/1.1", [`Host: ${host}:${server.port}`]))
    assert.strictEqual(await ask("127.0.0.1"), 200)
    assert.strictEqual(await ask("192.168.1.1"), 421)
    await server.stop()
  })
})

describe("closing", () => {
  const hanging = { options: { script: { steps: [{ say: "abc" }, { hang: true }] } } }

  it("P22: open streams see their turns' ends, stuck readers are cut, and closing does not hang", async () => {
    const server = await start({ drainMs: 20 })
    const session = await newSession(server)
    const turn = await submit(server, session, hanging)
    const turnStream = await openStream(server, `/v1/turns/${turn.id}/events`)
    const sessionStream = await openStream(server, `/v1/sessions/${session}/events`)
    const idle = connect(server.port, "127.0.0.1")
    await once(idle, "connect")
    const half = connect(server.port, "127.0.0.1", () => half.write("GET /v1/bootstrap HTTP/1.1\r\nHost:"))
    await once(half, "connect")
    const closed = [once(idle, "close"), once(half, "close")]
    idle.resume()
    half.resume()
    for (const socket of [idle, half]) socket.on("error", () => {})
    const stopped = server.stop()
    const events = await turnStream.rest()
    assert.strictEqual(events.at(-1)?.event, "turn.failed")
    assert.deepInclude(JSON.parse(events.at(-1)?.data ?? "{}").data.error, { _tag: "Interrupted", cause: "shutdown" })
    const all = await sessionStream.rest()
    assert.strictEqual(all.at(-1)?.event, "error")
    assert.strictEqual(JSON.parse(all.at(-1)?.data ?? "{}").code, "Draining")
    await stopped
    await Promise.all(closed)
  })

  it("a server that is closed refuses connections", async () => {
    const server = await start()
    await server.stop()
    const refused = await get(server, "/health/live").then(() => false, () => true)
    assert.isTrue(refused)
  })
})
