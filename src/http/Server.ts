/**
 * The HTTP server: listens, guards, routes, and ends rightly.
 *
 * Limits are the parser's: header size and time, request time, connections. What the parser refuses is answered here as
 * a problem too. On the close of its scope the server lets the runtime drain while it still answers (health says
 * "draining", followers see their turns' ends), ends what still follows, stops listening, gives open answers a moment
 * and then cuts every connection, so that closing never hangs.
 *
 * Only loopback may be without a token.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Http from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { connectionsBesideStreams, isLoopback, Settings, type SettingsShape } from "../config/Settings.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import { Journal } from "../journal/Journal.ts"
import { TurnRuntime } from "../turn/TurnRuntime.ts"
import * as Dispatcher from "./Dispatcher.ts"
import * as Guard from "./Guard.ts"
import { HeadersTooLarge, MethodNotAllowed, RequestTimeout } from "./HttpError.ts"
import * as Operations from "./Operations.ts"
import { Page } from "./Page.ts"
import * as Problem from "./Problem.ts"
import * as Routes from "./Routes.ts"
import { securityHeaders } from "./SecurityHeaders.ts"
import * as Sessions from "./Sessions.ts"
import * as Sse from "./Sse.ts"
import * as Turns from "./Turns.ts"

/** Where the server listens; the port is the bound one. */
export class Server extends Context.Tag("turnstream/http/Server")<Server, {
  readonly host: string
  readonly port: number
  readonly url: string
}>() {}

export class ServerError extends Schema.TaggedError<ServerError>("turnstream/http/ServerError")("ServerError", {
  kind: Schema.Literal("token-needed", "address-in-use", "not-permitted", "listen"),
  host: Schema.String,
  port: Schema.Int,
  detail: Schema.String
}) {
  override get message() {
    switch (this.kind) {
      case "token-needed":
        return `Refusing to listen on ${this.host} without a token. Set TURNSTREAM_TOKEN, or TURNSTREAM_HOST to 127.0.0.1.`
      case "address-in-use":
        return `Port ${this.port} on ${this.host} is in use. Stop the other program or set TURNSTREAM_PORT.`
      case "not-permitted":
        return `Not permitted to listen on ${this.host}:${this.port}. Set TURNSTREAM_PORT to 1024 or higher.`
      case "listen":
        return `Cannot listen on ${this.host}:${this.port} (${this.detail}). Check TURNSTREAM_HOST and TURNSTREAM_PORT.`
    }
  }
}

/** How long open answers have to end once the listener is closed. */
const closeGraceMs = 1_000
/** A refused connection that is not read is cut after this. */
const refusedLingerMs = 1_000

/** What answers a request; on the close of the scope, what still works on one is ended. */
const listener = Effect.gen(function*() {
  const settings = yield* Settings
  const page = yield* Page
  return yield* Dispatcher.make({
    guard: Guard.make({ settings, isPageAsset: (path) => path === "/" || page.has(path) }),
    page,
    routes: [
      ...Dispatcher.served(Routes.sessions, yield* Sessions.handlers),
      ...Dispatcher.served(Routes.turns, yield* Turns.handlers),
      ...Dispatcher.served(Routes.operations, yield* Operations.handlers)
    ]
  })
})

/** Writes a whole answer to a socket that the parser gave up. Not for one whose request has its answer. */
const refuse = (socket: Duplex, refusal: Problem.Refusal) => {
  if (!socket.writable) return socket.destroy()
  socket.end(Problem.rawResponse(refusal, securityHeaders))
  if ("setTimeout" in socket) (socket as Socket).setTimeout(refusedLingerMs, () => socket.destroy())
}

const parserRefusal = (code: string | undefined, settings: SettingsShape): Problem.Refusal => {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new HeadersTooLarge({ limit: settings.limits.headerBytes, what: "bytes" })
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new RequestTimeout()
    default:
      return new InvalidRequest({ path: "", reason: "this is not a valid HTTP/1.1 request" })
  }
}

const makeServer = (settings: SettingsShape): Http.Server => {
  const { limits } = settings
  const requestTimeout = limits.requestTimeoutMs
  const headersTimeout = Math.min(limits.headerTimeoutMs, requestTimeout)
  const server = Http.createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout,
    requestTimeout,
    // how late the two limits above may be noticed
    connectionsCheckingInterval: Math.max(100, Math.min(2_000, Math.floor(headersTimeout / 4))),
    keepAlive: true,
    // answered by the guard, with the headers that belong to every answer
    requireHostHeader: false
  })
  // with a limit here, lines beyond it are dropped without a word, an Origin among them: the guard counts and refuses
  server.maxHeadersCount = 0
  server.maxConnections = limits.connections ?? limits.eventStreams + connectionsBesideStreams
  /** The open answers of a socket, the oldest first: it alone has the socket, the others wait for it. */
  const answers = new WeakMap<Duplex, Set<Http.ServerResponse>>()
  const oldestOf = (socket: Duplex): Http.ServerResponse | undefined => {
    for (const oldest of answers.get(socket) ?? []) return oldest
    return undefined
  }
  /** Sockets on which the rest of an answered request is still awaited. */
  const answeredEarly = new WeakSet<Duplex>()
  /** Sockets that have sent a request: until then the header timeout judges them, not the stall limit. */
  const spoken = new WeakSet<Duplex>()
  const track = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
    const { socket } = request
    const open = answers.get(socket) ?? new Set()
    answers.set(socket, open.add(response))
    spoken.add(socket)
    request.on("close", () => answeredEarly.delete(socket))
    response.on("close", () => {
      open.delete(response)
      if (!request.complete) answeredEarly.add(socket)
    })
  }
  server.on("request", track)
  const stallMs = Math.max(limits.writeStallMs, 2 * limits.heartbeatMs)
  // what a client is told of how long it may reuse its connection must be true
  server.keepAliveTimeout = Math.min(server.keepAliveTimeout, stallMs)
  server.setTimeout(stallMs, (socket) => {
    // nothing moved: a handler that is at work is left alone, a reader that takes nothing and an idle connection are not
    const answer = oldestOf(socket)
    if (answer === undefined ? spoken.has(socket) : answer.writableLength > 0) socket.destroy()
    else socket.setTimeout(stallMs)
  })
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    const isAnswered = oldestOf(socket)?.headersSent === true || answeredEarly.has(socket)
    if (isAnswered || error.code === "ECONNRESET") socket.destroy()
    else refuse(socket, parserRefusal(error.code, settings))
  })
  server.on(
    "connect",
    (_request: Http.IncomingMessage, socket: Duplex) =>
      refuse(socket, new MethodNotAllowed({ allow: ["GET", "HEAD", "POST", "PATCH", "DELETE"] }))
  )
  // the guard refuses it, behind what it asks of every request
  server.on("checkExpectation", (request: Http.IncomingMessage, response: Http.ServerResponse) => {
    server.emit("request", request, response)
  })
  return server
}

const listen = (server: Http.Server, { host, port }: SettingsShape): Effect.Effect<number, ServerError> =>
  Effect.async((resume) => {
    const onError = (error: NodeJS.ErrnoException) => {
      const kind = error.code === "EADDRINUSE" ? "address-in-use" : error.code === "EACCES" ? "not-permitted" : "listen"
      resume(Effect.fail(new ServerError({ kind, host, port, detail: error.code ?? "unknown" })))
    }
    server.once("error", onError)
    server.listen({ host: host.replace(/^\[|\]$/g, ""), port }, () => {
      server.off("error", onError)
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
    })
  })

/** Stops listening, waits a moment for open answers, cuts the rest. */
const close = (server: Http.Server): Effect.Effect<void> => {
  const closed = Effect.async<void>((resume) => {
    if (!server.listening) return resume(Effect.void)
    server.close(() => resume(Effect.void))
    server.closeIdleConnections()
  })
  const cut = Effect.interruptible(Effect.delay(Effect.sync(() => server.closeAllConnections()), closeGraceMs))
  return Effect.raceFirst(closed, Effect.interruptible(Effect.zipRight(cut, Effect.never)))
}

const serve = Effect.gen(function*() {
  const settings = yield* Settings
  const { host, port } = settings
  if (settings.token === undefined && !isLoopback(host)) {
    return yield* new ServerError({ kind: "token-needed", host, port, detail: "" })
  }
  const journal = yield* Journal
  const runtime = yield* TurnRuntime
  const onRequest = yield* listener
  const server = yield* Effect.acquireRelease(
    Effect.sync(() => makeServer(settings).on("request", onRequest)),
    (server) => close(server)
  )
  const bound = yield* listen(server, settings)
  // in a fiber of its own: a finalizer cannot be interrupted, and draining is a wait with a timeout
  const drain = Effect.flatMap(Effect.fork(Effect.interruptible(runtime.drain)), Fiber.join)
  yield* Effect.addFinalizer(() => Effect.zipRight(drain, journal.endFollowers("shutdown")))
  const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host
  return { host, port: bound, url: `http://${name}:${bound}` }
})

export const layer = Layer.scoped(Server, serve).pipe(Layer.provide(Sse.layerEventStreams))
