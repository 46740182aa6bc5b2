import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as Prometheus from "../../src/telemetry/Prometheus.ts"

const line = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*",?)*)\})? (\S+)$/

/** Samples by name and labels; throws on a line that the format does not know. */
const parse = (text: string) => {
  const types = new Map<string, string>()
  const samples = new Map<string, string>()
  for (const row of text.trimEnd().split("\n")) {
    if (row.startsWith("# HELP ")) continue
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(row)
    if (type !== null) {
      assert.isFalse(types.has(type[1] ?? ""), `one TYPE line for ${type[1]}`)
      types.set(type[1] ?? "", type[2] ?? "")
      continue
    }
    const match = line.exec(row)
    if (match === null) throw new Error(`not a sample: ${row}`)
    samples.set(`${match[1]}{${match[2] ?? ""}}`, match[3] ?? "")
  }
  return { types, samples }
}

describe("Prometheus text", () => {
  it.effect("counters, gauges and frequencies keep their kinds and values", () =>
    Effect.gen(function*() {
      yield* Metric.incrementBy(
        Metric.counter("turnstream_prom_test_total", { incremental: true, description: "a \\ b\nc" }),
        3
      )
      yield* Metric.incrementBy(Metric.counter("turnstream_prom_test_moves"), -2)
      yield* Metric.set(Metric.tagged(Metric.gauge("turnstream_prom_test_gauge"), "who", 'a"b\\c\nd'), 1.5)
      const frequency = Metric.frequency("turnstream_prom_test_frequency")
      yield* Metric.update(frequency, "x")
      yield* Metric.update(frequency, "x")
      const text = yield* Prometheus.snapshot
      const { samples, types } = parse(text)
      assert.include(text, "# HELP turnstream_prom_test_total a \\\\ b\\nc\n")
      assert.strictEqual(types.get("turnstream_prom_test_total"), "counter")
      assert.strictEqual(samples.get("turnstream_prom_test_total{}"), "3")
      assert.strictEqual(
        types.get("turnstream_prom_test_moves"),
        "gauge",
        "it can fall, so it is no Prometheus counter"
      )
      assert.strictEqual(samples.get("turnstream_prom_test_moves{}"), "-2")
      assert.strictEqual(samples.get('turnstream_prom_test_gauge{who="a\\"b\\\\c\\nd"}'), "1.5")
      assert.strictEqual(samples.get('turnstream_prom_test_frequency_total{value="x"}'), "2")
    }))

  it.effect("only the engine's own names are shown, not what a library registers", () =>
    Effect.gen(function*() {
      yield* Metric.set(Metric.gauge("effect_fiber_prom_test"), 1)
      yield* Metric.set(Metric.gauge("my_turnstream_prom_test"), 1)
      yield* Metric.set(Metric.gauge("gen_ai_client_prom_test"), 1)
      yield* Metric.set(Metric.gauge("turnstream_prom_test_own"), 1)
      const { types } = parse(yield* Prometheus.snapshot)
      assert.isTrue(types.has("gen_ai_client_prom_test") && types.has("turnstream_prom_test_own"))
      for (const name of types.keys()) assert.match(name, /^(turnstream_|gen_ai_)/)
    }))

  it.effect("a histogram's buckets are cumulative and end with +Inf = count", () =>
    Effect.gen(function*() {
      const histogram = Metric.histogram("turnstream_prom_test_seconds", MetricBoundaries.fromIterable([0.1, 1]))
      for (const value of [0.05, 0.5, 0.6, 7]) yield* Metric.update(histogram, value)
      const { samples, types } = parse(yield* Prometheus.snapshot)
      assert.strictEqual(types.get("turnstream_prom_test_seconds"), "histogram")
      assert.strictEqual(samples.get('turnstream_prom_test_seconds_bucket{le="0.1"}'), "1")
      assert.strictEqual(samples.get('turnstream_prom_test_seconds_bucket{le="1"}'), "3")
      assert.strictEqual(samples.get('turnstream_prom_test_seconds_bucket{le="+Inf"}'), "4")
      assert.strictEqual(samples.get("turnstream_prom_test_seconds_count{}"), "4")
      assert.strictEqual(Number(samples.get("turnstream_prom_test_seconds_sum{}")), 8.15)
    }))

  it.effect("a summary shows its quantiles, sum and count", () =>
    Effect.gen(function*() {
      const summary = Metric.summary({
        name: "turnstream_prom_test_summary",
        maxAge: "1 day",
        maxSize: 100,
        error: 0,
        quantiles: [1]
      })
      for (const value of [1, 2, 3]) yield* Metric.update(summary, value)
      const { samples, types } = parse(yield* Prometheus.snapshot)
      assert.strictEqual(types.get("turnstream_prom_test_summary"), "summary")
      assert.strictEqual(samples.get('turnstream_prom_test_summary{quantile="1"}'), "3")
      assert.strictEqual(samples.get("turnstream_prom_test_summary_sum{}"), "6")
      assert.strictEqual(samples.get("turnstream_prom_test_summary_count{}"), "3")
    }))

  it.effect("one name with several labels is one family", () =>
    Effect.gen(function*() {
      const gauge = Metric.gauge("turnstream_prom_test_family")
      yield* Metric.set(Metric.tagged(gauge, "k", "1"), 1)
      yield* Metric.set(Metric.tagged(gauge, "k", "2"), 2)
      const { samples } = parse(yield* Prometheus.snapshot)
      assert.strictEqual(samples.get('turnstream_prom_test_family{k="1"}'), "1")
      assert.strictEqual(samples.get('turnstream_prom_test_family{k="2"}'), "2")
    }))
})
