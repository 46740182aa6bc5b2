/** The routes of the HTTP API, a function each; `GET /docs` describes them. What they answer is `Resources.ts`. */
import type { ContextManifest, TurnEvent } from "../domain/Protocol.ts"
import type { Ask, Call } from "./Http.ts"
import type {
  Bootstrap,
  Checkpoint,
  Message,
  NewSession,
  Page,
  Session,
  SessionChange,
  Transcript,
  Turn,
  TurnBody,
  UsageQuery,
  UsageRow
} from "./Resources.ts"

export type Command = "cancel" | "resume" | "retry"

type Signal = AbortSignal | undefined

/** The largest page that a list gives. */
const pageMax = 10_000

/**
 * Ids may be anybody's text: that of a page's address, for example. `.` and `..` are steps of a path to `fetch`, also as
 * `%2e`, so a dot, which no id has, is encoded twice: the server is asked for that id, and refuses it.
 */
const encoded = (id: string): string => encodeURIComponent(id).replaceAll(".", "%252e")
const sessionPath = (id: string): string => `/v1/sessions/${encoded(id)}`
const turnPath = (id: string): string => `/v1/turns/${encoded(id)}`

/** Typed by the caller, as the server's schema of that route says. */
const json = async (response: Response) => await response.json()

export interface StreamRequest {
  /** The id after which to read; empty: from the beginning. */
  readonly after: string
  /** False: what there is, to its end. Of sessions alone. */
  readonly live: boolean
  readonly signal: AbortSignal
}

const post = <A>(ask: Ask, path: string, body?: unknown, more?: Call): Promise<A> =>
  ask(path, json, { method: "POST", body, ...more })

const stream = (ask: Ask, path: string, { after, signal }: StreamRequest): Promise<Response> =>
  ask(path, (response) => Promise.resolve(response), {
    headers: { accept: "text/event-stream", ...(after !== "" && { "last-event-id": after }) },
    isLong: true,
    signal
  })

/** What pages and programs use. */
export const make = (ask: Ask) => {
  /** Every item of a list, oldest first. */
  const all = async <A>(path: string, signal: Signal): Promise<ReadonlyArray<A>> => {
    const items: Array<A> = []
    for (let after = "";;) {
      const page: Page<A> = await ask(`${path}?limit=${pageMax}${after}`, json, { signal })
      items.push(...page.items)
      if (page.nextCursor === undefined) return items
      after = `&after=${encodeURIComponent(page.nextCursor)}`
    }
  }

  return {
    sessions: (signal?: Signal) => all<Session>("/v1/sessions", signal),
    createSession: (body: NewSession) => post<Session>(ask, "/v1/sessions", body, { isOnce: true }),
    updateSession: (id: string, body: SessionChange): Promise<Session> =>
      ask(sessionPath(id), json, { method: "PATCH", body }),
    deleteSession: (id: string): Promise<void> => ask(sessionPath(id), async () => {}, { method: "DELETE" }),
    /** `read`: how the document is wanted. */
    exportSession: <A>(id: string, read: (response: Response) => Promise<A>): Promise<A> =>
      ask(`${sessionPath(id)}/export`, read, { isLong: true }),
    /** A page of a session's messages. */
    messages: (id: string, cursor?: string): Promise<Page<Message>> =>
      ask(`${sessionPath(id)}/messages${cursor === undefined ? "" : `?after=${encodeURIComponent(cursor)}`}`, json),
    turns: (sessionId: string, signal?: Signal) => all<Turn>(`${sessionPath(sessionId)}/turns`, signal),
    turn: (id: string): Promise<Turn> => ask(turnPath(id), json),
    /** A page of a turn's events after a seq; `nextCursor` is the seq to go on from. */
    turnEvents: (id: string, after: number): Promise<Page<TurnEvent>> =>
      ask(`${turnPath(id)}/events?limit=${pageMax}&after=${after}`, json),
    checkpoint: (turnId: string, checkpoint: number): Promise<Checkpoint> =>
      ask(`${turnPath(turnId)}/checkpoints/${checkpoint}`, json),
    /** The context that a message would be sent with. */
    preview: (sessionId: string, body: Omit<TurnBody, "onBusy">) =>
      post<ContextManifest>(ask, `${sessionPath(sessionId)}/context/preview`, body),
    usage: (query: UsageQuery): Promise<Page<UsageRow>> => ask(`/v1/usage?${new URLSearchParams({ ...query })}`, json),
    /** The same key and body give the same turn, however often they are sent. */
    start: (sessionId: string, body: TurnBody, idempotencyKey: string, signal?: Signal) =>
      post<Turn>(ask, `${sessionPath(sessionId)}/turns`, body, {
        headers: { "idempotency-key": idempotencyKey },
        signal
      }),
    command: (turnId: string, command: Command) => post<Turn>(ask, `${turnPath(turnId)}/${command}`),
    /** A session's events as server-sent events, ids are `<turnId>.<seq>`. */
    sessionStream: (id: string, request: StreamRequest) =>
      stream(ask, `${sessionPath(id)}/events${request.live ? "" : "?live=false"}`, request)
  }
}

/** What programs use beside. */
export const makeMore = (ask: Ask) => ({
  bootstrap: (): Promise<Bootstrap> => ask("/v1/bootstrap", json),
  session: (id: string): Promise<Session> => ask(sessionPath(id), json),
  importSession: (body: Transcript) => post<Session>(ask, "/v1/sessions/import", body, { isOnce: true, isLong: true }),
  /** A turn's events as server-sent events, ids are seqs. No content (204) after the last one. */
  turnStream: (id: string, request: StreamRequest) => stream(ask, `${turnPath(id)}/events`, request)
})
