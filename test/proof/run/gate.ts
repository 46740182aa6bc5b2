/** Runs one gate for real, and keeps what it leaves in the phase's `artifacts/`. */
import { spawnSync } from "node:child_process"
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { findBrowser } from "../../../.ci/find-browser.mjs"
import { folderOf, type Gate, pathsOf, type Phase } from "../ledger/Phase.ts"
import { type GateRecord, type RecordBody, type Results, sealed, sha256 } from "../ledger/Record.ts"
import { blockedBody, bodyOf } from "./outcome.ts"
import { shrink } from "./pictures.ts"
import { type Ran, runTests } from "./Tests.ts"

export interface Place {
  readonly root: string
  readonly phase: Phase
  /** Of everything that a run depends on. */
  readonly sources: string
  /** What the last runs came to. */
  readonly before: Results | undefined
}

const isPicture = (name: string) => name.endsWith(".png")

/** A picture shows times in milliseconds: of the same sources the one that is there is as good as a new one. */
const isKept = ({ before, root, phase, sources }: Place, gate: Gate, name: string): boolean => {
  const record = before?.sources === sources ? before.records.find(({ id }) => id === gate.id) : undefined
  const known = record?.artifacts.find((one) => one.name === name)
  const path = join(root, folderOf(phase), "artifacts", name)
  return isPicture(name) && known !== undefined && existsSync(path) && sha256(readFileSync(path)) === known.sha256
}

const keep = (place: Place, gate: Gate, left: string): RecordBody["artifacts"] =>
  gate.artifacts.filter((name) => existsSync(join(left, name))).map((name) => {
    const path = join(place.root, folderOf(place.phase), "artifacts", name)
    if (!isKept(place, gate, name)) {
      mkdirSync(dirname(path), { recursive: true })
      copyFileSync(join(left, name), path)
    }
    const bytes = readFileSync(path)
    return { name, bytes: bytes.length, sha256: sha256(bytes) }
  })

/** Without evidence of a run nothing of it lies there. */
const forget = ({ phase, root }: Place, gate: Gate): void => {
  for (const name of gate.artifacts) rmSync(join(root, folderOf(phase), "artifacts", name), { force: true })
}

const runCommand = async ({ root }: Place, gate: Gate, line: string, left: string): Promise<number> => {
  const [program = "", ...words] = line.split(" ")
  const states = gate.artifacts.filter(isPicture).map((name) => /([\w-]+)\.png$/.exec(name)?.[1] ?? "")
  const raw = join(left, "raw")
  const extra = gate.type === "pictures" ? ["--out", raw] : []
  const { status } = spawnSync(program, [...words, ...extra], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, TURNSTREAM_PROOF_ARTIFACTS: left }
  })
  if (status === 0 && gate.type === "pictures") await shrink(raw, states, join(left, "screenshots"))
  return status ?? 1
}

const nothingRan: Ran = { tests: [], broken: [] }

export const runGate = async (place: Place, gate: Gate): Promise<GateRecord> => {
  const { run } = gate
  if (run._tag === "Blocked") return sealed(blockedBody(gate, run.why))
  const browser = gate.needsBrowser === true ? findBrowser() : undefined
  if (browser !== undefined && "reason" in browser) {
    forget(place, gate)
    return sealed(blockedBody(gate, "no browser starts here: install Chromium or name one in TURNSTREAM_CHROMIUM"))
  }
  const left = mkdtempSync(join(tmpdir(), "turnstream-artifacts-"))
  try {
    const paths = pathsOf(gate)
    const env = { TURNSTREAM_PROOF_ARTIFACTS: left, TURNSTREAM_BROWSER: "required" }
    const ran = paths.length === 0 ? nothingRan : runTests({ root: place.root, paths, env })
    const code = run._tag === "Command" ? await runCommand(place, gate, run.line, left) : undefined
    const body = bodyOf(gate, { ran, code, artifacts: keep(place, gate, left) })
    if (body.outcome !== "passed") forget(place, gate)
    for (const { fault, state, title } of ran.tests) if (state === "failed") console.error(`  ${title}: ${fault ?? ""}`)
    for (const line of ran.broken) console.error(`  ${line}`)
    return sealed(body)
  } finally {
    rmSync(left, { recursive: true, force: true })
  }
}
