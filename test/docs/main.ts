/** Writes the generated parts of docs/protocol.md: `npm run docs`. */
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { filled } from "./protocol-tables.ts"

const path = "docs/protocol.md"
writeFileSync(path, filled(readFileSync(path, "utf8")))
process.exitCode = spawnSync("npx", ["dprint", "fmt", path], { stdio: "inherit" }).status ?? 1
