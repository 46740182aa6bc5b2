/**
 * Runs a TypeScript program of this project that is neither built nor shipped (`test/`, `bench/`): bundles it beside the
 * packages that it imports, runs it in this process, removes the bundle. `node .ci/run-ts.mjs <file.ts> [arguments]`.
 */
import { build } from "esbuild"
import { mkdtempSync, rmSync } from "node:fs"
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { root } from "./fingerprint.mjs"

const [entry, ...rest] = process.argv.slice(2)
if (entry === undefined) {
  console.error("Usage: node .ci/run-ts.mjs <file.ts> [arguments]")
  process.exit(2)
}

// Below node_modules, so that the bundle finds the packages, which stay outside it.
const folder = mkdtempSync(join(root, "node_modules", ".run-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]]) process.once(signal, () => process.exit(code))

const outfile = join(folder, "program.mjs")
await build({
  entryPoints: [resolve(entry)],
  outfile,
  bundle: true,
  packages: "external",
  format: "esm",
  platform: "node",
  target: "node20",
  sourcemap: "inline",
  sourcesContent: false,
  logLevel: "warning"
})

process.argv = [process.argv[0], resolve(entry), ...rest]
await import(pathToFileURL(outfile).href)
