import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import * as Otlp from "../../src/telemetry/Otlp.ts"
import * as Redaction from "../../src/telemetry/Redaction.ts"
import * as Collector from "./collector.ts"

const secret = "a-secret-of-somebody"
const redaction = Redaction.make(() => [secret])
const silent = Logger.remove(Logger.defaultLogger)

/** Everything that a collector has got of an effect once its layer is closed. */
const exported = <A, E>(effect: Effect.Effect<A, E>, resource?: Readonly<Record<string, string>>) =>
  Effect.scoped(Effect.gen(function*() {
    const collector = yield* Collector.start
    const otlp = {
      endpoint: collector.url,
      headers: Redacted.make({ authorization: "Bearer x", "x-tenant": "t" }),
      ...(resource === undefined ? {} : { resource })
    }
    const exporter = Otlp.layer(otlp, { version: "1.2.3", redaction })
    const result = yield* Effect.provide(effect, Layer.provideMerge(exporter, silent))
    const { received } = collector
    return { result, received, spans: Collector.spansOf(received), logs: Collector.logsOf(received) }
  }))

const resourceOf = (received: ReadonlyArray<Collector.Received>, path: string) => {
  const { body } = received.find((one) => one.path === path) ?? assert.fail(`nothing at ${path}`)
  const [first] = Object.values(body)[0] as ReadonlyArray<{ readonly resource: { readonly attributes: unknown } }>
  return Collector.attributesOf(first?.resource.attributes)
}

describe("export to a collector", () => {
  it.scopedLive("reaches the three paths with its headers and the resource, also what is pending at the end", () =>
    Effect.gen(function*() {
      const counter = Metric.counter("turnstream.otlp.turns", { incremental: true })
      const { received } = yield* exported(
        Effect.zipRight(Metric.increment(counter), Effect.logInfo("the last")).pipe(Effect.withSpan("turn"))
      )
      assert.deepStrictEqual(received.map(({ path }) => path).sort(), ["/v1/logs", "/v1/metrics", "/v1/traces"])
      for (const { headers, path } of received) {
        assert.deepInclude(headers, { authorization: "Bearer x", "x-tenant": "t", "content-type": "application/json" })
        assert.notProperty(headers, "traceparent")
        const resource = resourceOf(received, path)
        assert.deepInclude(resource, { "service.name": "turnstream", "service.version": "1.2.3" })
        assert.match(String(resource["service.instance.id"]), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      }
      assert.strictEqual(new Set(received.map(({ path }) => resourceOf(received, path)["service.instance.id"])).size, 1)
    }))

  it.scopedLive("says of its sender what the operator says", () =>
    Effect.gen(function*() {
      const resource = { "service.name": "chat", "service.instance.id": "one", "deployment.environment.name": "test" }
      const { received } = yield* exported(Effect.logInfo("x"), resource)
      assert.deepStrictEqual(resourceOf(received, "/v1/logs"), { "service.version": "1.2.3", ...resource })
    }))

  it.scopedLive("sends the engine's own spans alone, each under the nearest of them", () =>
    Effect.gen(function*() {
      const others: Array<string> = []
      const tracer = Effect.map(Effect.tracer, (native) =>
        Layer.setTracer(Tracer.make({
          span: (name, ...rest) => {
            others.push(name)
            return native.span(name, ...rest)
          },
          context: (f, fiber) => native.context(f, fiber)
        })))
      const tree = Effect.void.pipe(
        Effect.withSpan("journal.commit"),
        Effect.withSpan("sql.execute"),
        Effect.withSpan("Journal.append"),
        Effect.withSpan("chat model-x"),
        Effect.zipRight(Effect.void.pipe(Effect.withSpan("context.build"))),
        Effect.withSpan("turn"),
        Effect.withSpan("TurnRuntime.submit"),
        Effect.zipRight(Effect.void.pipe(
          Effect.withSpan("recovery.turn", {
            parent: Tracer.externalSpan({ traceId: "a".repeat(32), spanId: "b".repeat(16) })
          }),
          Effect.zipRight(Effect.void.pipe(Effect.withSpan("recovery")))
        ))
      )
      const { spans } = yield* exported(tree).pipe(Effect.provide(Layer.unwrapEffect(tracer)))
      const byName = new Map(spans.map((span) => [span.name, span]))
      assert.deepStrictEqual([...byName.keys()].sort(), [
        "chat model-x",
        "context.build",
        "journal.commit",
        "recovery",
        "recovery.turn",
        "turn"
      ])
      const parents = Object.fromEntries(spans.map(({ name, parentSpanId }) => [
        name,
        spans.find(({ spanId }) => spanId === parentSpanId)?.name ?? parentSpanId
      ]))
      assert.deepStrictEqual(parents, {
        "turn": undefined,
        "recovery": undefined,
        "recovery.turn": "b".repeat(16),
        "context.build": "turn",
        "chat model-x": "turn",
        "journal.commit": "chat model-x"
      })
      const traces = ["turn", "context.build", "chat model-x", "journal.commit"].map((name) =>
        byName.get(name)?.["traceId"]
      )
      assert.strictEqual(new Set(traces).size, 1)
      assert.includeMembers(others, ["sql.execute", "Journal.append", "TurnRuntime.submit"])
      assert.notInclude(others, "turn")
    }))

  it.effect("hangs nothing on a span that is switched off", () =>
    Effect.gen(function*() {
      const native = yield* Effect.tracer
      const parents: Array<unknown> = []
      const own = Tracer.make({
        span: (name, parent, ...rest) => {
          parents.push(Option.getOrUndefined(Option.map(parent, ({ spanId }) => spanId)))
          return native.span(name, parent, ...rest)
        },
        context: (f) => f()
      })
      const split = Otlp.splitTracer(own, native)
      const off = yield* Effect.makeSpan("turn").pipe(Effect.withTracerEnabled(false))
      split.span("journal.commit", Option.some(off), Context.empty(), [], 0n, "internal")
      assert.deepStrictEqual(parents, [undefined])
    }))

  it.effect("links to the engine's own spans, and to nothing that nobody gets", () =>
    Effect.gen(function*() {
      const native = yield* Effect.tracer
      const linked: Array<ReadonlyArray<string>> = []
      const own = Tracer.make({
        ...native,
        span: (...args) => {
          linked.push(args[3].map(({ span }) => span._tag === "Span" ? span.name : span.spanId))
          return native.span(...args)
        }
      })
      const split = Otlp.splitTracer(own, native)
      const span = (name: string, parent: Option.Option<Tracer.AnySpan>, links: ReadonlyArray<Tracer.AnySpan> = []) =>
        split.span(
          name,
          parent,
          Context.empty(),
          links.map((one) => ({ _tag: "SpanLink", span: one, attributes: {} })),
          0n,
          "internal"
        )
      const turn = span("turn", Option.none())
      const inside = span("Journal.admit", Option.some(turn))
      const nobodys = span("Journal.admit", Option.none())
      const elsewhere = Tracer.externalSpan({ traceId: "1".repeat(32), spanId: "2".repeat(16) })
      span("journal.commit", Option.none(), [inside, nobodys, elsewhere])
      assert.deepStrictEqual(linked.at(-1), ["turn", elsewhere.spanId])
    }))

  it.scopedLive("is JSON whatever a text holds", () =>
    Effect.gen(function*() {
      const piece = FastCheck.constantFrom(
        "authorization:",
        "api-key=",
        "cookie: ",
        "\n",
        "\t",
        "\r",
        '"',
        "\\",
        "k",
        "sk-",
        "abcdefghijklmn",
        secret
      )
      const texts = FastCheck.sample(FastCheck.array(piece, { maxLength: 12 }).map((parts) => parts.join("")), 200)
      const all = Effect.forEach(texts, (text) =>
        Effect.zipRight(Effect.logInfo(text), Effect.withSpan(Effect.void, "turn", { attributes: { text } })))
      // the collector parses every body
      const { logs, received, spans } = yield* exported(all)
      assert.lengthOf(spans, texts.length)
      assert.lengthOf(logs, texts.length)
      for (const { text } of received) {
        assert.notInclude(text, secret)
      }
    }))

  it.scopedLive("marks a failed span as failed and not as interrupted", () =>
    Effect.gen(function*() {
      const { spans: [span] } = yield* exported(
        Effect.exit(Effect.die(new Error(`no ${secret}`)).pipe(Effect.withSpan("turn", { attributes: { kept: 1 } })))
      )
      const { "code.stacktrace": _, ...attributes } = Collector.attributesOf(span?.["attributes"])
      assert.deepStrictEqual(attributes, { kept: 1 })
      assert.deepStrictEqual(span?.["status"], { code: 2, message: "no ***" })
    }))

  it.scopedLive("sends the engine's own metrics alone, with their unit and without it as a label", () =>
    Effect.gen(function*() {
      const histogram = Metric.histogram("turnstream.otlp.duration", MetricBoundaries.fromIterable([1, 2])).pipe(
        Metric.tagged("unit", "s"),
        Metric.tagged("gen_ai.provider.name", `x ${secret}`)
      )
      const { received } = yield* exported(Effect.all([
        Metric.update(histogram, 1.5),
        Metric.update(Metric.gauge("somebody.else"), 1),
        Metric.update(Metric.gauge("gen_ai.otlp.gauge"), 1)
      ]))
      const metrics = Collector.metricsOf(received)
      for (const { name } of metrics) assert.match(name, /^(turnstream|gen_ai)[._]/)
      assert.isTrue(metrics.some(({ name }) => name === "gen_ai.otlp.gauge"))
      const duration = metrics.find(({ name }) => name === "turnstream.otlp.duration") as unknown as {
        readonly unit: string
        readonly histogram: { readonly dataPoints: ReadonlyArray<Record<string, unknown>> }
      }
      assert.strictEqual(duration.unit, "s")
      const [point] = duration.histogram.dataPoints
      assert.deepStrictEqual(Collector.attributesOf(point?.["attributes"]), { "gen_ai.provider.name": "x ***" })
      assert.deepInclude(point, { count: 1, sum: 1.5, bucketCounts: [0, 1, 0], explicitBounds: [1, 2] })
    }))

  it.scopedLive("sends log entries as they are written: bounded, with a cause and the ids of their span", () =>
    Effect.gen(function*() {
      const { logs, spans } = yield* exported(
        Effect.logError("It failed", Cause.fail(new Error("disk"))).pipe(
          Effect.annotateLogs({ turnId: "t_1", count: 2, usage: { input: 1 }, long: "x".repeat(100_000) }),
          Effect.withSpan("Inner.fn"),
          Effect.withSpan("turn"),
          Effect.zipRight(Effect.logInfo("outside").pipe(Effect.withSpan("Other.fn")))
        )
      )
      const [failed, outside] = logs
      assert.deepStrictEqual(logs.map(Collector.messageOf), ["It failed", "outside"])
      assert.deepInclude(failed, {
        severityText: "ERROR",
        spanId: spans[0]?.["spanId"],
        traceId: spans[0]?.["traceId"]
      })
      const notes = Collector.attributesOf(failed?.["attributes"])
      assert.deepInclude(notes, { turnId: "t_1", count: 2, usage: '{"input":1}' })
      assert.include(String(notes["exception.stacktrace"]), "Error: disk")
      assert.isBelow(JSON.stringify(failed).length, 10_000)
      assert.notProperty(outside, "traceId")
    }))

  it.scopedLive("P25: no secret is in any of it, whoever wrote it there", () =>
    Effect.gen(function*() {
      const span = Effect.die(new Error(secret)).pipe(
        Effect.tapErrorCause((cause) => Effect.logError(secret, { deep: secret }, cause)),
        Effect.annotateLogs(secret, secret),
        Effect.withSpan(`chat ${secret}`, {
          attributes: { [secret]: secret, list: [secret, { secret }], long: "x".repeat(65_530) + secret }
        })
      )
      const gauge = Metric.tagged(Metric.gauge("turnstream.otlp.secret"), "label", secret)
      const { received } = yield* exported(Effect.zipRight(Metric.set(gauge, 1), Effect.exit(span)))
      assert.isAtLeast(received.length, 3)
      for (const { path, text } of received) {
        assert.notInclude(text, secret, path)
        assert.notInclude(text, "xa-s", path)
      }
    }))

  it.scopedLive("sends the same again to a collector that was not ready", () =>
    Effect.gen(function*() {
      const collector = yield* Collector.start
      yield* collector.behave({ _tag: "answers", status: 503 })
      const otlp = { endpoint: collector.url, headers: Redacted.make({}) }
      const layer = Layer.provideMerge(Otlp.layer(otlp, { version: "1", redaction }), silent)
      yield* Effect.logInfo("kept").pipe(
        Effect.zipRight(collector.until((received) => received.length > 0)),
        Effect.zipRight(collector.behave(Collector.fine)),
        Effect.provide(layer)
      )
      const texts = collector.received.filter(({ path }) => path === "/v1/logs").map(({ text }) => text)
      assert.strictEqual(texts.length, 2)
      assert.strictEqual(texts[0], texts[1])
    }))

  it.scopedLive("follows no redirect, and delays nobody", () =>
    Effect.gen(function*() {
      const target = yield* Collector.start
      const collector = yield* Collector.start
      yield* collector.behave({ _tag: "answers", status: 302, headers: { location: `${target.url}/v1/logs` } })
      const otlp = { endpoint: collector.url, headers: Redacted.make({ authorization: "Bearer x" }) }
      const layer = Layer.provideMerge(Otlp.layer(otlp, { version: "1", redaction }), silent)
      const exit = yield* Effect.exit(Effect.provide(Effect.logInfo("x"), layer))
      assert.isTrue(Exit.isSuccess(exit))
      assert.isAtLeast(collector.received.length, 1)
      assert.strictEqual(target.connections(), 0)
    }))
})
