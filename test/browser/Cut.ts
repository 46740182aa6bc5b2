/**
 * A proxy on loopback between a page and its server, for what a network does to a page: it can hold what passes, cut
 * open connections, refuse new ones, answer in the server's place, and lose or add events of a stream.
 *
 * The server checks whom a request is addressed to: Host and Origin are its own again when it sees them.
 */
import {
  Agent,
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as send,
  type ServerResponse
} from "node:http"
import type { AddressInfo, Socket } from "node:net"

export interface Problem {
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly retryable?: boolean
  readonly headers?: Readonly<Record<string, string>>
}

/** The method and path of requests. */
export type Which = RegExp

export interface Cut {
  /** What the page is opened at. */
  readonly url: string
  /** `METHOD /path` of every request so far, the query with it. */
  readonly requests: ReadonlyArray<string>
  /** The next request that fits has come this far; held ones count. */
  readonly next: (which: Which) => Promise<void>
  /** Requests that fit wait, from now on; of open event streams that fit, no further byte passes. */
  readonly hold: (which?: Which) => void
  /** What is held goes on, and nothing new is. */
  readonly release: () => void
  /** Breaks every open connection. */
  readonly cut: () => void
  /** Breaks every open connection, and no new one is accepted, as if no server were there. */
  readonly refuse: () => Promise<void>
  /** Accepts connections again, and answers nothing itself any more. */
  readonly pass: () => Promise<void>
  /** Answers requests that fit, from now on, in the server's place. */
  readonly answer: (which: Which, problem: Problem) => void
  /** Loses the event of that seq: the first `times` times that it passes (default: always). */
  readonly drop: (seq: number, times?: number) => void
  /** Sends an event on every open event stream. */
  readonly say: (event: string, data: unknown) => void
  readonly close: () => Promise<void>
}

const isEventStream = ({ headers }: IncomingMessage) =>
  headers["content-type"]?.startsWith("text/event-stream") === true

/** The seq of an event that is one block of a stream: `id: <seq>` or `id: <turnId>.<seq>`. */
const seqOf = (block: string): number => Number(/^id: ?(?:.*\.)?(\d+)$/m.exec(block)?.[1])

const problemOf = ({ code, detail, retryable = true, status }: Problem, path: string) =>
  JSON.stringify({ type: "about:blank", title: code, status, detail, code, retryable, instance: path })

/** Opens a proxy to the server whose address `serverUrl` tells at each request; whoever calls this closes it. */
export const open = async (serverUrl: () => string): Promise<Cut> => {
  const sockets = new Set<Socket>()
  const streams = new Set<ServerResponse>()
  const requests: Array<string> = []
  const watchers = new Set<(line: string) => void>()
  const losses = new Map<number, number>()
  const agent = new Agent({ keepAlive: false })
  let answers: ReadonlyArray<{ readonly which: Which; readonly problem: Problem }> = []
  let held: Which | undefined
  let gate = Promise.resolve()
  let openGate = () => {}
  let url = ""

  const headersFor = ({ headers }: IncomingMessage, target: URL): OutgoingHttpHeaders => {
    // compressed, no event could be told from another
    const { "accept-encoding": _compressed, connection: _connection, origin, ...rest } = headers
    return {
      ...rest,
      host: target.host,
      ...(origin === undefined ? {} : { origin: origin === url ? target.origin : origin })
    }
  }

  const isLost = (block: string): boolean => {
    const left = losses.get(seqOf(block)) ?? 0
    if (left > 0) losses.set(seqOf(block), left - 1)
    return left > 0
  }

  const free = (line: string) => held?.test(line) === true ? gate : Promise.resolve()

  /** Passes a stream on, event by event, as long as it is not held. */
  const passEvents = async (line: string, answer: IncomingMessage, response: ServerResponse) => {
    streams.add(response)
    response.on("close", () => {
      streams.delete(response)
      answer.destroy()
    })
    let rest = ""
    for await (const part of answer.setEncoding("utf8")) {
      rest += String(part)
      const blocks = rest.split("\n\n")
      rest = blocks.pop() ?? ""
      await free(line)
      const kept = blocks.filter((block) => !isLost(block)).map((block) => `${block}\n\n`).join("")
      if (kept !== "") response.write(kept)
    }
    response.end(rest)
  }

  const passOn = (line: string, request: IncomingMessage, response: ServerResponse) => {
    const target = new URL(serverUrl())
    const { method, url: path } = request
    const upstream = send(
      { agent, host: target.hostname, port: target.port, method, path, headers: headersFor(request, target) },
      (answer) => {
        const { connection: _, ...headers } = answer.headers
        response.writeHead(answer.statusCode ?? 502, headers)
        answer.on("error", () => response.destroy())
        if (isEventStream(answer)) {
          response.flushHeaders()
          passEvents(line, answer, response).catch(() => response.destroy())
        } else answer.pipe(response)
      }
    )
    upstream.on("error", () => response.destroy())
    response.on("close", () => upstream.destroy())
    request.pipe(upstream)
  }

  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const line = `${request.method} ${request.url}`
    // a browser silently asks again where a connection breaks that it had used before
    response.shouldKeepAlive = false
    requests.push(line)
    for (const watcher of watchers) watcher(line)
    await free(line)
    const instead = answers.find(({ which }) => which.test(line))?.problem
    if (response.destroyed) return
    if (instead === undefined) return passOn(line, request, response)
    response.writeHead(instead.status, { "content-type": "application/problem+json", ...instead.headers })
    response.end(problemOf(instead, request.url ?? ""))
  }

  const server = createServer((request, response) => {
    request.on("error", () => {})
    response.on("error", () => {})
    serve(request, response).catch(() => response.destroy())
  })
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => sockets.delete(socket))
  })
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
  await listen(0)
  const { port } = server.address() as AddressInfo
  url = `http://127.0.0.1:${port}`

  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const refuse = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      cut()
    })
  const release = () => {
    held = undefined
    openGate()
    gate = Promise.resolve()
  }

  return {
    url,
    requests,
    next: (which) =>
      new Promise((resolve) => {
        const watcher = (line: string) => {
          if (!which.test(line)) return
          watchers.delete(watcher)
          resolve()
        }
        watchers.add(watcher)
      }),
    hold: (which = /^/) => {
      release()
      held = which
      gate = new Promise((resolve) => {
        openGate = resolve
      })
    },
    release,
    cut,
    refuse,
    pass: async () => {
      answers = []
      if (!server.listening) await listen(port)
    },
    answer: (which, problem) => {
      answers = [...answers, { which, problem }]
    },
    drop: (seq, times = Number.POSITIVE_INFINITY) => void losses.set(seq, times),
    say: (event, data) => {
      for (const stream of streams) stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
    },
    close: async () => {
      release()
      await refuse()
      agent.destroy()
    }
  }
}
