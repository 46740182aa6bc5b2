/**
 * `npm run proof`: runs every gate of every phase and writes, from what they came to, each phase's artifacts and `proof.md`,
 * and where everything is there that must come before evidence, the rows of the ledger and the phase's state.
 *
 * `--only <gate>` runs those named and keeps what is known of the others; `--record` runs nothing and writes again from the
 * last results, where sources are still the same (after a return or a review); `--check` writes nothing and holds the
 * ledger to its rules. Ends with 1 where a gate failed or was skipped, or a rule is broken.
 */
import * as Either from "effect/Either"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { phases } from "./gates/phases.ts"
import { checkLedger, lineOf } from "./ledger/check.ts"
import { faultsOf } from "./ledger/documents.ts"
import { folderOf, type Phase } from "./ledger/Phase.ts"
import { decodeResults, type GateRecord, type Results } from "./ledger/Record.ts"
import { onDisk, textOf } from "./ledger/Tree.ts"
import { recordFiles } from "./ledger/writing.ts"
import { root } from "./root.ts"
import { runGate } from "./run/gate.ts"
import { digestOfSources } from "./run/sources.ts"

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    record: { type: "boolean", default: false },
    check: { type: "boolean", default: false }
  }
})

const tree = onDisk(root)
const sources = digestOfSources(root)

const resultsOnDisk = (phase: Phase): Results | undefined => {
  const text = textOf(tree, `${folderOf(phase)}/artifacts/results.json`)
  return text === undefined ? undefined : Either.getOrUndefined(decodeResults(text))
}

const known = ({ gates }: Phase, records: ReadonlyArray<GateRecord>): ReadonlyArray<GateRecord> =>
  gates.flatMap(({ id }) => records.find((record) => record.id === id) ?? [])

const runPhase = async (phase: Phase): Promise<Results> => {
  const before = resultsOnDisk(phase)
  // what ran on other sources is no evidence of these
  const records: Array<GateRecord> = before?.sources === sources ? [...before.records] : []
  for (const gate of phase.gates) {
    if (values.only.length > 0 && !values.only.includes(gate.id)) continue
    const begun = performance.now()
    const record = await runGate({ root, phase, sources, before }, gate)
    const seconds = ((performance.now() - begun) / 1_000).toFixed(1)
    console.log(
      `${record.outcome.padEnd(8)}${gate.id} (${seconds} s)${record.reason === undefined ? "" : `: ${record.reason}`}`
    )
    records.unshift(record)
  }
  return { phase: phase.id, sources, records: known(phase, records) }
}

const write = (results: ReadonlyArray<Results>): void => {
  for (const [path, text] of Object.entries(recordFiles(tree, phases, results))) {
    const full = join(root, path)
    if (text === undefined) rmSync(full, { force: true })
    else if (!existsSync(full) || readFileSync(full, "utf8") !== text) {
      mkdirSync(dirname(full), { recursive: true })
      writeFileSync(full, text)
    }
  }
}

const check = (): boolean => {
  const problems = checkLedger(tree, phases)
  for (const problem of problems) console.error(lineOf(problem))
  for (const phase of phases) {
    const results = resultsOnDisk(phase)
    if (results === undefined) console.log(`${phase.id}: nothing was run`)
    else if (results.sources !== sources) {
      console.log(`${phase.id}: made on other sources than these; npm run proof renews it`)
    }
    for (const fault of faultsOf(tree, phase)) console.log(`${phase.id} may have no evidence: ${fault}`)
  }
  console.log(problems.length === 0 ? "the ledger keeps its rules" : `${problems.length} rules broken`)
  return problems.length === 0
}

const unknown = values.only.filter((id) => !phases.some(({ gates }) => gates.some((gate) => gate.id === id)))
if (unknown.length > 0) {
  console.error(
    `No gate "${unknown.join(", ")}". Known: ${phases.flatMap(({ gates }) => gates.map(({ id }) => id)).join(", ")}.`
  )
  process.exit(2)
}

let failed = 0
if (!values.check) {
  const results: Array<Results> = []
  for (const phase of phases) {
    const before = resultsOnDisk(phase)
    if (values.record) {
      if (before?.sources !== sources) {
        console.error(`${phase.id} was not run on these sources; npm run proof does`)
        process.exit(1)
      }
      results.push(before)
    } else results.push(await runPhase(phase))
  }
  failed = results.flatMap(({ records }) => records)
    .filter(({ outcome }) => outcome === "failed" || outcome === "skipped" || outcome === "missing").length
  write(results)
}
const keepsRules = check()
process.exitCode = failed === 0 && keepsRules ? 0 : 1
