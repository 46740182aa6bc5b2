/**
 * An OpenTelemetry collector on loopback that keeps what it is sent. `behave` says what it answers; a request that hangs
 * is kept too, as its body came. Whoever waits for a request waits for that request, never for a time.
 */
import * as Effect from "effect/Effect"
import * as Http from "node:http"

export interface Received {
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  /** The body as it came, to search for what must not be in it. */
  readonly text: string
  // each test names what it needs of it
  readonly body: Record<string, unknown>
}

export type Behaviour =
  | { readonly _tag: "answers"; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly _tag: "hangs" }

export const fine: Behaviour = { _tag: "answers", status: 200 }

interface KeyValue {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

/** Attributes as they are written in OTLP, by name. */
export const attributesOf = (list: unknown): Readonly<Record<string, unknown>> =>
  Object.fromEntries((list as ReadonlyArray<KeyValue>).map(({ key, value }) => [key, Object.values(value)[0]]))

interface Named {
  readonly name: string
  readonly [field: string]: unknown
}

/** Everything of one kind in some requests: `resourceSpans` / `scopeSpans` / `spans`, and so on. */
const inside = (received: ReadonlyArray<Received>, resource: string, scope: string, items: string) =>
  received.flatMap(({ body }) =>
    ((body[resource] ?? []) as ReadonlyArray<Record<string, unknown>>).flatMap((one) =>
      (one[scope] as ReadonlyArray<Record<string, unknown>>).flatMap((two) => two[items] as ReadonlyArray<Named>)
    )
  )

export const spansOf = (received: ReadonlyArray<Received>) => inside(received, "resourceSpans", "scopeSpans", "spans")
export const metricsOf = (received: ReadonlyArray<Received>) =>
  inside(received, "resourceMetrics", "scopeMetrics", "metrics")
export const logsOf = (received: ReadonlyArray<Received>) => inside(received, "resourceLogs", "scopeLogs", "logRecords")

export const messageOf = (record: Named): unknown => (record["body"] as { readonly stringValue?: unknown }).stringValue

export const start = Effect.acquireRelease(
  Effect.async<{ readonly server: Http.Server; readonly port: number }>((resume) => {
    const server = Http.createServer()
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(Effect.succeed({ server, port: typeof address === "object" && address !== null ? address.port : 0 }))
    })
  }),
  ({ server }) =>
    Effect.sync(() => {
      server.closeAllConnections()
      server.close()
    })
).pipe(Effect.map(({ port, server }) => {
  const received: Array<Received> = []
  const watchers = new Set<() => void>()
  let behaviour: Behaviour = fine
  let connections = 0
  server.on("connection", () => connections++)
  server.on("request", (request, response) => {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => {
      const text = Buffer.concat(parts).toString("utf8")
      received.push({
        path: request.url ?? "",
        headers: request.headers,
        text,
        body: JSON.parse(text) as Record<string, unknown>
      })
      if (behaviour._tag === "answers") response.writeHead(behaviour.status, behaviour.headers).end("{}")
      for (const watcher of watchers) watcher()
    })
  })
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    connections: () => connections,
    behave: (next: Behaviour) =>
      Effect.sync(() => {
        behaviour = next
      }),
    /** Completes once `found` holds of what was received. */
    until: (found: (received: ReadonlyArray<Received>) => boolean): Effect.Effect<void> =>
      Effect.async((resume) => {
        const watcher = () => {
          if (!found(received)) return
          watchers.delete(watcher)
          resume(Effect.void)
        }
        watchers.add(watcher)
        watcher()
        return Effect.sync(() => watchers.delete(watcher))
      })
  }
}))
