/**
 * How much of what was written to a socket the other side's machine has not acknowledged. A peer that vanished without a
 * word (its network is gone) leaves no other trace: what is written to it stays in the kernel, which gives up after a
 * quarter of an hour. Node has no word for it; Linux tells it in a table, elsewhere nothing is known.
 *
 * The table is some hundred bytes a connection: read it per heartbeat, not per event. Bytes in flight are no silence:
 * only a peer that acknowledges nothing new counts.
 */
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import type { Socket } from "node:net"

const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, "0")

/**
 * The bytes in the send queue of the established connection between two ports; 0 where it is not in the table. Where
 * peers on several machines use one port, the least: whoever is not known to be gone is kept.
 */
export const queuedIn = (table: string, localPort: number, remotePort: number): number => {
  const entry = new RegExp(`: [0-9A-F]+:${hex(localPort)} [0-9A-F]+:${hex(remotePort)} 01 ([0-9A-F]{8}):`, "g")
  const found = [...table.matchAll(entry)].map(([, queued = "0"]) => Number.parseInt(queued, 16))
  return found.length === 0 ? 0 : Math.min(...found)
}

/**
 * Judges a peer by what it has acknowledged: false while that grows or nothing is owed, true once it has not grown for
 * `limitMs`. `written` is all that was ever given to the socket.
 */
export const silence = (limitMs: number) => {
  let acknowledged = -1
  let sinceMs = 0
  return (queued: number, written: number, nowMs: number): boolean => {
    if (queued > 0 && written - queued === acknowledged) return nowMs - sinceMs >= limitMs
    acknowledged = written - queued
    sinceMs = nowMs
    return false
  }
}

export const of = (socket: Pick<Socket, "localPort" | "remoteFamily" | "remotePort">): Effect.Effect<number> => {
  const { localPort, remoteFamily, remotePort } = socket
  if (process.platform !== "linux" || localPort === undefined || remotePort === undefined) return Effect.succeed(0)
  const table = remoteFamily === "IPv6" ? "/proc/self/net/tcp6" : "/proc/self/net/tcp"
  return Effect.tryPromise((signal) => readFile(table, { encoding: "latin1", signal })).pipe(
    Effect.map((text) => queuedIn(text, localPort, remotePort)),
    // a system that hides the table tells nothing
    Effect.orElseSucceed(() => 0)
  )
}
