import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventTypes } from "../../src/domain/TurnEvent.ts"
import * as Page from "../../src/http/Page.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { follow, get, newSession, script, start, type Started, submit } from "./harness.ts"

let server: Started
beforeAll(async () => {
  server = await start()
})
afterAll(() => server.stop())

type Json = Record<string, unknown>

describe("bootstrap and providers", () => {
  it("tell providers with readiness, defaults, limits, storage and version", async () => {
    const { body, status } = await get(server, "/v1/bootstrap")
    assert.strictEqual(status, 200)
    assert.deepStrictEqual(body.defaults, { provider: "deterministic", model: "echo" })
    assert.strictEqual(body.tokenRequired, false)
    assert.match(String(body.version), /^\d+\.\d+\.\d+/)
    assert.strictEqual((body.limits as Json).runningTurns, 64)
    assert.strictEqual((body.storage as Json).kind, "memory")
    const { body: providers } = await get(server, "/v1/providers")
    assert.deepStrictEqual(providers.items, body.providers)
    const items = providers.items as ReadonlyArray<Json>
    assert.deepInclude(items.find(({ id }) => id === "deterministic"), { readiness: "ready" })
    for (const id of ["openai", "anthropic", "bedrock", "ollama"]) {
      assert.deepInclude(items.find((item) => item.id === id), { readiness: "blocked" })
    }
  })
})

describe("usage", () => {
  it("sums by the groups that are asked for; an unknown group is 400", async () => {
    const session = await newSession(server)
    for (let i = 0; i < 2; i++) await follow(server, (await submit(server, session, { options: script(5) })).id)
    const { body } = await get(server, "/v1/usage?by=session,provider")
    const mine = (body.items as ReadonlyArray<Json>).find((item) => item.session === session)
    assert.deepInclude(mine, { provider: "deterministic", turns: 2 })
    assert.deepInclude(mine?.usage, { outputTokens: 10 })
    assert.strictEqual((await get(server, "/v1/usage")).status, 200)
    for (const by of ["user", "", "session,,day", "session;day"]) {
      assert.strictEqual((await get(server, `/v1/usage?by=${by}`)).status, 400, by)
    }
  })
})

describe("health", () => {
  it("P22: live is 200 always; ready turns 503 when draining, and starts are 503 Draining with Retry-After", async () => {
    const ending = await start()
    const session = await newSession(ending)
    assert.strictEqual((await get(ending, "/health/ready")).status, 200)
    await ending.runtime.runPromise(Effect.flatMap(TurnRuntime, (runtime) => runtime.drain))
    const ready = await get(ending, "/health/ready")
    assert.strictEqual(ready.status, 503)
    assert.strictEqual(ready.body.status, "draining")
    assert.strictEqual((await get(ending, "/health/live")).status, 200)
    const response = await fetch(`${ending.url}/v1/sessions/${session}/turns`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"message":"x"}'
    })
    assert.strictEqual(response.status, 503)
    assert.match(response.headers.get("retry-after") ?? "", /^[1-9]\d*$/)
    assert.strictEqual((await response.json() as Json).code, "Draining")
    await ending.stop()
  })
})

describe("metrics", () => {
  it("are Prometheus text and count what happened", async () => {
    const { headers, status, text } = await get(server, "/metrics")
    assert.strictEqual(status, 200)
    assert.match(headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/)
    assert.match(text, /^# TYPE turnstream_event_streams gauge$/m)
  })
})

const references = (value: unknown): ReadonlyArray<string> =>
  typeof value !== "object" || value === null
    ? []
    : Object.entries(value).flatMap(([key, inner]: [string, unknown]) =>
      key === "$ref" ? [String(inner)] : references(inner)
    )

describe("the interface's description", () => {
  it("is OpenAPI 3.1 with every route, every event and no reference into nothing", async () => {
    const { body } = await get(server, "/openapi.json")
    assert.strictEqual(body.openapi, "3.1.0")
    const schemas = (body.components as Json).schemas as Json
    for (const type of eventTypes) assert.property(schemas, `Event_${type.replace(/[.-]/g, "_")}`)
    for (
      const name of ["TurnEvent", "Problem", "Turn", "Session", "Message", "Checkpoint", "SubmitBody", "TurnError"]
    ) {
      assert.property(schemas, name)
    }
    assert.notProperty(schemas, "HttpApiDecodeError")
    for (const reference of references(body)) {
      assert.property(schemas, reference.replace("#/components/schemas/", ""), reference)
    }
    const paths = body.paths as Record<string, Record<string, { operationId: string; responses: Record<string, Json> }>>
    assert.sameMembers(Object.keys(paths), [
      "/v1/bootstrap",
      "/v1/providers",
      "/v1/usage",
      "/v1/maintenance/vacuum",
      "/v1/sessions",
      "/v1/sessions/import",
      "/v1/sessions/{id}",
      "/v1/sessions/{id}/messages",
      "/v1/sessions/{id}/turns",
      "/v1/sessions/{id}/events",
      "/v1/sessions/{id}/export",
      "/v1/sessions/{id}/context/preview",
      "/v1/turns/{id}",
      "/v1/turns/{id}/events",
      "/v1/turns/{id}/cancel",
      "/v1/turns/{id}/resume",
      "/v1/turns/{id}/retry",
      "/v1/turns/{id}/checkpoints",
      "/v1/turns/{id}/checkpoints/{n}",
      "/health/live",
      "/health/ready",
      "/metrics",
      "/openapi.json",
      "/docs"
    ])
    const operations = Object.values(paths).flatMap((item) => Object.values(item))
    assert.strictEqual(new Set(operations.map(({ operationId }) => operationId)).size, operations.length)
    for (const { operationId, responses } of operations) {
      for (const [status, response] of Object.entries(responses)) {
        if (Number(status) >= 400 && !(operationId === "operations.ready" && status === "503")) {
          assert.deepStrictEqual(Object.keys(response.content as Json), ["application/problem+json"])
        }
      }
    }
    assert.property(paths["/v1/turns/{id}/events"]?.get?.responses["200"]?.content, "text/event-stream")
    assert.property(paths["/v1/turns/{id}/events"]?.get?.responses["200"]?.content, "application/json")
  })

  it("reads as a page without script or inline style, with its stylesheet", async () => {
    const { headers, text } = await get(server, "/docs")
    assert.match(headers.get("content-type") ?? "", /^text\/html/)
    assert.include(headers.get("content-security-policy") ?? "", "default-src 'none'")
    assert.notMatch(text, /<script|<style|\sstyle=|\son\w+=|javascript:/i)
    assert.include(text, '<link rel="stylesheet" href="/docs.css">')
    assert.include(text, "/v1/sessions/{id}/turns")
    assert.include(text, 'id="schema-TurnEvent"')
    const targets = [...text.matchAll(/href="#([^"]+)"/g)].map((match) => match[1])
    for (const target of new Set(targets)) assert.include(text, `id="${target}"`)
    assert.match((await get(server, "/docs.css")).headers.get("content-type") ?? "", /^text\/css/)
  })
})

describe("the page", () => {
  it("serves the files that were there at start by exact path, nothing else, without a token", async () => {
    const folder = await mkdtemp(join(tmpdir(), "turnstream-page-"))
    const directory = join(folder, "workbench")
    await mkdir(join(directory, "parts"), { recursive: true })
    await writeFile(join(directory, "index.html"), "<!doctype html><title>w</title>")
    await writeFile(join(directory, "app.css"), "body{}")
    await writeFile(join(directory, "parts", "app.js"), "export {}")
    await writeFile(join(directory, "notes.txt"), "private")
    const withPage = await start({}, Page.layer({ directory }))
    await rm(folder, { recursive: true })
    const page = await get(withPage, "/?session=x")
    assert.strictEqual(page.text, "<!doctype html><title>w</title>")
    assert.match(page.headers.get("content-type") ?? "", /^text\/html/)
    assert.include(page.headers.get("content-security-policy") ?? "", "require-trusted-types-for 'script'")
    assert.match((await get(withPage, "/parts/app.js")).headers.get("content-type") ?? "", /^text\/javascript/)
    assert.strictEqual((await get(withPage, "/app.css")).status, 200)
    for (const path of ["/notes.txt", "/index.html", "/parts", "/parts/../notes.txt", "/%2e%2e/x"]) {
      assert.strictEqual((await get(withPage, path)).status, 404, path)
    }
    const posted = await fetch(`${withPage.url}/`, { method: "POST" })
    assert.strictEqual(posted.status, 405)
    assert.strictEqual(posted.headers.get("allow"), "GET, HEAD")
    await withPage.stop()
  })

  it("is a 404 problem where nothing was built", async () => {
    const answer = await get(server, "/")
    assert.strictEqual(answer.status, 404)
    assert.strictEqual(answer.body.code, "NotFound")
  })
})
