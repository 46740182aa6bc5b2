/** One digest of everything that a gate's run depends on: what is run, what runs it, and the packages beneath. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { sha256 } from "../ledger/Record.ts"

const folders = ["src", "test", ".ci", "examples"]
const files = ["package-lock.json", "tsconfig.json", "vitest.config.ts"]

const below = (root: string, folder: string): ReadonlyArray<string> =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    return entry.isDirectory() ? below(root, path) : [path]
  })

export const digestOfSources = (root: string): string =>
  sha256(
    [...folders.flatMap((folder) => below(root, folder)), ...files].sort()
      .map((path) => `${sha256(readFileSync(join(root, path)))} ${path}\n`).join("")
  )
