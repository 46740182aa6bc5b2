/**
 * `turnstream/client`: the HTTP API for programs and pages, on `fetch` alone. A request that got no answer is made again
 * where twice does no more than once; a start has an idempotency key for that. Streams go on over any cut.
 */
import type { ContextManifest, TurnEvent } from "../domain/Protocol.ts"
import { makeReaderFold, type TurnState } from "../domain/TurnState.ts"
import * as Api from "./Api.ts"
import { newKey } from "./Clock.ts"
import * as Following from "./Following.ts"
import * as Http from "./Http.ts"
import type {
  Bootstrap,
  Checkpoint,
  Message,
  NewSession,
  Page,
  Session,
  SessionChange,
  TextPart,
  ToolResultPart,
  Transcript,
  Turn,
  TurnBody,
  UsageQuery,
  UsageRow
} from "./Resources.ts"
import * as Retry from "./Retry.ts"
import { TurnstreamError } from "./TurnstreamError.ts"

export type * from "../domain/Protocol.ts"
export { type Fold, makeReaderFold as makeFold, type TurnState } from "../domain/TurnState.ts"
export type { Timer } from "./Clock.ts"
export type { Connection } from "./Follower.ts"
export type { Following, FollowOptions } from "./Following.ts"
export type * from "./Resources.ts"
export { TurnstreamError }

/** Attempts of a request after the first: with the waits between, 15 seconds at most where the server asks for none. */
const retriesDefault = 5

/** Three heartbeats of a server with default settings (`limits.heartbeatMs`). */
const silentMsDefault = 45_000

export interface ClientOptions extends Http.Options {
  /** Attempts of a request after the first, default 5; 0 fails at the first failure. */
  readonly retries?: number
  /** A stream that says nothing for this long is opened again, default 45,000: three heartbeats of the server. */
  readonly silentMs?: number
  /** Failures in a row after which a following throws the last one; it goes on for ever where this is not given. */
  readonly failuresMax?: number
  /** Chance in waits, 0 to 1. */
  readonly random?: () => number
}

export type StartRequest = Omit<TurnBody, "message"> & {
  /** Another try of a start gives the key of the first; without, each start has its own. */
  readonly idempotencyKey?: string
  readonly signal?: AbortSignal
} & ({ readonly text: string } | { readonly parts: ReadonlyArray<TextPart | ToolResultPart> })

export interface TurnHandle {
  readonly id: string
  /** The turn as the server has it now. */
  readonly read: () => Promise<Turn>
  readonly follow: (options?: Following.FollowOptions) => Following.Following
  /**
   * The fold of the events that were taken from this handle's followings, by the function that server and page use; undefined
   * before the first, and as long as the beginning is missing.
   */
  readonly state: () => TurnState | undefined
  /** Follows the turn from where `state` is to its end, whether it completes or fails; the state then. */
  readonly end: (options?: Omit<Following.FollowOptions, "from">) => Promise<TurnState>
  /** Answers once the end is committed. Of a turn that had ended before: the turn. */
  readonly cancel: () => Promise<Turn>
  /** Goes on with a partial answer, in a new turn; always the same one. */
  readonly resume: () => Promise<StartedTurn>
  /** Answers the same message again, in a new turn; always the same one. */
  readonly retry: () => Promise<StartedTurn>
}

export interface StartedTurn extends TurnHandle {
  /** The turn as the server had accepted it. */
  readonly turn: Turn
}

export interface Client {
  readonly sessions: {
    readonly create: (session?: NewSession) => Promise<Session>
    /** Oldest first. */
    readonly list: () => Promise<ReadonlyArray<Session>>
    readonly read: (id: string) => Promise<Session>
    readonly rename: (id: string, title: string | null) => Promise<Session>
    readonly update: (id: string, change: SessionChange) => Promise<Session>
    /** With every trace of it; what runs in it is cancelled. */
    readonly delete: (id: string) => Promise<void>
    readonly export: (id: string) => Promise<Transcript>
    readonly import: (transcript: Transcript) => Promise<Session>
    readonly turns: (id: string) => Promise<ReadonlyArray<Turn>>
    /** A page of its messages, after the `nextCursor` of the page before. */
    readonly messages: (id: string, cursor?: string) => Promise<Page<Message>>
    /** The context that a message would be sent with. */
    readonly preview: (id: string, message: Omit<TurnBody, "onBusy">) => Promise<ContextManifest>
  }
  /** A turn that was refused before any provider was called is thrown, and names its `turnId`. */
  readonly startTurn: (sessionId: string, request: StartRequest) => Promise<StartedTurn>
  /** A turn by its id; asks nothing yet. */
  readonly turn: (id: string) => TurnHandle
  /** The events of a turn to its end, or of a session for ever. */
  readonly follow: (
    target: string | { readonly session: string },
    options?: Following.FollowOptions
  ) => Following.Following
  readonly cancel: (turnId: string) => Promise<Turn>
  readonly resume: (turnId: string) => Promise<StartedTurn>
  readonly retry: (turnId: string) => Promise<StartedTurn>
  /** A page of a turn's events after a seq. */
  readonly events: (turnId: string, after?: number) => Promise<Page<TurnEvent>>
  readonly checkpoint: (turnId: string, checkpoint: number) => Promise<Checkpoint>
  /** Providers with their readiness, defaults, limits, budgets. */
  readonly bootstrap: () => Promise<Bootstrap>
  readonly usage: (query: UsageQuery) => Promise<Page<UsageRow>>
}

export const createClient = (options: ClientOptions): Client => {
  const { failuresMax = Number.POSITIVE_INFINITY, random, silentMs = silentMsDefault, timer } = options
  const once = Http.make(options)
  const ask = Retry.over(once, { retries: options.retries ?? retriesDefault, timer, random })
  const api = { ...Api.make(ask), ...Api.makeMore(ask) }
  // a following has its own way of trying again
  const streams = { ...Api.make(once), ...Api.makeMore(once) }

  /** An intermediary may answer in the server's place: its page is no stream that came to an end. */
  const events = async (asked: Promise<Response>): Promise<Response> => {
    const response = await asked
    const { headers, status } = response
    if (status === 204 || headers.get("content-type")?.startsWith("text/event-stream") === true) return response
    throw new TurnstreamError(status, "UnexpectedAnswer", "The server answered with something else than events.", {
      problem: { retryable: true }
    })
  }

  const follow = (
    target: string | { readonly session: string },
    { from, onConnection, signal }: Following.FollowOptions = {},
    onGiven: (event: TurnEvent) => void = () => {}
  ): Following.Following =>
    Following.make({
      ...(typeof target === "string"
        ? { turnId: target, open: (request) => events(streams.turnStream(target, request)) }
        : { turnId: undefined, open: (request) => events(streams.sessionStream(target.session, request)) }),
      from,
      signal,
      onConnection,
      onGiven,
      silentMs,
      failuresMax,
      timer,
      random
    })

  const handle = (id: string): TurnHandle => {
    const fold = makeReaderFold()
    const followTurn: TurnHandle["follow"] = (options) =>
      follow(id, options, (event) => {
        // two followings bring each event twice; one that begins later, not what is next
        if (event.seq === (fold.state()?.lastSeq ?? 0) + 1) fold.add(event)
      })
    return {
      id,
      read: () => api.turn(id),
      follow: followTurn,
      state: () => {
        const state = fold.state()
        return state === undefined ? undefined : { ...state }
      },
      end: async (options) => {
        for await (const _ of followTurn({ ...options, from: fold.state()?.lastSeq })) { /* folded as it is given */ }
        // a turn has a first event
        return { ...fold.state() } as TurnState
      },
      cancel: () => api.command(id, "cancel"),
      resume: () => child(id, "resume"),
      retry: () => child(id, "retry")
    }
  }

  const started = (turn: Turn): StartedTurn => ({ ...handle(turn.id), turn })
  const child = async (id: string, command: "resume" | "retry") => started(await api.command(id, command))

  return {
    sessions: {
      create: (session = {}) => api.createSession(session),
      list: () => api.sessions(),
      read: (id) => api.session(id),
      rename: (id, title) => api.updateSession(id, { title }),
      update: (id, change) => api.updateSession(id, change),
      delete: (id) => api.deleteSession(id),
      export: (id) => api.exportSession(id, (response) => response.json()),
      import: (transcript) => api.importSession(transcript),
      turns: (id) => api.turns(id),
      messages: (id, cursor) => api.messages(id, cursor),
      preview: (id, message) => api.preview(id, message)
    },
    startTurn: async (sessionId, { idempotencyKey = newKey(), signal, ...request }) => {
      const { parts, text, ...body } = { parts: undefined, text: undefined, ...request }
      const message = parts === undefined ? text ?? "" : { parts }
      return started(await api.start(sessionId, { message, ...body }, idempotencyKey, signal))
    },
    turn: handle,
    follow: (target, options) => follow(target, options),
    cancel: (turnId) => api.command(turnId, "cancel"),
    resume: (turnId) => child(turnId, "resume"),
    retry: (turnId) => child(turnId, "retry"),
    events: (turnId, after = 0) => api.turnEvents(turnId, after),
    checkpoint: (turnId, checkpoint) => api.checkpoint(turnId, checkpoint),
    bootstrap: () => api.bootstrap(),
    usage: (query) => api.usage(query)
  }
}
