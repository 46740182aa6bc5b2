import { assert, describe, it } from "@effect/vitest"
import * as net from "node:net"
import { staysLocal } from "./egress-guard.ts"

describe("egress guard", () => {
  const attempts: ReadonlyArray<readonly [string, () => unknown]> = [
    ["net.connect with options", () => net.connect({ host: "203.0.113.1", port: 443 })],
    ["net.connect with port and host", () => net.connect(443, "provider.example")]
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
