/**
 * Bundles the page into `dist/workbench`: one script, one style sheet, nothing inline. It has a size to keep
 * (test/browser/bundle.test.ts), for which two things are done beyond what vite does by itself: terser minifies (3 %
 * smaller than esbuild), and of marked only the lexer is left.
 */
import { build } from "vite"
import { root } from "./fingerprint.mjs"

/**
 * marked hangs everything that it has on one function (`marked.parse = ...`), which keeps all of it in any bundle.
 * Without these statements, and with its constructions marked as free of effects, what nobody imports is left out.
 */
const lexerOfMarked = {
  name: "lexer-of-marked",
  enforce: "pre",
  transform(code, id) {
    if (!id.includes("/marked/lib/")) return null
    const { body } = this.parse(code)
    const exported = body.flatMap((node) => node.type === "ExportNamedDeclaration" ? node.specifiers : [])
      .find((specifier) => specifier.exported.name === "marked")?.local.name
    const hangsOn = ({ expression, type }) =>
      type === "ExpressionStatement" && expression.type === "AssignmentExpression" &&
      expression.left.type === "MemberExpression" && expression.left.object.name === exported
    const hung = body.filter(hangsOn)
    if (hung.length === 0) throw new Error("marked is made in another way now: see .ci/build-page.mjs")
    const alone = hung.reduceRight((text, { end, start }) => `${text.slice(0, start)};${text.slice(end)}`, code)
    const settled = alone
      .replace(/\bthis\.options\.(pedantic|breaks)\b/g, "false")
      .replace(/\bthis\.options\.gfm\b/g, "true")
      .replace(/\bthis\.options\.extensions\b/g, "(void 0)")
      .replace(/static get rules\(\)\{.*?\}\}/, "")
    return { code: settled.replaceAll("=new ", "=/*@__PURE__*/new "), map: null }
  }
}

export const buildPage = () =>
  build({
    root: `${root}src/workbench`,
    configFile: false,
    logLevel: "warn",
    plugins: [lexerOfMarked],
    esbuild: {
      jsx: "transform",
      jsxFactory: "h",
      jsxFragment: "Fragment",
      jsxInject: "import { h, Fragment } from 'preact'",
      legalComments: "none"
    },
    build: {
      outDir: `${root}dist/workbench`,
      emptyOutDir: true,
      target: "es2022",
      minify: "terser",
      terserOptions: { module: true, compress: { passes: 3, ecma: 2020, unsafe_arrows: true } },
      modulePreload: { polyfill: false },
      // a file as small as the icon would be put into the page as data:, which its policy refuses
      assetsInlineLimit: 0
    }
  })
