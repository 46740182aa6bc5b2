/**
 * Writes `dist/`: compiled sources with declarations, the program bundled over its own `main.js` (its dependencies in
 * `chunks/`, a third of the start-up time and two thirds of the memory of loading them file by file), the client as one
 * file, and the page.
 */
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, readdirSync, rmSync } from "node:fs"
import { buildPage } from "./build-page.mjs"
import { buildFingerprint, buildStamp, root, stamp } from "./fingerprint.mjs"

const dist = `${root}dist`
const compiled = /\.(d\.ts|js|js\.map)$/

const filesOf = (folder, below = "") =>
  existsSync(folder + below)
    ? readdirSync(folder + below, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? filesOf(folder, `${below}/${entry.name}`) : [`${below}/${entry.name}`]
    )
    : []

const fingerprint = buildFingerprint()
rmSync(buildStamp, { force: true })

// The compiler's memory of the last build is worth nothing where its output is gone.
if (!existsSync(`${dist}/main.js`)) rmSync(`${root}node_modules/.cache/tsconfig.build.tsbuildinfo`, { force: true })
for (const file of filesOf(dist)) {
  const source = `${root}src${file.replace(compiled, ".ts")}`
  if (file.startsWith("/chunks/")) continue
  if (compiled.test(file) && !existsSync(source)) rmSync(dist + file)
}

const tsc = spawnSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: ["ignore", "inherit", "inherit"]
})
if (tsc.status !== 0) process.exit(1)

// The native module stays outside; what CommonJS dependencies require of Node needs a `require`.
rmSync(`${dist}/chunks`, { recursive: true, force: true })
await build({
  entryPoints: [`${root}src/main.ts`],
  outdir: dist,
  chunkNames: "chunks/[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  external: ["better-sqlite3"],
  sourcemap: "linked",
  sourcesContent: false,
  legalComments: "none",
  logLevel: "warning",
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" }
})

// One file, so that a page without a bundler loads it as it is.
await build({
  entryPoints: [`${root}src/client/Client.ts`],
  outfile: `${dist}/client/Client.js`,
  bundle: true,
  format: "esm",
  target: "es2022",
  sourcemap: "linked",
  sourcesContent: false,
  logLevel: "warning"
})

await buildPage()

if (existsSync(`${dist}/main.js`)) chmodSync(`${dist}/main.js`, 0o755)
stamp(buildStamp, fingerprint)
