/**
 * What a request, or the following of a stream, fails with. `message` can be shown as it is; what to do is decided by
 * `code`: the server's own (`docs/architecture.md`, `GET /docs`), or one of the client's:
 *
 * | code | means |
 * |---|---|
 * | `Unreachable` | no answer, or one that broke off; `status` is 0, `cause` is what `fetch` threw |
 * | `UnexpectedAnswer` | an answer that is not turnstream's, of an intermediary for example |
 * | `EventGap` | events are missing from a stream |
 */
export class TurnstreamError extends Error {
  override readonly name = "TurnstreamError"
  /** The members of the server's `problem+json`, facts of the error among them; empty where there was none. */
  readonly problem: Readonly<Record<string, unknown>>
  /** The server asked for this wait before the next attempt. */
  readonly retryAfterMs: number | undefined

  constructor(
    /** 0 where no answer came. */
    readonly status: number,
    readonly code: string,
    message: string,
    more: {
      readonly problem?: Readonly<Record<string, unknown>>
      readonly retryAfterMs?: number | undefined
      readonly cause?: unknown
    } = {}
  ) {
    super(message, more)
    this.problem = more.problem ?? {}
    this.retryAfterMs = more.retryAfterMs
  }

  /** Whether the same can succeed later: as the server says, else by the status. */
  get retryable(): boolean {
    const { problem: { retryable }, status } = this
    return typeof retryable === "boolean" ? retryable : status === 0 || status === 429 || status > 499
  }
}

/** No answer, or one that broke off. */
export const unreachable = (message: string, cause?: unknown): TurnstreamError =>
  new TurnstreamError(0, "Unreachable", message, { cause })
