/**
 * The gate in front of every route, in this order: the header lines are not too many, the address is well formed, the
 * host is ours, the origin is ours, the token fits, and nothing is asked for that is not offered.
 *
 * Hosts and origins are exact lists, against rebinding and cross-site requests; they hold for GET and event streams too.
 * A caller that may read pages but has no token gets page assets and health, nothing else. CORS is off.
 */
import * as Redacted from "effect/Redacted"
import { createHash, timingSafeEqual } from "node:crypto"
import type { IncomingMessage } from "node:http"
import type { SettingsShape } from "../config/Settings.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import * as Address from "./Address.ts"
import { ExpectationFailed, ForbiddenOrigin, HeadersTooLarge, MisdirectedHost, Unauthorized } from "./HttpError.ts"
import type * as Problem from "./Problem.ts"

export interface Rules {
  readonly settings: Pick<SettingsShape, "hosts" | "origins" | "token">
  /** Files that a browser loads before it can send a token. */
  readonly isPageAsset: (path: string) => boolean
}

/** Header lines; a browser sends about 20. */
const headerLinesMax = 100

const loopback = ["127.0.0.1", "localhost", "[::1]"]

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

const countOf = (source: IncomingMessage, name: string): number => {
  let count = 0
  for (let i = 0; i < source.rawHeaders.length; i += 2) {
    const raw = source.rawHeaders[i]
    if (raw?.length === name.length && raw.toLowerCase() === name) count++
  }
  return count
}

/** Why a request gets no further, or undefined. */
export type Guard = (request: IncomingMessage, url: string, path: string) => Problem.Refusal | undefined

export const make = (rules: Rules): Guard => {
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

  const upgradeFault = ({ headers }: IncomingMessage): InvalidRequest | undefined =>
    headers.upgrade?.toLowerCase().includes("websocket") === true
      ? new InvalidRequest({
        path: "Upgrade",
        reason: "WebSocket is not offered; follow events with Accept: text/event-stream"
      })
      : undefined

  // the parser's own test; HTTP/1.0 has no such header
  const expectationFault = ({ headers, httpVersion }: IncomingMessage): ExpectationFailed | undefined =>
    headers.expect !== undefined && httpVersion === "1.1" && !/(?:^|\W)100-continue(?:$|\W)/i.test(headers.expect)
      ? new ExpectationFailed()
      : undefined

  return (request, url, path) => {
    // a name and a value each
    if (request.rawHeaders.length > 2 * headerLinesMax) {
      return new HeadersTooLarge({ limit: headerLinesMax, what: "lines" })
    }
    const port = request.socket.localPort ?? 0
    return Address.fault(url, path) ?? hostFault(request, port) ?? originFault(request, port, path) ??
      tokenFault(request, path) ?? upgradeFault(request) ?? expectationFault(request)
  }
}
