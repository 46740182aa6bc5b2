/**
 * The gate in front of every route. In this order: the address is well formed, the host is ours, the origin is ours,
 * the token fits. Whatever answers, the guard adds the security headers, and turns what is left of errors into problems.
 *
 * Hosts and origins are exact lists, against rebinding and cross-site requests; they hold for GET and event streams too.
 * A caller that may read pages but has no token gets page assets and health, nothing else. CORS is off.
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpApiError from "@effect/platform/HttpApiError"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { createHash, timingSafeEqual } from "node:crypto"
import type { IncomingMessage } from "node:http"
import { pathText } from "../config/SchemaFault.ts"
import type { SettingsShape } from "../config/Settings.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import {
  ForbiddenOrigin,
  InternalError,
  MethodNotAllowed,
  MisdirectedHost,
  NotFound,
  Unauthorized
} from "./HttpError.ts"
import * as Problem from "./Problem.ts"
import { securityHeaders } from "./SecurityHeaders.ts"

/** Longest request target, in characters. Ids and cursors need far less. */
export const urlMax = 8_192

export interface Rules {
  readonly settings: Pick<SettingsShape, "hosts" | "origins" | "token">
  /** Files that a browser loads before it can send a token. */
  readonly isPageAsset: (path: string) => boolean
  /** The methods that a path takes; empty where there is nothing. */
  readonly methodsOf: (path: string) => ReadonlyArray<string>
}

const loopback = ["127.0.0.1", "localhost", "[::1]"]

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

const pathOf = (url: string): string => {
  const query = url.indexOf("?")
  return query === -1 ? url : url.slice(0, query)
}

const isWellEncoded = (path: string): boolean => {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

const addressFault = (url: string): InvalidRequest | undefined => {
  if (url.length > urlMax) {
    return new InvalidRequest({ path: "", reason: `the address is longer than ${urlMax} characters` })
  }
  if (url !== "*" && !url.startsWith("/")) {
    return new InvalidRequest({ path: "", reason: "the request target must be a path that begins with /" })
  }
  // the router would take what follows for a query, and answer as if it were not there
  if (/[;#]/.test(pathOf(url))) {
    return new InvalidRequest({ path: "", reason: "the path must not hold ; or #" })
  }
  return isWellEncoded(pathOf(url))
    ? undefined
    : new InvalidRequest({ path: "", reason: "the address has a malformed percent-encoding" })
}

/**
 * What a route's own schema refused: part of its path, whose rules have words of their own, or a query parameter, each of
 * which is text and so can only be wrong by coming twice.
 */
const addressRefusal = ({ issues }: HttpApiError.HttpApiDecodeError): InvalidRequest => {
  const [issue] = issues
  const reason = issue === undefined || issue.message.startsWith("Expected ") ? "must be given once" : issue.message
  return new InvalidRequest({ path: pathText(issue?.path ?? []), reason })
}

const countOf = (source: IncomingMessage, name: string): number => {
  let count = 0
  for (let i = 0; i < source.rawHeaders.length; i += 2) if (source.rawHeaders[i]?.toLowerCase() === name) count++
  return count
}

/** An answer that breaks off must not end like a whole one: its connection is cut, which every client takes for an error. */
const cutWhereBroken = (
  request: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => {
  const { body } = response
  if (body._tag !== "Stream") return response
  const cut = Effect.sync(() => NodeHttpServerRequest.toServerResponse(request).destroy())
  // an event stream says by its last event that it is over
  const endsWell = body.contentType.startsWith("text/event-stream")
  const whole = Stream.onError(body.stream, (cause) => endsWell && Cause.isInterruptedOnly(cause) ? Effect.void : cut)
  return HttpServerResponse.setBody(response, HttpBody.stream(whole, body.contentType, body.contentLength))
}

export const make = (rules: Rules) => {
  const hosts = rules.settings.hosts.map((host) => host.toLowerCase())
  const origins = new Set(rules.settings.origins.map((origin) => origin.toLowerCase().replace(/\/$/, "")))
  const token = rules.settings.token === undefined ? undefined : digest(Redacted.value(rules.settings.token))

  const isOurHost = (host: string, port: number): boolean => {
    const bare = port === 80 && !/:\d+$/.test(host) ? `${host}:80` : host
    return loopback.some((name) => bare === `${name}:${port}`) ||
      hosts.some((name) => host === name || host === `${name}:${port}`)
  }

  const hostFault = (source: IncomingMessage, port: number): InvalidRequest | MisdirectedHost | undefined => {
    if (countOf(source, "host") !== 1) return new InvalidRequest({ path: "Host", reason: "must come exactly once" })
    return isOurHost((source.headers.host ?? "").toLowerCase(), port) ? undefined : new MisdirectedHost()
  }

  const originFault = (source: IncomingMessage, port: number, path: string): ForbiddenOrigin | undefined => {
    const origin = source.headers.origin?.toLowerCase()
    if (origin !== undefined) {
      const ours = origin.startsWith("http://") && isOurHost(origin.slice("http://".length), port)
      return ours || origins.has(origin) ? undefined : new ForbiddenOrigin()
    }
    // a link on another site may open the page, and may load nothing else
    const opensPage = source.headers["sec-fetch-mode"] === "navigate" && source.method === "GET" && path === "/"
    return source.headers["sec-fetch-site"] === "cross-site" && !opensPage ? new ForbiddenOrigin() : undefined
  }

  const tokenFault = (source: IncomingMessage, path: string): Unauthorized | undefined => {
    if (token === undefined || path.startsWith("/health/") || rules.isPageAsset(path)) return undefined
    const count = countOf(source, "authorization")
    if (count !== 1) return new Unauthorized({ reason: count === 0 ? "missing" : "repeated" })
    const given = /^Bearer +(\S+) *$/i.exec(source.headers.authorization ?? "")?.[1]
    return given !== undefined && timingSafeEqual(digest(given), token)
      ? undefined
      : new Unauthorized({ reason: "wrong" })
  }

  const fault = (request: HttpServerRequest.HttpServerRequest): Problem.Refusal | undefined => {
    const source = NodeHttpServerRequest.toIncomingMessage(request)
    const port = source.socket.localPort ?? 0
    const path = pathOf(request.url)
    return addressFault(request.url) ?? hostFault(source, port) ?? originFault(source, port, path) ??
      tokenFault(source, path) ?? methodFault(source, path)
  }

  const methodFault = (source: IncomingMessage, path: string): Problem.Refusal | undefined => {
    if (source.headers.upgrade?.toLowerCase().includes("websocket") === true) {
      return new InvalidRequest({
        path: "Upgrade",
        reason: "WebSocket is not offered; follow events with Accept: text/event-stream"
      })
    }
    const allow = rules.methodsOf(path)
    if (allow.length === 0) return new NotFound()
    return allow.includes(source.method ?? "") ? undefined : new MethodNotAllowed({ allow })
  }

  const refusalOf = (cause: Cause.Cause<unknown>): Effect.Effect<Problem.Refusal> => {
    const error = Cause.squash(cause)
    if (error instanceof HttpApiError.HttpApiDecodeError) return Effect.succeed(addressRefusal(error))
    if (error instanceof HttpServerError.RouteNotFound) return Effect.succeed(new NotFound())
    return Effect.as(Effect.logError("A request handler failed", cause), new InternalError())
  }

  return <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<never, R | HttpServerRequest.HttpServerRequest> =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const refusal = fault(request)
      const answer = refusal !== undefined
        ? Effect.succeed(Problem.response(refusal, request.url))
        : Effect.catchAllCause(app, (cause) =>
          Cause.isInterruptedOnly(cause)
            ? Effect.interrupt
            : Effect.map(refusalOf(cause), (error) => Problem.response(error, request.url)))
      return Effect.map(
        answer,
        (response) => cutWhereBroken(request, HttpServerResponse.setHeaders(response, securityHeaders))
      )
    })
}
