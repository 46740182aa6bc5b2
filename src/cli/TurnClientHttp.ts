/**
 * Turns of a running server, over its HTTP interface.
 *
 * An event stream that breaks off (the network, a restart of the server) is opened again after the last event that was
 * seen, so no event is missed or seen twice; the turn itself goes on meanwhile. Eight openings in a row without an
 * event, 200 ms apart doubling to 5 s (about 20 s), and the command gives up.
 */
import type { HttpClient } from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type { HttpClientResponse } from "@effect/platform/HttpClientResponse"
import * as Chunk from "effect/Chunk"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createParser } from "eventsource-parser"
import type { TurnId } from "../domain/Ids.ts"
import type { InvalidRequest } from "../domain/RequestError.ts"
import { Session, Turn } from "../domain/Resources.ts"
import { type EventType, eventTypes, isTerminalType } from "../domain/TurnEvent.ts"
import type { JournaledEvent } from "../journal/Journal.ts"
import * as Transcript from "../journal/Transcript.ts"
import { accepted, connect, reasonOf } from "./ServerHttp.ts"
import { ServerRefused, type ServerUnreachable, TurnClient } from "./TurnClient.ts"

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

const isEventType = (name: string | undefined): name is EventType => eventTypes.some((type) => type === name)

const make = Effect.fn("TurnClientHttp.make")(function*(address: string) {
  const { ask, client, read, refusal, send, textOf, unreachable } = yield* connect(address)

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
    importSession: (transcript) =>
      Effect.flatMap(
        ask(HttpClientRequest.bodyUint8Array(
          HttpClientRequest.post("/v1/sessions/import"),
          Transcript.bytesOf(transcript),
          "application/json"
        )),
        read(decodeSession)
      ),
    submit: (id, body) => Effect.flatMap(send(post(`/v1/sessions/${id}/turns`, body)), submitted),
    follow,
    vacuum: Effect.flatMap(ask(HttpClientRequest.post("/v1/maintenance/vacuum")), read(decodeVacuumed)),
    cancel: (id) => Effect.flatMap(ask(HttpClientRequest.post(`/v1/turns/${id}/cancel`)), read(decodeTurn))
  })
})

export const layer = (url: string): Layer.Layer<TurnClient, InvalidRequest, HttpClient> =>
  Layer.effect(TurnClient, make(url))
