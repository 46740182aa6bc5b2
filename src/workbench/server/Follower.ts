/**
 * Follows one session and says how the connection is. First it reads what is there (`live=false`), so that the page
 * knows where history ends; then it stays on the live stream. Whatever breaks, it asks again after the last id that it
 * saw: nothing is missed, nothing comes twice.
 *
 * It never gives up by itself; after `offlineAfter` failures in a row it says Offline and goes on trying. It ends when
 * the session is gone, the token is refused, or it is stopped. A stream that is silent for longer than `silentMs` is
 * dead: the server sends a heartbeat more often than that.
 */
import type { TurnEvent } from "../domain/TurnEvent.ts"
import { Refused } from "./Server.ts"
import * as SseReader from "./SseReader.ts"

export type Connection =
  | { readonly state: "loading" | "live" }
  | { readonly state: "reconnecting" | "offline"; readonly reason: string }

/** Runs `task` after `ms`; the answer calls it off. */
export type Timer = (ms: number, task: () => void) => () => void

export interface Options {
  readonly open: (request: {
    readonly after: string
    readonly live: boolean
    readonly signal: AbortSignal
  }) => Promise<Response>
  readonly silentMs: number
  readonly onEvent: (event: TurnEvent) => void
  /** The server knows no such place any more: the events come again from the first. */
  readonly onRestart: () => void
  readonly onConnection: (connection: Connection) => void
  readonly onEnd: (why: "gone" | "unauthorized") => void
  readonly timer?: Timer
}

export interface Follower {
  readonly stop: () => void
  /** Ends a wait between two attempts. */
  readonly retryNow: () => void
}

const delayMinMs = 500
const delayMaxMs = 10_000
const offlineAfter = 3

/** The wait before the next attempt: doubled after each failure. */
export const delayMs = (failures: number): number => Math.min(delayMaxMs, delayMinMs * 2 ** Math.max(0, failures - 1))

const browserTimer: Timer = (ms, task) => {
  const id = setTimeout(task, ms)
  return () => clearTimeout(id)
}

/** An `error` event: the server's last words on this stream. */
const lastWords = (data: string): Refused => {
  // written by the server's own encoder
  const { code, message } = JSON.parse(data) as { readonly code: string; readonly message: string }
  return new Refused(code === "SessionNotFound" ? 404 : 503, code, message)
}

export const follow = (options: Options): Follower => {
  const timer = options.timer ?? browserTimer
  let stopped = false
  let after = ""
  let failures = 0
  let abort = (): void => {}
  let wake = (): void => {}

  const take = (message: SseReader.SseMessage): void => {
    if (message.event === "error") throw lastWords(message.data)
    after = message.lastId
    // encoded by the server with the schema of this type
    options.onEvent(JSON.parse(message.data) as TurnEvent)
  }

  const readOnce = async (live: boolean): Promise<void> => {
    const controller = new AbortController()
    abort = () => controller.abort()
    let calm = timer(options.silentMs, abort)
    try {
      const response = await options.open({ after, live, signal: controller.signal })
      const bytes = response.body?.getReader()
      const messages = SseReader.make()
      if (live && !stopped) {
        failures = 0
        options.onConnection({ state: "live" })
      }
      for (;;) {
        const piece = await bytes?.read()
        if (stopped || piece === undefined || piece.done) return
        calm()
        calm = timer(options.silentMs, abort)
        for (const message of messages.push(piece.value)) take(message)
      }
    } finally {
      calm()
      controller.abort()
    }
  }

  /** True where there is no use in asking again. */
  const isFinal = (error: unknown): boolean => {
    const status = error instanceof Refused ? error.status : 0
    if (status === 404) options.onEnd("gone")
    else if (status === 401) options.onEnd("unauthorized")
    else if (status === 400 && after !== "") {
      after = ""
      options.onRestart()
    }
    return status === 404 || status === 401
  }

  const pause = (reason: string): Promise<void> => {
    failures++
    options.onConnection({ state: failures >= offlineAfter ? "offline" : "reconnecting", reason })
    return new Promise((resolve) => {
      const calm = timer(delayMs(failures), resolve)
      wake = () => {
        calm()
        resolve()
      }
    })
  }

  const run = async (): Promise<void> => {
    let live = false
    options.onConnection({ state: "loading" })
    for (;;) {
      try {
        await readOnce(live)
        if (live && !stopped) await pause("The stream ended.")
        live = true
      } catch (error) {
        if (stopped || isFinal(error)) return
        await pause(error instanceof Refused ? error.message : "The connection broke off.")
      }
      if (stopped) return
    }
  }

  void run()
  return {
    stop: () => {
      stopped = true
      abort()
      wake()
    },
    retryNow: () => wake()
  }
}
