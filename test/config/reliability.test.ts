/** `docs/reliability.md` names a test for every promise: what it names is there. */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../", import.meta.url))
const promises = Array.from({ length: 33 }, (_, index) => `P${index + 1}`)

const rows = Fs.readFileSync(`${root}docs/reliability.md`, "utf8").split("\n")
  .filter((line) => line.startsWith("| **P"))
  .map((line) => line.split(" | ").map((cell) => cell.replace(/^\| |\|$/g, "").trim()))

/** `P1-P3` as `P1, P2, P3`. */
const spelledOut = (text: string): string =>
  text.replace(/\bP(\d+)-P(\d+)\b/g, (_, from, to) => promises.slice(Number(from) - 1, Number(to)).join(", "))

describe("docs/reliability.md", () => {
  it("has a row for each promise, in order, with nothing left out", () => {
    assert.deepStrictEqual(rows.map(([promise]) => /^\*\*(P\d+)\*\*/.exec(promise ?? "")?.[1]), promises)
    for (const cells of rows) {
      assert.strictEqual(cells.length, 5, cells[0])
      for (const cell of cells) assert.notMatch(cell, /^$|@/, cells[0])
    }
  })

  for (const [promise = "", , tests = ""] of rows) {
    it(`names tests of ${promise.slice(0, 60)} that are there`, () => {
      const named = tests.split("; ").map((one) => /^`([^`]+)` (.+)$/.exec(one))
      assert.isNotEmpty(named)
      for (const one of named) {
        const [, file = "", words = ""] = one ?? []
        const text = spelledOut(Fs.readFileSync(root + file, "utf8"))
        assert.isTrue(text.includes(words), `${file} has no test "${words}"`)
        const id = /^\*\*(P\d+)\*\*/.exec(promise)?.[1]
        assert.match(text, new RegExp(`\\b${id}\\b`), `${file} does not name ${id}`)
      }
    })
  }
})
