/**
 * The public HTTP API as the page uses it. Answers are typed by the schemas that the server encodes with; they are not
 * validated again, because page and server come from one build.
 *
 * Whatever a request is refused with arrives as `Refused` with the server's problem; a server that does not answer, as
 * `Refused` with status 0. Both messages can be shown as they are.
 */
import type { Limits } from "../../config/Settings.ts"
import type { ContextManifest } from "../../domain/Context.ts"
import type { Message } from "../../domain/Message.ts"
import type { Checkpoint, Page, Session, Turn } from "../../domain/Resources.ts"
import type { TurnEvent } from "../../domain/TurnEvent.ts"
import type { Usage, UsageSource } from "../../domain/Usage.ts"
import type { ProviderDiagnostics } from "../../provider/ProviderRegistry.ts"
import * as Clock from "../kit/Clock.ts"

export interface Bootstrap {
  readonly version: string
  readonly defaults: { readonly provider: string; readonly model: string }
  readonly providers: ReadonlyArray<ProviderDiagnostics>
  readonly limits: Limits
}

export type Verb = "cancel" | "resume" | "retry"

export interface TurnRequest {
  readonly message: string
  readonly provider: string
  readonly model?: string
  readonly onBusy?: "queue"
}

/** A row of `GET /v1/usage?by=session`; the other groupings have other names beside these. */
export interface UsageRow {
  readonly turns: number
  readonly usage: Usage
  readonly source?: UsageSource
  readonly cost?: number
}

/** Ids may come from the address of the page: anybody's text. */
const sessionPath = (id: string): string => `/v1/sessions/${encodeURIComponent(id)}`
const turnPath = (id: string): string => `/v1/turns/${encodeURIComponent(id)}`

/** A server that says nothing for this long says nothing more: a cancel that it commits takes far less. */
const answerMs = 30_000

/** The largest page that a list gives. */
const pageMax = 10_000

export class Refused extends Error {
  override readonly name = "Refused"
  constructor(
    /** 0 where no answer came. */
    readonly status: number,
    readonly code: string,
    message: string,
    readonly turnId?: string
  ) {
    super(message)
  }
  /** The refusal is the end of a turn, whose own card says why. */
  get isRecorded(): boolean {
    return this.status === 422 && this.turnId !== undefined
  }
}

const unreachable = () =>
  new Refused(0, "Unreachable", "The server does not answer. Check that turnstream is running at this address.")

const refusalOf = async (response: Response): Promise<Refused> => {
  const problem: unknown = await response.json().catch(() => undefined)
  // an intermediary may answer without a problem body: each fact is looked for
  const facts = typeof problem === "object" && problem !== null ? problem as Record<string, unknown> : {}
  const text = (value: unknown, otherwise: string) => typeof value === "string" ? value : otherwise
  return new Refused(
    response.status,
    text(facts["code"], "Unknown"),
    text(facts["detail"], `The server answered with HTTP ${response.status}.`),
    typeof facts["turnId"] === "string" ? facts["turnId"] : undefined
  )
}

interface Call {
  readonly method?: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** `token` is asked at each request: it may be entered later. */
export const make = (token: () => string | undefined) => {
  const call = async (path: string, options: Call = {}): Promise<Response> => {
    const secret = token()
    const response = await fetch(path, {
      method: options.method ?? "GET",
      headers: {
        accept: "application/json",
        ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }),
        ...(options.body === undefined ? {} : { "content-type": "application/json" }),
        ...options.headers
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      signal: options.signal ?? AbortSignal.timeout(answerMs)
    }).catch(() => Promise.reject(unreachable()))
    return response.ok ? response : Promise.reject(await refusalOf(response))
  }

  const json = async <A>(path: string, options?: Call): Promise<A> => await (await call(path, options)).json() as A

  /** Every item of a list, oldest first. */
  const all = async <A>(path: string, signal?: AbortSignal): Promise<ReadonlyArray<A>> => {
    const items: Array<A> = []
    for (let after = "";;) {
      const page = await json<Page<A>>(
        `${path}?limit=${pageMax}${after}`,
        signal === undefined ? {} : { signal }
      )
      items.push(...page.items)
      if (page.nextCursor === undefined) return items
      after = `&after=${encodeURIComponent(page.nextCursor)}`
    }
  }

  return {
    /** `ahead`: milliseconds that this machine's clock is before the server's, to within a second. */
    bootstrap: async () => {
      const response = await call("/v1/bootstrap")
      const serverMs = Date.parse(response.headers.get("date") ?? "")
      return {
        answer: await response.json() as Bootstrap,
        ahead: Number.isNaN(serverMs) ? 0 : Clock.nowMs() - serverMs
      }
    },
    sessions: () => all<Session>("/v1/sessions"),
    createSession: (title: string) => json<Session>("/v1/sessions", { method: "POST", body: { title } }),
    renameSession: (id: string, title: string) =>
      json<Session>(sessionPath(id), { method: "PATCH", body: { title: title === "" ? null : title } }),
    deleteSession: (id: string) => call(sessionPath(id), { method: "DELETE" }),
    /** The session as a file that `POST /v1/sessions/import` takes. */
    exportSession: async (id: string) =>
      (await call(`${sessionPath(id)}/export`, { signal: new AbortController().signal })).blob(),
    turns: (sessionId: string, signal: AbortSignal) => all<Turn>(`${sessionPath(sessionId)}/turns`, signal),
    turn: (id: string) => json<Turn>(turnPath(id)),
    /** A page of a turn's events after a seq; `nextCursor` is the seq to go on from. */
    turnEvents: (id: string, after: number) =>
      json<Page<TurnEvent>>(`${turnPath(id)}/events?limit=${pageMax}&after=${after}`),
    checkpoint: (turnId: string, checkpoint: number) =>
      json<Checkpoint>(`${turnPath(turnId)}/checkpoints/${checkpoint}`),
    preview: (sessionId: string, body: Omit<TurnRequest, "onBusy">) =>
      json<ContextManifest>(`${sessionPath(sessionId)}/context/preview`, { method: "POST", body }),
    /** What the session used in all; null where no turn used anything yet. */
    sessionUsage: async (sessionId: string) =>
      (await json<Page<UsageRow>>(`/v1/usage?by=session&session=${encodeURIComponent(sessionId)}`)).items[0] ?? null,
    messages: (id: string, after: string | undefined) =>
      json<Page<Message>>(
        `${sessionPath(id)}/messages${after === undefined ? "" : `?after=${encodeURIComponent(after)}`}`
      ),
    start: (sessionId: string, body: TurnRequest, idempotencyKey: string) =>
      json<Turn>(`${sessionPath(sessionId)}/turns`, {
        method: "POST",
        body,
        headers: { "idempotency-key": idempotencyKey }
      }),
    command: (turnId: string, verb: Verb) => json<Turn>(`${turnPath(turnId)}/${verb}`, { method: "POST" }),
    /** The session's events as server-sent events. */
    events: (
      sessionId: string,
      request: { readonly after: string; readonly live: boolean; readonly signal: AbortSignal }
    ) =>
      call(`${sessionPath(sessionId)}/events${request.live ? "" : "?live=false"}`, {
        headers: {
          accept: "text/event-stream",
          ...(request.after === "" ? {} : { "last-event-id": request.after })
        },
        signal: request.signal
      })
  }
}

export type Server = ReturnType<typeof make>
