import { execFile } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"

const example = "examples/embed.mjs"

describe("the library", () => {
  it("runs a turn in ten lines of a program of its own", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "turnstream-embed-"))
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [example], {
        env: { ...process.env, DATA_DIR: dataDir }
      })
      const types = stdout.trim().split("\n").map((line) => line.split(" ")[1])
      assert.deepStrictEqual([types[0], types.at(-1)], ["turn.started", "turn.completed"])
      assert.include(types, "model.delta")
    } finally {
      await rm(dataDir, { recursive: true, force: true })
    }
  })

  it("is shown in the README as it is run here", async () => {
    const [readme, source] = await Promise.all([readFile("README.md", "utf8"), readFile(example, "utf8")])
    const shown = source.slice(source.indexOf("import")).trim()
    assert.include(readme, shown)
  })
})
