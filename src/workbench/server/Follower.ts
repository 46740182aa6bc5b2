/**
 * Follows one session and says how the connection is. It begins where `begin` says; each time that it connects it first
 * reads what was missed (`live=false`), so that the page knows where the past ends, then stays on the live stream.
 * Whatever breaks, it asks again after the last id that it saw: nothing is missed, nothing comes twice.
 *
 * The stream is read by `fetch` and not by `EventSource`, which cannot send a token, tells no status, and waits as it
 * likes. It never gives up by itself; after `offlineAfter` failures in a row it says Offline and goes on trying. It ends
 * when the session is gone, the token is refused, or it is stopped. A stream that is silent for longer than `silentMs`
 * is dead: the server sends a heartbeat more often than that.
 */
import type { TurnEvent } from "../../domain/TurnEvent.ts"
import * as Clock from "../kit/Clock.ts"
import { Refused } from "./Server.ts"
import * as SseReader from "./SseReader.ts"

export type Connection =
  | { readonly state: "loading" }
  /** `replayed`: events that had been missed, and came before the live ones. */
  | { readonly state: "live"; readonly replayed: number }
  /** Nobody sees the page: the stream is given up until somebody does, as a browser has few connections for all tabs. */
  | { readonly state: "resting" }
  /** `delayMs`: the wait before the next attempt; 0 while one is under way. */
  | { readonly state: "reconnecting" | "offline"; readonly reason: string; readonly delayMs: number }

export interface Options {
  /** The id after which to follow, empty for the beginning. Asked again where the server does not know that place. */
  readonly begin: (signal: AbortSignal) => Promise<string>
  readonly open: (request: {
    readonly after: string
    readonly live: boolean
    readonly signal: AbortSignal
  }) => Promise<Response>
  readonly silentMs: number
  readonly onEvent: (event: TurnEvent) => void
  readonly onConnection: (connection: Connection) => void
  readonly onEnd: (why: "gone" | "unauthorized") => void
  readonly timer?: Clock.Timer
}

export interface Follower {
  readonly stop: () => void
  /** Ends a wait between two attempts, and an attempt that hangs. */
  readonly retryNow: () => void
  /** Gives the stream up until `retryNow`. */
  readonly rest: () => void
}

const delayMinMs = 500
const delayMaxMs = 10_000
const offlineAfter = 4

/** The wait before the next attempt: doubled after each failure. */
export const delayMs = (failures: number): number => Math.min(delayMaxMs, delayMinMs * 2 ** Math.max(0, failures - 1))

/** An `error` event: the server's last words on this stream. */
const lastWords = (data: string): Refused => {
  // written by the server's own encoder
  const { code, message } = JSON.parse(data) as { readonly code: string; readonly message: string }
  return new Refused(code === "SessionNotFound" ? 404 : 503, code, message)
}

export const follow = (options: Options): Follower => {
  const timer = options.timer ?? Clock.timer
  let stopped = false
  let after: string | undefined
  let failures = 0
  let reason = ""
  let isLive = false
  let isResting = false
  /** The next attempt is made at once. */
  let hurries = false
  let abort = (): void => {}
  let wake = (): void => {}

  /** The events of one response; how many there were. */
  const read = async (live: boolean, onOpen: () => void): Promise<number> => {
    const controller = new AbortController()
    abort = () => controller.abort()
    let calm = timer(options.silentMs, abort)
    let count = 0
    const take = (message: SseReader.SseMessage): void => {
      if (message.event === "error") throw lastWords(message.data)
      after = message.lastId
      count++
      // encoded by the server with the schema of this type
      options.onEvent(JSON.parse(message.data) as TurnEvent)
    }
    try {
      const response = await options.open({ after: after ?? "", live, signal: controller.signal })
      if (!stopped) onOpen()
      const bytes = response.body?.getReader()
      const messages = SseReader.make()
      for (;;) {
        const piece = await bytes?.read()
        if (stopped || piece === undefined || piece.done) return count
        calm()
        calm = timer(options.silentMs, abort)
        messages.push(piece.value).forEach(take)
      }
    } finally {
      calm()
      controller.abort()
    }
  }

  const connect = async (): Promise<void> => {
    if (after === undefined) {
      const controller = new AbortController()
      abort = () => controller.abort()
      const calm = timer(options.silentMs, abort)
      after = await options.begin(controller.signal).finally(calm)
    }
    if (stopped) return
    const replayed = await read(false, () => {})
    if (stopped || isResting) return
    await read(true, () => {
      failures = 0
      isLive = true
      options.onConnection({ state: "live", replayed })
    })
  }

  /** True where there is no use in asking again. */
  const isFinal = (error: unknown): boolean => {
    const status = error instanceof Refused ? error.status : 0
    if (status === 404) options.onEnd("gone")
    else if (status === 401) options.onEnd("unauthorized")
    // that session cannot be
    else if (status === 400 && after === undefined) options.onEnd("gone")
    // the server does not know this place, or does not keep it any more: from the beginning
    else if (status === 400 || status === 410) {
      after = undefined
      return false
    }
    return status === 404 || status === 401 || status === 400
  }

  const say = (delayMs: number): void =>
    options.onConnection({ state: failures >= offlineAfter ? "offline" : "reconnecting", reason, delayMs })

  const pause = (): Promise<void> => {
    failures++
    const ms = delayMs(failures)
    say(ms)
    return new Promise((resolve) => {
      const calm = timer(ms, resolve)
      wake = () => {
        calm()
        resolve()
      }
    })
  }

  const rested = (): Promise<void> => {
    options.onConnection({ state: "resting" })
    return new Promise((resolve) => wake = resolve)
  }

  const run = async (): Promise<void> => {
    options.onConnection({ state: "loading" })
    for (;;) {
      try {
        await connect()
        reason = "The stream ended."
      } catch (error) {
        if (stopped || isFinal(error)) return
        reason = error instanceof Refused ? error.message : "The connection broke off."
      }
      isLive = false
      if (stopped) return
      const wasResting = isResting
      if (wasResting) await rested()
      else if (!hurries) await pause()
      hurries = false
      if (stopped) return
      if (!wasResting) say(0)
    }
  }

  void run()
  return {
    stop: () => {
      stopped = true
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
