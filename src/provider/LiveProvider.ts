/**
 * A provider over HTTP: one call of a wire family, from the request to the last event.
 *
 * Keys are read for each call, stand in the headers alone, and are taken out of whatever a failure says. Interrupting
 * the stream closes the socket in any phase: the connection, the wait for headers, the body.
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { IncomingMessage } from "node:http"
import type { ProviderFailure } from "../domain/TurnError.ts"
import * as Answer from "./Answer.ts"
import * as BodyText from "./BodyText.ts"
import {
  connectTimeoutCode,
  type EgressClient,
  firstByteTimeoutCode,
  idleTimeoutCode,
  refusedCode
} from "./EgressClient.ts"
import type { Call, Keys, Unsigned, WireFamily } from "./Family.ts"
import * as KeyGuard from "./KeyGuard.ts"
import { type AnswerSink, type Provider, type ProviderRequest, streamOf } from "./Provider.ts"
import { modelOf, type ProviderFacts } from "./ProviderFacts.ts"
import * as ProviderFault from "./ProviderFault.ts"
import type { Recorder, Take } from "./Recorder.ts"
import * as ResumeSeam from "./ResumeSeam.ts"
import type { Fault } from "./wire/Fault.ts"
import * as HttpFault from "./wire/HttpFault.ts"

/** Of an error's body as much as any vendor says, and more. */
const errorBodyMax = 65_536
const contentType = "application/json"

/** The body of an error must come in this time. */
const errorBodyWait = Duration.seconds(10)

export interface LiveOptions {
  readonly client: EgressClient["Type"]
  /** Until the headers of the answer. */
  readonly firstByteMs: number
  /** After so long without a byte the client closes the connection. */
  readonly idleMs: number
  /** For what may follow the end of an answer. */
  readonly afterFinishMs: number
  /** Saves raw streams; undefined where nothing is recorded. */
  readonly recorder: Recorder | undefined
}

const noKeys: Effect.Effect<Keys> = Effect.succeed(new Map())

const readKeys = (facts: ProviderFacts): Effect.Effect<Keys> =>
  facts.env.length + facts.optionalEnv.length === 0 ? noKeys : Effect.map(
    Effect.forEach(
      [...facts.env, ...facts.optionalEnv],
      (name) =>
        Effect.map(
          Effect.orElseSucceed(Config.option(Config.redacted(name)), () => Option.none<Redacted.Redacted>()),
          (value) => [name, value] as const
        )
    ),
    (found) =>
      new Map(
        found.flatMap(([name, value]) =>
          Option.isSome(value) && Redacted.value(value.value) !== "" ? [[name, value.value] as const] : []
        )
      )
  )

const codeOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return "unknown"
  if ("code" in error && typeof error.code === "string") return error.code
  return "cause" in error ? codeOf(error.cause) : "unknown"
}

const timeouts: ReadonlySet<string> = new Set([connectTimeoutCode, firstByteTimeoutCode, idleTimeoutCode])

const certificate = /^(CERT_|ERR_TLS|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH)/

/** A connection that did not carry the answer to its headers. */
const connectFault = (error: Error): Fault => {
  const code = codeOf(error)
  if (code === refusedCode) return { kind: "network", retryable: false, detail: error.message }
  if (timeouts.has(code)) return { kind: "timeout", detail: error.message }
  return {
    kind: "network",
    detail: `the connection failed (${code})`,
    ...(certificate.test(code) ? { retryable: false } : {})
  }
}

/** Of a connection that broke while it carried the answer. */
const bodyFault = (code: string, idleMs: number): Fault =>
  code === idleTimeoutCode
    ? { kind: "stalled", detail: `nothing came for ${idleMs} ms` }
    : { kind: "incomplete_stream", detail: `the connection broke before the answer ended (${code})` }

/** Bytes that were received and not read. */
const bytesLeft = (source: IncomingMessage): Uint8Array | undefined => {
  const bytes: unknown = source.read()
  return bytes instanceof Uint8Array ? bytes : undefined
}

/** The body as the socket's own callbacks give it. */
const flowingBody = (source: IncomingMessage, idleMs: number): Answer.Body => ({
  read: (push) =>
    Effect.async((resume) => {
      const detach = () => {
        source.off("data", data).off("end", ended).off("error", broken).off("close", broken).pause()
      }
      const stop = (exit: Effect.Effect<void, Option.Option<Fault>>) => {
        detach()
        resume(exit)
      }
      const broken = () => {
        const code = codeOf(source.socket.errored ?? source.errored)
        stop(Effect.fail(Option.some(bodyFault(code, idleMs))))
      }
      const ended = () => stop(Effect.fail(Option.none()))
      const data = (bytes: Uint8Array) => {
        if (!push(bytes)) stop(Effect.void)
      }
      if (source.readableEnded) return ended()
      if (source.destroyed) {
        // what came before it broke still counts
        for (let rest = bytesLeft(source); rest !== undefined; rest = bytesLeft(source)) {
          if (!push(rest)) return resume(Effect.void)
        }
        return broken()
      }
      source.on("data", data).on("end", ended).on("error", broken).on("close", broken).resume()
      return Effect.sync(detach)
    }),
  over: Effect.async((resume) => {
    const done = () => resume(Effect.void)
    if (source.readableEnded || source.destroyed) return done()
    source.once("end", done).once("close", done).resume()
    return Effect.sync(() => source.off("end", done).off("close", done))
  }),
  isComplete: () => source.complete
})

/** The first bytes of a body that is an error, as many as came. */
const errorBody = (body: Answer.Body): Effect.Effect<string> =>
  Effect.suspend(() => {
    const parts: Array<Uint8Array> = []
    let size = 0
    return body.read((part) => {
      parts.push(part)
      size += part.length
      return size < errorBodyMax
    }).pipe(
      Effect.timeoutOption(errorBodyWait),
      Effect.ignore,
      Effect.map(() => Buffer.concat(parts).toString("utf8", 0, errorBodyMax))
    )
  })

/** The same body, each read saved before it is read on. */
const recorded = (body: Answer.Body, take: Take): Answer.Body => {
  const one = Effect.suspend(() => {
    const parts: Array<Uint8Array> = []
    const read = body.read((bytes) => {
      parts.push(bytes)
      return false
    })
    return Effect.map(read, () => Chunk.unsafeFromArray(parts))
  })
  const saved = one.pipe(
    Effect.tap(take.write),
    Effect.tapError((error) => take.end(Option.isSome(error) ? "broken" : "ended"))
  )
  return { ...Answer.pulled(saved), isComplete: body.isComplete }
}

/** A header that comes several times, as one text. */
const headersOf = ({ headers }: IncomingMessage): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value])
  )

/** What stands in no header: a key that was copied with a line end or typographic quotes. */
const unsendable = /[^\t\x20-\x7e\x80-\xff]/

/** A call as it was sent. */
interface Asked {
  readonly call: Call
  readonly keys: Keys
  readonly request: ProviderRequest
  readonly failWith: (requestId: string | undefined) => (fault: Fault) => ProviderFailure
}

export const make = (family: WireFamily, facts: ProviderFacts, options: LiveOptions): Provider => {
  /** Reads an answer whose head came. */
  const hear = (
    response: IncomingMessage,
    { call, failWith, keys, request }: Asked,
    sink: AnswerSink
  ): Effect.Effect<void, ProviderFailure> => {
    const headers = headersOf(response)
    const status = response.statusCode ?? 0
    const requestId = HttpFault.requestIdIn(headers)
    const fail = failWith(requestId)
    const read = (take: Take | undefined): Effect.Effect<void, ProviderFailure> => {
      if (status < 200) {
        // its socket belongs to nobody any more
        response.socket.destroy()
        return Effect.fail(
          fail({ kind: "protocol", retryable: false, detail: `it answered HTTP ${status}, not a stream` })
        )
      }
      const body = flowingBody(response, options.idleMs)
      if (status > 299) return refused(body, take)
      const encoding = Answer.encodingFault(headers)
      if (encoding !== undefined) return Effect.fail(fail(encoding))
      return Effect.flatMap(Answer.callIds, (callId) =>
        Answer.make({
          decoder: (emit) => {
            const guarded = KeyGuard.make(keys, emit)
            return family.decoder({
              emit: ResumeSeam.make(call.trimmed ?? "", guarded),
              callId,
              answeredBy: Answer.answeredBy(guarded)
            })
          },
          body: take === undefined ? body : recorded(body, take),
          fail,
          afterFinishMs: options.afterFinishMs,
          accepted: requestId === undefined
            ? {}
            : { requestId: ProviderFault.shownOf(requestId, ProviderFault.hiddenIn(keys, request)) }
        })(sink))
    }
    const refused = (body: Answer.Body, take: Take | undefined) =>
      Effect.gen(function*() {
        const text = yield* errorBody(body)
        if (take !== undefined) yield* Effect.zipRight(take.write(Chunk.of(Buffer.from(text))), take.end("ended"))
        const nowMs = yield* Clock.currentTimeMillis
        return yield* fail(HttpFault.fromAnswer({ status, headers, body: text }, nowMs))
      })
    return options.recorder === undefined ? read(undefined) : Effect.scoped(
      Effect.flatMap(options.recorder.begin({ facts, model: request.model, response: { status, headers }, keys }), read)
    )
  }

  const pump: NonNullable<Provider["pump"]> = (request, sink) =>
    Effect.flatMap(readKeys(facts), (keys) => {
      const failWith = (requestId: string | undefined) => (fault: Fault) =>
        ProviderFault.toFailure(facts, fault, ProviderFault.hiddenIn(keys, request), requestId)
      const { contextWindow, maxOutputTokens } = modelOf(facts, request.model)
      const call = family.encode({
        request,
        facts,
        maxOutputTokens: request.generation.maxOutputTokens ?? maxOutputTokens,
        contextWindow
      })
      const unsigned: Unsigned = {
        url: call.url,
        headers: { "user-agent": "turnstream", "content-type": contentType, ...call.headers },
        body: BodyText.encode(call.body)
      }
      return Effect.flatMap(family.authorize(unsigned, keys, facts), (auth) => {
        if (Object.values(auth).some((value) => unsendable.test(value))) {
          const detail = "the key holds a character that no header can carry, such as a line end"
          return Effect.fail(failWith(undefined)({ kind: "authentication", detail }))
        }
        const { body, headers, url } = unsigned
        return options.client.post({ url, headers: { ...headers, ...auth }, body, firstByteMs: options.firstByteMs }, {
          failed: (error) => failWith(undefined)(connectFault(error)),
          answered: (response) => hear(response, { call, failWith, keys, request }, sink)
        })
      })
    })
  return { id: facts.id, usageSource: "reported", stream: (request) => streamOf((sink) => pump(request, sink)), pump }
}
