/** docs/operations.md and the dashboard name what a service really shows: no metric more, none less, each as it is. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isOwnSpan } from "../../src/telemetry/Names.ts"
import { startLocal } from "../http/harness.ts"
import { familiesOf, type Family } from "./families.ts"

const file = (path: string) => readFileSync(new URL(`../../docs/${path}`, import.meta.url), "utf8")
const page = file("operations.md")

/** The rows of the table under a heading, cells as they are written. */
const rowsUnder = (heading: string): ReadonlyArray<ReadonlyArray<string>> => {
  const section = page.slice(page.indexOf(`\n${heading}\n`) + heading.length + 2)
  const table = section.slice(section.indexOf("\n|") + 1).split("\n\n")[0] ?? ""
  return table.split("\n").slice(2).map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()))
}

const code = (cell: string | undefined): ReadonlyArray<string> =>
  [...(cell ?? "").matchAll(/`([^`]+)`/g)].map(([, text]) => text ?? "")

const documented = rowsUnder("## Metrics").map(([name, type, unit, labels, meaning]) => ({
  name: code(name)[0] ?? "",
  type,
  unit,
  labels,
  meaning
}))

/** What is said in words of the labels of every call. */
const callLabels = ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"]

/** Names of metrics in a query. */
const namesIn = (query: string): ReadonlyArray<string> =>
  [...query.matchAll(/\b(?:turnstream|gen_ai)_[a-z0-9_]+/g)].map(([name]) => name)

/** Labels in a query: what metrics are selected and grouped by. */
const labelsIn = (query: string): ReadonlyArray<string> => [
  ...[...query.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label]) => label ?? ""),
  ...[...query.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => (list ?? "").split(",").map((one) => one.trim()))
]

/** What Prometheus adds. */
const foreignLabels: ReadonlySet<string> = new Set(["instance", "le", ""])

let families: ReadonlyMap<string, Family>
/** A sample's name without what a histogram adds to its own. */
const familyOf = (name: string) =>
  families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, "")) ?? undefined

const ended = async (url: string, session: string, script: object, options: object = {}) => {
  const answer = await fetch(`${url}/v1/sessions/${session}/turns`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify({ message: "hello", options: { script, ...options } })
  })
  return answer.text()
}

beforeAll(async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "turnstream-operations-"))
  const server = await startLocal({
    dataDir,
    limits: { tokensPerDay: 1_000_000, idleMs: 20, firstTokenMs: 20 },
    providers: [{ id: "deterministic", prices: { input: 1, cached: 1, output: 1 } }]
  })
  try {
    const made = await fetch(`${server.url}/v1/sessions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}"
    })
    const { id } = await made.json() as { readonly id: string }
    await ended(server.url, id, { deltas: 20 })
    await ended(server.url, id, { steps: [{ fail: { kind: "overloaded", attempts: 1 } }, { say: "x" }] })
    await ended(server.url, id, { steps: [{ say: "x" }, { hang: true }] })
    await ended(server.url, id, { steps: [{ say: "x" }, { wait: 10 }, { say: "y" }, { wait: 60_000 }] }, {
      deadlineMs: 15
    })
    assert.strictEqual((await fetch(`${server.url}/v1/turns/nobody`)).status, 404)
    families = familiesOf(await (await fetch(`${server.url}/metrics`)).text())
  } finally {
    await server.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}, 60_000)

describe("docs/operations.md", () => {
  it("lists every metric of a service that has seen everything, once, and nothing else", () => {
    assert.isAbove(documented.length, 20)
    assert.deepStrictEqual(documented.map(({ name }) => name).sort(), [...families.keys()].sort())
  })

  it("says of each its type, unit, labels and meaning as they are", () => {
    for (const { labels = "", meaning = "", name, type = "", unit = "" } of documented) {
      const family = families.get(name)
      assert.strictEqual(family?.type.toLowerCase(), type, name)
      assert.isAbove(unit.length, 2, name)
      assert.isAbove(meaning.length, 10, name)
      assert.isAbove(family?.help.length ?? 0, 10, name)
      const known = new Set([...(labels.includes("operation") ? callLabels : []), ...code(labels)])
      for (const label of family?.labels ?? []) assert.include([...known], label, name)
      for (const label of known) assert.include([...family?.labels ?? []], label, name)
    }
  })

  it("alerts on what there is", () => {
    const alerts = rowsUnder("### Alerts to begin with")
    assert.isAbove(alerts.length, 8)
    for (const [alert, expression] of alerts) {
      const query = (code(expression)[0] ?? "").replaceAll("\\|", "|")
      const names = namesIn(query).filter((name) => familyOf(name) !== undefined)
      assert.isAbove(names.length, 0, `${alert}: ${query}`)
      const labels = new Set(names.flatMap((name) => [...familyOf(name)?.labels ?? []]))
      for (const label of labelsIn(query)) {
        assert.isTrue(foreignLabels.has(label) || labels.has(label), `${alert}: ${label}`)
      }
    }
  })

  it("names the spans that are exported", () => {
    const spans = rowsUnder("## Traces").flatMap(([name]) => code(name))
    assert.includeMembers(spans, ["turn", "chat <model>", "journal.commit", "recovery.turn"])
    for (const span of spans) assert.isTrue(isOwnSpan(span), span)
  })
})

interface Panel {
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly targets?: ReadonlyArray<{ readonly expr: string; readonly legendFormat: string }>
}

describe("docs/grafana-dashboard.json", () => {
  const panels = (JSON.parse(file("grafana-dashboard.json")) as { readonly panels: ReadonlyArray<Panel> }).panels
    .filter(({ type }) => type !== "row")
  const targets = panels.flatMap(({ targets = [], title }) => targets.map((target) => ({ title, ...target })))

  it("asks for metrics and labels that are there", () => {
    assert.isAbove(targets.length, 25)
    for (const { expr, legendFormat, title } of targets) {
      const names = namesIn(expr).filter((name) => !callLabels.includes(name) && name !== "gen_ai_token_type")
      assert.isAbove(names.length, 0, title)
      for (const name of names) assert.isDefined(familyOf(name), `${title}: ${name}`)
      const labels = new Set(names.flatMap((name) => [...familyOf(name)?.labels ?? []]))
      const shown = [...legendFormat.matchAll(/\{\{([a-z_]+)\}\}/g)].map(([, label]) => label ?? "")
      for (const label of [...labelsIn(expr), ...shown]) {
        assert.isTrue(foreignLabels.has(label) || labels.has(label), `${title}: ${label}`)
      }
    }
  })

  it("shows every metric somewhere, and says what each panel shows", () => {
    const asked = new Set(targets.flatMap(({ expr }) => namesIn(expr).map((name) => familyOf(name))))
    for (const [name, family] of families) assert.isTrue(asked.has(family), name)
    for (const { description = "", title } of panels) assert.isAbove(description.length, 5, title)
  })
})
