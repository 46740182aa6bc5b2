import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { readFile } from "node:fs/promises"
import { promisify } from "node:util"
import { createClient } from "../../src/client/Client.ts"
import type * as Harness from "../http/harness.ts"
import * as Proxy from "./proxy.ts"

const example = "examples/client.mjs"
let server: Harness.Started
let proxy: Proxy.Proxy
let stop: () => Promise<void>
beforeAll(async () => {
  ;({ proxy, server, stop } = await Proxy.around())
})
afterAll(() => stop())

const run = () =>
  promisify(execFile)(process.execPath, [example, "A story"], {
    env: { ...process.env, TURNSTREAM_URL: proxy.url, TURNSTREAM_TOKEN: undefined }
  })

describe("the client's example", () => {
  it("P15: prints a whole answer though its first stream is cut", async () => {
    // connections of keep-alive carry several answers: the first two are those of the session and the turn
    let connections = 0
    proxy.allow(() => connections++ === 0 ? 4_000 : undefined)
    const { stderr, stdout } = await run()
    const [session] = (await createClient({ baseUrl: server.url }).sessions.list()).slice(-1)
    const [turn] = await createClient({ baseUrl: server.url }).sessions.turns(session?.id ?? "")
    assert.strictEqual(stdout, `${turn?.text}\ncompleted\n`)
    assert.match(stderr, /^The connection broke off\. Again in \d+(\.\d+)? ms from seq \d+\.\n/)
    assert.strictEqual(proxy.cuts(), 1)
  })

  it("is shown in docs/client.md as it is run here", async () => {
    const [docs, source] = await Promise.all([readFile("docs/client.md", "utf8"), readFile(example, "utf8")])
    assert.include(docs, source.slice(source.indexOf("import")).trim())
  })
})
