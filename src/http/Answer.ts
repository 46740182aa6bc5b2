/**
 * Answers as plain records, and the one function that writes them. Handlers, guard and dispatcher make them; the security
 * headers are added where they are written, so that none goes out without.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { IncomingMessage, ServerResponse } from "node:http"
import { securityHeaders } from "./SecurityHeaders.ts"

type Headers = Readonly<Record<string, string>>

export type Body =
  | { readonly _tag: "Empty" }
  | { readonly _tag: "Whole"; readonly content: string | Uint8Array; readonly contentType: string }
  | { readonly _tag: "Stream"; readonly stream: Stream.Stream<Uint8Array, unknown>; readonly contentType: string }
  /** The handler wrote it. */
  | { readonly _tag: "Written" }

export interface Answer {
  readonly status: number
  readonly headers?: Headers | undefined
  readonly body: Body
}

interface Options {
  readonly status?: number
  readonly headers?: Headers
}

export const empty = (status: number, headers?: Headers): Answer => ({ status, headers, body: { _tag: "Empty" } })

export const whole = (
  content: string | Uint8Array,
  contentType: string,
  { headers, status = 200 }: Options = {}
): Answer => ({ status, headers, body: { _tag: "Whole", content, contentType } })

export const json = (value: unknown, options?: Options): Answer =>
  whole(JSON.stringify(value), "application/json", options)

export const stream = (
  texts: Stream.Stream<string, unknown>,
  contentType: string,
  { headers, status = 200 }: Options = {}
): Answer => ({ status, headers, body: { _tag: "Stream", stream: Stream.encodeText(texts), contentType } })

export const written: Answer = { status: 200, body: { _tag: "Written" } }

/** A reader that takes no more: until its socket has room again. Where it never has, the request ends with the socket. */
export const drained = (response: ServerResponse): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (!response.writableNeedDrain) return resume(Effect.void)
    const done = () => resume(Effect.void)
    response.once("drain", done)
    return Effect.sync(() => response.off("drain", done))
  })

/** What breaks off must not end like a whole answer: its connection is cut, which every client takes for an error. */
const pour = (response: ServerResponse, body: Stream.Stream<Uint8Array, unknown>): Effect.Effect<void> =>
  Stream.runForEachChunk(body, (chunk) => {
    let room = true
    for (const bytes of chunk) room = response.write(bytes)
    return room ? Effect.void : drained(response)
  }).pipe(
    Effect.matchCause({ onFailure: () => void response.destroy(), onSuccess: () => void response.end() })
  )

/** Writes it; of a stream the head, and the effect that comes back writes the rest. */
export const write = (
  request: IncomingMessage,
  response: ServerResponse,
  { body, headers, status }: Answer
): Effect.Effect<void> | undefined => {
  if (body._tag === "Written" || response.destroyed || response.writableEnded) return
  // too late for another: what has begun breaks off
  if (response.headersSent) return void response.destroy()
  const head: Record<string, string | number> = { ...headers, ...securityHeaders }
  if (body._tag !== "Empty") head["content-type"] = body.contentType
  if (body._tag === "Whole") {
    head["content-length"] = typeof body.content === "string" ? Buffer.byteLength(body.content) : body.content.length
  }
  response.writeHead(status, head)
  if (request.method === "HEAD" || body._tag === "Empty") response.end()
  else if (body._tag === "Whole") response.end(body.content)
  else return pour(response, body.stream)
}
