/** A vitest reporter that leaves each test by file and title, with its state, in the file that TURNSTREAM_PROOF_TESTS names. */
import { writeFileSync } from "node:fs"
import { relative } from "node:path"
import { root } from "../../../.ci/fingerprint.mjs"

export default class ProofReporter {
  onTestRunEnd(modules, errors) {
    const tests = []
    const broken = errors.map(({ message }) => message)
    for (const module of modules) {
      const file = relative(root, module.moduleId)
      broken.push(...module.errors().map(({ message }) => `${file}: ${message}`))
      for (const test of module.children.allTests()) {
        const { errors: faults = [], note, state } = test.result()
        tests.push({
          file,
          title: test.fullName,
          state,
          ...(note === undefined ? {} : { note }),
          ...(faults.length === 0 ? {} : { fault: faults[0].message }),
          ...test.meta()
        })
      }
    }
    writeFileSync(process.env.TURNSTREAM_PROOF_TESTS, JSON.stringify({ tests, broken }))
  }
}
