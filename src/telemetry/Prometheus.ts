/**
 * This engine's metrics in Prometheus' text format (version 0.0.4), from `Metric.snapshot`: names that begin with
 * `turnstream_` or, as the GenAI conventions have it, `gen_ai_`. What libraries register for themselves stays out.
 *
 * Names are as registered. A counter stays a counter only while it cannot fall; a frequency is a counter with the label
 * `value`. Buckets are cumulative and end with `+Inf`. One HELP and TYPE line a name, as the format asks.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricKeyType from "effect/MetricKeyType"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

export const contentType = "text/plain; version=0.0.4; charset=utf-8"

type Labels = ReadonlyArray<readonly [name: string, value: string]>

const escapeValue = (text: string): string => text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")

const escapeHelp = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")

const metricName = (name: string): string => name.replace(/[^A-Za-z0-9_:]/g, "_").replace(/^(?=\d)/, "_")

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
    const name = metricName(pair.metricKey.name)
    let family = families.get(name)
    if (family === undefined) {
      const help = Option.match(pair.metricKey.description, {
        onNone: () => "",
        onSome: (text) => `# HELP ${name} ${escapeHelp(text)}\n`
      })
      family = { head: `${help}# TYPE ${name} ${typeOf(pair)}\n`, body: "" }
      families.set(name, family)
    }
    family.body += samples(name, pair.metricKey.tags.map((label) => [label.key, label.value] as const), pair)
  }
  let text = ""
  for (const name of [...families.keys()].sort()) {
    text += (families.get(name)?.head ?? "") + (families.get(name)?.body ?? "")
  }
  return text
}

const isOurs = ({ metricKey }: MetricPair.MetricPair.Untyped): boolean => /^(turnstream_|gen_ai_)/.test(metricKey.name)

export const snapshot: Effect.Effect<string> = Effect.map(Metric.snapshot, (pairs) => render(pairs.filter(isOurs)))
