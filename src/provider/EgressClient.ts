/**
 * The one way out of this process: requests whose sockets open only where `Egress` allows it.
 *
 * A name is resolved once, by the connection itself, so that no second answer of a name server can differ from the one
 * that was checked. Connections that do not open, and sockets on which nothing moves, end by themselves. No redirect is
 * followed, no proxy variable is read, and no header is sent that was not asked for: traces are nobody's business at a
 * vendor. Node's own client, because a call costs a tenth of what a general client makes of it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as dns from "node:dns"
import * as http from "node:http"
import type { IncomingMessage } from "node:http"
import * as https from "node:https"
import { type LookupFunction, Socket } from "node:net"
import { urlToHttpOptions } from "node:url"
import * as Alarms from "./Alarms.ts"
import * as Egress from "./Egress.ts"

/** Idle connections kept per host: as many as turns run at once by default. */
const freeSocketsMax = 64

/** Codes of the errors that are ours, in `error.code` beside Node's own. */
export const refusedCode = "TURNSTREAM_EGRESS"
export const connectTimeoutCode = "TURNSTREAM_CONNECT_TIMEOUT"
export const firstByteTimeoutCode = "TURNSTREAM_FIRST_BYTE_TIMEOUT"
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

interface Agents {
  readonly http: http.Agent
  readonly https: https.Agent
}

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
    Effect.sync((): Agents => ({
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

/** Addresses remembered: a provider has one, or one a model. */
const addressesMax = 64

/** Where a request goes, or why this URL may not be called. An address is looked at once. */
const addresses = ({ allowLoopback, hosts }: ClientOptions) => {
  const known = new Map<string, http.RequestOptions>()
  return (text: string): http.RequestOptions | string => {
    const before = known.get(text)
    if (before !== undefined) return before
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (url === undefined) return "it has no valid URL"
    if (!hosts.has(url.host)) return `${url.host} is not a host of the configuration`
    const reason = Egress.refusal(url, allowLoopback)
    if (reason !== undefined) return reason
    if (known.size >= addressesMax) known.clear()
    const address = urlToHttpOptions(url)
    known.set(text, address)
    return address
  }
}

/** One request: a POST. */
export interface Post {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
  /** Until the head of the answer. */
  readonly firstByteMs: number
}

/** What becomes of a request. */
export interface Uses<A, E> {
  /** No answer came. The error is the socket's, or ours; `code` says which. */
  readonly failed: (error: Error) => E
  /** Its head came; the body is its own to read. */
  readonly answered: (answer: IncomingMessage) => Effect.Effect<A, E>
}

export class EgressClient extends Context.Tag("turnstream/provider/EgressClient")<EgressClient, {
  /** Once it is over the socket is closed, unless the body came to its end: then it is used again. */
  readonly post: <A, E>(request: Post, uses: Uses<A, E>) => Effect.Effect<A, E>
}>() {}

const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error("the request could not be made")

/** Sends the request and waits for the head of its answer. */
const send = (request: http.ClientRequest, { body, firstByteMs }: Post, alarms: Alarms.Alarms) =>
  Effect.async<IncomingMessage, Error>((resume) => {
    const callOff = alarms.after(
      firstByteMs,
      () => request.destroy(errorOf(firstByteTimeoutCode, `no answer within ${firstByteMs} ms`))
    )
    const finish = (exit: Effect.Effect<IncomingMessage, Error>) => {
      callOff()
      resume(exit)
    }
    const answered = (response: IncomingMessage) => {
      response.on("error", () => {})
      finish(Effect.succeed(response))
    }
    request.once("error", (error) => finish(Effect.fail(error)))
    request.once("response", answered).once("upgrade", answered)
    request.end(body)
    return Effect.sync(callOff)
  })

const makePost = (addressOf: ReturnType<typeof addresses>, agents: Agents, alarms: Alarms.Alarms) => {
  const open = ({ body, headers, url }: Post): http.ClientRequest | Error => {
    const address = addressOf(url)
    if (typeof address === "string") return errorOf(refusedCode, address)
    const isSecure = address.protocol === "https:"
    const length = String(typeof body === "string" ? Buffer.byteLength(body) : body.length)
    try {
      const request = (isSecure ? https : http).request({
        ...address,
        method: "POST",
        agent: isSecure ? agents.https : agents.http,
        headers: { ...headers, "content-length": length }
      })
      // whoever waits is told; with nobody there it must not end the process
      return request.on("error", () => {})
    } catch (thrown) {
      return asError(thrown)
    }
  }
  return <A, E>(post: Post, { answered, failed }: Uses<A, E>): Effect.Effect<A, E> =>
    Effect.uninterruptibleMask((restore) => {
      const request = open(post)
      if (request instanceof Error) return Effect.fail(failed(request))
      return Effect.ensuring(
        restore(Effect.flatMap(Effect.mapError(send(request, post, alarms), failed), answered)),
        Effect.sync(() => request.destroy())
      )
    })
}

/** The way out under these rules. */
export const layerWith = (options: ClientOptions): Layer.Layer<EgressClient> =>
  Layer.scoped(
    EgressClient,
    Effect.gen(function*() {
      const agents = yield* makeAgents(options)
      const alarms = yield* Alarms.make(yield* Effect.clock)
      return { post: makePost(addresses(options), agents, alarms) }
    })
  )
