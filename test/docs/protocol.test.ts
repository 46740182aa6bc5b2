import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { filled, parts } from "./protocol-tables.ts"

const page = readFileSync("docs/protocol.md", "utf8")

/** Cells and lines as they read, without the padding that a formatter gives them. */
const plain = (text: string): string => text.replace(/ +/g, " ").replace(/-{3,}/g, "---").replace(/\n+/g, "\n").trim()

describe("docs/protocol.md", () => {
  it("is what the schemas say; else: npm run docs", () => {
    assert.strictEqual(plain(page), plain(filled(page)))
  })

  it("has every part once", () => {
    assert.deepStrictEqual([...page.matchAll(/<!-- generated: ([a-z-]+) -->/g)].map(([, name]) => name), parts)
  })

  it("names a part that nobody makes", () => {
    assert.throws(() => filled("<!-- generated: weather -->\n<!-- end -->"), /"weather" that nobody makes/)
  })
})
