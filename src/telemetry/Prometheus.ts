/**
 * This engine's metrics in Prometheus' text format (version 0.0.4), from `Metric.snapshot`; `Names` says which are its
 * own.
 *
 * Metrics are registered under OpenTelemetry names with their unit (UCUM) as a tag, and shown as OpenTelemetry's mapping
 * to Prometheus has it: what a name may not hold becomes `_`, then comes the unit as a word, then `_total` on what only
 * grows; none of them twice. A counter stays a counter only while it cannot fall; a frequency is a counter with the label
 * `value`. Buckets are cumulative and end with `+Inf`. One HELP and TYPE line a name, as the format asks.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricKeyType from "effect/MetricKeyType"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"
import { isOwnMetric, isUnitTag } from "./Names.ts"

export const contentType = "text/plain; version=0.0.4; charset=utf-8"

type Labels = ReadonlyArray<readonly [name: string, value: string]>

const escapeValue = (text: string): string => text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")

const escapeHelp = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")

/** Units as words; one that is not here is its own word. */
const unitWords: Readonly<Record<string, string>> = {
  d: "days",
  h: "hours",
  min: "minutes",
  s: "seconds",
  ms: "milliseconds",
  us: "microseconds",
  ns: "nanoseconds",
  By: "bytes",
  KiBy: "kibibytes",
  MiBy: "mebibytes",
  GiBy: "gibibytes",
  "%": "percent"
}

/** `By/s` is bytes per second; what stands in braces says what is counted, and is no unit. */
const unitWord = (unit: string, type: string): string => {
  const [of = "", ...per] = unit.replace(/\{[^}]*\}/g, "").split("/")
  if (of === "1" && per.length === 0) return type === "gauge" ? "ratio" : ""
  const words = [unitWords[of] ?? of, ...per.map((part) => `per_${unitWords[part]?.replace(/s$/, "") ?? part}`)]
  return words.filter((word) => word !== "" && word !== "per_").join("_").replace(/[^A-Za-z0-9]/g, "_")
}

const withSuffix = (name: string, suffix: string): string =>
  suffix === "" || name.endsWith(`_${suffix}`) ? name : `${name}_${suffix}`

const metricName = ({ metricKey }: MetricPair.MetricPair.Untyped, type: string): string => {
  const plain = metricKey.name.replace(/[^A-Za-z0-9_:]/g, "_").replace(/^(?=\d)/, "_")
  const unit = unitWord(metricKey.tags.find(({ key }) => isUnitTag(key))?.value ?? "", type)
  return type === "counter"
    ? withSuffix(withSuffix(plain.replace(/_total$/, ""), unit), "total")
    : withSuffix(plain, unit)
}

const labelName = (name: string): string => name.replace(/[^A-Za-z0-9_]/g, "_").replace(/^(?=\d)/, "_")

const number = (value: number | bigint): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)

const sample = (name: string, labels: Labels, value: number | bigint): string => {
  const list = labels.map(([key, text]) => `${labelName(key)}="${escapeValue(text)}"`).join(",")
  return `${name}${list === "" ? "" : `{${list}}`} ${number(value)}\n`
}

const histogram = (name: string, labels: Labels, state: MetricState.MetricState.Histogram): string => {
  let text = ""
  for (const [bound, count] of state.buckets) {
    if (Number.isFinite(bound)) text += sample(`${name}_bucket`, [...labels, ["le", number(bound)]], count)
  }
  return text + sample(`${name}_bucket`, [...labels, ["le", "+Inf"]], state.count) +
    sample(`${name}_sum`, labels, state.sum) + sample(`${name}_count`, labels, state.count)
}

const summary = (name: string, labels: Labels, state: MetricState.MetricState.Summary): string => {
  let text = ""
  for (const [quantile, value] of state.quantiles) {
    text += sample(name, [...labels, ["quantile", number(quantile)]], Option.getOrElse(value, () => NaN))
  }
  return text + sample(`${name}_sum`, labels, state.sum) + sample(`${name}_count`, labels, state.count)
}

const typeOf = ({ metricKey, metricState }: MetricPair.MetricPair.Untyped): string => {
  if (MetricState.isHistogramState(metricState)) return "histogram"
  if (MetricState.isSummaryState(metricState)) return "summary"
  if (MetricState.isFrequencyState(metricState)) return "counter"
  return MetricKeyType.isCounterKey(metricKey.keyType) && metricKey.keyType.incremental ? "counter" : "gauge"
}

const samples = (name: string, labels: Labels, { metricState }: MetricPair.MetricPair.Untyped): string => {
  if (MetricState.isCounterState(metricState)) return sample(name, labels, metricState.count)
  if (MetricState.isGaugeState(metricState)) return sample(name, labels, metricState.value)
  if (MetricState.isHistogramState(metricState)) return histogram(name, labels, metricState)
  if (MetricState.isSummaryState(metricState)) return summary(name, labels, metricState)
  if (!MetricState.isFrequencyState(metricState)) return ""
  let text = ""
  for (const [value, count] of metricState.occurrences) text += sample(name, [...labels, ["value", value]], count)
  return text
}

export const render = (pairs: ReadonlyArray<MetricPair.MetricPair.Untyped>): string => {
  const families = new Map<string, { readonly head: string; body: string }>()
  for (const pair of pairs) {
    const type = typeOf(pair)
    const name = metricName(pair, type)
    let family = families.get(name)
    if (family === undefined) {
      const help = Option.match(pair.metricKey.description, {
        onNone: () => "",
        onSome: (text) => `# HELP ${name} ${escapeHelp(text)}\n`
      })
      family = { head: `${help}# TYPE ${name} ${type}\n`, body: "" }
      families.set(name, family)
    }
    const labels = pair.metricKey.tags.filter(({ key }) => !isUnitTag(key))
    family.body += samples(name, labels.map(({ key, value }) => [key, value] as const), pair)
  }
  let text = ""
  for (const name of [...families.keys()].sort()) {
    text += (families.get(name)?.head ?? "") + (families.get(name)?.body ?? "")
  }
  return text
}

export const snapshot: Effect.Effect<string> = Effect.map(
  Metric.snapshot,
  (pairs) => render(pairs.filter(({ metricKey }) => isOwnMetric(metricKey.name)))
)
