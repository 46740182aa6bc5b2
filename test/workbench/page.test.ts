import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"

const folder = new URL("../../src/workbench/", import.meta.url)
const read = (name: string): string => readFileSync(new URL(name, folder), "utf8")
const scripts = readdirSync(folder).filter((name) => name.endsWith(".ts"))
const html = read("index.html")

const all = (text: string, pattern: RegExp): ReadonlyArray<string> =>
  Array.from(text.matchAll(pattern), (match) => match[1] ?? "")

describe("page", () => {
  it("holds nothing that the content security policy refuses: no inline script, style or handler, no foreign address", () => {
    assert.notMatch(html, /<style|\sstyle=|\son[a-z]+=|javascript:|data:|https?:/)
    assert.deepStrictEqual(html.match(/<script[^>]*>[^<]*/g), [`<script type="module" src="/Main.js">`])
    assert.notMatch(read("app.css"), /@import|url\(|https?:/)
    for (const name of scripts) {
      assert.notMatch(read(name), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, name)
    }
  })

  it("loads its own modules and the fold, nothing else", () => {
    for (const name of scripts) {
      const loaded = all(read(name), /^import (?!type )[^;]*? from "([^"]+)"/gm)
      const own = scripts.map((script) => `./${script}`)
      for (const path of loaded) assert.include(["../domain/TurnState.ts", ...own], path, name)
    }
    assert.deepStrictEqual(
      all(readFileSync(new URL("../domain/TurnState.ts", folder), "utf8"), /^import (?!type )(.*)/gm),
      []
    )
  })

  it("every element that a script asks for is in the page, once", () => {
    const ids = all(html, /\bid="([^"]+)"/g)
    assert.strictEqual(new Set(ids).size, ids.length)
    const parts = new Set(all(html, /data-part="([^"]+)"/g))
    for (const name of scripts) {
      for (const id of all(read(name), /(?:byId|fromTemplate)\("([^"]+)"/g)) assert.include(ids, id, name)
      for (const part of all(read(name), /\bpart\((?:[a-z]+, )?"([^"]+)"/g)) assert.include([...parts], part, name)
    }
  })

  it("every field has a label", () => {
    const labelled = all(html, /<label[^>]* for="([^"]+)"/g)
    for (const field of html.match(/<(?:select|textarea|input)[^>]*>/g) ?? []) {
      const id = /\bid="([^"]+)"/.exec(field)?.[1] ?? ""
      assert.isTrue(labelled.includes(id) || field.includes("aria-label="), field)
    }
  })
})
