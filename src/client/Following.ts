/**
 * The events of a turn or a session as an async iterable: each once, in order, whatever happens to the connection.
 *
 * A seq that came already is left out; one that is missing ends the following with `EventGap`, so that no caller ever folds a
 * turn with a hole. It also ends with what the server refuses for good, and with the reason of an `AbortSignal`: a loop that
 * comes to its end without a throw has seen the last event of the turn. Nothing is asked for before the first `next`, and
 * what is not taken is not read: memory is bounded by one read of a socket.
 */
import type { TurnEvent } from "../domain/Protocol.ts"
import type { StreamRequest } from "./Api.ts"
import type { Timer } from "./Clock.ts"
import * as Follower from "./Follower.ts"
import { TurnstreamError } from "./TurnstreamError.ts"

export interface Following extends AsyncIterableIterator<TurnEvent> {
  readonly return: () => Promise<IteratorReturnResult<undefined>>
  readonly [Symbol.asyncIterator]: () => Following
  /** Ends a wait between two attempts, and a rest. */
  readonly retryNow: () => void
  /** Gives the connection up until `retryNow`, say while nobody sees a page: a browser has six for one server. */
  readonly rest: () => void
}

export interface FollowOptions {
  /** The last event that is there already: a turn's seq, or a session's `<turnId>.<seq>`. Without, from the first one. */
  readonly from?: number | string | undefined
  readonly signal?: AbortSignal | undefined
  /** Told each state of the connection, for whoever shows it. */
  readonly onConnection?: ((connection: Follower.Connection) => void) | undefined
}

export interface Source extends FollowOptions {
  /** The turn that is followed; undefined for a session. */
  readonly turnId: string | undefined
  readonly open: (request: StreamRequest) => Promise<Response>
  readonly silentMs: number
  /** Failures in a row after which the last one is thrown. */
  readonly failuresMax: number
  readonly timer: Timer | undefined
  readonly random: (() => number) | undefined
  /** An event that the caller is given. */
  readonly onGiven?: (event: TurnEvent) => void
}

const gapCode = "EventGap"

const gap = (event: TurnEvent, expected: number): TurnstreamError =>
  new TurnstreamError(
    0,
    gapCode,
    `Events ${expected} to ${event.seq - 1} of turn "${event.turnId}" did not come. Follow again from seq ${
      expected - 1
    }.`,
    { problem: { turnId: event.turnId, expected, received: event.seq } }
  )

/**
 * The events that come next, by turn: what came before is left out, a hole is thrown. Of a turn whose beginning was not
 * asked for, the first event that comes is where it begins.
 */
const inOrder = (turnId: string | undefined, from: string) => {
  const seen = new Map<string, number>()
  const dot = from.indexOf(".")
  if (turnId !== undefined) seen.set(turnId, Number(from))
  else if (dot !== -1) seen.set(from.slice(0, dot), Number(from.slice(dot + 1)))
  return (event: TurnEvent): boolean => {
    const before = seen.get(event.turnId) ?? (from === "" ? 0 : event.seq - 1)
    if (event.seq > before + 1) throw gap(event, before + 1)
    seen.set(event.turnId, Math.max(before, event.seq))
    return event.seq > before
  }
}

export const make = (source: Source): Following => {
  const { signal, turnId } = source
  const from = String(source.from ?? "")
  const isNext = inOrder(turnId, from)
  const ready: Array<TurnEvent> = []
  const waiting: Array<() => void> = []
  let follower: Follower.Follower | undefined
  let isOver = false
  let failure: { readonly error: unknown } | undefined
  /** Lets the follower read on. */
  let readOn = (): void => {}

  const finish = (why?: { readonly error: unknown }): void => {
    if (isOver) return
    isOver = true
    failure = why
    signal?.removeEventListener("abort", leave)
    waiting.splice(0).forEach((wake) => wake())
  }

  /** What came is of no use any more. */
  const stop = (why?: { readonly error: unknown }): void => {
    ready.length = 0
    finish(why)
    follower?.stop()
    readOn()
  }

  const leave = (): void => stop({ error: signal?.reason })

  const begin = (): void => {
    if (follower !== undefined || isOver) return
    if (signal?.aborted === true) return leave()
    signal?.addEventListener("abort", leave)
    follower = Follower.follow({
      begin: () => Promise.resolve(from === "0" ? "" : from),
      open: source.open,
      isTwoStep: turnId === undefined,
      judge: (error, failures) =>
        error.code === gapCode || !error.retryable || failures >= source.failuresMax ? "end" : "again",
      silentMs: source.silentMs,
      onEvent: (event) => {
        if (isNext(event) && !isOver) ready.push(event)
        return turnId !== undefined && (event.type === "turn.completed" || event.type === "turn.failed")
      },
      taken: () => {
        waiting.splice(0).forEach((wake) => wake())
        return ready.length === 0 || isOver ? Promise.resolve() : new Promise((resolve) => readOn = resolve)
      },
      onConnection: (connection) => {
        if (connection.state === "ended") finish(connection.error === undefined ? undefined : connection)
        try {
          source.onConnection?.(connection)
        } catch (error) {
          // the caller's own: it is thrown where the caller waits
          stop({ error })
        }
      },
      timer: source.timer,
      random: source.random
    })
    // by what was told while it began
    if (isOver) follower.stop()
  }

  const next = async (): Promise<IteratorResult<TurnEvent, undefined>> => {
    begin()
    while (ready.length === 0 && !isOver) {
      readOn()
      await new Promise<void>((resolve) => waiting.push(resolve))
    }
    const event = ready.shift()
    if (event !== undefined) {
      source.onGiven?.(event)
      return { done: false, value: event }
    }
    if (failure === undefined) return { done: true, value: undefined }
    const { error } = failure
    failure = undefined
    throw error
  }

  const following: Following = {
    next,
    return: async () => {
      stop()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]: () => following,
    retryNow: () => follower?.retryNow(),
    rest: () => follower?.rest()
  }
  return following
}
