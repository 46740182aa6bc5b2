/**
 * One request on its way to its answer: what it asks, the socket's two ends, and the fiber that works on it. A client that
 * leaves ends that fiber, unless it carries a command out: commands run to their end, and only the answer is left out.
 *
 * That a client has left is told by the socket of the request. The response has none while it waits behind another on the
 * same connection, and says nothing when that connection ends.
 */
import * as Effect from "effect/Effect"
import type { RuntimeFiber } from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Socket } from "node:net"

type Leave = () => void

/** What is to be done when a socket closes: one listener for all that is asked on it, however much that is. */
const leaving = new WeakMap<Socket, Set<Leave>>()

const leavingOf = (socket: Socket): Set<Leave> => {
  const known = leaving.get(socket)
  if (known !== undefined) return known
  const all = new Set<Leave>()
  leaving.set(socket, all)
  socket.once("close", () => {
    for (const leave of all) leave()
  })
  return all
}

export class Exchange<out Path, out Query> {
  #commands = false
  #left = false

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly path: Path,
    readonly query: Query
  ) {}

  get url(): string {
    return this.request.url ?? ""
  }

  /** The fiber that works on it, from here on. */
  worksIn(fiber: RuntimeFiber<unknown>): void {
    const all = leavingOf(this.request.socket)
    const leave = () => {
      if (this.response.writableEnded) return
      this.#left = true
      if (!this.#commands) fiber.unsafeInterruptAsFork(FiberId.none)
    }
    all.add(leave)
    fiber.addObserver(() => all.delete(leave))
  }

  /**
   * Carries `command` out whether its client stays or leaves; who has left by then gets no further. (To make it
   * uninterruptible would do so too, and would pass that on to what it forks: a turn that is to be stopped for another, say.)
   */
  toItsEnd<A, E, R>(command: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      this.#commands = true
      return Effect.flatMap(command, (value) => {
        this.#commands = false
        return this.#left ? Effect.interrupt : Effect.succeed(value)
      })
    })
  }
}
