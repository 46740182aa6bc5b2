/**
 * Turns of a running server, over its HTTP interface.
 *
 * An event stream that breaks off (the network, a restart of the server) is opened again after the last event that was
 * seen, so no event is missed or seen twice; the turn itself goes on meanwhile. Eight openings in a row without an
 * event, 200 ms apart doubling to 5 s (about 20 s), and the command gives up. The token comes from TURNSTREAM_TOKEN.
 * Redirects are not followed: a token goes to the address that was given, and nowhere else.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type { HttpClientResponse } from "@effect/platform/HttpClientResponse"
import * as Chunk from "effect/Chunk"
import * as Config from "effect/Config"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createParser } from "eventsource-parser"
import { TurnId } from "../domain/Ids.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import { Session, Turn } from "../domain/Resources.ts"
import { type EventType, eventTypes, isTerminalType } from "../domain/TurnEvent.ts"
import type { JournaledEvent } from "../journal/Journal.ts"
import { ServerRefused, ServerUnreachable, TurnClient } from "./TurnClient.ts"

/** What the server's words for a program mean at a prompt. */
const adviceHere: ReadonlyMap<string, string> = new Map([
  [
    "Unauthorized",
    "The server wants a token, or another one. Set TURNSTREAM_TOKEN here to the one that it was started with."
  ],
  [
    "NotFound",
    "The server has nothing at this address. Give --url as the address alone, for example http://127.0.0.1:4790."
  ]
])

/** The `problem+json` of the server, as far as it is used here. */
const Problem = Schema.parseJson(Schema.Struct({
  code: Schema.String,
  detail: Schema.String,
  turnId: Schema.optional(TurnId)
}))
const decodeProblem = Schema.decodeUnknownOption(Problem)
const decodeNotice = Schema.decodeUnknownOption(
  Schema.parseJson(Schema.Struct({ code: Schema.String, message: Schema.String }))
)
const decodeSession = Schema.decodeUnknown(Schema.parseJson(Session))
const decodeVacuumed = Schema.decodeUnknown(
  Schema.parseJson(
    Schema.Struct({ bytesBefore: Schema.Int, bytesAfter: Schema.Int, logEmptied: Schema.Boolean })
  )
)
const decodeTurn = Schema.decodeUnknown(Schema.parseJson(Turn))

/** The stream ended before its turn did. */
class Broken extends Data.TaggedError("Broken")<{ readonly detail: string }> {}

/** Openings in a row without an event. */
const openingsMax = 8
const delayMs = (failures: number): number => Math.min(5_000, 200 * 2 ** failures)

/** A frame larger than this is not one of ours: an event is at most a turn's output, 1 MiB by default. */
const frameMax = 128 * 1024 * 1024

/** Busy or draining: worth another opening. */
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504])

const accepted = ({ status }: HttpClientResponse): boolean => status >= 200 && status < 300

const isEventType = (name: string | undefined): name is EventType => eventTypes.some((type) => type === name)

/** Where the server is: a scheme, a host, perhaps a path; no credentials, no query. */
export const parseUrl = (text: string): Effect.Effect<string, InvalidRequest> =>
  Effect.suspend(() => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    const fits = url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "" &&
      url.search === "" && url.hash === ""
    return fits
      ? Effect.succeed(url.href.replace(/\/+$/, ""))
      : new InvalidRequest({ path: "--url", reason: "is not the address of a server, like http://127.0.0.1:4790" })
  })

/** The socket's code where there is one, else the innermost words: fetch hides both a few causes deep. */
const reasonOf = (error: { readonly message: string; readonly cause?: unknown }): string => {
  let message = error.message
  for (let depth = 0, at: unknown = error; depth < 6 && typeof at === "object" && at !== null; depth++) {
    if ("code" in at && typeof at.code === "string") return at.code
    if ("message" in at && typeof at.message === "string" && at.message !== "") message = at.message
    at = "cause" in at ? at.cause : undefined
  }
  return message
}

const make = Effect.fn("TurnClientHttp.make")(function*(address: string) {
  const url = yield* parseUrl(address)
  const token = Option.getOrUndefined(
    yield* Effect.orElseSucceed(
      Config.option(Config.redacted("TURNSTREAM_TOKEN")),
      () => Option.none<Redacted.Redacted>()
    )
  )
  const unreachable = (detail: string) => new ServerUnreachable({ url, detail })
  const client = (yield* HttpClient.HttpClient).pipe(
    // the server's own traces are not a caller's to join
    HttpClient.withTracerPropagation(false),
    HttpClient.mapRequest((request) =>
      HttpClientRequest.prependUrl(
        token === undefined ? request : HttpClientRequest.bearerToken(request, Redacted.value(token)),
        url
      )
    )
  )

  const refusal = (response: HttpClientResponse) =>
    Effect.map(Effect.orElseSucceed(response.text, () => ""), (text) => {
      const problem = Option.getOrUndefined(decodeProblem(text))
      const { status } = response
      return {
        turnId: problem?.turnId,
        error: new ServerRefused(
          problem === undefined
            ? {
              code: `Http${status}`,
              status,
              detail: `${url} answered with HTTP ${status}, and not as turnstream does. Correct --url.`
            }
            : { code: problem.code, status, detail: adviceHere.get(problem.code) ?? problem.detail }
        )
      }
    })

  const textOf = (response: HttpClientResponse) =>
    Effect.mapError(response.text, (error) => unreachable(reasonOf(error)))

  const send = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.mapError(client.execute(request), (error) => unreachable(reasonOf(error)))

  /** The answer's body, or the refusal. */
  const ask = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.flatMap(
      send(request),
      (response): Effect.Effect<string, ServerRefused | ServerUnreachable> =>
        accepted(response) ? textOf(response) : Effect.flatMap(refusal(response), ({ error }) => error)
    )

  const read = <A>(decode: (text: string) => Effect.Effect<A, unknown>) => (text: string) =>
    Effect.mapError(decode(text), () => unreachable("its answer is not in the form of this version"))

  const post = (path: string, body: unknown) =>
    HttpClientRequest.post(path).pipe(HttpClientRequest.bodyUnsafeJson(body))

  const turn = (id: TurnId) => Effect.flatMap(ask(HttpClientRequest.get(`/v1/turns/${id}`)), read(decodeTurn))

  /** A turn that was refused at once is answered with a problem that names it. */
  const submitted = (response: HttpClientResponse): Effect.Effect<Turn, ServerRefused | ServerUnreachable> =>
    accepted(response)
      ? Effect.flatMap(textOf(response), read(decodeTurn))
      : Effect.flatMap(refusal(response), ({ error, turnId }) => (turnId === undefined ? error : turn(turnId)))

  /** Turns bytes into events. What breaks the stream off is kept until the events before it are out. */
  const events = (id: TurnId, bytes: Stream.Stream<Uint8Array, Broken>) =>
    Stream.suspend(() => {
      let ready: Array<JournaledEvent> = []
      let notice: ServerRefused | undefined
      const parser = createParser({
        maxBufferSize: frameMax,
        onEvent: ({ data, event, id: seq }) => {
          if (isEventType(event)) ready.push({ turnId: id, seq: Number(seq), type: event, json: data })
          else if (event === "error") {
            const { code, message } = Option.getOrElse(decodeNotice(data), () => ({ code: "Unknown", message: data }))
            notice = new ServerRefused({ code, status: 200, detail: message })
          }
        }
      })
      const pieces = bytes.pipe(
        Stream.decodeText(),
        Stream.mapChunks((texts) => {
          for (const text of texts) parser.feed(text)
          const out = ready
          ready = []
          return Chunk.unsafeFromArray(out)
        })
      )
      // a deleted session has no more events; whatever else broke off is worth another opening
      const ending = Effect.suspend((): Effect.Effect<never, Broken | ServerRefused> =>
        notice?.code === "SessionNotFound" ? notice : new Broken({ detail: notice?.detail ?? "the stream ended early" })
      )
      return Stream.concat(pieces, Stream.fromEffect(ending))
    })

  const open = (id: TurnId, last: number) =>
    client.execute(HttpClientRequest.get(`/v1/turns/${id}/events`, {
      headers: { accept: "text/event-stream", ...(last === 0 ? {} : { "last-event-id": String(last) }) }
    })).pipe(
      Effect.mapError((error) => new Broken({ detail: reasonOf(error) })),
      Effect.flatMap((response): Effect.Effect<HttpClientResponse, Broken | ServerRefused> =>
        accepted(response)
          ? Effect.succeed(response)
          : Effect.flatMap(
            refusal(response),
            ({ error }): Effect.Effect<never, Broken | ServerRefused> =>
              passing.has(error.status) ? new Broken({ detail: error.detail }) : error
          )
      )
    )

  const follow = (id: TurnId): Stream.Stream<JournaledEvent, ServerRefused | ServerUnreachable> =>
    Stream.suspend(() => {
      let last = 0
      let failures = 0
      const fresh = (chunk: Chunk.Chunk<JournaledEvent>) => {
        const unseen = Chunk.filter(chunk, ({ seq }) => seq > last)
        const newest = Chunk.last(unseen)
        if (newest._tag === "Some") {
          last = newest.value.seq
          failures = 0
        }
        return unseen
      }
      const connection = (): Stream.Stream<JournaledEvent, ServerRefused | ServerUnreachable> =>
        Stream.unwrap(
          Effect.map(open(id, last), (response) =>
            events(id, Stream.mapError(response.stream, (error) => new Broken({ detail: reasonOf(error) }))))
        ).pipe(
          Stream.mapChunks(fresh),
          Stream.takeUntil(({ type }) =>
            isTerminalType(type)
          ),
          Stream.catchTag("Broken", ({ detail }) =>
            failures >= openingsMax
              ? Stream.fail(unreachable(detail))
              : Stream.unwrap(Effect.delay(Effect.sync(connection), delayMs(failures++))))
        )
      return connection()
    })

  return TurnClient.of({
    createSession: Effect.flatMap(ask(post("/v1/sessions", {})), read(decodeSession)),
    session: (id) => Effect.flatMap(ask(HttpClientRequest.get(`/v1/sessions/${id}`)), read(decodeSession)),
    importSession: (transcript) => Effect.flatMap(ask(post("/v1/sessions/import", transcript)), read(decodeSession)),
    submit: (id, body) => Effect.flatMap(send(post(`/v1/sessions/${id}/turns`, body)), submitted),
    follow,
    vacuum: Effect.flatMap(ask(HttpClientRequest.post("/v1/maintenance/vacuum")), read(decodeVacuumed)),
    cancel: (id) => Effect.flatMap(ask(HttpClientRequest.post(`/v1/turns/${id}/cancel`)), read(decodeTurn))
  })
})

export const layer = (url: string): Layer.Layer<TurnClient, InvalidRequest, HttpClient.HttpClient> =>
  Layer.effect(TurnClient, make(url))
