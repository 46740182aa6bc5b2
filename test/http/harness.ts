/**
 * A server in this process on a free port, and the clients that its tests use: `fetch` for what is well formed, a bare
 * socket for what is not, and a reader of event streams that keeps the exact bytes. Waiting is for events, never for time.
 */
import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { createParser } from "eventsource-parser"
import * as diagnosticsChannel from "node:diagnostics_channel"
import { connect, type Socket } from "node:net"
import type { Turn } from "../../src/domain/Resources.ts"
import * as Page from "../../src/http/Page.ts"
import * as Server from "../../src/http/Server.ts"
import { Journal } from "../../src/journal/Journal.ts"
import { layerLocal, layerTest } from "../../src/layers.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"

export type TestSettings = NonNullable<Parameters<typeof layerTest>[0]>

type Services = Layer.Layer.Success<typeof Server.layer> | Layer.Layer.Success<ReturnType<typeof layerTest>>

export interface Started {
  readonly url: string
  readonly port: number
  readonly runtime: ManagedRuntime.ManagedRuntime<Services, unknown>
  readonly stop: () => Promise<void>
}

/** Nothing waits for turns at the end of a test unless the test says so. */
const quick: TestSettings = { drainMs: 0 }

const startOn = async (runtime: Started["runtime"]): Promise<Started> => {
  const { port, url } = await runtime.runPromise(Server.Server)
  return { url, port, runtime, stop: () => runtime.dispose() }
}

export const start = (settings: TestSettings = {}, page = Page.layerEmpty): Promise<Started> =>
  startOn(
    ManagedRuntime.make(
      Server.layer.pipe(Layer.provide(page), Layer.provideMerge(layerTest({ ...quick, ...settings })))
    )
  )

/** The same with some methods of the runtime, or of the journal that HTTP reads, replaced. */
export const startWith = (
  replace: (runtime: TurnRuntime["Type"]) => Partial<TurnRuntime["Type"]>,
  settings: TestSettings = {},
  replaceJournal: (journal: Journal["Type"]) => Partial<Journal["Type"]> = () => ({})
): Promise<Started> => {
  const replaced = Layer.merge(
    Layer.effect(TurnRuntime, Effect.map(TurnRuntime, (runtime) => ({ ...runtime, ...replace(runtime) }))),
    Layer.effect(Journal, Effect.map(Journal, (journal) => ({ ...journal, ...replaceJournal(journal) })))
  )
  const engine = layerTest({ ...quick, ...settings })
  return startOn(
    ManagedRuntime.make(
      Server.layer.pipe(
        Layer.provide(Page.layerEmpty),
        Layer.provide(replaced),
        Layer.provideMerge(engine),
        Layer.provide(Logger.minimumLogLevel(LogLevel.None))
      )
    )
  )
}

/** A server whose submits are `asked`, and wait until somebody has `left`; `begun`: the turn of the first. */
export const startHeld = async (settings: TestSettings = {}) => {
  const asked = Effect.unsafeMakeLatch(false)
  const held = Effect.unsafeMakeLatch(false)
  const begun = Deferred.unsafeMake<string>(FiberId.none)
  const server = await startWith((runtime) => ({
    begin: (ask) =>
      asked.open.pipe(
        Effect.zipRight(held.await),
        Effect.zipRight(runtime.begin(ask)),
        Effect.tap(({ id }) => Deferred.succeed(begun, id))
      )
  }), settings)
  return {
    server,
    asked: () => Effect.runPromise(asked.await),
    left: () => held.unsafeOpen(),
    begun: () => Effect.runPromise(Deferred.await(begun))
  }
}

/** The same on SQLite, in `dataDir`. */
export const startLocal = (settings: TestSettings & { readonly dataDir: string }): Promise<Started> =>
  startOn(
    ManagedRuntime.make(
      Server.layer.pipe(Layer.provide(Page.layerEmpty), Layer.provideMerge(layerLocal({ ...quick, ...settings })))
    )
  )

/** The server's end of the next connection. */
export const serverSocket = (): Promise<Socket> =>
  new Promise((resolve) => {
    const channel = diagnosticsChannel.channel("net.server.socket")
    const onSocket = (message: unknown) => {
      channel.unsubscribe(onSocket)
      resolve((message as { readonly socket: Socket }).socket)
    }
    channel.subscribe(onSocket)
  })

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // what an answer holds is what the test asserts
  readonly body: Record<string, unknown>
}

const answerOf = async (response: Response): Promise<Answer> => {
  const text = await response.text()
  const isJson = response.headers.get("content-type")?.includes("json") === true
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson && text !== "" ? JSON.parse(text) : {}
  }
}

export const get = async (server: Started, path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  answerOf(await fetch(server.url + path, { headers }))

export const send = async (
  server: Started,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {}
): Promise<Answer> =>
  answerOf(
    await fetch(server.url + path, {
      method,
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
    })
  )

export const post = (server: Started, path: string, body?: unknown, headers?: Record<string, string>) =>
  send(server, "POST", path, body, headers)

export const newSession = async (server: Started): Promise<string> =>
  String((await post(server, "/v1/sessions", {})).body.id)

export const script = (deltas: number, delayMs = 0, bytes = 8) => ({ script: { deltas, delayMs, bytes } })

/** What a short script says, known in advance. */
export const scriptText = (deltas: number, bytes = 8): string =>
  Array.from({ length: deltas }, (_, i) => String(i).padStart(bytes - 1, "0") + " ").join("")

export const submit = async (server: Started, session: string, body: object = {}): Promise<Turn> => {
  const answer = await post(server, `/v1/sessions/${session}/turns`, { message: "hello", ...body })
  if (answer.status !== 202) throw new Error(`submit answered ${answer.status}: ${answer.text}`)
  return JSON.parse(answer.text)
}

export interface SseEvent {
  readonly id: string | undefined
  readonly event: string | undefined
  readonly data: string
}

export interface EventReader {
  readonly response: Response
  /** The next event, or undefined at the end of the stream. */
  readonly next: () => Promise<SseEvent | undefined>
  /** Everything up to the end. */
  readonly rest: () => Promise<ReadonlyArray<SseEvent>>
  /** The next comment; events before it are dropped. */
  readonly comment: () => Promise<string | undefined>
  readonly leave: () => void
}

export const openStream = async (
  server: Started,
  path: string,
  headers: Record<string, string> = {},
  body?: object
): Promise<EventReader> => {
  const abort = new AbortController()
  const response = await fetch(server.url + path, {
    method: body === undefined ? "GET" : "POST",
    headers: {
      accept: "text/event-stream",
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers
    },
    signal: abort.signal,
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const events: Array<SseEvent> = []
  const comments: Array<string> = []
  const parser = createParser({
    onEvent: ({ data, event, id }) => events.push({ id, event, data }),
    onComment: (comment) => comments.push(comment)
  })
  const source = response.body?.getReader()
  const decoder = new TextDecoder()
  const more = async (): Promise<boolean> => {
    const read = await source?.read()
    if (read?.value === undefined) return false
    parser.feed(decoder.decode(read.value, { stream: true }))
    return true
  }
  const from = async <A>(list: Array<A>): Promise<A | undefined> => {
    while (list.length === 0) if (!(await more())) break
    return list.shift()
  }
  const next = () => from(events)
  return {
    response,
    next,
    rest: async () => {
      const all: Array<SseEvent> = []
      for (let event = await next(); event !== undefined; event = await next()) all.push(event)
      return all
    },
    comment: () => from(comments),
    leave: () => abort.abort()
  }
}

/** The events of a turn from its beginning to its end. */
export const follow = async (server: Started, turnId: string): Promise<ReadonlyArray<SseEvent>> =>
  (await openStream(server, `/v1/turns/${turnId}/events`)).rest()

export const textIn = (events: ReadonlyArray<SseEvent>): string =>
  events.filter(({ event }) => event === "model.delta").map(({ data }) => JSON.parse(data).data.text).join("")

/** Sends bytes as they are and reads until the other side closes. */
export const raw = (port: number, bytes: string | ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    const socket = connect(port, "127.0.0.1", () => {
      for (const part of typeof bytes === "string" ? [bytes] : bytes) socket.write(part)
    })
    socket.setEncoding("latin1")
    socket.on("data", (part) => {
      text += part
    })
    socket.on("close", () => resolve(text))
    socket.on("error", (error: NodeJS.ErrnoException) => error.code === "ECONNRESET" ? resolve(text) : reject(error))
  })

/** A raw request with `connection: close`, so that the answer ends. */
export const rawRequest = (port: number, requestLine: string, headers: ReadonlyArray<string>, body = "") =>
  raw(port, `${requestLine}\r\n${headers.join("\r\n")}\r\nConnection: close\r\n\r\n${body}`)

export const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])

/** The JSON of a raw answer, chunked or not. */
export const problemOf = (answer: string): Record<string, unknown> =>
  JSON.parse(/\{[^]*\}/.exec(answer.slice(answer.indexOf("\r\n\r\n")))?.[0] ?? "{}")

/** What every refusal has: a problem of that status and code, the security headers, and nothing internal. */
export const assertProblem = (answer: string, status: number, code: string) => {
  assert.strictEqual(statusOf(answer), status, answer.slice(0, 300))
  const head = answer.slice(0, answer.indexOf("\r\n\r\n")).toLowerCase()
  assert.include(head, "content-type: application/problem+json")
  for (
    const header of [
      "x-content-type-options: nosniff",
      "cache-control: no-store",
      "content-security-policy: default-src 'none'"
    ]
  ) {
    assert.include(head, header)
  }
  const problem = problemOf(answer)
  assert.strictEqual(problem.code, code)
  assert.strictEqual(problem.status, status)
  for (const key of ["type", "title", "detail", "instance"]) assert.isString(problem[key], key)
  assert.isBoolean(problem.retryable)
  assert.notMatch(answer, /node_modules|\.ts:\d|at \w+ \(/)
}
