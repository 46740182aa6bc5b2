import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { findBrowser } from "../../.ci/find-browser.mjs"

describe.skipIf(process.platform === "win32")("the browser of this machine (needs a POSIX shell)", () => {
  let folder = ""
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "turnstream-browser-"))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** A program named `chromium` in a folder of its own. */
  const program = (name: string, script: string) => {
    mkdirSync(join(folder, name))
    const path = join(folder, name, "chromium")
    writeFileSync(path, `#!/bin/sh\n${script}\n`)
    chmodSync(path, 0o755)
    return path
  }

  it("is one that says its version, not a wrapper that cannot start, wherever that is on PATH", () => {
    const wrapper = program("wrapper", "echo 'Command requires the chromium snap to be installed.' >&2; exit 1")
    const silent = program("silent", "exit 0")
    const real = program("real", "echo 'Chromium 140.0.7339.127'")
    const path = ["wrapper", "silent", "real"].map((name) => join(folder, name)).join(":")
    assert.deepStrictEqual(findBrowser({ PATH: path }), { path: real })
    for (const named of [wrapper, silent]) {
      const found = findBrowser({ PATH: path, TURNSTREAM_CHROMIUM: named })
      assert.include("reason" in found ? found.reason : "", `does not start; try: ${named} --version`)
    }
  })

  it("that was named is the one, or none", () => {
    const real = program("named", "echo 'Chromium 140.0.7339.127'")
    assert.deepStrictEqual(findBrowser({ TURNSTREAM_CHROMIUM: real }), { path: real })
    const found = findBrowser({ TURNSTREAM_CHROMIUM: join(folder, "none") })
    assert.include("reason" in found ? found.reason : "", "names no program")
  })
})
