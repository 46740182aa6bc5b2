/**
 * What the runs' results make of `.buildprint`: each file with its text, or undefined where there must be none. Pure, and
 * the only place that makes evidence: rows of a phase are there when everything is that must come before them.
 */
import { closingFiles, closingPaths } from "./closing.ts"
import { faultsOf } from "./documents.ts"
import { folderOf, ledgerPath, type Phase } from "./Phase.ts"
import { type Results, resultsText } from "./Record.ts"
import { proofText } from "./report.ts"
import { toText } from "./Row.ts"
import { rowsOf } from "./rows.ts"
import type { Tree } from "./Tree.ts"

export type Files = Readonly<Record<string, string | undefined>>

/** Files beside the record that no run of it left. */
export const strayIn = (tree: Tree, phase: Phase, results: Results | undefined): ReadonlyArray<string> => {
  const folder = `${folderOf(phase)}/artifacts`
  const known = new Set(
    (results?.records ?? []).flatMap(({ artifacts }) => artifacts.map(({ name }) => `${folder}/${name}`))
  )
  return tree.below(folder).filter((path) => path !== `${folder}/results.json` && !known.has(path))
}

export const recordFiles = (tree: Tree, phases: ReadonlyArray<Phase>, results: ReadonlyArray<Results>): Files => {
  const resultsOf = ({ id }: Phase) => results.find(({ phase }) => phase === id)
  const rows = phases.flatMap((phase) => {
    const found = resultsOf(phase)
    return found === undefined || faultsOf(tree, phase).length > 0 ? [] : rowsOf(phase, found.records)
  })
  const closing = closingFiles(tree, phases, rows)
  return Object.fromEntries([
    ...phases.flatMap((phase) => {
      const found = resultsOf(phase)
      return found === undefined ? [] : [
        ...strayIn(tree, phase, found).map((path) => [path, undefined]),
        [`${folderOf(phase)}/artifacts/results.json`, resultsText(found)],
        [`${folderOf(phase)}/proof.md`, proofText(tree, phase, found)]
      ]
    }),
    [ledgerPath, rows.length === 0 ? undefined : toText(rows)],
    ...closingPaths.map((path) => [path, closing[path]])
  ])
}
