import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import type * as MetricPair from "effect/MetricPair"
import parse from "parse-prometheus-text-format"
import * as JournalMetrics from "../../src/journal/JournalMetrics.ts"
import * as Prometheus from "../../src/telemetry/Prometheus.ts"

const families = Effect.map(Prometheus.snapshot, (text) => new Map(parse(text).map((family) => [family.name, family])))

/** What a snapshot holds of metrics of these names. */
const pairsOf = (names: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<MetricPair.MetricPair.Untyped>> =>
  Effect.map(Metric.snapshot, (pairs) => pairs.filter(({ metricKey }) => names.includes(metricKey.name)))

const gauge = (name: string, tags: Readonly<Record<string, string>>, value: number) =>
  Object.entries(tags).reduce((metric, [key, tag]) => Metric.tagged(metric, key, tag), Metric.gauge(name)).pipe(
    Metric.set(value)
  )

const measured = <Type, Out>(metric: Metric.Metric<Type, number, Out>, unit: string | undefined) =>
  Metric.update(unit === undefined ? metric : Metric.tagged(metric, "unit", unit), 1)

describe("OpenTelemetry names in Prometheus text, read back by a parser of others", () => {
  it.effect("take their unit as a word, and _total where they only grow, each once", () =>
    Effect.gen(function*() {
      const counter = { incremental: true } as const
      const boundaries = MetricBoundaries.fromIterable([1])
      const cases = [
        [measured(Metric.histogram("turnstream.map.duration", boundaries), "s"), "turnstream_map_duration_seconds"],
        [measured(Metric.histogram("turnstream.map.wait_seconds", boundaries), "s"), "turnstream_map_wait_seconds"],
        [measured(Metric.histogram("gen_ai.client.map.usage", boundaries), "{token}"), "gen_ai_client_map_usage"],
        [measured(Metric.counter("turnstream.map.turns", counter), undefined), "turnstream_map_turns_total"],
        [measured(Metric.counter("turnstream.map.done_total", counter), undefined), "turnstream_map_done_total"],
        [measured(Metric.counter("turnstream.map.sent", counter), "By"), "turnstream_map_sent_bytes_total"],
        [
          measured(Metric.counter("turnstream.map.sent_total", counter), "ms"),
          "turnstream_map_sent_milliseconds_total"
        ],
        [measured(Metric.counter("turnstream.map.share", counter), "1"), "turnstream_map_share_total"],
        [measured(Metric.counter("turnstream.map.moves"), "{move}"), "turnstream_map_moves"],
        [measured(Metric.gauge("turnstream.map.size"), "By"), "turnstream_map_size_bytes"],
        [measured(Metric.gauge("turnstream.map.fill"), "1"), "turnstream_map_fill_ratio"],
        [measured(Metric.gauge("turnstream.map.speed"), "By/s"), "turnstream_map_speed_bytes_per_second"],
        [measured(Metric.gauge("turnstream.map.parsecs"), "pc"), "turnstream_map_parsecs_pc"]
      ] as const
      for (const [measure] of cases) yield* measure
      const seen = yield* families
      for (const [, name] of cases) {
        const family = seen.get(name)
        assert.isDefined(family, name)
        for (const { labels } of family?.metrics ?? []) assert.isUndefined(labels?.["unit"], name)
      }
    }))

  it.effect("have labels under their OpenTelemetry names with underscores", () =>
    Effect.gen(function*() {
      yield* gauge("turnstream.map.labels", { "gen_ai.provider.name": "x", unit: "By", "0": "digit" }, 2)
      const [sample] = (yield* families).get("turnstream_map_labels_bytes")?.metrics ?? []
      assert.deepStrictEqual(sample, { labels: { gen_ai_provider_name: "x", _0: "digit" }, value: "2" })
    }))

  it.effect("of the journal are there from the start, before anything was measured", () =>
    Effect.gen(function*() {
      JournalMetrics.commitDuration(0.002)
      const seen = yield* families
      assert.strictEqual(seen.get("turnstream_commit_duration_seconds")?.type, "HISTOGRAM")
      assert.strictEqual(seen.get("turnstream_commit_events")?.type, "HISTOGRAM")
      assert.strictEqual(seen.get("turnstream_journal_fenced_total")?.type, "COUNTER")
    }))

  it.effect("of others are not shown", () =>
    Effect.gen(function*() {
      for (
        const name of ["effect_fiber.map", "xturnstream.map", "turnstreamer.map", "gen_aix.map", "turnstream.map.own"]
      ) {
        yield* gauge(name, {}, 1)
      }
      const names = [...(yield* families).keys()].filter((name) => name.endsWith("map") || name.endsWith("own"))
      assert.deepStrictEqual(names, ["turnstream_map_own"])
    }))

  it.effect("and any value of a label are read back as they were set", () =>
    Effect.gen(function*() {
      const hostile = FastCheck.constantFrom(
        "\\",
        "\n",
        '"',
        "}",
        "{",
        ",",
        "=",
        " ",
        "\r",
        "\\n",
        "é",
        "\u2028",
        "a",
        "#"
      )
      const text = FastCheck.string({ unit: hostile, maxLength: 12 })
      const number = FastCheck.oneof(FastCheck.double({ noNaN: true }), FastCheck.integer())
      const series = FastCheck.uniqueArray(FastCheck.tuple(text, text, number), {
        maxLength: 6,
        minLength: 1,
        selector: ([one, two]) => JSON.stringify([one, two])
      })
      let run = 0
      for (const rows of FastCheck.sample(series, { numRuns: 200, seed: 7 })) {
        const name = `turnstream.hostile.${run++}`
        for (const [one, two, value] of rows) yield* gauge(name, { "a.one": one, two }, value)
        const [family] = parse(Prometheus.render(yield* pairsOf([name])))
        const read = (family?.metrics ?? []).map((
          { labels, value }
        ) => [labels?.["a_one"], labels?.["two"], Number(value?.replace("Inf", "Infinity"))])
        const byText = (a: ReadonlyArray<unknown>, b: ReadonlyArray<unknown>) =>
          JSON.stringify(a) < JSON.stringify(b) ? -1 : 1
        const expected = rows.map(([one, two, value]) => [one, two, value === 0 ? 0 : value])
        assert.deepStrictEqual(
          read.map((row) => row.map((cell) => (cell === 0 ? 0 : cell))).sort(byText),
          expected.sort(byText)
        )
      }
    }))

  it.effect("and any distribution are read back with cumulative buckets, sum and count", () =>
    Effect.gen(function*() {
      const values = FastCheck.array(FastCheck.integer({ min: -5, max: 50 }), { maxLength: 20 })
      let run = 0
      for (const observed of FastCheck.sample(values, { numRuns: 60, seed: 7 })) {
        const name = `turnstream.spread.${run++}`
        const bounds = [0, 1.5, 10, 40]
        const histogram = Metric.tagged(Metric.histogram(name, MetricBoundaries.fromIterable(bounds)), "unit", "s")
        yield* Metric.update(histogram, -1)
        for (const value of observed) yield* Metric.update(histogram, value)
        const [family] = parse(Prometheus.render(yield* pairsOf([name])))
        const all = [-1, ...observed]
        const below = (bound: number) => String(all.filter((value) => value <= bound).length)
        assert.strictEqual(family?.name, `turnstream_spread_${run - 1}_seconds`)
        assert.deepStrictEqual(family?.metrics[0]?.buckets, {
          ...Object.fromEntries(bounds.map((bound) => [String(bound), below(bound)])),
          "+Inf": String(all.length)
        })
        assert.strictEqual(family?.metrics[0]?.count, String(all.length))
        assert.strictEqual(family?.metrics[0]?.sum, String(all.reduce((sum, value) => sum + value, 0)))
      }
    }))
})
