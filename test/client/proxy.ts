/**
 * A TCP proxy that cuts. A connection passes as many bytes of answers as its budget allows, then both sides are destroyed; it knows nothing of HTTP, so a cut falls anywhere: in a head, a chunk's length, a character, an event.
 */
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import * as Harness from "../http/harness.ts"

export interface Proxy {
  readonly url: string
  /** As a server takes it for one of its own (`hosts`). */
  readonly host: string
  /** From now on: bytes of answers that the next connection passes; undefined for all. */
  readonly allow: (budget: () => number | undefined) => void
  /** Connections that were cut since then. */
  readonly cuts: () => number
  /** Every connection that is open now is cut. */
  readonly cutAll: () => void
  readonly close: () => Promise<void>
}

export const open = async (port: () => number): Promise<Proxy> => {
  const sockets = new Set<Socket>()
  let budget: () => number | undefined = () => undefined
  let cuts = 0
  const server = createServer((client) => {
    const upstream = connect(port(), "127.0.0.1")
    let left = budget() ?? Number.POSITIVE_INFINITY
    const end = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on("error", end)
      socket.on("close", () => {
        sockets.delete(socket)
        end()
      })
    }
    client.pipe(upstream)
    upstream.on("data", (bytes: Buffer) => {
      const passed = bytes.subarray(0, left)
      left -= passed.length
      if (left > 0) return void client.write(passed)
      cuts++
      client.write(passed, end)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const cutAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: `http://${host}`,
    host,
    allow: (next) => {
      budget = next
      cuts = 0
      cutAll()
    },
    cuts: () => cuts,
    cutAll,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      cutAll()
      await closed
    }
  }
}

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
export const chance = (seed: number) => {
  let state = seed | 0
  return (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A server, and a proxy before it that it takes for its own. */
export const around = async () => {
  let port = 0
  const proxy = await open(() => port)
  const server = await Harness.start({ hosts: [proxy.host] })
  port = server.port
  return { proxy, server, stop: () => proxy.close().then(server.stop) }
}
