/** The bundle has marked's lexer made smaller (.ci/lexer-of-marked.mjs); the other tests have marked as it is installed. */
import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { vi } from "vitest"
import { lexerOfMarked } from "../../.ci/lexer-of-marked.mjs"
import { lex as installed } from "../../src/workbench/turn/BoundedLexer.ts"
import * as Texts from "../browser/Texts.ts"
import * as MarkdownTexts from "./markdown-texts.ts"

const code = readFileSync(createRequire(import.meta.url).resolve("marked").replace(/[^/\\]*$/, "marked.esm.js"), "utf8")

let mocked = 0

/** Our lexer over the smaller marked. */
const load = async (): Promise<typeof installed> => {
  const address = `data:text/javascript;base64,${Buffer.from(lexerOfMarked(code)).toString("base64")}`
  vi.resetModules()
  vi.doMock("marked", () => {
    mocked++
    return import(address)
  })
  const { lex } = await import("../../src/workbench/turn/BoundedLexer.ts")
  vi.doUnmock("marked")
  return lex
}

/** The tokens and the links, or that it took too long. */
const read = (lex: typeof installed, text: string): unknown => {
  const links = {}
  try {
    return { tokens: lex(text, links), links }
  } catch (error) {
    return error instanceof RangeError ? error.message : assert.fail(String(error))
  }
}

const smaller = await load()

const agree = (text: string): void => assert.deepStrictEqual(read(smaller, text), read(installed, text))

describe("the lexer of the bundle", () => {
  it("is another one than that of these tests", () => {
    assert.notStrictEqual(smaller, installed)
    assert.strictEqual(mocked, 1)
    assert.include(code, "this.options.pedantic")
    assert.notInclude(lexerOfMarked(code), "this.options.pedantic")
  })

  it("reads what models write, and what is hostile, like marked's own", () => {
    const texts = [MarkdownTexts.common, Texts.answer, Texts.wide, Texts.longWord.answer]
    for (const text of [...texts, ...MarkdownTexts.hostile.map(([, text]) => text.slice(0, 4_000))]) agree(text)
  })

  it("reads any text like marked's own", () => {
    FastCheck.assert(FastCheck.property(MarkdownTexts.markdown, agree), { numRuns: 3_000 })
  })

  it("is not made of a marked that is written in another way", () => {
    const changes = ["this.options.pedantic", "static get rules", "escapeTest:"]
    for (const part of changes) {
      assert.include(code, part)
      assert.throws(
        () => lexerOfMarked(code.replace(part, part.replace(/\w+(?=\W*$)/, "other"))),
        /written in another way/
      )
    }
  })
})
