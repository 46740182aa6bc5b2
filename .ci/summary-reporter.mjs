/** A vitest reporter that leaves the counts, and each skipped test with its reason, in the file that it is given. */
import { writeFileSync } from "node:fs"

export default class SummaryReporter {
  onTestRunEnd(modules, errors) {
    const summary = { passed: 0, failed: errors.length, skipped: [] }
    for (const module of modules) {
      // A file that could not be loaded has no tests to count.
      summary.failed += module.errors().length
      for (const test of module.children.allTests()) {
        const { note, state } = test.result()
        if (state === "passed") summary.passed++
        else if (state === "skipped") summary.skipped.push({ name: test.fullName, reason: note })
        else summary.failed++
      }
    }
    writeFileSync(process.env.TURNSTREAM_TEST_SUMMARY, JSON.stringify(summary))
  }
}
