/** The scan as a command: a line for each finding, then the counts. */
import { writeFileSync } from "node:fs"
import { type CoreScan, type Scan, scanCore, scanSource } from "./scan.ts"

/** As it is kept: without what differs from run to run. */
export interface KeptScan {
  readonly source: Scan
  readonly core: CoreScan | undefined
}

/** Answers with the exit code. */
export const scan = (root: string, options: { readonly core: boolean; readonly out: string | undefined }): number => {
  const source = scanSource(root)
  const core = options.core ? scanCore(root) : undefined
  for (const { kind, line, path, what } of source.findings) console.error(`${path}:${line}: ${kind}: ${what}`)
  for (const line of core?.findings ?? []) console.error(line)
  const { controls, files, tests } = source.looked
  const found = source.findings.length + (core?.findings.length ?? 0)
  console.log(
    `${found} findings in ${files} files, ${tests} tests, ${controls} controls` +
      (core === undefined ? "" : `; without the core ${core.failed} of ${core.reached} tests that reach it fail`)
  )
  const kept: KeptScan = { source, core }
  if (options.out !== undefined) writeFileSync(options.out, `${JSON.stringify(kept, null, 2)}\n`)
  return found === 0 ? 0 : 1
}
