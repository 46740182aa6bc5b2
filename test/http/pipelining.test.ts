import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import { connect } from "node:net"
import {
  follow,
  get,
  newSession,
  raw,
  script,
  serverSocket,
  start,
  type Started,
  startHeld,
  startWith,
  submit
} from "./harness.ts"

const eventStream = "Accept: text/event-stream\r\n"

const asking = (server: Started, path: string, more = ""): string =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n${more}\r\n`

const openStreams = async (server: Started): Promise<number> =>
  Number(/^turnstream_event_streams (\d+)$/m.exec((await get(server, "/metrics")).text)?.[1])

/** Asks until it is so: who has left is noticed a moment later. */
const untilOpen = async (server: Started, count: number): Promise<void> => {
  const end = performance.now() + 15_000
  let open = await openStreams(server)
  while (open !== count && performance.now() < end) open = await openStreams(server)
  assert.strictEqual(open, count, "open event streams")
}

/** Everything in one write; what comes back is read. */
const sendAll = (server: Started, bytes: string) => {
  const client = connect(server.port, "127.0.0.1", () => client.write(bytes))
  let text = ""
  client.setEncoding("latin1").on("data", (part: string) => {
    text += part
  })
  client.on("error", () => {})
  return { client, text: () => text }
}

/** So much waits that the server reads no more: the end of the connection shows when it writes, or writes no more. */
const soon = { limits: { heartbeatMs: 400, writeStallMs: 1_000 } }

const hanging = { options: { script: { steps: [{ say: "abc", bytes: 1 }, { hang: true }] } } }
const long = { options: script(200, 0, 4_096) }

describe("event streams that are asked for in one packet", () => {
  const kinds: ReadonlyArray<readonly [name: string, path: (server: Started) => Promise<string>]> = [
    ["a session", async (server) => `/v1/sessions/${await newSession(server)}/events`],
    [
      "a running turn",
      async (server) => `/v1/turns/${(await submit(server, await newSession(server), hanging)).id}/events`
    ]
  ]
  for (const [name, pathOf] of kinds) {
    it(`of ${name}: all are released when the connection ends`, async () => {
      const server = await start()
      const { client } = sendAll(server, asking(server, await pathOf(server), eventStream).repeat(6))
      await untilOpen(server, 6)
      client.destroy()
      await untilOpen(server, 0)
      await server.stop()
    })
  }

  it("of an ended turn, longer than what is kept for them: all are released when the connection ends", async () => {
    const server = await start(soon)
    const session = await newSession(server)
    const turn = await submit(server, session, long)
    await follow(server, turn.id)
    const first = asking(server, `/v1/sessions/${session}/events`, eventStream)
    const { client } = sendAll(server, first + asking(server, `/v1/turns/${turn.id}/events`, eventStream).repeat(5))
    await untilOpen(server, 6)
    client.destroy()
    await untilOpen(server, 0)
    await server.stop()
  })

  it("the first ends: the next goes on where it waited, and what still waits is released with the connection", async () => {
    const server = await start(soon)
    const session = await newSession(server)
    const turn = await submit(server, session, long)
    await follow(server, turn.id)
    const ofTurn = asking(server, `/v1/turns/${turn.id}/events`, eventStream)
    const ofSession = asking(server, `/v1/sessions/${session}/events`, eventStream)
    const { client, text } = sendAll(server, ofTurn.repeat(2) + ofSession.repeat(4))
    while ((text().match(/event: turn\.completed/g) ?? []).length < 3) await once(client, "data")
    await untilOpen(server, 4)
    client.destroy()
    await untilOpen(server, 0)
    await server.stop()
  })

  it("P18: one that nothing is taken of is dropped though it waits behind another", async () => {
    const server = await start({ limits: { writeStallMs: 200, heartbeatMs: 100 } })
    const session = await newSession(server)
    const turn = await submit(server, session, long)
    await follow(server, turn.id)
    const { client } = sendAll(
      server,
      asking(server, `/v1/sessions/${session}/events`, eventStream) +
        asking(server, `/v1/turns/${turn.id}/events`, eventStream)
    )
    await once(client, "close")
    await untilOpen(server, 0)
    await server.stop()
  })

  it("a connection of many requests keeps one listener, and warns of nothing", async () => {
    const server = await start()
    const warnings: Array<string> = []
    const onWarning = ({ name }: Error) => warnings.push(name)
    process.on("warning", onWarning)
    const path = `/v1/sessions/${await newSession(server)}/events`
    const accepted = serverSocket()
    const { client, text } = sendAll(server, asking(server, path).repeat(500))
    const socket = await accepted
    while ((text().match(/HTTP\/1\.1 200/g) ?? []).length < 500) await once(client, "data")
    const before = socket.listenerCount("close")
    client.write(asking(server, path, eventStream).repeat(16))
    await untilOpen(server, 16)
    // the one of the response that has the socket comes and goes
    assert.isAtMost(socket.listenerCount("close"), before + 1)
    client.destroy()
    await untilOpen(server, 0)
    process.off("warning", onWarning)
    assert.deepStrictEqual(warnings, [])
    await server.stop()
  })

  it("P13: a submit that waits behind a stream has its turn though its client leaves, and gives its slot back", async () => {
    const { asked, begun, left, server } = await startHeld()
    const session = await newSession(server)
    const body = JSON.stringify({ message: "x", ...hanging })
    const submitting = [
      `POST /v1/sessions/${session}/turns HTTP/1.1`,
      `Host: 127.0.0.1:${server.port}`,
      "Accept: text/event-stream",
      "Content-Type: application/json",
      `Content-Length: ${body.length}`
    ].join("\r\n")
    const accepted = serverSocket()
    const { client } = sendAll(
      server,
      `${asking(server, `/v1/sessions/${session}/events`, eventStream)}${submitting}\r\n\r\n${body}`
    )
    const socket = await accepted
    await asked()
    const closed = new Promise((resolve) => socket.once("close", resolve))
    client.destroy()
    await closed
    await untilOpen(server, 1)
    left()
    const id = await begun()
    await untilOpen(server, 0)
    assert.strictEqual((await get(server, `/v1/turns/${id}`)).body.status, "running")
    await server.stop()
  })
})

describe("the stall limit, with several requests on a connection", () => {
  it("judges the oldest open answer: one that is at work is left alone, whatever came before and waits behind", async () => {
    const asked = await Effect.runPromise(Deferred.make<void>())
    const go = await Effect.runPromise(Deferred.make<void>())
    const server = await startWith(() => ({}), { limits: { writeStallMs: 40, heartbeatMs: 20 } }, (journal) => ({
      session: (id) =>
        Deferred.succeed(asked, undefined).pipe(
          Effect.zipRight(Deferred.await(go)),
          Effect.zipRight(journal.session(id))
        )
    }))
    const session = await newSession(server)
    const accepted = serverSocket()
    const answers = raw(
      server.port,
      asking(server, "/health/live") + asking(server, `/v1/sessions/${session}`) +
        asking(server, "/health/live", "Connection: close\r\n")
    )
    const socket = await accepted
    await Effect.runPromise(Deferred.await(asked))
    for (let silences = 0; silences < 3; silences++) await once(socket, "timeout")
    await Effect.runPromise(Deferred.succeed(go, undefined))
    assert.lengthOf((await answers).match(/HTTP\/1\.1 200/g) ?? [], 3)
    await server.stop()
  })
})
