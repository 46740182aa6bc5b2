/** The scan for fakes: every check, with what each kind means and how much there was to look at. */
import { type CoreRun, judge, suites } from "../core/claims.ts"
import { runTests } from "../run/Tests.ts"
import { assertions, countTests } from "./assertions.ts"
import { controls, countControls } from "./controls.ts"
import { ignored, programOf } from "./ignored.ts"
import { placeholders } from "./placeholders.ts"
import { results } from "./results.ts"
import { skipped } from "./skipped.ts"
import { type Finding, ofProject } from "./Source.ts"
import { stubs } from "./stubs.ts"

export interface Scan {
  readonly looked: { readonly files: number; readonly tests: number; readonly controls: number }
  readonly findings: ReadonlyArray<Finding>
  /** What a check knows of and who wrote it gave the reason for. */
  readonly excused: ReadonlyArray<Finding>
}

export const scanSource = (root: string): Scan => {
  const sources = ofProject(root)
  const unread = ignored(programOf(root), root)
  const looked = { files: sources.length, tests: countTests(sources), controls: countControls(sources) }
  const blind = Object.entries(looked).filter(([, count]) => count === 0).map(([what]): Finding => ({
    kind: "blind-scan",
    path: "test/proof/scan",
    line: 1,
    what: `it found no ${what} to look at`
  }))
  const checks = [placeholders, stubs, skipped, assertions, results, controls]
  return {
    looked,
    findings: [...blind, ...checks.flatMap((check) => check(sources)), ...unread.findings],
    excused: unread.excused
  }
}

/** Fewer would mean that the core is not where the suites begin turns any more. */
const reachedMin = 100

export interface CoreScan extends CoreRun {
  readonly findings: ReadonlyArray<string>
}

/** The suites on the engine with its core replaced. */
export const scanCore = (root: string): CoreScan => {
  const { broken, tests } = runTests({ root, paths: suites, config: "test/proof/core/vitest.config.ts" })
  const run = judge(tests)
  return {
    ...run,
    findings: [
      ...run.hollow.map((name) => `passes without the core that it claims: ${name}`),
      ...run.reached < reachedMin ? [`only ${run.reached} tests reached the core: ${broken[0] ?? "it moved"}`] : []
    ]
  }
}
