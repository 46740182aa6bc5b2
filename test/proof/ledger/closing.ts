/** `state.json`, `progress.md` and `next-agent.md`: where each phase stands, from ledger and documents alone. Pure. */
import { folderOf, ledgerPath, type Phase } from "./Phase.ts"
import { readNotes, type Row } from "./Row.ts"
import { type Standing, standingOf } from "./state.ts"
import type { Tree } from "./Tree.ts"

interface Stood extends Standing {
  readonly phase: Phase
  readonly rows: ReadonlyArray<Row>
}

const notShown = (rows: ReadonlyArray<Row>): ReadonlyArray<Row> => rows.filter(({ upgrades_claim }) => !upgrades_claim)

const stateText = (stood: ReadonlyArray<Stood>): string =>
  `${
    JSON.stringify(
      {
        generated_by: "npm run proof",
        ledger: ledgerPath,
        phases: stood.map(({ phase, rows, state, wants }) => ({
          phase_id: phase.id,
          proof_id: phase.proofId,
          state,
          rows: rows.length,
          upgrading: rows.filter(({ upgrades_claim }) => upgrades_claim).length,
          not_upgrading: notShown(rows).map(({ artifact_id, status }) => ({ artifact_id, status })),
          wants
        }))
      },
      null,
      2
    )
  }\n`

const list = (items: ReadonlyArray<string>): string => items.map((item) => `- ${item}`).join("\n")

const progressText = (stood: ReadonlyArray<Stood>): string =>
  [
    "# Progress",
    `Written by \`npm run proof\`. Each line is a row of [the ledger](evidence/evidence-ledger.jsonl).`,
    ...stood.flatMap(({ phase, rows, state }) => [
      `## ${phase.id}: ${state}`,
      rows.length === 0
        ? "No row."
        : list(rows.map(({ artifact_id, proves, status }) => `${artifact_id} (${status}): ${proves.join("; ")}`))
    ])
  ].join("\n\n") + "\n"

const whyLine = ({ artifact_id, notes = "", proves, status }: Row): string => {
  const blocks = readNotes(notes)?.blocks
  return `${artifact_id} (${status}): ${proves.join("; ")}${blocks === undefined ? "" : `. In the way: ${blocks}`}`
}

const nextText = (stood: ReadonlyArray<Stood>): string =>
  [
    "# Next agent",
    "Written by `npm run proof`. Read `AGENTS.md`, then `docs/evidence.md`, then the proof of the phase that you go on with.",
    ...stood.flatMap(({ phase, rows, state, wants }) => [
      `## ${phase.id}: ${state}`,
      `Proof: \`${folderOf(phase)}/proof.md\`.`,
      ...wants.length === 0 ? [] : [`For the next state:\n\n${list(wants)}`],
      ...notShown(rows).length === 0
        ? []
        : [`Upgrades nothing:\n\n${list(notShown(rows).map(whyLine))}`],
      `What it does not prove:\n\n${list(phase.limits)}`
    ])
  ].join("\n\n") + "\n"

/** Files by path; none as long as no phase has evidence. */
export const closingFiles = (
  tree: Tree,
  phases: ReadonlyArray<Phase>,
  rows: ReadonlyArray<Row>
): Readonly<Record<string, string>> => {
  if (rows.length === 0) return {}
  const stood = phases.map((phase): Stood => {
    const own = rows.filter(({ phase_id }) => phase_id === phase.id)
    return { phase, rows: own, ...standingOf(tree, phase, rows) }
  })
  return {
    ".buildprint/state.json": stateText(stood),
    ".buildprint/progress.md": progressText(stood),
    ".buildprint/next-agent.md": nextText(stood)
  }
}

export const closingPaths = [".buildprint/state.json", ".buildprint/progress.md", ".buildprint/next-agent.md"] as const
