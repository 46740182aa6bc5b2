/**
 * What is measured, under OpenTelemetry's names: `turnstream.*`, or as the GenAI conventions have it. The unit is UCUM
 * (`s`, `By`, `1`, `{token}`) and kept as the label `unit`, where Effect's exporters look for it. Readers are in
 * `telemetry`.
 *
 * Measuring is synchronous and cheap (some 0.1 µs): the labels of an instrument are settled once, when it is made, so
 * that no update looks anything up. Label values must come from closed sets: a family keeps every one that it was asked for.
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"

/** Adds to a counter, sets a gauge, or observes a value in a histogram. */
export type Instrument = (value: number) => void

export type Labels = Readonly<Record<string, string>>

interface Described {
  readonly unit: string
  readonly description: string
}

const unitOf = ({ unit }: Described) => [MetricLabel.make("unit", unit)]

type NumberKey = MetricKey.MetricKey<MetricKeyType.MetricKeyType<number, unknown>>

/** Shown with its first value from now on, so that a query for it finds something before anything happened. */
const instrument = (key: NumberKey, labels: Labels): Instrument => {
  const metric = Metric.fromMetricKey(key)
  const tags = Object.entries(labels).map(([name, value]) => MetricLabel.make(name, value))
  metric.unsafeValue(tags)
  return (value) => metric.unsafeUpdate(value, tags)
}

const counterKey = (name: string, described: Described) =>
  MetricKey.taggedWithLabels(
    MetricKey.counter(name, { description: described.description, incremental: true }),
    unitOf(described)
  )
const histogramKey = (name: string, described: Described, boundaries: ReadonlyArray<number>) =>
  MetricKey.taggedWithLabels(
    MetricKey.histogram(name, MetricBoundaries.fromIterable(boundaries), described.description),
    unitOf(described)
  )
const gaugeKey = (name: string, described: Described) =>
  MetricKey.taggedWithLabels(MetricKey.gauge(name, { description: described.description }), unitOf(described))

/** Only ever rises. */
export const counter = (name: string, described: Described): Instrument => instrument(counterKey(name, described), {})
export const gauge = (name: string, described: Described): Instrument => instrument(gaugeKey(name, described), {})
export const histogram = (name: string, described: Described, boundaries: ReadonlyArray<number>): Instrument =>
  instrument(histogramKey(name, described, boundaries), {})

/** One instrument for each set of labels, made when it is first asked for. */
const family = (key: NumberKey) => {
  const made = new Map<string, Instrument>()
  return (labels: Labels): Instrument => {
    const id = JSON.stringify(labels)
    const known = made.get(id) ?? instrument(key, labels)
    made.set(id, known)
    return known
  }
}

export const counters = (name: string, described: Described) => family(counterKey(name, described))
export const gauges = (name: string, described: Described) => family(gaugeKey(name, described))
export const histograms = (name: string, described: Described, boundaries: ReadonlyArray<number>) =>
  family(histogramKey(name, described, boundaries))
