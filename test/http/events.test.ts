import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Journal } from "../../src/journal/Journal.ts"
import {
  follow,
  get,
  newSession,
  openStream,
  post,
  script,
  scriptText,
  serverSocket,
  type SseEvent,
  start,
  type Started,
  startLocal,
  submit,
  textIn
} from "./harness.ts"

let server: Started
let dataDir: string
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "turnstream-http-"))
  server = await startLocal({ dataDir })
})
afterAll(async () => {
  await server.stop()
  await rm(dataDir, { recursive: true })
})

const hanging = { options: { script: { steps: [{ say: "abc", bytes: 1 }, { hang: true }] } } }

const dataOf = (events: ReadonlyArray<SseEvent>) => events.map(({ data }) => data)

describe("following a turn", () => {
  it("P15: a follower that is cut at any seqs and resumes reads what an uncut one reads, byte for byte", async () => {
    const session = await newSession(server)
    await FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.array(FastCheck.integer({ min: 1, max: 12 }), { maxLength: 6 }),
        async (cuts) => {
          const turn = await submit(server, session, { options: script(40, 1) })
          const uncut = follow(server, turn.id)
          const seen: Array<SseEvent> = []
          for (const cut of cuts) {
            const last = seen.at(-1)
            const stream = await openStream(
              server,
              `/v1/turns/${turn.id}/events`,
              last?.id === undefined ? {} : { "last-event-id": last.id }
            )
            for (let i = 0; i < cut; i++) {
              const event = await stream.next()
              if (event === undefined) break
              seen.push(event)
            }
            stream.leave()
            if (seen.at(-1)?.event === "turn.completed") break
          }
          const last = seen.at(-1)
          if (last?.event !== "turn.completed") {
            const stream = await openStream(server, `/v1/turns/${turn.id}/events?after=${last?.id ?? 0}`)
            seen.push(...await stream.rest())
          }
          assert.deepStrictEqual(seen, await uncut)
          assert.strictEqual(textIn(seen), scriptText(40))
        }
      ),
      { numRuns: 15 }
    )
  })

  it("the bytes are the same live, replayed, and as JSON", async () => {
    const session = await newSession(server)
    const stream = await openStream(server, `/v1/sessions/${session}/turns`, {}, {
      message: "x",
      options: script(600, 0)
    })
    const live = await stream.rest()
    const turnId = JSON.parse(live[0]?.data ?? "{}").turnId
    assert.deepStrictEqual(dataOf(await follow(server, turnId)), dataOf(live))
    const json = await get(server, `/v1/turns/${turnId}/events?limit=10000`)
    assert.strictEqual(json.text, `{"items":[${dataOf(live).join(",")}]}`)
    const firstPage = await get(server, `/v1/turns/${turnId}/events`)
    assert.strictEqual(firstPage.text, `{"items":[${dataOf(live).slice(0, 200).join(",")}],"nextCursor":"200"}`)
    const rest = await get(server, `/v1/turns/${turnId}/events?after=${firstPage.body.nextCursor}&limit=10000`)
    assert.strictEqual(rest.text, `{"items":[${dataOf(live).slice(200).join(",")}]}`)
  })

  it("a reconnect with the terminal id is 204 as an event stream and an empty page as JSON", async () => {
    const session = await newSession(server)
    const turn = await submit(server, session)
    const events = await follow(server, turn.id)
    const last = String(events.at(-1)?.id)
    const stream = await openStream(server, `/v1/turns/${turn.id}/events`, { "last-event-id": last })
    assert.strictEqual(stream.response.status, 204)
    const json = await get(server, `/v1/turns/${turn.id}/events`, { "last-event-id": last })
    assert.strictEqual(json.text, '{"items":[]}')
  })

  it("Last-Event-ID beats after", async () => {
    const session = await newSession(server)
    const turn = await submit(server, session)
    await follow(server, turn.id)
    const answer = await get(server, `/v1/turns/${turn.id}/events?after=x`, { "last-event-id": "2" })
    assert.strictEqual((answer.body.items as ReadonlyArray<{ seq: number }>)[0]?.seq, 3)
  })

  const malformed = ["x", "-1", "1.5", "1e3", "0x1", " ", "", "9".repeat(30), "%00", "1,2", "NaN"]
  for (const after of [...malformed, "100000"]) {
    it(`P16: the offset ${JSON.stringify(after)} is 400, as JSON and as an event stream, running and ended`, async () => {
      const session = await newSession(server)
      const running = await submit(server, session, hanging)
      for (const accept of ["application/json", "text/event-stream"]) {
        const answer = await get(server, `/v1/turns/${running.id}/events?after=${after}`, { accept })
        assert.strictEqual(answer.status, 400)
        assert.strictEqual(answer.body.code, "InvalidRequest")
      }
      await post(server, `/v1/turns/${running.id}/cancel`)
      for (const accept of ["application/json", "text/event-stream"]) {
        const answer = await get(server, `/v1/turns/${running.id}/events?after=${after}`, { accept })
        assert.strictEqual(answer.status, 400)
        const header = await get(server, `/v1/turns/${running.id}/events`, { accept, "last-event-id": after })
        assert.strictEqual(header.status, 400)
      }
    })
  }

  it("limit is clamped, and 400 when it is no number", async () => {
    const session = await newSession(server)
    const turn = await submit(server, session, { options: script(5) })
    await follow(server, turn.id)
    const path = `/v1/turns/${turn.id}/events`
    for (const [limit, count] of [["0", 1], ["-7", 1], ["2", 2], ["99999999", Number.NaN]] as const) {
      const items = (await get(server, `${path}?limit=${limit}`)).body.items as ReadonlyArray<unknown>
      if (Number.isNaN(count)) assert.isAbove(items.length, 5)
      else assert.lengthOf(items, count)
    }
    for (const limit of ["x", "", "1.5", "1e3"]) {
      assert.strictEqual((await get(server, `${path}?limit=${limit}`)).status, 400)
    }
  })

  it("P13: a client that leaves changes nothing: the turn completes with its whole text", async () => {
    const session = await newSession(server)
    const stream = await openStream(server, `/v1/sessions/${session}/turns`, {}, {
      message: "x",
      options: script(50, 2)
    })
    const first = await stream.next()
    stream.leave()
    const turnId = JSON.parse(first?.data ?? "{}").turnId
    const events = await follow(server, turnId)
    assert.strictEqual(events.at(-1)?.event, "turn.completed")
    assert.strictEqual(textIn(events), scriptText(50))
    assert.deepStrictEqual(events.filter(({ event }) => event === "turn.failed"), [])
  })
})

describe("following a session", () => {
  it("every event of its turns comes once, in order, under <turnId>.<seq>, and the stream stays open between turns", async () => {
    const session = await newSession(server)
    const stream = await openStream(server, `/v1/sessions/${session}/events`)
    const seen: Array<SseEvent> = []
    const ids: Array<string> = []
    for (let i = 0; i < 2; i++) {
      const turn = await submit(server, session, { options: script(4) })
      ids.push(turn.id)
      for (let event = await stream.next(); event !== undefined; event = await stream.next()) {
        seen.push(event)
        if (event.event === "turn.completed") break
      }
    }
    stream.leave()
    const expected = (await Promise.all(ids.map((id) => follow(server, id))))
      .flatMap((events, i) => events.map((event) => ({ ...event, id: `${ids[i]}.${event.id}` })))
    assert.deepStrictEqual(seen, expected)
    const ended = await (await openStream(server, `/v1/sessions/${session}/events?live=false`)).rest()
    assert.deepStrictEqual(ended, expected)
    const after = expected[3]?.id ?? ""
    const resumed = await openStream(server, `/v1/sessions/${session}/events?live=false`, { "last-event-id": after })
    assert.deepStrictEqual(await resumed.rest(), expected.slice(4))
    const page = await get(server, `/v1/sessions/${session}/events?limit=3`)
    assert.strictEqual(
      page.text,
      `{"items":[${dataOf(expected).slice(0, 3).join(",")}],"nextCursor":${JSON.stringify(expected[2]?.id)}}`
    )
    const next = await get(server, `/v1/sessions/${session}/events?after=${page.body.nextCursor}&limit=1000`)
    assert.strictEqual(next.text, `{"items":[${dataOf(expected).slice(3).join(",")}]}`)
  })

  it("P16: a cursor that is malformed, of another session, or beyond the end is 400", async () => {
    const session = await newSession(server)
    const other = await newSession(server)
    const turn = await submit(server, session)
    await follow(server, turn.id)
    const cursors = [
      "x",
      "1",
      `${turn.id}`,
      `${turn.id}.`,
      `${turn.id}.0`,
      `${turn.id}.-1`,
      `${turn.id}.999`,
      "nobody.1",
      "../x.1"
    ]
    for (const accept of ["application/json", "text/event-stream"]) {
      for (const cursor of cursors) {
        const answer = await get(server, `/v1/sessions/${session}/events?live=false&after=${cursor}`, { accept })
        assert.strictEqual(answer.status, 400, cursor)
      }
      const foreign = await get(server, `/v1/sessions/${other}/events?live=false&after=${turn.id}.1`, { accept })
      assert.strictEqual(foreign.status, 400)
    }
    assert.strictEqual((await get(server, `/v1/sessions/${session}/events?live=maybe`)).status, 400)
    assert.strictEqual((await get(server, "/v1/sessions/nobody/events")).status, 404)
  })

  it("deleting the session ends its followers with an error event that has no id", async () => {
    const session = await newSession(server)
    const turn = await submit(server, session, hanging)
    const stream = await openStream(server, `/v1/sessions/${session}/events`)
    await stream.next()
    const deleted = post(server, `/v1/turns/${turn.id}/cancel`).then(() =>
      fetch(`${server.url}/v1/sessions/${session}`, { method: "DELETE" })
    )
    const events = await stream.rest()
    assert.strictEqual((await deleted).status, 204)
    const last = events.at(-1)
    assert.strictEqual(last?.event, "error")
    assert.strictEqual(JSON.parse(last?.data ?? "{}").code, "SessionNotFound")
    assert.strictEqual((await get(server, `/v1/turns/${turn.id}`)).status, 404)
  })
})

describe("the stream on the socket", () => {
  it("headers and a comment go out before any event, and an error event carries no id line", async () => {
    const session = await newSession(server)
    const turn = await submit(server, session, hanging)
    const bytes = await new Promise<string>((resolve) => {
      let text = ""
      const socket = connect(server.port, "127.0.0.1", () => {
        socket.write(
          `GET /v1/turns/${turn.id}/events?after=${turn.lastSeq} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAccept: text/event-stream\r\n\r\n`
        )
      })
      socket.on("data", (part) => {
        const opened = text.includes(": turnstream\n\n")
        text += part.toString()
        if (!opened && text.includes(": turnstream\n\n")) {
          void server.runtime.runPromise(Effect.flatMap(Journal, (journal) => journal.endFollowers("storage", turn.id)))
        }
        if (text.includes("event: error")) socket.end()
      })
      socket.on("close", () => resolve(text))
    })
    const error = bytes.slice(bytes.indexOf("event: error"))
    assert.match(error, /^event: error\ndata: \{"code":"StorageUnavailable",/)
    assert.notMatch(bytes.slice(bytes.lastIndexOf("\n\n", bytes.indexOf("event: error"))), /^id:/m)
    await post(server, `/v1/turns/${turn.id}/cancel`)
  })
})

describe("pages of events", () => {
  it("P17: a session's page ends by size before it ends by count, and the next goes on there", async () => {
    const large = await start({ limits: { outputBytesPerTurn: 64 * 1024 * 1024 } })
    const session = await newSession(large)
    const turn = await submit(large, session, { options: { script: { deltas: 12, bytes: 1_048_576 } } })
    await follow(large, turn.id)
    const seqs: Array<number> = []
    const sizes: Array<number> = []
    let cursor = ""
    do {
      const page = await get(large, `/v1/sessions/${session}/events?limit=1000${cursor}`)
      const items = page.body.items as ReadonlyArray<{ readonly seq: number }>
      seqs.push(...items.map(({ seq }) => seq))
      sizes.push(page.text.length)
      cursor = page.body.nextCursor === undefined ? "" : `&after=${String(page.body.nextCursor)}`
    } while (cursor !== "")
    assert.deepStrictEqual(seqs, Array.from({ length: 18 }, (_, index) => index + 1))
    assert.isAbove(sizes.length, 1)
    assert.isBelow(Math.max(...sizes), 6 * 1_048_576)
    await large.stop()
  })
})

describe("limits of streams", () => {
  it("P18: an idle stream gets heartbeats", async () => {
    const short = await start({ limits: { heartbeatMs: 40 } })
    const session = await newSession(short)
    const stream = await openStream(short, `/v1/sessions/${session}/events`)
    assert.strictEqual(await stream.comment(), "turnstream")
    assert.strictEqual(await stream.comment(), "heartbeat")
    assert.strictEqual(await stream.comment(), "heartbeat")
    stream.leave()
    await short.stop()
  })

  it("P18: a reader that takes nothing is dropped, and the turn goes on to its end", async () => {
    const short = await start({ limits: { writeStallMs: 200, outputBytesPerTurn: 64 * 1024 * 1024 } })
    const session = await newSession(short)
    const turn = await submit(short, session, { options: { script: { deltas: 300, bytes: 65_536 } } })
    const accepted = serverSocket()
    const reader = connect(short.port, "127.0.0.1", () => {
      reader.write(
        `GET /v1/turns/${turn.id}/events HTTP/1.1\r\nHost: 127.0.0.1:${short.port}\r\nAccept: text/event-stream\r\n\r\n`
      )
      reader.pause()
    })
    await once(await accepted, "close")
    reader.destroy()
    const events = await follow(short, turn.id)
    assert.strictEqual(events.at(-1)?.event, "turn.completed")
    await short.stop()
  })

  it("P18: a reader that is slow and steady is not dropped, though what waits for it is always of one size", async () => {
    const short = await start({ limits: { writeStallMs: 400, outputBytesPerTurn: 64 * 1024 * 1024 } })
    const session = await newSession(short)
    const turn = await submit(short, session, { options: { script: { deltas: 300, bytes: 65_536 } } })
    const reader = connect(short.port, "127.0.0.1", () => {
      reader.write(
        `GET /v1/turns/${turn.id}/events HTTP/1.1\r\nHost: 127.0.0.1:${short.port}\r\nAccept: text/event-stream\r\n\r\n`
      )
    })
    let tail = ""
    // a pause after each part: the server always waits for it, and never for long
    for await (const part of reader) {
      tail = (tail + String(part)).slice(-2_000)
      if (tail.includes("event: turn.completed")) break
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    assert.include(tail, "event: turn.completed")
    await short.stop()
  })

  it("P18: a reader of a long JSON answer that takes nothing is dropped", async () => {
    const short = await start({ limits: { writeStallMs: 200, heartbeatMs: 100 } })
    const text = "x".repeat(1_000_000)
    const messages = Array.from({ length: 40 }, () => ({ role: "user", parts: [{ type: "text", text }] }))
    const session = await post(short, "/v1/sessions/import", { v: 1, session: {}, messages })
    const accepted = serverSocket()
    const reader = connect(short.port, "127.0.0.1", () => {
      reader.write(`GET /v1/sessions/${session.body.id}/export HTTP/1.1\r\nHost: 127.0.0.1:${short.port}\r\n\r\n`)
      reader.pause()
    })
    await once(await accepted, "close")
    reader.destroy()
    assert.strictEqual((await get(short, "/health/live")).status, 200)
    await short.stop()
  })

  it("P18: a connection whose request is not there yet has the header timeout, not the stall limit", async () => {
    const short = await start({ limits: { writeStallMs: 40, heartbeatMs: 20, headerTimeoutMs: 5_000 } })
    const accepted = serverSocket()
    const client = connect(short.port, "127.0.0.1")
    let answer = ""
    client.setEncoding("utf8").on("data", (part: string) => {
      answer += part
    })
    const socket = await accepted
    for (let silences = 0; silences < 3; silences++) await once(socket, "timeout")
    client.write(`GET /health/live HTTP/1.1\r\nHost: 127.0.0.1:${short.port}\r\nConnection: close\r\n\r\n`)
    await once(client, "close")
    assert.match(answer, /^HTTP\/1\.1 200 /)
    await short.stop()
  })

  it("P18: a connection that never sends a request is closed after the header timeout", async () => {
    const short = await start({ limits: { headerTimeoutMs: 100 } })
    const client = connect(short.port, "127.0.0.1")
    client.resume()
    await once(client, "close")
    await short.stop()
  })

  it("more than limits.runningTurns running turns are 429 with Retry-After, and no turn is journaled", async () => {
    const small = await start({ limits: { runningTurns: 1 } })
    const busy = await newSession(small)
    const free = await newSession(small)
    await submit(small, busy, hanging)
    const refused = await post(small, `/v1/sessions/${free}/turns`, { message: "x" })
    assert.strictEqual(refused.status, 429)
    assert.deepInclude(refused.body, { code: "Overloaded", what: "runningTurns", limit: 1, retryable: true })
    assert.match(refused.headers.get("retry-after") ?? "", /^[1-9]\d*$/)
    assert.deepStrictEqual((await get(small, `/v1/sessions/${free}/turns`)).body.items, [])
    await small.stop()
  })

  it("more than limits.eventStreams open streams are 429 with Retry-After, and no turn is journaled", async () => {
    const small = await start({ limits: { eventStreams: 1 } })
    const session = await newSession(small)
    const stream = await openStream(small, `/v1/sessions/${session}/events`)
    const refused = await post(small, `/v1/sessions/${session}/turns`, { message: "x" }, {
      accept: "text/event-stream"
    })
    assert.strictEqual(refused.status, 429)
    assert.strictEqual(refused.body.code, "Overloaded")
    assert.strictEqual(refused.body.what, "eventStreams")
    assert.match(refused.headers.get("retry-after") ?? "", /^[1-9]\d*$/)
    assert.deepStrictEqual((await get(small, `/v1/sessions/${session}/turns`)).body.items, [])
    const turn = await submit(small, session)
    await small.runtime.runPromise(Effect.flatMap(Journal, (journal) => journal.endFollowers("shutdown")))
    await stream.rest()
    assert.strictEqual((await get(small, `/v1/turns/${turn.id}/events`, { accept: "text/event-stream" })).status, 200)
    await small.stop()
  })
})
