import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as dgram from "node:dgram"
import * as dns from "node:dns"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { staysLocal } from "./egress-guard.mjs"

describe("egress guard", () => {
  const attempts: ReadonlyArray<readonly [string, () => unknown]> = [
    ["net.connect with options", () => net.connect({ host: "203.0.113.1", port: 443 })],
    ["net.connect with port and host", () => net.connect(443, "provider.example")],
    ["a name lookup", () => dns.lookup("provider.example", () => {})],
    ["a name lookup as a promise", () => dns.promises.resolve4("provider.example")],
    ["a datagram", () => dgram.createSocket("udp4").send("x", 53, "203.0.113.1")]
  ]
  for (const [name, attempt] of attempts) {
    it(`P26: no test leaves this machine, by ${name}`, () => {
      assert.throws(attempt, /tried to leave this machine/)
    })
  }

  it("P26: no test leaves this machine, by fetch", async () => {
    const error: unknown = await fetch("http://203.0.113.1/").catch((error: unknown) => error)
    assert.instanceOf(error, Error)
    assert.match(String(error.cause ?? error), /tried to leave this machine/)
  })

  it("P26: no process that a test starts leaves this machine, and an attempt is marked though its error is swallowed", () => {
    const folder = mkdtempSync(join(tmpdir(), "turnstream-egress-"))
    try {
      const marks = join(folder, "marks")
      const program =
        `fetch("http://203.0.113.1/").catch(() => {}); try { require("dns").lookup("a.example", () => {}) } catch {}`
      const { status } = spawnSync(process.execPath, ["-e", program], {
        env: { ...process.env, TURNSTREAM_TEST_EGRESS: marks }
      })
      assert.strictEqual(status, 0)
      const lines = readFileSync(marks, "utf8").trim().split("\n")
      assert.lengthOf(lines, 2)
      assert.include(lines.join(), "203.0.113.1")
      assert.include(lines.join(), "a.example")
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it("loopback and local sockets stay usable", () => {
    const local: ReadonlyArray<ReadonlyArray<unknown>> = [
      [{ port: 1 }],
      [{ host: "127.0.0.1", port: 1 }],
      [{ host: "::1", port: 1 }],
      [{ path: "/tmp/socket" }],
      [1],
      [1, "localhost"],
      ["/tmp/socket"],
      [[{ port: 1, host: "localhost" }, null]]
    ]
    for (const args of local) assert.isTrue(staysLocal(args), JSON.stringify(args))
    const foreign: ReadonlyArray<ReadonlyArray<unknown>> = [
      [{ host: "127.0.0.1.example", port: 1 }],
      [{ host: "0.0.0.0", port: 1 }],
      [80, "10.0.0.1"],
      [[{ host: "169.254.169.254", port: 80 }, null]]
    ]
    for (const args of foreign) assert.isFalse(staysLocal(args), JSON.stringify(args))
  })
})
