/**
 * Export of traces, metrics and logs to an OpenTelemetry collector, as OTLP over HTTP in JSON. `@effect/opentelemetry`
 * turns Effect's spans, metrics and log calls into OTLP; what leaves and how is decided here and in `Outbox`.
 *
 * - Only the engine's own spans and metrics leave (`Names`). Other spans go to the tracer that was there before, and the
 *   children of such a span hang on the nearest of ours.
 * - Every text passes the redaction once more on its way out, also of spans, whose attributes anybody may have written.
 * - Memory: the library keeps at most 32 spans and 32 log entries unencoded, each bounded where it is made; `Gather` and
 *   `Outbox` bound the rest.
 * - Spans are sent after at most 7 s, metrics every 10 s, log entries after at most 3 s, and the rest at the end.
 */
import * as OtlpLogger from "@effect/opentelemetry/OtlpLogger"
import * as OtlpMetrics from "@effect/opentelemetry/OtlpMetrics"
import { OtlpSerialization } from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpBody from "@effect/platform/HttpBody"
import { HttpClient } from "@effect/platform/HttpClient"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Tracer from "effect/Tracer"
import type { Otlp } from "../config/Settings.ts"
import * as Gather from "./Gather.ts"
import * as LogEntry from "./LogEntry.ts"
import { isOwnMetric, isOwnSpan, isUnitTag, nearestOwnSpan } from "./Names.ts"
import * as Outbox from "./Outbox.ts"
import type * as Redaction from "./Redaction.ts"

/** What is encoded at once, and waits as text from then on (`Gather`). */
const atOnce = 32
const intervals = { traces: "5 seconds", metrics: "10 seconds", logs: "1 second" } as const

/** To the nearest of the engine's spans each, and to none that is not exported. */
const ownLinks = (links: ReadonlyArray<Tracer.SpanLink>): ReadonlyArray<Tracer.SpanLink> =>
  links.length === 0 ? links : links.flatMap((link) => {
    const span = nearestOwnSpan(Option.some(link.span))
    return span._tag === "None" ? [] : [{ ...link, span: span.value }]
  })

/** `own` for the engine's spans, with the nearest of them as parent; `others` for the rest. */
export const splitTracer = (own: Tracer.Tracer, others: Tracer.Tracer): Tracer.Tracer =>
  Tracer.make({
    span: (name, parent, context, links, startTime, kind, options) =>
      isOwnSpan(name)
        ? own.span(name, nearestOwnSpan(parent), context, ownLinks(links), startTime, kind, options)
        : others.span(name, parent, context, links, startTime, kind, options),
    // the runtime calls it for every step of every fiber: one call more costs some 5 % of all CPU
    context: others.context
  })

interface AnyValue {
  readonly stringValue?: string
  readonly arrayValue?: { readonly values: ReadonlyArray<AnyValue> }
}
interface Attribute {
  readonly key: string
  readonly value: AnyValue
}
interface Attributed {
  readonly attributes: ReadonlyArray<Attribute>
}

/** The library's own shapes, as far as anything is changed in them. */
interface Span extends Attributed {
  readonly name: string
  readonly events: ReadonlyArray<Attributed & { readonly name: string }>
  readonly status: { readonly message?: string }
}
interface Traces {
  readonly resourceSpans: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<Span> }>
  }>
}
interface Points {
  readonly dataPoints: ReadonlyArray<Attributed>
}
interface Metrics {
  readonly resourceMetrics: ReadonlyArray<{
    readonly scopeMetrics: ReadonlyArray<{
      readonly metrics: ReadonlyArray<{
        readonly name: string
        readonly sum?: Points
        readonly gauge?: Points
        readonly histogram?: Points
      }>
    }>
  }>
}

/** Attributes with which the library marks every failed span as interrupted. */
const isFalseMark = ({ key }: Attribute): boolean => key === "span.label" || key === "status.interrupted"

/** A name in this form is of ours, and no secret. */
const plainName = /^[a-z][a-z0-9_.]*$/
/** A shorter text holds no secret. */
const shortChars = 8

/** A text of anybody, with what must not leave masked. */
const makeWords = (redaction: Redaction.Redaction) => (text: string): string =>
  text.length < shortChars ? text : redaction.text(text)

/** Spans with every word in them redacted. Walked by hand: a replacer of `JSON.stringify` costs several times as much. */
const cleanTraces = (words: (text: string) => string) => {
  const valueOf = (value: AnyValue): AnyValue =>
    value.stringValue !== undefined
      ? { stringValue: words(value.stringValue) }
      : value.arrayValue === undefined
      ? value
      : { arrayValue: { values: value.arrayValue.values.map(valueOf) } }
  const attribute = ({ key, value }: Attribute): Attribute => ({
    key: plainName.test(key) ? key : words(key),
    value: valueOf(value)
  })
  const span = (one: Span): Span => ({
    ...one,
    name: words(one.name),
    attributes: one.attributes.filter((each) => !isFalseMark(each)).map(attribute),
    events: one.events.map((event) => ({
      ...event,
      name: words(event.name),
      attributes: event.attributes.map(attribute)
    })),
    status: one.status.message === undefined ? one.status : { ...one.status, message: words(one.status.message) }
  })
  return ({ resourceSpans }: Traces): Traces => ({
    resourceSpans: resourceSpans.map((resource) => ({
      ...resource,
      scopeSpans: resource.scopeSpans.map((scope) => ({ ...scope, spans: scope.spans.map(span) }))
    }))
  })
}

const withoutUnit = ({ dataPoints, ...points }: Points): Points => ({
  ...points,
  dataPoints: dataPoints.map((point) => ({
    ...point,
    attributes: point.attributes.filter(({ key }) => !isUnitTag(key))
  }))
})

/** The library takes a snapshot of the whole registry and cannot be told which part of it is meant. */
const ownMetrics = ({ resourceMetrics }: Metrics): Metrics => ({
  resourceMetrics: resourceMetrics.map((resource) => ({
    ...resource,
    scopeMetrics: resource.scopeMetrics.map((scope) => ({
      ...scope,
      metrics: scope.metrics.filter(({ name }) => isOwnMetric(name)).map(({ gauge, histogram, sum, ...metric }) => ({
        ...metric,
        ...(sum === undefined ? {} : { sum: withoutUnit(sum) }),
        ...(gauge === undefined ? {} : { gauge: withoutUnit(gauge) }),
        ...(histogram === undefined ? {} : { histogram: withoutUnit(histogram) })
      }))
    }))
  }))
})

/** What leaves, as JSON: texts are redacted one by one before, since a pattern that ran over JSON would break it. */
const serialization = (redaction: Redaction.Redaction): Context.Tag.Service<typeof OtlpSerialization> => {
  const words = makeWords(redaction)
  const traces = cleanTraces(words)
  const encode = (data: unknown) => HttpBody.text(JSON.stringify(data), "application/json")
  return {
    // the library gives these shapes and calls them unknown
    traces: (data) => encode(traces(data as Traces)),
    // few and seldom: labels are words of clients too
    metrics: (data) =>
      HttpBody.text(
        JSON.stringify(ownMetrics(data as Metrics), (_, value: unknown) =>
          typeof value === "string" ? words(value) : value),
        "application/json"
      ),
    // their texts are an entry's, which `LogEntry` has redacted
    logs: encode
  }
}

/** A log call as the library takes it: the bounded entry's texts, and the ids of its span. */
const plainOptions =
  (redaction: Redaction.Redaction) => (options: Logger.Logger.Options<unknown>): Logger.Logger.Options<unknown> => {
    const { error, fields, message, spanId, traceId } = LogEntry.make(options, redaction)
    const context = FiberRefs.getOrDefault(options.context, FiberRef.currentContext)
    const value = traceId === undefined || spanId === undefined
      ? Context.omit(Tracer.ParentSpan)(context)
      : Context.add(context, Tracer.ParentSpan, Tracer.externalSpan({ traceId, spanId }))
    return {
      ...options,
      message,
      cause: Cause.empty,
      annotations: HashMap.fromIterable<string, unknown>([
        ...fields.map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : value] as const),
        ...(error === undefined ? [] : [["exception.stacktrace", error] as const])
      ]),
      context: FiberRefs.updateAs(options.context, {
        fiberId: FiberId.none,
        fiberRef: FiberRef.currentContext,
        value
      })
    }
  }

/** Sixteen bytes of chance, as text: which of several processes of one name this is. */
const instanceId = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, 256), 16),
  (bytes) => Buffer.from(bytes).toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")
)

const redirectsRefused = Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" })

/** Exports what is provided with it, to where `otlp` says; `version` is the service's. */
export const layer = (otlp: Otlp, options: {
  readonly version: string
  readonly redaction: Redaction.Redaction
}): Layer.Layer<never> =>
  Layer.unwrapScoped(Effect.gen(function*() {
    const { redaction, version } = options
    const attributes: Record<string, string> = {
      "service.name": "turnstream",
      "service.version": version,
      "service.instance.id": yield* instanceId,
      ...otlp.resource
    }
    const words = makeWords(redaction)
    const { "service.name": serviceName = "", "service.version": serviceVersion, ...rest } = Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [words(name), words(value)])
    )
    const others = yield* Effect.tracer
    const client = yield* Gather.make(yield* Outbox.make(otlp, yield* HttpClient))
    const exporter = (signal: Outbox.Signal) => ({
      url: otlp.endpoint + Outbox.pathOf(signal),
      resource: { serviceName, serviceVersion, attributes: rest },
      exportInterval: intervals[signal],
      shutdownTimeout: "1 second"
    } as const)
    const [logger, tracer] = yield* Effect.all([
      OtlpLogger.make({ ...exporter("logs"), maxBatchSize: atOnce }),
      OtlpTracer.make({ ...exporter("traces"), maxBatchSize: atOnce }),
      OtlpMetrics.make(exporter("metrics"))
    ]).pipe(
      Effect.provideService(HttpClient, client),
      Effect.provideService(OtlpSerialization, serialization(redaction)),
      // the settings have read the standard variables already, and rightly
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))
    )
    return Layer.merge(
      Logger.add(Logger.mapInputOptions(logger, plainOptions(redaction))),
      Layer.setTracer(splitTracer(tracer, others))
    )
  })).pipe(Layer.provide(FetchHttpClient.layer), Layer.provide(redirectsRefused))
