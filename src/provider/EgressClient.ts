/**
 * The one way out of this process: an `HttpClient` whose sockets open only where `Egress` allows it.
 *
 * A name is resolved once, by the connection itself, so that no second answer of a name server can differ from the one
 * that was checked. Connections that do not open, and sockets on which nothing moves, end by themselves. No redirect is
 * followed, no proxy variable is read, and no tracing header or span is made of a call: spans of the platform's client
 * carry headers, and b3 and traceparent are nobody's business at a vendor.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import { RequestError } from "@effect/platform/HttpClientError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as dns from "node:dns"
import * as http from "node:http"
import * as https from "node:https"
import { type LookupFunction, Socket } from "node:net"
import * as Egress from "./Egress.ts"

/** Idle connections kept per host: as many as turns run at once by default. */
const freeSocketsMax = 64

/** Codes of the errors that are ours, in `error.code` beside Node's own. */
export const refusedCode = "TURNSTREAM_EGRESS"
export const connectTimeoutCode = "TURNSTREAM_CONNECT_TIMEOUT"
export const idleTimeoutCode = "TURNSTREAM_IDLE_TIMEOUT"

const errorOf = (code: string, message: string): Error => Object.assign(new Error(message), { code })

export interface ClientOptions {
  readonly allowLoopback: boolean
  /** `host` or `host:port` of every URL that may be called, as `URL.host` gives it. */
  readonly hosts: ReadonlySet<string>
  readonly connectMs: number
  /** A socket on which no byte moves for this long is closed. */
  readonly idleMs: number
  /** For tests; the system's resolver otherwise. */
  readonly lookup?: LookupFunction
}

/** Resolves a name and answers only with addresses that may be connected to; an error where one may not. */
const guardedLookup =
  ({ allowLoopback, lookup = dns.lookup }: ClientOptions): LookupFunction => (host, options, done) =>
    lookup(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, "")
      const addresses = Array.isArray(found) ? found : []
      if (addresses.length === 0 || addresses.some(({ address }) => !Egress.mayConnect(host, address, allowLoopback))) {
        return done(errorOf(refusedCode, `${host} resolves to an address that may not be called`), "")
      }
      if (options.all === true) return done(null, addresses)
      const [first] = addresses
      return done(null, first?.address ?? "", first?.family)
    })

/** A socket that opens in time, and closes when nothing moves on it. `renew` holds it to the same when it is used again. */
const watch = (socket: Socket, { connectMs, idleMs }: ClientOptions, opened: "connect" | "secureConnect"): void => {
  let isOpen = false
  // an answer that switches protocols leaves the socket to nobody, and its error would end the process
  socket.on("error", () => {})
  socket.setTimeout(connectMs)
  socket.once(opened, () => {
    isOpen = true
    socket.setTimeout(idleMs)
  })
  socket.on("timeout", () =>
    socket.destroy(
      isOpen
        ? errorOf(idleTimeoutCode, `nothing came for ${idleMs} ms`)
        : errorOf(connectTimeoutCode, `no connection within ${connectMs} ms`)
    ))
}

/** A server's `Keep-Alive: timeout` is how long a free socket may wait; Node's agent would hold the next answer to it. */
const renew = (socket: object, { idleMs }: ClientOptions): void => {
  if (socket instanceof Socket) socket.setTimeout(idleMs)
}

const agentOptions = (options: ClientOptions) => ({
  keepAlive: true,
  maxFreeSockets: freeSocketsMax,
  timeout: options.idleMs,
  lookup: guardedLookup(options)
})

const makeAgents = (options: ClientOptions) => {
  class HttpAgent extends http.Agent {
    override createConnection(...[connection, done]: Parameters<http.Agent["createConnection"]>) {
      const socket = super.createConnection(connection, done) as Socket
      watch(socket, options, "connect")
      return socket
    }
    override reuseSocket(...[socket, request]: Parameters<http.Agent["reuseSocket"]>) {
      super.reuseSocket(socket, request)
      renew(socket, options)
    }
  }
  class HttpsAgent extends https.Agent {
    override createConnection(...[connection, done]: Parameters<https.Agent["createConnection"]>) {
      const socket = super.createConnection(connection, done) as Socket
      watch(socket, options, "secureConnect")
      return socket
    }
    override reuseSocket(...[socket, request]: Parameters<https.Agent["reuseSocket"]>) {
      super.reuseSocket(socket, request)
      renew(socket, options)
    }
  }
  return Effect.acquireRelease(
    Effect.sync((): NodeHttpClient.HttpAgent => ({
      [NodeHttpClient.HttpAgentTypeId]: NodeHttpClient.HttpAgentTypeId,
      http: new HttpAgent(agentOptions(options)),
      // whatever NODE_TLS_REJECT_UNAUTHORIZED says
      https: new HttpsAgent({ ...agentOptions(options), rejectUnauthorized: true })
    })),
    (agents) =>
      Effect.sync(() => {
        agents.http.destroy()
        agents.https.destroy()
      })
  )
}

/** Why this URL may not be called; undefined where it may. */
const refusal = (text: string, { allowLoopback, hosts }: ClientOptions): string | undefined => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) return "it has no valid URL"
  return hosts.has(url.host) ? Egress.refusal(url, allowLoopback) : `${url.host} is not a host of the configuration`
}

/** An HTTP client under these rules. */
export const layerWith = (options: ClientOptions): Layer.Layer<HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(NodeHttpClient.make, (client) =>
      client.pipe(
        HttpClient.transform((response, request) => {
          const reason = refusal(request.url, options)
          return reason === undefined ? response : Effect.fail(
            new RequestError({ request, reason: "InvalidUrl", cause: errorOf(refusedCode, reason) })
          )
        }),
        HttpClient.withTracerPropagation(false),
        HttpClient.withTracerDisabledWhen(() => true)
      ))
  ).pipe(Layer.provide(Layer.scoped(NodeHttpClient.HttpAgent, makeAgents(options))))
