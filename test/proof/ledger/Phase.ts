/**
 * A phase as data: its gates, what its proof must hold, and the documents that stand before its evidence. The validator and
 * the command know phases by this alone, so that both can be tried on a small one.
 */
import type { Cited, ProofType, ProviderMode, Row } from "./Row.ts"

/** What a gate runs. */
export type Run =
  /** Files or folders of tests; `cited` carry the claim. */
  | { readonly _tag: "Tests"; readonly paths: ReadonlyArray<string>; readonly cited: ReadonlyArray<Cited> }
  /** A command line of this project, as a person would type it. `cited`: tests of what it runs, run with it. */
  | { readonly _tag: "Command"; readonly line: string; readonly cited: ReadonlyArray<Cited> }
  /** Nothing can be run. */
  | { readonly _tag: "Blocked"; readonly why: string }

export interface Gate {
  /** The row's `artifact_id`. */
  readonly id: string
  readonly type: Row["type"]
  /** What it proves, in one sentence. */
  readonly claim: string
  readonly proofType: ProofType
  readonly providerMode: ProviderMode
  readonly run: Run
  /** Files that the run leaves in the phase's `artifacts/`. */
  readonly artifacts: ReadonlyArray<string>
  readonly needsBrowser?: boolean
  /** False for what says something and upgrades nothing. */
  readonly upgrades: boolean
}

/** A proof name of the specification, and the rows that it asks for. */
export interface ProofName {
  readonly name: string
  readonly gates: ReadonlyArray<string>
  /** `core`: the phase does not pass without it. `production`: its claim is not qualified without it. The others upgrade nothing. */
  readonly weight: "core" | "production" | "scope" | "ledger" | "blocker"
}

export interface Document {
  readonly path: string
  readonly headings: ReadonlyArray<string>
  /** Whether it says `pass`, `pass-with-scoped-debt` or `blocker`. */
  readonly hasVerdict: boolean
}

export interface Phase {
  readonly id: string
  readonly proofId: string
  /** Whose core must have passed before this one's has. */
  readonly standsOn?: Phase
  readonly gates: ReadonlyArray<Gate>
  readonly names: ReadonlyArray<ProofName>
  /** Before any row, from the phase's folder. */
  readonly documents: ReadonlyArray<Document>
  /** The review that must name each row that upgrades. */
  readonly audit: string
  /** What the claim does not reach, in words. */
  readonly limits: ReadonlyArray<string>
}

export const folderOf = ({ id }: Phase): string => `.buildprint/phase-runs/${id}`

export const ledgerPath = ".buildprint/evidence/evidence-ledger.jsonl"

export const citedBy = ({ run }: Gate): ReadonlyArray<Cited> => run._tag === "Blocked" ? [] : run.cited

/** What vitest is given. */
export const pathsOf = (gate: Gate): ReadonlyArray<string> =>
  gate.run._tag === "Tests" ? gate.run.paths : [...new Set(citedBy(gate).map(({ file }) => file))]

/** As a person would type it. */
export const commandOf = (gate: Gate): string => {
  if (gate.run._tag === "Blocked") return "npm run proof"
  const paths = pathsOf(gate)
  return [
    ...paths.length === 0 ? [] : [`npx vitest run ${paths.join(" ")}`],
    ...gate.run._tag === "Command" ? [gate.run.line] : []
  ].join(" && ")
}
