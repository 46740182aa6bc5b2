/** Runs vitest and answers with what became of each test, by file and title. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface RanTest {
  readonly file: string
  /** With the titles around it, joined by ` > `. */
  readonly title: string
  readonly state: "passed" | "failed" | "skipped" | "pending"
  /** Why it was skipped. */
  readonly note?: string
  readonly fault?: string
  /** How often it reached the replaced core. */
  readonly core?: number
}

export interface Ran {
  readonly tests: ReadonlyArray<RanTest>
  /** What kept files from being run, and errors that no test had. */
  readonly broken: ReadonlyArray<string>
}

export interface Wanted {
  readonly root: string
  /** Files or folders. */
  readonly paths: ReadonlyArray<string>
  readonly config?: string
  readonly env?: Readonly<Record<string, string>>
}

export const runTests = ({ config, env = {}, paths, root }: Wanted): Ran => {
  const folder = mkdtempSync(join(tmpdir(), "turnstream-proof-"))
  const file = join(folder, "tests.json")
  try {
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      [
        join(root, "node_modules/vitest/vitest.mjs"),
        "run",
        ...config === undefined ? [] : ["--config", config, "--root", root],
        `--reporter=${join(root, "test/proof/run/reporter.mjs")}`,
        ...paths
      ],
      {
        cwd: root,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
        maxBuffer: 2 ** 28,
        env: { ...process.env, ...env, TURNSTREAM_PROOF_TESTS: file }
      }
    )
    const ran = readRan(file)
    if (ran === undefined) {
      return { tests: [], broken: [`vitest ended (${status}) without a report: ${(stdout + stderr).slice(-2_000)}`] }
    }
    return ran.tests.length === 0 && ran.broken.length === 0 ? { ...ran, broken: ["no test was found"] } : ran
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const readRan = (file: string): Ran | undefined => {
  try {
    // written by our own reporter
    return JSON.parse(readFileSync(file, "utf8")) as Ran
  } catch {
    return undefined
  }
}
