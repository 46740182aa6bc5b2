/**
 * A vendor on loopback: a real HTTP server that answers each call as its test says, and knows what came and which
 * sockets are open.
 */
import { createServer, type IncomingHttpHeaders, type Server } from "node:http"
import type { AddressInfo, Socket } from "node:net"

export interface Request {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Resolves once the caller has closed the connection. */
  readonly closed: Promise<void>
}

/** What is done after the body's parts. */
type After = "end" | "hang" | "reset"

export interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Each is written by itself, once the one before it has left. */
  readonly parts?: ReadonlyArray<Uint8Array | string>
  readonly after?: After
  /** Nothing is said at all: `hang` keeps the connection open, `reset` closes it. */
  readonly silent?: "hang" | "reset"
  /** These bytes instead of an HTTP answer, then a reset. */
  readonly raw?: string
  /** Opens when the parts from this index on may be written. */
  readonly gate?: { readonly index: number; readonly open: Promise<void> }
}

export interface Upstream {
  readonly url: string
  readonly host: string
  readonly requests: ReadonlyArray<Request>
  /** Answers the calls to come. */
  readonly reply: (next: (request: Request, index: number) => Reply | Promise<Reply>) => void
  readonly openSockets: () => number
  readonly connections: () => number
  readonly close: () => Promise<void>
}

const bodyOf = async (source: AsyncIterable<Uint8Array>): Promise<string> => {
  const parts: Array<Uint8Array> = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts).toString("utf8")
}

export const startUpstream = async (): Promise<Upstream> => {
  const requests: Array<Request> = []
  const sockets = new Set<Socket>()
  let connections = 0
  let next: (request: Request, index: number) => Reply | Promise<Reply> = () => ({ status: 500 })

  const server: Server = createServer((incoming, response) => {
    const closed = new Promise<void>((resolve) => response.on("close", () => resolve()))
    incoming.on("error", () => {})
    response.on("error", () => {})
    const answer = async () => {
      const request: Request = {
        method: incoming.method ?? "",
        path: incoming.url ?? "",
        headers: incoming.headers,
        body: await bodyOf(incoming),
        closed
      }
      requests.push(request)
      const { after = "end", gate, headers = {}, parts = [], raw, silent, status = 200 } = await next(
        request,
        requests.length - 1
      )
      if (raw !== undefined) {
        incoming.socket.write(raw, () => incoming.socket.resetAndDestroy())
        return
      }
      if (silent === "reset") incoming.socket.resetAndDestroy()
      if (silent !== undefined) return
      response.writeHead(status, headers)
      response.flushHeaders()
      for (const [index, part] of parts.entries()) {
        if (gate !== undefined && index === gate.index) await gate.open
        await new Promise<void>((resolve) => {
          if (response.destroyed) resolve()
          else response.write(part, () => resolve())
        })
      }
      if (after === "end") response.end()
      else if (after === "reset") incoming.socket.resetAndDestroy()
    }
    answer().catch(() => incoming.socket.destroy())
  })
  server.on("connection", (socket) => {
    connections++
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.on("error", () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: `http://${host}`,
    host,
    requests,
    reply: (answer) => {
      next = answer
    },
    openSockets: () => sockets.size,
    connections: () => connections,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
  }
}
