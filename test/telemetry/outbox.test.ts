import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Outbox from "../../src/telemetry/Outbox.ts"

const endpoint = "http://collector.test:4318"
const secret = "header-of-the-collector"
const otlp = { endpoint, headers: Redacted.make({ authorization: `Bearer ${secret}` }) }

type Answer = number | "hang" | "refuse" | ((path: string) => number)

/** A collector in memory that answers in turn, the last answer for ever, and an outbox that sends to it. */
const setUp = (...answers: ReadonlyArray<Answer>) =>
  Effect.gen(function*() {
    const tries: Array<{ readonly at: number; readonly path: string; readonly text: string }> = []
    const said: Array<string> = []
    const requests: Array<HttpClientRequest.HttpClientRequest> = []
    const collector = HttpClient.make((request, url) =>
      Effect.flatMap(Clock.currentTimeMillis, (at) => {
        requests.push(request)
        const body = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
        tries.push({ at, path: url.pathname, text: body.length > 20 ? String(body.length) : body })
        const answer = answers[Math.min(tries.length, answers.length) - 1] ?? 200
        if (answer === "hang") return Effect.never
        const status = typeof answer === "function" ? answer(url.pathname) : answer
        return status === "refuse"
          ? new HttpClientError.RequestError({
            request,
            reason: "Transport",
            cause: { cause: { code: "ECONNREFUSED" } }
          })
          : Effect.succeed(HttpClientResponse.fromWeb(request, new Response("{}", { status })))
      })
    )
    const logger = Logger.make(({ message }) => {
      said.push(String(message))
    })
    const scope = yield* Scope.make()
    const outbox = yield* Outbox.make(otlp, collector).pipe(
      Effect.withSpan("a span that is open while the exporter is made"),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Scope.extend(scope)
    )
    const send = (text: string, signal: Outbox.Signal = "logs") =>
      outbox.execute(
        HttpClientRequest.post(endpoint + Outbox.pathOf(signal)).pipe(
          HttpClientRequest.setBody(HttpBody.text(text, "application/json"))
        )
      ).pipe(
        Effect.tap(({ status }) => Effect.sync(() => assert.strictEqual(status, 202))),
        Effect.zipLeft(Effect.yieldNow()),
        Effect.zipLeft(TestClock.adjust(0))
      )
    return {
      tries,
      said,
      requests,
      send,
      end: Scope.close(scope, Exit.void),
      texts: () => tries.map(({ text }) => text)
    }
  })

describe("the outbox", () => {
  it.effect("accepts at once, and sends each body with the headers and no trace of its own", () =>
    Effect.gen(function*() {
      const { end, requests, send, texts } = yield* setUp(200)
      yield* Effect.withSpan(send("one"), "turn")
      yield* send("two", "traces")
      assert.deepStrictEqual(texts(), ["one", "two"])
      const [request] = requests
      assert.strictEqual(request?.url, `${endpoint}/v1/logs`)
      assert.strictEqual(request?.headers["authorization"], `Bearer ${secret}`)
      assert.notProperty(request?.headers ?? {}, "traceparent")
      yield* end
    }))

  it.effect("tries a collector that is down again, later each time, in order, and says so once, and its end once", () =>
    Effect.gen(function*() {
      const { end, said, send, texts, tries } = yield* setUp("refuse", 503, 429, "hang", 500, 408, 500, 200)
      yield* send("one")
      yield* send("two")
      yield* TestClock.adjust("3 minutes")
      assert.deepStrictEqual(texts(), [...Array.from({ length: 8 }, () => "one"), "two"])
      const pauses = tries.slice(1).map(({ at }, index) => at - (tries[index]?.at ?? 0))
      assert.deepStrictEqual(pauses, [1_000, 2_000, 4_000, 10_000 + 8_000, 16_000, 30_000, 30_000, 0])
      assert.strictEqual(said.length, 2, said.join("\n"))
      assert.match(said[0] ?? "", /not exported: the collector cannot be reached \(ECONNREFUSED\)/)
      assert.match(said[1] ?? "", /exported again/)
      assert.notInclude(said.join(), secret)
      yield* end
    }))

  it.effect("says an outage of several signals once, and that it is over only when all of them arrive", () =>
    Effect.gen(function*() {
      let traces = 404
      const { end, said, send } = yield* setUp("refuse", "refuse", (path) => path === "/v1/traces" ? traces : 200)
      yield* send("a")
      yield* send("b", "traces")
      yield* TestClock.adjust("1 minute")
      for (let i = 0; i < 5; i++) {
        yield* send("c", "traces")
        yield* send("d")
      }
      assert.strictEqual(said.length, 1, said.join("\n"))
      traces = 200
      yield* send("e", "traces")
      assert.strictEqual(said.length, 2, said.join("\n"))
      yield* end
    }))

  it.effect("drops what is refused and goes on with the next", () =>
    Effect.gen(function*() {
      const { end, said, send, texts } = yield* setUp(400, 401, 301, 200)
      for (const text of ["a", "b", "c", "d"]) yield* send(text)
      assert.deepStrictEqual(texts(), ["a", "b", "c", "d"])
      assert.strictEqual(said.length, 2)
      assert.match(said[0] ?? "", /answered 400/)
      yield* end
    }))

  it.effect("holds 4 MiB a signal at most, the newest, and of metrics the newest body alone", () =>
    Effect.gen(function*() {
      const { end, said, send, texts, tries } = yield* setUp("hang", "hang", 200)
      yield* send("in flight")
      yield* send("first", "metrics")
      for (let i = 0; i < 10; i++) yield* send(String(i).repeat(1_000_000 + i))
      yield* send("x".repeat(5_000_000))
      for (const text of ["second", "third"]) yield* send(text, "metrics")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(tries.filter(({ path }) => path === "/v1/metrics").map(({ text }) => text), [
        "first",
        "third"
      ])
      assert.deepStrictEqual(texts().filter((text) => /^1\d{6}$/.test(text)), [
        "1000006",
        "1000007",
        "1000008",
        "1000009"
      ])
      // what was lost meanwhile is told with the end of the outage
      assert.lengthOf(said, 2)
      yield* send("y".repeat(5_000_000))
      yield* send("small")
      assert.match(said[2] ?? "", /dropped/)
      yield* end
    }))

  it.effect("at the end sends everything that waits, the one in flight too", () =>
    Effect.gen(function*() {
      const { end, send, texts } = yield* setUp("refuse", 200)
      yield* send("a")
      for (const text of ["b", "c"]) yield* send(text)
      assert.deepStrictEqual(texts(), ["a"])
      yield* end
      assert.deepStrictEqual(texts(), ["a", "a", "b", "c"])
    }))

  it.effect("and waits one second at most for a collector that does not answer, one try for one that is down", () =>
    Effect.gen(function*() {
      for (const [answer, takesMs] of [["hang", 1_000], ["refuse", 0], [503, 0]] as const) {
        const { end, said, send } = yield* setUp(answer)
        yield* send("a")
        yield* send("b", "traces")
        const before = yield* Clock.currentTimeMillis
        const ending = yield* Effect.fork(end)
        yield* TestClock.adjust(Math.max(0, takesMs - 1))
        if (takesMs > 0) assert.isTrue((yield* Fiber.poll(ending))._tag === "None")
        yield* TestClock.adjust(takesMs > 0 ? 1 : 0)
        yield* Fiber.join(ending)
        assert.strictEqual((yield* Clock.currentTimeMillis) - before, takesMs)
        assert.strictEqual(said.length, 1, `${answer}: ${said.join("\n")}`)
      }
    }))
})
