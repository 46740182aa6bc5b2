import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { parseUrl } from "../../src/cli/ServerHttp.ts"
import { TurnClient } from "../../src/cli/TurnClient.ts"
import * as TurnClientHttp from "../../src/cli/TurnClientHttp.ts"
import { SessionId, TurnId } from "../../src/domain/Ids.ts"

const id = TurnId.make("t_1")
const url = "http://127.0.0.1:4790"

const frame = (seq: number, type = "model.delta") => `id: ${seq}\nevent: ${type}\ndata: {"seq":${seq}}\n\n`
const terminal = (seq: number) => frame(seq, "turn.completed")
const opening = ": turnstream\n\n"

/** What the server does at each request, in turn; the last repeats. */
type Act = { readonly status?: number; readonly parts?: ReadonlyArray<string>; readonly json?: unknown } | "refused"

const server = (acts: ReadonlyArray<Act>) => {
  const requests: Array<{ readonly url: string; readonly headers: Readonly<Record<string, string | undefined>> }> = []
  const client = HttpClient.make((request, at) =>
    Effect.suspend(() => {
      const act = acts[Math.min(requests.length, acts.length - 1)] ?? "refused"
      requests.push({ url: String(at), headers: request.headers })
      if (act === "refused") {
        const cause = Object.assign(new Error("connect"), { code: "ECONNREFUSED" })
        return Effect.fail(new HttpClientError.RequestError({ request, reason: "Transport", cause }))
      }
      const { json, parts = [], status = 200 } = act
      const body = json === undefined
        ? new ReadableStream<Uint8Array>({
          start: (controller) => {
            for (const part of parts) controller.enqueue(new TextEncoder().encode(part))
            controller.close()
          }
        })
        : JSON.stringify(json)
      return Effect.succeed(HttpClientResponse.fromWeb(request, new Response(body, { status })))
    })
  )
  return { requests, layer: Layer.provide(TurnClientHttp.layer(url), Layer.succeed(HttpClient.HttpClient, client)) }
}

const seqs = Effect.flatMap(
  TurnClient,
  (client) =>
    Effect.map(Stream.runCollect(client.follow(id)), (events) => Chunk.toReadonlyArray(events).map(({ seq }) => seq))
)

const failure = Effect.flip(seqs)

/** Runs to the end, with as much time as it waits for. */
const inTime = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* Effect.repeatN(Effect.zipRight(TestClock.adjust("5 seconds"), Effect.yieldNow()), 100)
    return yield* Fiber.join(fiber)
  })

describe("turns of a server", () => {
  it.effect("P15: a stream that breaks off is opened again after the last event seen; none is missed, none comes twice", () =>
    Effect.gen(function*() {
      const { layer, requests } = server([
        { parts: [opening, frame(1), frame(2), "id: 3\nevent: model.de"] },
        { parts: [opening, frame(2), frame(3) + frame(4)] },
        { parts: [opening, terminal(5), frame(6)] }
      ])
      assert.deepStrictEqual(yield* inTime(Effect.provide(seqs, layer)), [1, 2, 3, 4, 5])
      assert.deepStrictEqual(requests.map(({ headers }) => headers["last-event-id"]), [undefined, "2", "4"])
    }))

  it.live("an event cut anywhere, in any character, arrives whole", () =>
    Effect.gen(function*() {
      const text = `id: 1\r\nevent: model.delta\r\ndata: {"text":"grün \u{1f600}"}\r\n\r\n${terminal(2)}`
      const bytes = new TextEncoder().encode(text)
      for (let cut = 1; cut < bytes.length; cut++) {
        const client = HttpClient.make((request) =>
          Effect.succeed(HttpClientResponse.fromWeb(
            request,
            new Response(
              new ReadableStream<Uint8Array>({
                start: (controller) => {
                  controller.enqueue(bytes.slice(0, cut))
                  controller.enqueue(bytes.slice(cut))
                  controller.close()
                }
              })
            )
          ))
        )
        const layer = Layer.provide(TurnClientHttp.layer(url), Layer.succeed(HttpClient.HttpClient, client))
        const events = yield* Effect.provide(
          Effect.flatMap(TurnClient, (turns) => Stream.runCollect(turns.follow(id))),
          layer
        )
        assert.deepStrictEqual(
          Chunk.toReadonlyArray(events).map(({ json }) => json),
          ['{"text":"grün \u{1f600}"}', '{"seq":2}']
        )
      }
    }))

  it.effect("a server that stays away, or opens and says nothing, is given up after a bounded number of tries", () =>
    Effect.gen(function*() {
      for (
        const act of ["refused", { parts: [opening] }, {
          status: 503,
          json: { code: "Draining", detail: "later" }
        }] as const
      ) {
        const { layer, requests } = server([act])
        const error = yield* inTime(Effect.provide(failure, layer))
        assert.strictEqual(error._tag, "ServerUnreachable")
        assert.strictEqual(requests.length, 9)
        assert.include(error.message, "turnstream serve")
      }
    }))

  it.live("a deleted session and a refusal end at once with the server's own code", () =>
    Effect.gen(function*() {
      const deleted = server([{
        parts: [
          opening,
          frame(1),
          `event: error\ndata: {"code":"SessionNotFound","message":"The session was deleted."}\n\n`
        ]
      }])
      assert.deepInclude(yield* Effect.provide(failure, deleted.layer), {
        _tag: "ServerRefused",
        code: "SessionNotFound"
      })
      assert.strictEqual(deleted.requests.length, 1)
      const unknown = server([{ status: 404, json: { code: "TurnNotFound", detail: "No turn." } }])
      assert.deepInclude(yield* Effect.provide(failure, unknown.layer), { code: "TurnNotFound", detail: "No turn." })
      const elsewhere = server([{ status: 302, parts: ["<html>"] }])
      assert.deepInclude(yield* Effect.provide(failure, elsewhere.layer), { code: "Http302", status: 302 })
      assert.strictEqual(elsewhere.requests.length, 1)
    }))

  it.live("a turn refused at once is shown as the turn that its problem names", () =>
    Effect.gen(function*() {
      const turn = {
        id,
        sessionId: "s_1",
        status: "failed",
        phase: "failed",
        text: "",
        reasoning: "",
        usage: null,
        lastSeq: 2,
        provider: "nope",
        model: "m",
        attempts: 0,
        userMessageId: "m_1",
        startedAt: "2026-01-01T00:00:00.000Z"
      }
      const { layer, requests } = server([
        { status: 422, json: { code: "UnknownProvider", detail: "No provider.", turnId: id } },
        { json: turn }
      ])
      const submitted = yield* Effect.provide(
        Effect.flatMap(TurnClient, (client) => client.submit(SessionId.make("s_1"), { message: "hi" })),
        layer
      )
      assert.strictEqual(submitted.id, id)
      assert.strictEqual(requests[1]?.url, `${url}/v1/turns/t_1`)
    }))

  it.live("the token goes into the header alone, and no caller's trace does", () =>
    Effect.gen(function*() {
      const { layer, requests } = server([{ parts: [terminal(1)] }])
      yield* Effect.provide(seqs, layer).pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["TURNSTREAM_TOKEN", "canary"]]))),
        Effect.withSpan("caller")
      )
      assert.strictEqual(requests[0]?.headers["authorization"], "Bearer canary")
      assert.notInclude(requests[0]?.url, "canary")
      assert.isUndefined(requests[0]?.headers["traceparent"])
    }))

  it.effect("an address that is no server's is refused before anything is sent", () =>
    Effect.gen(function*() {
      for (const text of ["", "foo", "ftp://h", "http://u:p@h", "http://h?q=1", "http://h#x"]) {
        assert.strictEqual((yield* Effect.flip(parseUrl(text))).path, "--url")
      }
      assert.strictEqual(yield* parseUrl("http://h:1/base/"), "http://h:1/base")
    }))
})
