/**
 * Bundles the page into `dist/workbench`: one script, one style sheet, nothing inline. It has a size to keep
 * (test/browser/bundle.test.ts), for which two things are done beyond what vite does by itself: terser minifies (3 %
 * smaller than esbuild), and of marked only the lexer is left (lexer-of-marked.mjs).
 */
import { build } from "vite"
import { root } from "./fingerprint.mjs"
import { lexerOfMarked } from "./lexer-of-marked.mjs"

const marked = {
  name: "lexer-of-marked",
  enforce: "pre",
  transform: (code, id) => id.includes("/marked/lib/") ? { code: lexerOfMarked(code), map: null } : null
}

export const buildPage = () =>
  build({
    root: `${root}src/workbench`,
    configFile: false,
    logLevel: "warn",
    plugins: [marked],
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
      terserOptions: {
        module: true,
        compress: { passes: 5, ecma: 2020, unsafe_arrows: true, inline: 1, sequences: false, keep_fargs: false }
      },
      modulePreload: { polyfill: false },
      // a file as small as the icon would be put into the page as data:, which its policy refuses
      assetsInlineLimit: 0
    }
  })
