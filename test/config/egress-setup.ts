/**
 * Runs before every test file: guards this process, and every process that it starts, against leaving the machine
 * (egress-guard.mjs). An attempt by a child fails the file, whatever the child made of the error.
 */
import { existsSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert } from "vitest"
import "./egress-guard.mjs"

const marks = join(tmpdir(), `turnstream-egress-${process.pid}`)
rmSync(marks, { force: true })

// after the guard of this process has loaded: its own refusals are errors of the test that they happen in
process.env["TURNSTREAM_TEST_EGRESS"] = marks
process.env["NODE_OPTIONS"] = `--import=${new URL("./egress-guard.mjs", import.meta.url).href}`

afterAll(() => {
  const attempts = existsSync(marks) ? readFileSync(marks, "utf8") : undefined
  rmSync(marks, { force: true })
  assert.isUndefined(attempts, `P26: a process that this file started tried to leave the machine: ${attempts}`)
})
