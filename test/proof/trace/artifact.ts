/** Where a trace goes: into the folder that the proof command names, and nowhere in a plain test run. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"

export const leave = (name: string, text: string): void => {
  const folder = process.env["TURNSTREAM_PROOF_ARTIFACTS"]
  if (folder === undefined) return
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), text.endsWith("\n") ? text : `${text}\n`)
}

export const json = (value: unknown): string => JSON.stringify(value, null, 2)
