/**
 * Export of traces, metrics and logs to an OpenTelemetry collector, as OTLP over HTTP in JSON. `@effect/opentelemetry`
 * turns Effect's spans, metrics and log calls into OTLP; what leaves and how is decided here and in `Outbox`.
 *
 * - Only the engine's own spans and metrics leave (`Names`). Other spans go to the tracer that was there before, and the
 *   children of such a span hang on the nearest of ours.
 * - Every text passes the redaction once more on its way out, also of spans, whose attributes anybody may have written.
 * - Memory: the library keeps at most 128 spans and 512 log entries of 8 KiB unencoded, each text in them at most
 *   64 KiB when it is encoded; `Outbox` bounds the rest.
 * - Spans are sent every 5 s, metrics every 10 s, log entries every second, and the rest at the end.
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
import * as Random from "effect/Random"
import * as Tracer from "effect/Tracer"
import type { Otlp } from "../config/Settings.ts"
import * as LogEntry from "./LogEntry.ts"
import { isOwnMetric, isOwnSpan, isUnitTag, nearestOwnSpan } from "./Names.ts"
import * as Outbox from "./Outbox.ts"
import type * as Redaction from "./Redaction.ts"

const spansMax = 128
const logEntriesMax = 512
const textCharsMax = 65_536
const intervals = { traces: "5 seconds", metrics: "10 seconds", logs: "1 second" } as const

/** Characters of an identifier that can hold no secret. */
const shortChars = 8

/** `own` for the engine's spans, with the nearest of them as parent; `others` for the rest. */
export const splitTracer = (own: Tracer.Tracer, others: Tracer.Tracer): Tracer.Tracer =>
  Tracer.make({
    span: (name, parent, ...rest) =>
      isOwnSpan(name) ? own.span(name, nearestOwnSpan(parent), ...rest) : others.span(name, parent, ...rest),
    context: (f, fiber) => others.context(f, fiber)
  })

const named = (item: unknown, key: "name" | "key"): string => {
  const value: unknown = typeof item === "object" && item !== null ? Reflect.get(item, key) : undefined
  return typeof value === "string" ? value : ""
}

/** Attributes with which the library marks every failed span as interrupted. */
const isFalseMark = (key: string): boolean => key === "span.label" || key === "status.interrupted"

/** What leaves of one signal, as JSON. */
const encoder = (
  redaction: Redaction.Redaction,
  { attribute, metric }: {
    readonly attribute?: (key: string) => boolean
    readonly metric?: (name: string) => boolean
  } = {}
) => {
  const text = (value: string) =>
    value.length < shortChars
      ? value
      : value.length <= textCharsMax
      ? redaction.text(value)
      : `${redaction.text(value.slice(0, textCharsMax)).slice(0, -redaction.longest())}...`
  return (data: unknown): HttpBody.HttpBody =>
    HttpBody.text(
      JSON.stringify(data, (key, value: unknown) => {
        if (typeof value === "string") return text(value)
        if (!Array.isArray(value)) return value
        if (key === "attributes" && attribute !== undefined) {
          return value.filter((item) => attribute(named(item, "key")))
        }
        return key === "metrics" && metric !== undefined ? value.filter((item) => metric(named(item, "name"))) : value
      }),
      "application/json"
    )
}

const serialization = (redaction: Redaction.Redaction): Context.Tag.Service<typeof OtlpSerialization> => ({
  traces: encoder(redaction, { attribute: (key) => !isFalseMark(key) }),
  // the library takes a snapshot of the whole registry and cannot be told which part of it is meant
  metrics: encoder(redaction, { attribute: (key) => !isUnitTag(key), metric: isOwnMetric }),
  logs: encoder(redaction)
})

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
    const { "service.name": serviceName, "service.version": serviceVersion, ...rest } = attributes
    const others = yield* Effect.tracer
    const outbox = yield* Outbox.make(otlp, yield* HttpClient)
    const exporter = (signal: Outbox.Signal) => ({
      url: otlp.endpoint + Outbox.pathOf(signal),
      resource: { serviceName, serviceVersion, attributes: rest },
      exportInterval: intervals[signal],
      shutdownTimeout: "1 second"
    } as const)
    const [logger, tracer] = yield* Effect.all([
      OtlpLogger.make({ ...exporter("logs"), maxBatchSize: logEntriesMax }),
      OtlpTracer.make({ ...exporter("traces"), maxBatchSize: spansMax }),
      OtlpMetrics.make(exporter("metrics"))
    ]).pipe(
      Effect.provideService(HttpClient, outbox),
      Effect.provideService(OtlpSerialization, serialization(redaction)),
      // the settings have read the standard variables already, and rightly
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))
    )
    return Layer.merge(
      Logger.add(Logger.mapInputOptions(logger, plainOptions(redaction))),
      Layer.setTracer(splitTracer(tracer, others))
    )
  })).pipe(Layer.provide(FetchHttpClient.layer), Layer.provide(redirectsRefused))
