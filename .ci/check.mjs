/**
 * Every check that needs no test run, two at a time: one result line each, the output of those that fail, and a non-zero
 * exit if any did. `node .ci/check.mjs lint types` runs only those named.
 */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { root } from "./fingerprint.mjs"

const bin = (name, ...args) => [`${root}node_modules/.bin/${name}`, args]
const folders = ["src", "test", "bench", "examples"].filter((name) => existsSync(root + name))

/** Beyond the diagnostics that are on by default: `new Date()` and chance. Lint cannot tell the first from `Date.parse`. */
const effectRules = JSON.stringify({
  diagnosticSeverity: {
    globalDate: "error",
    globalDateInEffect: "error",
    globalRandom: "error",
    globalRandomInEffect: "error",
    cryptoRandomUUIDInEffect: "error"
  }
})

/** Longest first. `wrong` finds a fault in output whose exit code says that all is well. */
const checks = [
  { name: "types", command: bin("tsc", "-p", "tsconfig.json", "--pretty", "false") },
  {
    name: "effect",
    command: bin(
      "effect-language-service",
      ...["diagnostics", "--project", "tsconfig.json", "--format", "text", "--strict", "--lspconfig", effectRules]
    ),
    // It also exits 0 where a fault in tsconfig.json kept it from reading anything.
    wrong: (output) => !/Checked [1-9]\d* files?/.test(output)
  },
  { name: "fakes", command: [process.execPath, [`${root}.ci/run-ts.mjs`, `${root}test/proof/scan.ts`]] },
  { name: "unused", command: bin("knip", "--no-progress") },
  { name: "imports", command: bin("depcruise", "--config", ".dependency-cruiser.cjs", ...folders) },
  { name: "lint", command: bin("oxlint", "--deny-warnings", ".") },
  { name: "format", command: bin("dprint", "check") }
]

const run = ({ command: [file, args], name, wrong }) =>
  new Promise((resolve) => {
    const started = performance.now()
    const child = spawn(file, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    child.stdout.on("data", (data) => output += data)
    child.stderr.on("data", (data) => output += data)
    child.on("error", (error) => output += error.message)
    child.on("close", (code) => {
      const ok = code === 0 && wrong?.(output) !== true
      console.log(`${ok ? "ok    " : "FAILED"} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
      if (!ok) console.log(output.trimEnd())
      resolve(ok)
    })
  })

const named = process.argv.slice(2)
const unknown = named.filter((name) => !checks.some((check) => check.name === name))
if (unknown.length > 0) {
  console.error(`No check "${unknown.join(", ")}". Known: ${checks.map((check) => check.name).join(", ")}.`)
  process.exit(1)
}

const queue = checks.filter((check) => named.length === 0 || named.includes(check.name))
let failed = 0
const lane = async () => {
  for (let check = queue.shift(); check !== undefined; check = queue.shift()) {
    if (!await run(check)) failed++
  }
}
await Promise.all([lane(), lane()])
console.log(failed === 0 ? "all checks passed" : `${failed} checks failed`)
process.exitCode = failed === 0 ? 0 : 1
