/**
 * The rules of the ledger. Each says what is wrong, where, and what makes it right; none repairs. A ledger that a person
 * edited disagrees with the record of the run, which disagrees with the files that the run left.
 */
import * as Either from "effect/Either"
import { closingFiles, closingPaths } from "./closing.ts"
import { faultsOf } from "./documents.ts"
import { citedBy, commandOf, folderOf, ledgerPath, type Phase } from "./Phase.ts"
import { decodeResults, digestOf, type Results, sha256 } from "./Record.ts"
import { citedText, decodeRow, isShown, readNotes, type Row } from "./Row.ts"
import { rowsOf } from "./rows.ts"
import { makeTitles } from "./titles.ts"
import { textOf, type Tree } from "./Tree.ts"
import { strayIn } from "./writing.ts"

export interface Problem {
  readonly rule:
    | "schema"
    | "one-claim"
    | "upgrade"
    | "cited-test"
    | "artifact"
    | "record"
    | "artifacts-first"
    | "complete"
    | "clean"
    | "state"
  readonly where: string
  readonly what: string
}

const again = "npm run proof writes it again"

/** Bytes of pictures that a phase may keep. */
const picturesMax = 1_000_000

interface Line {
  readonly where: string
  readonly row: Row
}

const linesOf = (tree: Tree): { readonly lines: ReadonlyArray<Line>; readonly problems: ReadonlyArray<Problem> } => {
  const text = textOf(tree, ledgerPath) ?? ""
  const problems: Array<Problem> = []
  const lines: Array<Line> = []
  for (const [index, line] of text.split("\n").entries()) {
    if (line === "") continue
    const where = `${ledgerPath}:${index + 1}`
    const row = decodeRow(line)
    if (Either.isLeft(row)) problems.push({ rule: "schema", where, what: row.left.message.replace(/\s+/g, " ") })
    else lines.push({ where, row: row.right })
  }
  return { lines, problems }
}

const oneClaim = (lines: ReadonlyArray<Line>): ReadonlyArray<Problem> => {
  const seen = new Map<string, string>()
  return lines.flatMap(({ row: { artifact_id, phase_id, proves }, where }) =>
    [artifact_id, ...proves.map((claim) => `${phase_id}: ${claim}`)].flatMap((key) => {
      const before = seen.get(key)
      seen.set(key, where)
      return before === undefined ? [] : [{
        rule: "one-claim" as const,
        where,
        what: `"${key}" has a row already (${before}); a claim has one row, which is written again when it changes`
      }]
    })
  )
}

const whyNoUpgrade = ({ proof_type, provider_mode, status }: Row): string | undefined =>
  !isShown(status)
    ? `its status is ${status}`
    : proof_type === "blocker"
    ? "it is a blocker"
    : provider_mode === "mock" || provider_mode === "blocked"
    ? `its provider was ${provider_mode}`
    : proof_type.endsWith("_live_smoke") && provider_mode !== "live"
    ? `a live smoke with provider_mode ${provider_mode} called nobody`
    : undefined

const upgrade = ({ row, where }: Line): ReadonlyArray<Problem> => {
  const why = row.upgrades_claim ? whyNoUpgrade(row) : undefined
  return [
    ...why === undefined
      ? []
      : [{ rule: "upgrade" as const, where, what: `${row.artifact_id} upgrades its claim, but ${why}` }],
    ...row.provider_mode === "live" && !row.proof_type.endsWith("_live_smoke")
      ? [{ rule: "upgrade" as const, where, what: `provider_mode live is a live smoke's, not of ${row.proof_type}` }]
      : []
  ]
}

/** What the row cites is there. */
const cited = (tree: Tree, lines: ReadonlyArray<Line>): ReadonlyArray<Problem> => {
  const isThere = makeTitles(tree)
  return lines.flatMap(({ row, where }): ReadonlyArray<Problem> => {
    const notes = readNotes(row.notes ?? "")
    if (notes === undefined) return [{ rule: "schema", where, what: "its notes are not as a run writes them" }]
    const files = row.source.split(" ").filter((word) => /^(test|src|[.]ci)\//.test(word))
    return [
      ...files.filter((path) => tree.bytes(path) === undefined && tree.below(path).length === 0)
        .map((path): Problem => ({ rule: "cited-test", where, what: `${path} is not there` })),
      ...notes.tests.filter((one) => !isThere(one))
        .map((one): Problem => ({ rule: "cited-test", where, what: `no test "${citedText(one)}"; ${again}` })),
      ...notes.artifacts.map((name) => `.buildprint/phase-runs/${row.phase_id}/artifacts/${name}`)
        .filter((path) => tree.bytes(path) === undefined)
        .map((path): Problem => ({ rule: "artifact", where, what: `${path} is not there; ${again}` }))
    ]
  })
}

const resultsPath = (phase: Phase) => `${folderOf(phase)}/artifacts/results.json`

/** The record itself: whole, of gates that there are, and of the files that lie beside it. */
const recordOf = (
  tree: Tree,
  phase: Phase
): { readonly results: Results | undefined; readonly problems: ReadonlyArray<Problem> } => {
  const where = resultsPath(phase)
  const text = textOf(tree, where)
  if (text === undefined) return { results: undefined, problems: [] }
  const decoded = decodeResults(text)
  if (Either.isLeft(decoded)) {
    return {
      results: undefined,
      problems: [{ rule: "record", where, what: decoded.left.message.replace(/\s+/g, " ") }]
    }
  }
  const problems = decoded.right.records.flatMap((record): ReadonlyArray<Problem> => {
    const gate = phase.gates.find(({ id }) => id === record.id)
    const of = (what: string): Problem => ({ rule: "record", where, what: `${record.id}: ${what}; ${again}` })
    if (gate === undefined) return [of("there is no such gate")]
    const asked = citedBy(gate).map(citedText)
    const kept = new Set(record.cited.map(citedText))
    return [
      ...digestOf(record) === record.digest ? [] : [of("it was changed after its run")],
      ...commandOf(gate) === record.command
        ? []
        : [of(`it ran "${record.command}", the gate runs "${commandOf(gate)}"`)],
      ...record.outcome !== "passed" ? [] : [
        ...asked.filter((one) => !kept.has(one)).map((one) => of(`it did not run "${one}"`)),
        ...record.cited.filter(({ state }) => state !== "passed").map((one) =>
          of(`"${citedText(one)}" is ${one.state}`)
        ),
        ...record.tests.failed === 0 ? [] : [of(`${record.tests.failed} of its tests failed`)],
        ...gate.artifacts.filter((name) => !record.artifacts.some((one) => one.name === name))
          .map((name) => of(`it left no ${name}`))
      ],
      ...record.artifacts.flatMap(({ name, sha256: hash }) => {
        const bytes = tree.bytes(`${folderOf(phase)}/artifacts/${name}`)
        return bytes === undefined || sha256(bytes) === hash ? [] : [{
          rule: "artifact" as const,
          where: `${folderOf(phase)}/artifacts/${name}`,
          what: `is not what the run of ${record.id} left; ${again}`
        }]
      })
    ]
  })
  return { results: decoded.right, problems }
}

const fields = ["type", "status", "source", "proves", "proof_type", "provider_mode", "upgrades_claim", "notes"] as const

/** Each row is what its record makes of it. */
const madeByRuns = (phase: Phase, lines: ReadonlyArray<Line>, results: Results | undefined): ReadonlyArray<Problem> => {
  const made = rowsOf(phase, results?.records ?? [])
  return lines.flatMap(({ row, where }): ReadonlyArray<Problem> => {
    const wanted = made.find(({ artifact_id }) => artifact_id === row.artifact_id)
    if (wanted === undefined) {
      return [{ rule: "record", where, what: `no gate of ${phase.id} makes ${row.artifact_id}` }]
    }
    return fields.filter((field) => JSON.stringify(row[field]) !== JSON.stringify(wanted[field])).map((field) => ({
      rule: "record",
      where,
      what: `${row.artifact_id}.${field} is ${JSON.stringify(row[field])}, its run makes it ${
        JSON.stringify(wanted[field])
      }; ${again}`
    }))
  })
}

/** Evidence comes after the documents, and is whole. */
const inOrder = (tree: Tree, phase: Phase, lines: ReadonlyArray<Line>): ReadonlyArray<Problem> => {
  if (lines.length === 0) return []
  const ids = lines.map(({ row }) => row.artifact_id)
  const proof = textOf(tree, `${folderOf(phase)}/proof.md`) ?? ""
  return [
    ...[...faultsOf(tree, phase), ...proof.includes(phase.proofId) ? [] : [`proof.md does not name ${phase.proofId}`]]
      .map((what): Problem => ({
        rule: "artifacts-first",
        where: folderOf(phase),
        what: `${what}; ${phase.id} may have no evidence before`
      })),
    ...phase.names.flatMap(({ gates, name }) =>
      gates.filter((id) => !ids.includes(id)).map((id): Problem => ({
        rule: "complete",
        where: ledgerPath,
        what: `${phase.id} has no row ${id}, which ${name} asks for; ${again}`
      }))
    ),
    ...phase.names.filter(({ gates, weight }) => gates.length === 0 && weight !== "ledger").map((
      { name }
    ): Problem => ({
      rule: "complete",
      where: phase.id,
      what: `no gate stands for ${name}`
    }))
  ]
}

const marks: ReadonlyArray<readonly [RegExp, string]> = [
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/, "a time"],
  [/(127\.0\.0\.1|localhost):\d/, "a port"],
  [/(^|[\s"'(=:])\/(tmp|home|root|Users|var\/folders)\//m, "a folder of the machine"]
]

/** What lies in the repository differs where behaviour does, and not from machine to machine. */
const clean = (tree: Tree, phase: Phase): ReadonlyArray<Problem> => {
  const folder = `${folderOf(phase)}/artifacts`
  const files = tree.below(folder)
  const isPicture = (path: string) => /\.(png|jpe?g|webp)$/.test(path)
  const pictures = files.filter(isPicture).reduce((sum, path) => sum + (tree.bytes(path)?.length ?? 0), 0)
  return [
    ...files.filter((path) => !isPicture(path)).flatMap((path) =>
      marks.filter(([mark]) => mark.test(textOf(tree, path) ?? "")).map(([, what]): Problem => ({
        rule: "clean",
        where: path,
        what: `holds ${what}`
      }))
    ),
    ...pictures <= picturesMax
      ? []
      : [{ rule: "clean" as const, where: folder, what: `${pictures} bytes of pictures; ${picturesMax} may be kept` }]
  ]
}

/** A phase claims what its evidence gives, and nothing more. */
const state = (tree: Tree, phases: ReadonlyArray<Phase>, rows: ReadonlyArray<Row>): ReadonlyArray<Problem> => {
  const made = closingFiles(tree, phases, rows)
  return closingPaths.filter((path) => textOf(tree, path) !== made[path]).map((path) => ({
    rule: "state",
    where: path,
    what: made[path] === undefined
      ? "claims a state, and the ledger has no row"
      : `is not what ledger and documents give; ${again}`
  }))
}

export const checkLedger = (tree: Tree, phases: ReadonlyArray<Phase>): ReadonlyArray<Problem> => {
  const { lines, problems } = linesOf(tree)
  const foreign = lines.filter(({ row }) => !phases.some(({ id }) => id === row.phase_id)).map((
    { row, where }
  ): Problem => ({
    rule: "record",
    where,
    what: `there is no phase ${row.phase_id}`
  }))
  return [
    ...problems,
    ...foreign,
    ...oneClaim(lines),
    ...lines.flatMap(upgrade),
    ...cited(tree, lines),
    ...phases.flatMap((phase) => {
      const own = lines.filter(({ row }) => row.phase_id === phase.id)
      const { problems, results } = recordOf(tree, phase)
      const strays = strayIn(tree, phase, results).map((path): Problem => ({
        rule: "artifact",
        where: path,
        what: `no run left it; ${again}`
      }))
      return [
        ...problems,
        ...strays,
        ...madeByRuns(phase, own, results),
        ...inOrder(tree, phase, own),
        ...clean(tree, phase)
      ]
    }),
    ...state(tree, phases, lines.map(({ row }) => row))
  ]
}

export const lineOf = ({ rule, what, where }: Problem): string => `${where}: ${rule}: ${what}`
