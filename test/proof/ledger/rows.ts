/** Records to rows. Pure, so that the validator can make every row again and compare. */
import { commandOf, type Gate, type Phase } from "./Phase.ts"
import type { GateRecord, Outcome } from "./Record.ts"
import { notesText, type Row, type Status } from "./Row.ts"

const statusOf = (outcome: Outcome, hasArtifacts: boolean): Status =>
  outcome === "passed" ? hasArtifacts ? "proven" : "passed" : outcome

const rowOf = (phase: Phase, gate: Gate, record: GateRecord | undefined): Row => {
  const status = statusOf(record?.outcome ?? "missing", gate.artifacts.length > 0)
  const isBlocked = status === "blocked"
  return {
    artifact_id: gate.id,
    type: isBlocked ? "blocker" : gate.type,
    phase_id: phase.id,
    status,
    source: commandOf(gate),
    proves: [gate.claim],
    proof_type: isBlocked ? "blocker" : gate.proofType,
    provider_mode: isBlocked ? "blocked" : gate.providerMode,
    upgrades_claim: gate.upgrades && record?.outcome === "passed",
    notes: record === undefined ? "blocks: it was not run" : notesText({
      tests: record.cited.filter(({ state }) => state === "passed"),
      artifacts: record.artifacts.map(({ name }) => name),
      record: { id: record.id, digest: record.digest },
      blocks: record.outcome === "passed" ? undefined : record.reason ?? record.outcome
    })
  }
}

/** A row for each gate, in the order of the phase. */
export const rowsOf = (phase: Phase, records: ReadonlyArray<GateRecord>): ReadonlyArray<Row> =>
  phase.gates.map((gate) => rowOf(phase, gate, records.find(({ id }) => id === gate.id)))
