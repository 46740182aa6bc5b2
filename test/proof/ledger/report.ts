/** `proof.md` of a phase, from its records, rows and documents. Pure. */
import { faultsOf } from "./documents.ts"
import { commandOf, type Phase } from "./Phase.ts"
import type { GateRecord, Results } from "./Record.ts"
import type { Row } from "./Row.ts"
import { rowsOf } from "./rows.ts"
import type { Tree } from "./Tree.ts"

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((cells) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`
  )
    .join("\n")

const testsText = ({ tests: { failed, passed, skipped } }: GateRecord): string =>
  passed + failed + skipped === 0
    ? ""
    : [`${passed} passed`, ...failed > 0 ? [`${failed} failed`] : [], ...skipped > 0 ? [`${skipped} skipped`] : []]
      .join(", ")

const metText = (gates: ReadonlyArray<string>, rows: ReadonlyArray<Row>): string =>
  gates.every((id) => rows.some((row) => row.artifact_id === id && row.upgrades_claim)) ? "yes" : "no"

export const proofText = (tree: Tree, phase: Phase, results: Results): string => {
  const rows = rowsOf(phase, results.records)
  const faults = faultsOf(tree, phase)
  const record = (id: string) => results.records.find((one) => one.id === id)
  return [
    `# Proof of ${phase.id}`,
    `Proof id: \`${phase.proofId}\`. Written by \`npm run proof\` from what its runs came to; a change by hand is found by \`npm run proof -- --check\`. ` +
    `[How to read it](../../../docs/evidence.md).`,
    `Made on sources \`sha256:${results.sources}\` (\`src\`, \`test\`, \`.ci\`, \`examples\`, the lock).`,
    "## Evidence",
    faults.length === 0
      ? "Everything that must come before evidence is there; the rows below are in the ledger."
      : `No row is in the ledger, because what must come before evidence is not there:\n\n${
        faults.map((fault) => `- ${fault}`).join("\n")
      }`,
    "## Commands and results",
    table(
      ["gate", "command", "result", "tests"],
      phase.gates.map((gate) => {
        const ran = record(gate.id)
        return [
          gate.id,
          `\`${commandOf(gate)}\``,
          ran?.outcome ?? "not run",
          ran === undefined ? "" : testsText(ran)
        ]
      })
    ),
    ...results.records.some(({ reason }) => reason !== undefined)
      ? [results.records.flatMap(({ id, reason }) => reason === undefined ? [] : [`- ${id}: ${reason}`]).join("\n")]
      : [],
    "## Rows",
    table(
      ["row", "claim", "proof type", "provider", "status", "upgrades"],
      rows.map((row) => [
        row.artifact_id,
        row.proves.join("; "),
        row.proof_type,
        row.provider_mode,
        row.status,
        row.upgrades_claim ? "yes" : "no"
      ])
    ),
    "## Tests that carry the claims",
    results.records.filter(({ cited }) => cited.length > 0).map(({ cited, id }) =>
      `- ${id}\n${
        cited.map(({ file, state, title }) => `  - \`${file}\` ${title}${state === "passed" ? "" : ` (${state})`}`)
          .join("\n")
      }`
    ).join("\n"),
    "## Artifacts",
    table(
      ["file", "bytes", "sha256", "left by"],
      results.records.flatMap(({ artifacts, id }) =>
        artifacts.map((
          { bytes, name, sha256 }
        ) => [`[${name}](artifacts/${name})`, String(bytes), sha256.slice(0, 16), id])
      )
    ),
    "## Proof names of the specification",
    table(
      ["proof", "rows", "weight", "met"],
      phase.names.map(({ gates, name, weight }) => [
        name,
        gates.length === 0 ? "no row: test/proof/ledger.test.ts" : gates.join(", "),
        weight,
        weight === "ledger"
          ? "`npm run proof -- --check`"
          : weight === "blocker" || weight === "scope"
          ? "upgrades nothing"
          : metText(gates, rows)
      ])
    ),
    "## What this does not prove",
    phase.limits.map((limit) => `- ${limit}`).join("\n")
  ].join("\n\n") + "\n"
}
