/**
 * Follows a stream of events over as many connections as it takes, and says how the connection is. Whatever breaks, it
 * asks again after the last id that it saw: nothing is missed, nothing comes twice.
 *
 * The stream is read by `fetch` and not by `EventSource`, in browsers too. `EventSource` sends no `Authorization` (a token
 * would have to go into the address, and so into logs); it tells no status, so that a session that is gone, a refused token
 * and a cable that was cut look the same; it waits as it likes, whatever `Retry-After` says; and of a proxy that keeps
 * a dead connection open it notices nothing. The content security policy treats both alike (`connect-src`), and proxies
 * that buffer do so with both.
 *
 * It goes on until the stream's last event, a refusal that is final, or `stop`. After `offlineAfter` failures in a row it
 * says so, and goes on trying. A stream that is silent for longer than `silentMs` is dead: the server sends a heartbeat more
 * often than that. Memory: what one read of the socket gave, as `taken` holds the next one back.
 */
import type { TurnEvent } from "../domain/Protocol.ts"
import type { StreamRequest } from "./Api.ts"
import * as Backoff from "./Backoff.ts"
import * as Clock from "./Clock.ts"
import * as SseReader from "./SseReader.ts"
import { TurnstreamError, unreachable } from "./TurnstreamError.ts"

export type Connection =
  /** The first attempt is under way. */
  | { readonly state: "connecting" }
  /** Connected; what had been missed is coming. */
  | { readonly state: "replaying" }
  /** `replayed`: events that had been missed, and came before the live ones. */
  | { readonly state: "live"; readonly replayed: number }
  /** Given up on request (`rest`), until it is asked for again. */
  | { readonly state: "resting" }
  /**
   * `delayMs`: the wait before the next attempt, which asks for what comes after the id `from` (empty: for all); 0 while
   * one is under way. `offline`: several failed.
   */
  | {
    readonly state: "reconnecting" | "offline"
    readonly reason: string
    readonly delayMs: number
    readonly from: string
  }
  /** There is no more to come, or no use in asking again; `error` says why. */
  | { readonly state: "ended"; readonly error: TurnstreamError | undefined }

/** What to do about a refusal: stop, try again from the same place, or ask for the beginning anew. */
export type Verdict = "end" | "again" | "anew"

export interface Options {
  /** The id after which to follow, empty for the beginning. Asked again where the verdict is `anew`. */
  readonly begin: (signal: AbortSignal) => Promise<string>
  readonly open: (request: StreamRequest) => Promise<Response>
  /**
   * Each connection first reads what was missed to its end (`live: false`), which tells when it is up to date, and how much
   * was replayed. Without, a stream counts as up to date after its first read: the server writes what there is at once.
   */
  readonly isTwoStep: boolean
  /** Of what ended a connection: how many failed in a row before it, and whether there was a place after which to read. */
  readonly judge: (error: TurnstreamError, failures: number, hasBegun: boolean) => Verdict
  readonly silentMs: number
  /** True for the last event of the stream. What it throws is judged like a refusal. */
  readonly onEvent: (event: TurnEvent) => boolean | void
  /** Asked after the events of each read; the next one waits for it. */
  readonly taken?: () => Promise<void>
  readonly onConnection: (connection: Connection) => void
  readonly timer?: Clock.Timer | undefined
  readonly random?: (() => number) | undefined
}

export interface Follower {
  readonly stop: () => void
  /** Ends a wait between two attempts, an attempt that hangs, and a rest. */
  readonly retryNow: () => void
  /** Gives the connection up until `retryNow`: browsers have few for all pages of a server. */
  readonly rest: () => void
}

const offlineAfter = 4

/** An `error` event: the server's last words on this stream. Either what it was of is gone, or that passes. */
const lastWords = (data: string): TurnstreamError => {
  // written by the server's own encoder
  const { code, message } = JSON.parse(data) as { readonly code: string; readonly message: string }
  return new TurnstreamError(code.endsWith("NotFound") ? 404 : 503, code, message)
}

export const follow = (options: Options): Follower => {
  const { onConnection, silentMs } = options
  const timer = options.timer ?? Clock.timer
  let after: string | undefined
  let failures = 0
  let isLive = false
  let isOver = false
  let isResting = false
  let isStopped = false
  /** The next attempt is made at once. */
  let hurries = false
  let abort = (): void => {}
  let wake = (): void => {}

  /** Runs a request that is given up where nothing is heard for too long; `heard` says that something was. */
  const listening = async <A>(
    task: (signal: AbortSignal, heard: (more: boolean) => void) => Promise<A>
  ): Promise<A> => {
    const controller = new AbortController()
    abort = () => controller.abort()
    let calm = timer(silentMs, abort)
    try {
      return await task(controller.signal, (more) => {
        calm()
        if (more) calm = timer(silentMs, abort)
      })
    } finally {
      calm()
      controller.abort()
    }
  }

  /** The events of one response; how many there were. `isCurrent`: nothing of it was missed. */
  const read = (live: boolean, isCurrent: boolean, replayed: number): Promise<number> =>
    listening(async (signal, heard) => {
      const response = await options.open({ after: after ?? "", live, signal })
      const bytes = response.body?.getReader()
      const messages = SseReader.make()
      let count = 0
      const take = (message: SseReader.SseMessage): void => {
        if (message.event === "error") throw lastWords(message.data)
        // encoded by the server with the schema of this type
        const event = JSON.parse(message.data) as TurnEvent
        if (options.onEvent(event) === true) isOver = true
        after = message.lastId
        count++
      }
      const open = (): void => onConnection(isCurrent ? { state: "live", replayed } : { state: "replaying" })
      isOver = response.status === 204
      if (isStopped || isOver) return count
      if (live) {
        failures = 0
        isLive = true
      }
      open()
      for (;;) {
        const piece = await bytes?.read()
        if (isStopped || piece === undefined || piece.done) return count
        heard(false)
        messages.push(piece.value).forEach(take)
        await options.taken?.()
        if (isOver) return count
        if (live && !isCurrent) {
          isCurrent = true
          replayed = count
          open()
        }
        heard(true)
      }
    })

  const connect = async (): Promise<void> => {
    after ??= await listening(options.begin)
    if (isStopped) return
    const replayed = options.isTwoStep ? await read(false, false, 0) : 0
    if (!isStopped && !isResting) await read(true, options.isTwoStep, replayed)
  }

  const sayBroken = ({ message: reason }: TurnstreamError, delayMs: number): void =>
    onConnection({ state: failures >= offlineAfter ? "offline" : "reconnecting", reason, delayMs, from: after ?? "" })

  // told once there is something to wake: who listens may stop, or hurry, at once
  const pause = (error: TurnstreamError): Promise<void> => {
    const ms = Backoff.delayMs(++failures, options.random ?? Clock.random, error.retryAfterMs)
    return new Promise((resolve) => {
      const calm = timer(ms, resolve)
      wake = () => {
        calm()
        resolve()
      }
      sayBroken(error, ms)
    })
  }

  const rested = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
      onConnection({ state: "resting" })
    })

  const run = async (): Promise<void> => {
    onConnection({ state: "connecting" })
    for (;;) {
      const error = await connect().then(
        () => unreachable("The stream ended."),
        (cause) => cause instanceof TurnstreamError ? cause : unreachable("The connection broke off.", cause)
      )
      isLive = false
      if (isStopped) return
      if (isOver) return onConnection({ state: "ended", error: undefined })
      const verdict = isResting || hurries ? "again" : options.judge(error, failures, after !== undefined)
      if (verdict === "end") return onConnection({ state: "ended", error })
      if (verdict === "anew") after = undefined
      const wasResting = isResting
      if (wasResting) await rested()
      else if (!hurries) await pause(error)
      hurries = false
      if (isStopped) return
      if (!wasResting) sayBroken(error, 0)
    }
  }

  void run()
  return {
    stop: () => {
      isStopped = true
      abort()
      wake()
    },
    retryNow: () => {
      isResting = false
      if (!isLive) {
        hurries = true
        abort()
      }
      wake()
    },
    rest: () => {
      isResting = true
      if (isLive) abort()
    }
  }
}
