/**
 * Which tests must fail on an engine whose turns call nobody. The rule, which no list of names softens: a test that reached
 * the replaced core claims it where its title says something that only a call of a provider can make true (an attempt, a
 * provider or model that is called, a delta, what was said, backoff). A test states its promise in its title, so this
 * reads the promise. Whoever claims the core and still passes has not looked.
 *
 * Limits: a title that promises less than its test tries is not held to more; a test that ran into its time limit counts
 * as failed; tests that start the built program as a process do not come by here.
 */
import type { RanTest } from "../run/Tests.ts"

/** Folders of tests that run the engine in their own process. */
export const suites = ["test/turn", "test/http", "test/library"]

const words =
  /\b(attempts?|deltas?|backoff|streamed|(first|every) (token|byte)|what was said)\b|\b(provider|model)\b.*\b(is|was) (called|asked)\b/i

/** Said of what does not happen to a turn, or of turns that never call anybody. */
const denied = /\b(no|before (a|any)|never) (provider|model|delta|attempt)s?\b/i

export const claimsCore = ({ title }: Pick<RanTest, "title">): boolean => words.test(title) && !denied.test(title)

export interface CoreRun {
  readonly reached: number
  readonly failed: number
  readonly claiming: number
  /** Claim the core, reached it, and passed without it. */
  readonly hollow: ReadonlyArray<string>
  /** Passed without the core, and claim nothing of it. */
  readonly indifferent: ReadonlyArray<string>
}

const nameOf = ({ file, title }: RanTest): string => `${file} > ${title}`

export const judge = (tests: ReadonlyArray<RanTest>): CoreRun => {
  const reached = tests.filter(({ core = 0 }) => core > 0)
  const passed = reached.filter(({ state }) => state === "passed")
  return {
    reached: reached.length,
    failed: reached.length - passed.length,
    claiming: reached.filter(claimsCore).length,
    hollow: passed.filter(claimsCore).map(nameOf).sort(),
    indifferent: passed.filter((test) => !claimsCore(test)).map(nameOf).sort()
  }
}
