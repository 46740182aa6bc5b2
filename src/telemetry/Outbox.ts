/**
 * What waits to be sent to the collector. The library that encodes traces, metrics and logs posts to an `HttpClient`;
 * this one takes a body, answers at once that it was accepted, and sends it from a fiber of its own, one a signal. So
 * nothing that exports ever waits for the collector, and the library's own ways with one that is down (four tries in
 * memory without a bound, then a minute in which everything is thrown away) do not come to bear.
 *
 * - At most 4 MiB wait a signal; beyond it the oldest go. Of metrics only the newest waits: they are sums since the start.
 * - A collector that is down is tried again after 1 s, doubling to 30 s, each try at most 10 s. What it refuses is gone.
 * - It is said once in the log when it begins to fail, and once when it works again. No header is ever in it.
 * - At the end everything that waits is sent, for at most one second in all.
 */
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Otlp } from "../config/Settings.ts"

const waitingBytesMax = 4_194_304
const attempt = "10 seconds"
const closing = "1 second"
const firstPauseMs = 1_000
const longestPauseMs = 30_000

const signals = ["traces", "metrics", "logs"] as const
export type Signal = (typeof signals)[number]

export const pathOf = (signal: Signal): string => `/v1/${signal}`

/** What a try came to: `later` may still succeed, `refused` never will. */
type Tried = { readonly _tag: "sent" } | { readonly _tag: "refused" | "later"; readonly reason: string }

const triedOf = (status: number): Tried =>
  status >= 200 && status < 300
    ? { _tag: "sent" }
    : { _tag: status === 408 || status === 429 || status >= 500 ? "later" : "refused", reason: `answered ${status}` }

/** Bodies of one signal in the order in which they came, within the bound. */
class Waiting {
  /** Bodies that were thrown away and not told yet. */
  lost = 0
  private readonly bodies: Array<Uint8Array> = []
  private bytes = 0

  constructor(private readonly newestOnly: boolean) {}

  add(body: Uint8Array): void {
    if (body.length > waitingBytesMax) {
      this.lost++
      return
    }
    while (!this.hasRoom(body)) {
      this.take()
      if (!this.newestOnly) this.lost++
    }
    this.put("push", body)
  }

  take(): Uint8Array | undefined {
    const body = this.bodies.shift()
    this.bytes -= body?.length ?? 0
    return body
  }

  /** To the front again, unless there is no room beside what came meanwhile. */
  giveBack(body: Uint8Array): void {
    if (this.hasRoom(body)) this.put("unshift", body)
    else if (!this.newestOnly) this.lost++
  }

  private put(where: "push" | "unshift", body: Uint8Array): void {
    this.bodies[where](body)
    this.bytes += body.length
  }

  private hasRoom(body: Uint8Array): boolean {
    return this.bytes + body.length <= waitingBytesMax && !(this.newestOnly && this.bodies.length > 0)
  }
}

/** The code of a failed connection, from wherever in its causes it stands; never its text. */
const codeOf = (cause: unknown, depth = 0): string | undefined =>
  typeof cause !== "object" || cause === null || depth > 4
    ? undefined
    : "code" in cause && typeof cause.code === "string"
    ? cause.code
    : "cause" in cause
    ? codeOf(cause.cause, depth + 1)
    : undefined

const unreachable = ({ cause }: HttpClientError.RequestError): Tried => {
  const code = codeOf(cause)
  return { _tag: "later", reason: `cannot be reached${code === undefined ? "" : ` (${code})`}` }
}

const poster = (client: HttpClient.HttpClient, { endpoint, headers }: Otlp) => (signal: Signal, body: Uint8Array) =>
  client.execute(
    HttpClientRequest.post(endpoint + pathOf(signal), { headers: Redacted.value(headers) }).pipe(
      HttpClientRequest.setBody(HttpBody.uint8Array(body, "application/json"))
    )
  ).pipe(
    // the answer is read, and nothing made of it, so that its connection serves again
    Effect.tap(({ stream }) => Effect.ignore(Stream.runDrain(stream))),
    Effect.map(({ status }) => triedOf(status)),
    Effect.catchTags({
      RequestError: (error) => Effect.succeed(unreachable(error)),
      ResponseError: (): Effect.Effect<Tried> => Effect.succeed({ _tag: "later", reason: "broke its answer off" })
    }),
    Effect.timeoutTo({
      duration: attempt,
      onTimeout: (): Tried => ({ _tag: "later", reason: `did not answer within ${attempt}` }),
      onSuccess: (tried) => tried
    }),
    Effect.withTracerEnabled(false)
  )

/** Says an outage once, whichever signal meets it, and its end once all signals arrive again. */
const makeVoice = (endpoint: string, lanes: Iterable<{ readonly waiting: Waiting }>) => {
  const failing = new Set<Signal>()
  let said = false
  const fails = (signal: Signal, reason: string) =>
    Effect.suspend(() => {
      failing.add(signal)
      if (said) return Effect.void
      said = true
      return Effect.annotateLogs(
        Effect.logWarning(
          `Telemetry is not exported: the collector ${reason}. Turns go on; check the collector and OTEL_EXPORTER_OTLP_ENDPOINT.`
        ),
        "endpoint",
        endpoint
      )
    })
  const takeLost = () => {
    let batchesLost = 0
    for (const { waiting } of lanes) {
      batchesLost += waiting.lost
      waiting.lost = 0
    }
    return batchesLost
  }
  const arrives = (signal: Signal) =>
    Effect.suspend(() => {
      failing.delete(signal)
      if (failing.size > 0) return Effect.void
      const batchesLost = takeLost()
      if (said) {
        said = false
        return Effect.annotateLogs(Effect.logInfo("Telemetry is exported again"), { batchesLost })
      }
      return batchesLost === 0
        ? Effect.void
        : Effect.annotateLogs(Effect.logWarning("Telemetry was dropped: more came than the collector took"), {
          batchesLost
        })
    })
  return { fails, arrives }
}

/** An `HttpClient` that accepts everything, for `client` to send while the scope is open and at most a second longer. */
export const make = (
  otlp: Otlp,
  client: HttpClient.HttpClient
): Effect.Effect<HttpClient.HttpClient, never, Scope.Scope> =>
  Effect.gen(function*() {
    const post = poster(client, otlp)
    const lanes = signals.map((signal) => ({
      signal,
      waiting: new Waiting(signal === "metrics"),
      some: Effect.unsafeMakeLatch(false)
    }))
    const voice = makeVoice(otlp.endpoint, lanes)
    const end = Effect.unsafeMakeLatch(false)
    let ending = false

    const sending = ({ signal, some, waiting }: (typeof lanes)[number]) =>
      Effect.gen(function*() {
        let pauseMs = firstPauseMs
        while (true) {
          const body = waiting.take()
          if (body === undefined) {
            if (ending) return
            some.unsafeClose()
            yield* some.await
            continue
          }
          // what began before the end has one more try after it
          const last = ending
          const tried = yield* post(signal, body)
          if (tried._tag === "sent") {
            pauseMs = firstPauseMs
            yield* voice.arrives(signal)
            continue
          }
          if (tried._tag === "refused") waiting.lost++
          else waiting.giveBack(body)
          yield* voice.fails(signal, tried.reason)
          if (tried._tag === "refused") continue
          if (last) return
          yield* Effect.raceFirst(Effect.sleep(pauseMs), end.await)
          pauseMs = Math.min(longestPauseMs, pauseMs * 2)
        }
      })

    const fibers = yield* Effect.forEach(lanes, (lane) => Effect.forkScoped(sending(lane)))
    const rest = Effect.gen(function*() {
      ending = true
      end.unsafeOpen()
      for (const { some } of lanes) some.unsafeOpen()
      // in a fiber of its own: a finalizer cannot be interrupted, and this is a wait with a timeout
      const waited = yield* Effect.fork(Effect.interruptible(Effect.timeoutOption(Fiber.joinAll(fibers), closing)))
      if ((yield* Fiber.join(waited))._tag === "None") {
        yield* voice.fails("traces", `did not take everything within ${closing} of the end`)
      }
    })
    yield* Effect.addFinalizer(() => rest)

    return HttpClient.make((request, url) =>
      Effect.sync(() => {
        const lane = lanes.find(({ signal }) => url.pathname.endsWith(pathOf(signal)))
        if (lane !== undefined && request.body._tag === "Uint8Array") {
          lane.waiting.add(request.body.body)
          lane.some.unsafeOpen()
        }
        return HttpClientResponse.fromWeb(request, new Response(null, { status: 202 }))
      })
    )
  })
