/**
 * An HTTP answer that is not the stream that was asked for, as a fault. `x-should-retry` decides first whether a retry
 * helps, `retry-after-ms` before `retry-after` how long to wait (0 says nothing: Azure sends `retry-after-ms: 0` beside
 * `retry-after: 1`). A quota is never retried, whatever a header says.
 */
import { errorIn, factsOf, type Fault, kindOf } from "./Fault.ts"
import { nameOf, objectOf, parse } from "./Json.ts"

type Headers = Readonly<Record<string, string | undefined>>

/** Where vendors put the id under which their support finds the request. */
export const requestIdHeaders = [
  "x-request-id",
  "request-id",
  "x-amzn-requestid",
  "apim-request-id",
  "x-ms-request-id",
  "cf-ray"
]

export const requestIdIn = (headers: Headers): string | undefined =>
  requestIdHeaders.map((name) => nameOf(headers[name])).find((id) => id !== undefined)

/** Milliseconds; undefined where no header says a wait. A date counts from `nowMs`. */
export const retryAfterMsIn = (headers: Headers, nowMs: number): number | undefined => {
  const ms = Number(headers["retry-after-ms"] ?? Number.NaN)
  if (ms > 0 && Number.isFinite(ms)) return Math.ceil(ms)
  const text = headers["retry-after"]
  if (text === undefined || text.trim() === "") return undefined
  const seconds = Number(text)
  if (Number.isFinite(seconds)) return seconds > 0 ? Math.ceil(seconds * 1_000) : undefined
  // without a time of day it is no HTTP date, and the parser would guess one
  const date = /\d\d:\d\d:\d\d/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(date) || date <= nowMs ? undefined : date - nowMs
}

const shouldRetry = (headers: Headers): boolean | undefined => {
  const word = headers["x-should-retry"]?.trim().toLowerCase()
  return word === "true" ? true : word === "false" ? false : undefined
}

export interface HttpAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Headers
  readonly body: string
}

export const fromAnswer = ({ body, headers, status }: HttpAnswer, nowMs: number): Fault => {
  const requestId = requestIdIn(headers)
  const retryAfterMs = retryAfterMsIn(headers, nowMs)
  const common = {
    status,
    ...(requestId === undefined ? {} : { requestId }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs })
  }
  if (status < 400) {
    const detail = "it answered with a redirect, which is not followed; set the provider's baseUrl to the final address"
    return { ...common, kind: "protocol", retryable: false, detail }
  }
  const json = parse(body)?.value
  const facts = factsOf(errorIn(json) ?? objectOf(json) ?? {}, status)
  const exception = nameOf(headers["x-amzn-errortype"])
  const kind = kindOf({ ...facts, names: exception === undefined ? facts.names : [exception, ...facts.names] })
  const retryable = kind === "quota" ? undefined : shouldRetry(headers)
  const own = objectOf(json)
  return {
    ...common,
    ...(requestId === undefined && nameOf(own?.["request_id"]) !== undefined
      ? { requestId: String(own?.["request_id"]) }
      : {}),
    kind,
    ...(facts.message === "" ? {} : { detail: facts.message }),
    ...(retryable === undefined ? {} : { retryable })
  }
}
