/**
 * One request and its answer. Whatever goes wrong is a `TurnstreamError`: a refusal with the server's problem, silence or
 * an answer that breaks off as `Unreachable`. The caller's own abort is thrown as it is (`signal.reason`).
 *
 * Answers are not validated: they are typed as the server's schemas encode them (`Resources.ts`).
 */
import * as Clock from "./Clock.ts"
import { TurnstreamError, unreachable } from "./TurnstreamError.ts"

/** A server that says nothing for this long says nothing more: a cancel that it commits takes far less. */
const answerMs = 30_000

export interface Options {
  /** Where the server is, with or without a slash at its end; empty: the page's own origin. */
  readonly baseUrl: string
  /** Asked at each request where it is a function, so that it may be entered, or be renewed, later. */
  readonly token?: string | (() => string | undefined | Promise<string | undefined>) | undefined
  readonly fetch?: typeof fetch | undefined
  readonly timer?: Clock.Timer | undefined
}

export interface Call {
  readonly method?: "POST" | "PATCH" | "DELETE"
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
  /** The answer may take as long as it likes; only `signal` ends it. */
  readonly isLong?: boolean
  /** Sent twice it does more than sent once. */
  readonly isOnce?: boolean
}

/** Makes a request, and reads the answer of one that was accepted. */
export type Ask = <A>(path: string, read: (response: Response) => Promise<A>, call?: Call) => Promise<A>

/** Seconds or a date, which counts from the server's own. */
const retryAfterOf = ({ headers }: Response): number | undefined => {
  const text = headers.get("retry-after") ?? ""
  const ms = Number(text) * 1_000 || Date.parse(text) - Date.parse(headers.get("date") ?? "")
  return ms > 0 ? ms : undefined
}

const refusalOf = async (response: Response): Promise<TurnstreamError> => {
  const body: unknown = await response.json().catch(() => undefined)
  const { status } = response
  // an intermediary may answer without a problem body: each fact is looked for
  const problem = typeof body === "object" && body !== null ? body as Record<string, unknown> : {}
  const text = (value: unknown, otherwise: string) => typeof value === "string" ? value : otherwise
  return new TurnstreamError(
    status,
    text(problem["code"], `Http${status}`),
    text(problem["detail"], `The server answered with HTTP ${status}.`),
    { problem, retryAfterMs: retryAfterOf(response) }
  )
}

const silence = "The server does not answer. Check that turnstream is running at this address."

export const make = (options: Options): Ask => {
  const base = options.baseUrl.replace(/\/+$/, "")
  const timer = options.timer ?? Clock.timer
  return async (path, read, call = {}) => {
    const { body, headers, isLong = false, method = "GET", signal } = call
    signal?.throwIfAborted()
    const token = typeof options.token === "function" ? await options.token() : options.token
    const json = body === undefined ? null : JSON.stringify(body)
    const controller = new AbortController()
    const abort = () => controller.abort()
    const calm = isLong ? () => {} : timer(answerMs, abort)
    signal?.addEventListener("abort", abort)
    try {
      const response = await (options.fetch ?? fetch)(base + path, {
        method,
        headers: {
          accept: "application/json",
          ...(token && { authorization: `Bearer ${token}` }),
          ...(json !== null && { "content-type": "application/json" }),
          ...headers
        },
        body: json,
        // nothing of the API is elsewhere: a token goes to the address that was given
        redirect: "error",
        signal: isLong ? signal ?? null : controller.signal
      })
      if (!response.ok) throw await refusalOf(response)
      return await read(response)
    } catch (cause) {
      signal?.throwIfAborted()
      throw cause instanceof TurnstreamError ? cause : unreachable(silence, cause)
    } finally {
      calm()
      signal?.removeEventListener("abort", abort)
    }
  }
}
