import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { readFileSync } from "node:fs"
import * as Catalogue from "../../src/config/Catalogue.ts"
import { ConfigFile } from "../../src/config/Settings.ts"
import { environmentVariables, parse } from "../../src/config/SettingsLoader.ts"

const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8")

/** Name (without its quotes), meaning, default. */
const rows = page.split("\n")
  .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()))
  .filter(([name]) => name?.startsWith("`") === true)
  .map(([name = "", meaning = "", fallback = ""]) => ({ name: name.replaceAll("`", ""), meaning, fallback }))

/** Every key path that an encoded value may have: `a.b`, `list[].c`. Objects that only hold others are not settings. */
const pathsOf = (ast: AST.AST, path = ""): ReadonlyArray<string> => {
  switch (ast._tag) {
    case "TypeLiteral":
      return ast.propertySignatures.flatMap(({ name, type }) =>
        pathsOf(type, path === "" ? String(name) : `${path}.${String(name)}`)
      )
    case "TupleType": {
      const inner = ast.rest.flatMap(({ type }) => pathsOf(type, `${path}[]`))
      return inner.every((below) => below === `${path}[]`) ? [path] : inner
    }
    case "Union":
      return [
        ...new Set(ast.types.filter((type) => !AST.isUndefinedKeyword(type)).flatMap((type) => pathsOf(type, path)))
      ]
    case "Refinement":
      return pathsOf(ast.from, path)
    case "Transformation":
      return pathsOf(ast.from, path)
    default:
      return [path]
  }
}

const settingsOf = (schema: Schema.Schema.All) => pathsOf(AST.encodedAST(schema.ast))

describe("docs/configuration.md", () => {
  it("lists every setting of the file and every variable once, and nothing else", () => {
    const known = [...environmentVariables, ...settingsOf(ConfigFile)]
    assert.isAbove(known.length, 40)
    assert.deepStrictEqual(rows.map(({ name }) => name).sort(), known.sort())
  })

  it("says what each setting means and its default", () => {
    for (const { fallback, meaning, name } of rows) {
      assert.isAbove(meaning.length, 5, name)
      assert.isAbove(fallback.length, 1, name)
    }
  })

  it.effect("gives the defaults that an empty file decodes to", () =>
    Effect.gen(function*() {
      const { defaults, drainMs, limits, network, recovery, telemetry } = yield* parse("empty", "{}")
      const sections: Readonly<Record<string, object>> = {
        defaults,
        limits,
        network,
        recovery,
        telemetry,
        "": { drainMs }
      }
      for (const [section, values] of Object.entries(sections)) {
        for (const [key, value] of Object.entries(values)) {
          const name = section === "" ? key : `${section}.${key}`
          assert.strictEqual(rows.find((row) => row.name === name)?.fallback, `\`${value}\``, name)
        }
      }
    }))

  it.effect("shows an example that is accepted", () =>
    Effect.gen(function*() {
      const example = /```json\n([^`]*)```/.exec(page)?.[1] ?? ""
      const file = yield* parse("docs/configuration.md", example)
      assert.strictEqual(file.drainMs, 5000)
    }))
})

describe("docs/providers.md", () => {
  it("names every provider of the catalogue", () => {
    const text = readFileSync(new URL("../../docs/providers.md", import.meta.url), "utf8")
    for (const { id } of Catalogue.entries) assert.include(text, `\`${id}\``)
  })

  it.effect("shows entries that are accepted", () =>
    Effect.gen(function*() {
      const text = readFileSync(new URL("../../docs/providers.md", import.meta.url), "utf8")
      const examples = [...text.matchAll(/```json\n([^`]*)```/g)]
      assert.isAtLeast(examples.length, 2)
      for (const [, example = ""] of examples) yield* parse("docs/providers.md", example)
    }))
})
