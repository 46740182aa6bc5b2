import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { extname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import ts from "typescript"

const root = fileURLToPath(new URL("../..", import.meta.url))
const source = join(root, "src/workbench")
const built = join(root, "dist/workbench")

/** Bytes after gzip, all files of a kind together. */
const gzipMax = { ".js": 45_000, ".css": 6_000 }

/** Ways to make a program or a document out of text. */
const makers = new Set([
  "innerHTML",
  "outerHTML",
  "insertAdjacentHTML",
  "setHTMLUnsafe",
  "parseHTMLUnsafe",
  "createContextualFragment",
  "dangerouslySetInnerHTML",
  "DOMParser",
  "srcdoc",
  "eval",
  "Function"
])

const filesIn = (folder: string, extensions: ReadonlyArray<string>): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => extensions.includes(extname(path)))

const textOf = (path: string) => readFileSync(path, "utf8")
const nameOf = (path: string) => relative(root, path)

const parse = (path: string) => ts.createSourceFile(path, textOf(path), ts.ScriptTarget.Latest, true)

const visit = (node: ts.Node, look: (node: ts.Node) => void): void => {
  look(node)
  node.forEachChild((child) => visit(child, look))
}

const makersIn = (path: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  visit(parse(path), (node) => {
    const isWrite = ts.isPropertyAccessExpression(node) && /^write(ln)?$/.test(node.name.text) &&
      node.expression.getText() === "document"
    if (isWrite) found.push(`${nameOf(path)}: document.${node.name.text}`)
    if ((ts.isIdentifier(node) || ts.isStringLiteralLike(node)) && makers.has(node.text)) {
      found.push(`${nameOf(path)}: ${node.text}`)
    }
  })
  return found
}

describe("the page's bundle", () => {
  const scripts = filesIn(built, [".js"])

  for (const [extension, max] of Object.entries(gzipMax)) {
    it(`its ${extension} files are at most ${max / 1000} kB after gzip`, () => {
      const sizes = filesIn(built, [extension]).map((path) => gzipSync(readFileSync(path), { level: 9 }).length)
      assert.isNotEmpty(sizes, "nothing was built: run npm run build")
      const sum = sizes.reduce((all, size) => all + size, 0)
      console.log(`page, ${extension}: ${sum} bytes after gzip of ${max}`)
      assert.isAtMost(sum, max)
    })
  }

  it("its document holds no script, no style and no handler, and names no other origin", () => {
    const html = textOf(join(built, "index.html"))
    for (const [, attributes = "", content = ""] of html.matchAll(/<script\b([^>]*)>([^]*?)<\/script>/g)) {
      assert.match(attributes, /\bsrc="/)
      assert.strictEqual(content.trim(), "")
    }
    assert.notMatch(html, /<style\b|\sstyle=|\son\w+=|javascript:/i)
    for (const [, address = ""] of html.matchAll(/\b(?:src|href)="([^"]*)"/g)) {
      assert.match(address, /^(\.?\/(?!\/)|#)/, "an address of another origin")
    }
  })

  it("its style sheets load nothing from elsewhere", () => {
    for (const path of filesIn(built, [".css"])) assert.notMatch(textOf(path), /@import|url\(\s*["']?(\w+:|\/\/)/i)
  })

  it("its scripts make no program and no document out of text", () => {
    // Preact names innerHTML for a property that our sources must not use
    const ofPreact = (textOf(join(root, "node_modules/preact/dist/preact.mjs")).match(/innerHTML/gi) ?? []).length
    let named = 0
    for (const path of scripts) {
      const text = textOf(path)
      assert.notMatch(
        text,
        /\beval\(|new Function\b|\bFunction\(["'`]|\.outerHTML\s*=|insertAdjacentHTML|document\.write/
      )
      named += (text.match(/innerHTML/gi) ?? []).length
    }
    assert.isAtMost(named, ofPreact, "something but Preact names innerHTML")
  })

  it("nothing of the Effect runtime is in its scripts", () => {
    for (const path of scripts) {
      assert.notMatch(textOf(path), /effect\/|@effect|FiberId|EffectPrototype|Symbol\.for\("effect/)
    }
  })
})

describe("the page's sources", () => {
  const sources = filesIn(source, [".ts", ".tsx"])

  it("make no program and no document out of text", () => {
    assert.deepStrictEqual(sources.flatMap(makersIn), [])
  })
})
