/**
 * Runs the tests (arguments go to vitest) and closes with `N passed, N failed, N skipped`; before it, one line that says
 * what was skipped and why. A run that breaks off counts as one failure. `--summary=<file>` keeps the counts as JSON.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readIfThere, root } from "./fingerprint.mjs"

const option = "--summary="
const keep = process.argv.find((arg) => arg.startsWith(option))?.slice(option.length)
const rest = process.argv.slice(2).filter((arg) => !arg.startsWith(option))

const folder = mkdtempSync(join(tmpdir(), "turnstream-test-"))
const file = join(folder, "summary.json")
const vitest = spawnSync(
  process.execPath,
  [
    `${root}node_modules/vitest/vitest.mjs`,
    "run",
    "--reporter=default",
    `--reporter=${root}.ci/summary-reporter.mjs`,
    ...rest
  ],
  { cwd: root, stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, TURNSTREAM_TEST_SUMMARY: file } }
)
const written = readIfThere(file)
rmSync(folder, { recursive: true, force: true })

const summary = written === undefined ? { passed: 0, failed: 1, skipped: [] } : JSON.parse(written)
if (written === undefined) console.error("The test run broke off before it could count.")
// Vitest also fails a run for what no test reports, such as finding no test at all.
if (vitest.status !== 0 && summary.failed === 0) summary.failed = 1

if (summary.skipped.length > 0) {
  const reasons = summary.skipped.map(({ name, reason }) => `${name} (${reason ?? "no reason given"})`)
  console.log(`skipped: ${reasons.join("; ")}`)
}
if (keep !== undefined) writeFileSync(keep, JSON.stringify(summary))
console.log(`${summary.passed} passed, ${summary.failed} failed, ${summary.skipped.length} skipped`)
process.exitCode = summary.failed === 0 ? 0 : 1
