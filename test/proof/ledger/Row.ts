/** A row of the ledger: one run, one claim. A closed object; what checks it stands in its notes, in a fixed grammar. */
import * as Schema from "effect/Schema"

const Status = Schema.Literal("missing", "passed", "proven", "blocked", "failed", "skipped")
export type Status = typeof Status.Type

export const ProofType = Schema.Literal(
  "seed_scope",
  "unit_or_integration_test",
  "runtime_trace",
  "browser_trace",
  "http_api_trace",
  "persistence_roundtrip",
  "security_boundary_review",
  "provider_live_smoke",
  "mcp_live_smoke",
  "no_fake_scan_pass",
  "blocker"
)
export type ProofType = typeof ProofType.Type

const ProviderMode = Schema.Literal("none", "deterministic", "live", "mock", "blocked")
export type ProviderMode = typeof ProviderMode.Type

const Text = Schema.String.pipe(Schema.minLength(1), Schema.pattern(/^[^\n\r]*$/))

export const Row = Schema.Struct({
  artifact_id: Schema.String.pipe(Schema.pattern(/^\d\d-[a-z0-9-]+$/)),
  type: Schema.Literal("scope", "check_run", "test_run", "trace", "scan", "pictures", "blocker"),
  phase_id: Schema.String.pipe(Schema.pattern(/^\d\d-[a-z-]+$/)),
  status: Status,
  source: Text,
  proves: Schema.NonEmptyArray(Text),
  proof_type: ProofType,
  provider_mode: ProviderMode,
  upgrades_claim: Schema.Boolean,
  notes: Schema.optional(Text)
})
export type Row = typeof Row.Type

export const decodeRow = Schema.decodeUnknownEither(Schema.parseJson(Row), { onExcessProperty: "error" })

/** Statuses that say that something was shown. */
export const isShown = (status: Status): boolean => status === "passed" || status === "proven"

export const toText = (rows: ReadonlyArray<Row>): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("")

// notes

export interface Cited {
  readonly file: string
  readonly title: string
}

export interface Notes {
  /** Tests that carry the claim. */
  readonly tests: ReadonlyArray<Cited>
  /** Names below the phase's `artifacts/`. */
  readonly artifacts: ReadonlyArray<string>
  /** The record of the run: its name and the digest of what it holds. */
  readonly record: { readonly id: string; readonly digest: string } | undefined
  /** What stands in the way, in words. */
  readonly blocks: string | undefined
}

const between = " | "
const each = " ;; "
const inside = " > "

export const citedText = ({ file, title }: Cited): string => `${file}${inside}${title}`

export const notesText = ({ artifacts, blocks, record, tests }: Notes): string =>
  [
    ...tests.length === 0 ? [] : [`tests: ${tests.map(citedText).join(each)}`],
    ...artifacts.length === 0 ? [] : [`artifacts: ${artifacts.join(each)}`],
    ...record === undefined ? [] : [`record: results.json#${record.id} sha256:${record.digest}`],
    ...blocks === undefined ? [] : [`blocks: ${blocks.replaceAll(between, " / ")}`]
  ].join(between)

const section = (parts: ReadonlyArray<string>, name: string): string | undefined =>
  parts.find((part) => part.startsWith(`${name}: `))?.slice(name.length + 2)

/** Undefined where the notes are not in the grammar. */
export const readNotes = (text: string): Notes | undefined => {
  const parts = text.split(between)
  if (!parts.every((part) => /^(tests|artifacts|record|blocks): /.test(part))) return undefined
  const record = section(parts, "record")
  const found = record === undefined ? undefined : /^results\.json#([a-z0-9-]+) sha256:([0-9a-f]{64})$/.exec(record)
  if (found === null) return undefined
  return {
    tests: (section(parts, "tests")?.split(each) ?? []).map((one) => {
      const at = one.indexOf(inside)
      return { file: one.slice(0, at), title: one.slice(at + inside.length) }
    }),
    artifacts: section(parts, "artifacts")?.split(each) ?? [],
    record: found === undefined ? undefined : { id: found[1] ?? "", digest: found[2] ?? "" },
    blocks: section(parts, "blocks")
  }
}
