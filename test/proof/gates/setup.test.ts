import { assert, describe, it } from "@effect/vitest"
import { of, onDisk } from "../ledger/Tree.ts"
import { root } from "../root.ts"
import { setupFaults } from "./setup.ts"

describe("what stands before code", () => {
  it("is there, with what each must hold", () => {
    assert.deepStrictEqual(setupFaults(onDisk(root)), [])
  })

  it("a document or a heading that is not there is told", () => {
    const faults = setupFaults(of({ "AGENTS.md": "# Working\n## Glossary\n## Map\n## Commands\n" }))
    assert.include(faults, 'AGENTS.md lacks "Safety rules"')
    assert.include(faults, ".buildprint/setup/architecture.md is missing")
  })
})
