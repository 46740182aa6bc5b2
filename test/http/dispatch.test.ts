import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as diagnosticsChannel from "node:diagnostics_channel"
import { mkdtemp, rm } from "node:fs/promises"
import type { Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { document } from "../../src/http/OpenApiDocument.ts"
import * as Routes from "../../src/http/Routes.ts"
import * as RouteTable from "../../src/http/RouteTable.ts"
import { get, newSession, openStream, post, rawRequest, script, startHeld, startLocal, startWith } from "./harness.ts"

const all: ReadonlyArray<Routes.Route> = [Routes.sessions, Routes.turns, Routes.operations].flatMap((group) =>
  Object.values<Routes.Route>(group)
)

describe("the table of routes", () => {
  const table = RouteTable.make(all.map((route) => [route, `${route.method} ${route.path}`]))
  const found = (method: string, path: string) => {
    const { parts, value } = table.find(method, path) ?? {}
    return [value, parts]
  }

  it("finds every route by its method and a path of its shape, with its parts", () => {
    for (const { method, path } of all) {
      const names = [...path.matchAll(/:(\w+)/g)].map(([, name = ""]) => name)
      const asked = path.replace(/:(\w+)/g, "of-$1")
      assert.deepStrictEqual(found(method, asked), [
        `${method} ${path}`,
        Object.fromEntries(names.map((name) => [name, `of-${name}`]))
      ])
    }
  })

  it("a path that a route says in full goes before one that it leaves open, for its own method alone", () => {
    assert.deepStrictEqual(found("POST", "/v1/sessions/import"), ["POST /v1/sessions/import", {}])
    assert.deepStrictEqual(found("GET", "/v1/sessions/import"), ["GET /v1/sessions/:id", { id: "import" }])
    assert.deepStrictEqual(table.methods("/v1/sessions/import"), ["POST", "GET", "HEAD", "PATCH", "DELETE"])
  })

  it("a route that leaves something open is found by its own text like by any other, with its parts", () => {
    for (const { method, path } of all.filter(({ path }) => path.includes(":"))) {
      const names = [...path.matchAll(/:(\w+)/g)].map(([, name = ""]) => name)
      assert.deepStrictEqual(found(method, path), [
        `${method} ${path}`,
        Object.fromEntries(names.map((name) => [name, `:${name}`]))
      ])
    }
  })

  it("HEAD is found where GET is, and a part is decoded once", () => {
    assert.deepStrictEqual(found("HEAD", "/v1/turns/a%2541"), ["GET /v1/turns/:id", { id: "a%41" }])
    assert.deepStrictEqual(found("HEAD", "/v1/turns/a/cancel"), [undefined, undefined])
  })

  it("nothing else is found: another case, an empty part, a slash more or less", () => {
    for (
      const path of ["/V1/sessions", "/v1/sessions/", "//v1/sessions", "/v1/turns//events", "v1/sessions", "", "*"]
    ) {
      assert.deepStrictEqual([table.find("GET", path), table.methods(path)], [undefined, []], path)
    }
  })

  it("every route is described, and nothing else is", () => {
    const { paths } = document()
    const described = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ":$1")}`)
    )
    const routes = all.map(({ method, path }) => `${method} ${path}`).filter((route) => route !== "GET /docs.css")
    assert.deepStrictEqual(described.toSorted(), routes.toSorted())
  })
})

describe("the fiber of a request", () => {
  it("a handler that throws before it has an effect is a 500, and the service goes on", async () => {
    const server = await startWith(() => ({}), {}, () => ({
      session: () => {
        throw new Error("canary")
      }
    }))
    const answer = await get(server, "/v1/sessions/s")
    assert.strictEqual(answer.status, 500)
    assert.strictEqual(answer.body.code, "InternalError")
    assert.notInclude(answer.text, "canary")
    assert.strictEqual((await get(server, "/health/live")).status, 200)
    await server.stop()
  })

  it("P13: a client that leaves during its submit has its turn, and gives its slot of streams back", async () => {
    const { asked, begun, left, server } = await startHeld({ limits: { eventStreams: 1 } })
    const path = `/v1/sessions/${await newSession(server)}/turns`
    const abort = new AbortController()
    const request = fetch(server.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify({ message: "x", options: script(3) }),
      signal: abort.signal
    })
    await asked()
    assert.strictEqual((await post(server, path, { message: "y" }, { accept: "text/event-stream" })).status, 429)
    abort.abort()
    await request.catch(() => {})
    // another request on the server: the one that left has been noticed before it is answered
    await get(server, "/health/live")
    left()
    const id = await begun()
    const stream = await openStream(server, `/v1/turns/${id}/events`)
    assert.strictEqual(stream.response.status, 200)
    assert.strictEqual((await stream.rest()).at(-1)?.event, "turn.completed")
    await server.stop()
  })

  it("P22: a command that is still at work when the service closes is ended with it", async () => {
    const asked = await Effect.runPromise(Deferred.make<void>())
    let ended = false
    const server = await startWith(() => ({
      cancel: () =>
        Deferred.succeed(asked, undefined).pipe(
          Effect.zipRight(Effect.never),
          Effect.onInterrupt(() =>
            Effect.sync(() => {
              ended = true
            })
          )
        )
    }))
    const request = post(server, "/v1/turns/x/cancel").catch(() => {})
    await Effect.runPromise(Deferred.await(asked))
    await server.stop()
    assert.isTrue(ended)
    await request
  })
})

describe("what goes to the socket", () => {
  /** What the server's end of the next connection writes, one entry a write. */
  const writesOfNext = (): ReadonlyArray<string> => {
    const writes: Array<string> = []
    const channel = diagnosticsChannel.channel("net.server.socket")
    const onSocket = (message: unknown) => {
      channel.unsubscribe(onSocket)
      const { socket } = message as {
        readonly socket: Socket & { _writeGeneric: (...args: ReadonlyArray<unknown>) => void }
      }
      const write = socket._writeGeneric
      socket._writeGeneric = (writev, data, ...rest) => {
        const chunks = writev === true ? (data as ReadonlyArray<{ readonly chunk: unknown }>) : [{ chunk: data }]
        writes.push(chunks.map(({ chunk }) => String(chunk)).join(""))
        Reflect.apply(write, socket, [writev, data, ...rest])
      }
    }
    channel.subscribe(onSocket)
    return writes
  }

  it("the last event of a turn goes out with the end of its stream, a finished turn whole with its head", async () => {
    // on disk a commit is a turn of the event loop: what comes after it is another write
    const dataDir = await mkdtemp(join(tmpdir(), "turnstream-http-"))
    const server = await startLocal({ dataDir })
    const session = await newSession(server)
    const turn = await post(server, `/v1/sessions/${session}/turns`, { message: "x", options: script(3, 1) })
    const ask = () =>
      rawRequest(server.port, `GET /v1/turns/${turn.body.id}/events HTTP/1.1`, [
        `Host: 127.0.0.1:${server.port}`,
        "Accept: text/event-stream"
      ])
    const live = writesOfNext()
    await ask()
    assert.match(live.at(-1) ?? "", /event: turn\.completed\n[^]*\r\n0\r\n\r\n$/)
    const whole = writesOfNext()
    await ask()
    assert.lengthOf(whole, 1)
    assert.match(whole[0] ?? "", /^HTTP\/1\.1 200 [^]*: turnstream\n[^]*event: turn\.completed\n[^]*\r\n0\r\n\r\n$/)
    await server.stop()
    await rm(dataDir, { recursive: true })
  })
})
