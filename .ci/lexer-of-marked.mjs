/**
 * marked without what the page does not need of it: a function from its code to code of which a bundler keeps the lexer
 * alone, for the options that the page has (`gfm`, and no other).
 *
 * It knows how marked is written, so it counts what it replaces, and fails where that is not what it knows. That both
 * lexers read alike is tried by test/workbench/lexer-of-marked.test.ts.
 */
import { parseAst } from "vite"

/** How often marked 17 has each. */
const expected = { hung: 15, statics: 3, expressions: 10, options: 28, defaults: 5, constructions: 4 }

/** What the lexer's class has for others. With them the rules of markdown without `gfm` would stay. */
const statics = ["rules", "lex", "lexInline"]

/** Regular expressions of the shared table that are for rendering and for `pedantic`. */
const expressions = [
  "listReplaceNesting",
  "pedanticHrefTitle",
  "escapeTest",
  "escapeReplace",
  "escapeTestNoEncode",
  "escapeReplaceNoEncode",
  "percentDecode",
  "spaceLine",
  "notSpaceStart",
  "endingNewline"
]

const settled = { gfm: "true", pedantic: "false", breaks: "false", silent: "false" }

/** The spans of a program that go: each as `{ kind, start, end, text }`. */
const spansIn = ({ body }) => {
  const localOf = (name) =>
    body.flatMap((node) => node.type === "ExportNamedDeclaration" ? node.specifiers : [])
      .find(({ exported }) => exported.name === name)?.local.name
  const declared = body.flatMap((node) => node.type === "VariableDeclaration" ? node.declarations : [])

  // marked hangs everything that it has on one function, which keeps all of it in any bundle
  const marked = localOf("marked")
  const hung = body.filter(({ expression, type }) =>
    type === "ExpressionStatement" && expression.type === "AssignmentExpression" &&
    expression.left.type === "MemberExpression" && expression.left.object.name === marked
  ).map(({ end, start }) => ({ kind: "hung", start, end, text: ";" }))

  const lexer = declared.find(({ id }) => id.name === localOf("Lexer"))?.init
  const members = (lexer?.type === "ClassExpression" ? lexer.body.body : [])
    .filter((member) => member.static && statics.includes(member.key.name))
    .map(({ end, start }) => ({ kind: "statics", start, end, text: "" }))

  const properties = declared.flatMap(({ init }) => init?.type === "ObjectExpression" ? [init.properties] : [])
    .flatMap((all) =>
      all.flatMap(({ key, start }, index) =>
        expressions.includes(key?.name) && all[index + 1] !== undefined
          ? [{ kind: "expressions", start, end: all[index + 1].start, text: "" }]
          : []
      )
    )
  return [...hung, ...members, ...properties].sort((a, b) => b.start - a.start)
}

export const lexerOfMarked = (code) => {
  const found = { hung: 0, statics: 0, expressions: 0, options: 0, defaults: 0, constructions: 0 }
  const count = (kind, text) => {
    found[kind]++
    return text
  }
  const lexer = spansIn(parseAst(code))
    .reduce((text, { end, kind, start, text: put }) => text.slice(0, start) + count(kind, put) + text.slice(end), code)
    .replace(
      /\bthis\.options\.(gfm|pedantic|breaks|silent|extensions|hooks)\b/g,
      (_, name) => count("options", settled[name] ?? "(void 0)")
    )
    // the lexer is given its options, and its tokenizer has those of the lexer
    .replace(/\bthis\.options=(\w+)\|\|\w+/g, (_, given) => count("defaults", `this.options=${given}`))
    // what is made when the module is loaded may be left out with who uses it
    .replaceAll("=new ", () => count("constructions", "=/*@__PURE__*/new "))

  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(
      `marked is written in another way now: ${JSON.stringify(found)}, not ${JSON.stringify(expected)}. Compare its ` +
        "code with what .ci/lexer-of-marked.mjs replaces, set the counts there, and run " +
        "npx vitest run test/workbench/lexer-of-marked.test.ts, then test/browser/bundle.test.ts for the size."
    )
  }
  return lexer
}
