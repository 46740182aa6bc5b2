/** How far a phase has come, by its rows and documents alone. Pure. */
import { blockersOf, faultsOf } from "./documents.ts"
import { folderOf, type Phase } from "./Phase.ts"
import type { Row } from "./Row.ts"
import { textOf, type Tree } from "./Tree.ts"

/** In rising order; `none` claims nothing. */
const states = ["none", "checkpoint_recorded", "phase_core_passed", "claim_qualified"] as const
export type State = typeof states[number]

export interface Standing {
  readonly state: State
  /** What keeps it from the next state. */
  readonly wants: ReadonlyArray<string>
}

const wanting = (phase: Phase, rows: ReadonlyArray<Row>, weight: "core" | "production"): ReadonlyArray<string> =>
  phase.names.filter((name) => name.weight === weight).flatMap(({ gates, name }) =>
    gates.flatMap((id) => {
      const row = rows.find(({ artifact_id }) => artifact_id === id)
      return row?.upgrades_claim === true ? [] : [`${name}: row ${id} is ${row?.status ?? "missing"}`]
    })
  )

/** Rows that upgrade and that the audit does not name. */
const unaudited = (tree: Tree, phase: Phase, rows: ReadonlyArray<Row>): ReadonlyArray<string> => {
  const text = textOf(tree, `${folderOf(phase)}/${phase.audit}`) ?? ""
  return rows.filter(({ upgrades_claim }) => upgrades_claim).map(({ artifact_id }) => artifact_id)
    .filter((id) => !new RegExp(`(^|[^a-z0-9-])${id}($|[^a-z0-9-])`).test(text))
}

/** `rows`: the ledger's, of every phase. */
export const standingOf = (tree: Tree, phase: Phase, rows: ReadonlyArray<Row>): Standing => {
  const own = rows.filter(({ phase_id }) => phase_id === phase.id)
  const faults = faultsOf(tree, phase)
  if (faults.length > 0) return { state: "none", wants: faults }
  if (own.length === 0) return { state: "none", wants: ["npm run proof records its evidence"] }
  const core = [
    ...groundOf(tree, phase, rows),
    ...wanting(phase, own, "core"),
    ...blockersOf(tree, phase).map((path) => `${path} says blocker`)
  ]
  if (core.length > 0) return { state: "checkpoint_recorded", wants: core }
  const production = [
    ...wanting(phase, own, "production"),
    ...unaudited(tree, phase, own).map((id) => `${folderOf(phase)}/${phase.audit} does not audit row ${id}`)
  ]
  return production.length > 0
    ? { state: "phase_core_passed", wants: production }
    : { state: "claim_qualified", wants: [] }
}

const groundOf = (tree: Tree, { standsOn }: Phase, rows: ReadonlyArray<Row>): ReadonlyArray<string> => {
  if (standsOn === undefined) return []
  const { state } = standingOf(tree, standsOn, rows)
  return state === "phase_core_passed" || state === "claim_qualified"
    ? []
    : [`${standsOn.id}, on which it stands, is ${state}`]
}
