/** The scan as a command: a line for each finding, then the counts. */
import { json, leave } from "../trace/artifact.ts"
import { scanCore, scanSource } from "./scan.ts"

/** Answers with the exit code. */
export const scan = (root: string, options: { readonly core: boolean }): number => {
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
  leave("scan.json", json({ source, core }))
  return found === 0 ? 0 : 1
}
