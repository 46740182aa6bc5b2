import { assert, describe, it } from "@effect/vitest"
import type { Gate } from "../ledger/Phase.ts"
import { bodyOf } from "./outcome.ts"
import type { RanTest } from "./Tests.ts"

const cited = { file: "test/a.test.ts", title: "a turn > ends" }

const gate: Gate = {
  id: "09-trace",
  type: "trace",
  claim: "it ends",
  proofType: "runtime_trace",
  providerMode: "deterministic",
  upgrades: true,
  artifacts: ["trace.txt"],
  run: { _tag: "Tests", paths: ["test/a.test.ts"], cited: [cited] }
}

const passed: RanTest = { ...cited, state: "passed" }
const other: RanTest = { file: cited.file, title: "a turn > begins", state: "passed" }
const left = [{ name: "trace.txt", bytes: 1, sha256: "0".repeat(64) }]

const came = (
  tests: ReadonlyArray<RanTest>,
  more: { readonly code?: number; readonly broken?: ReadonlyArray<string> } = {}
) => bodyOf(gate, { ran: { tests, broken: more.broken ?? [] }, code: more.code, artifacts: left })

describe("what a gate's run came to", () => {
  it("is passed where each test passed, those that are cited among them, and everything was left", () => {
    assert.deepInclude(came([passed, other]), {
      outcome: "passed",
      artifacts: left,
      tests: { passed: 2, failed: 0, skipped: 0 }
    })
  })

  it("is failed, leaves nothing, and says why", () => {
    const failures = [
      came([passed, { ...other, state: "failed", fault: "at /tmp/x" }]),
      came([other]),
      came([passed], { code: 1 }),
      came([passed], { broken: ["no test was found in /tmp/x"] }),
      bodyOf(gate, { ran: { tests: [passed], broken: [] }, code: 0, artifacts: [] })
    ]
    const reasons = [
      "failed: test/a.test.ts > a turn > begins",
      "cited and not run: test/a.test.ts > a turn > ends",
      "npx vitest run test/a.test.ts ended with 1",
      "the run broke off (1 errors outside of tests)",
      "not left: trace.txt"
    ]
    assert.deepStrictEqual(failures.map(({ reason }) => reason), reasons)
    for (const failure of failures) assert.deepInclude(failure, { outcome: "failed", artifacts: [] })
  })

  it("is skipped where a test was, with the test's own reason", () => {
    const skipped = came([passed, { ...other, state: "skipped", note: "no disk to fill" }])
    assert.deepInclude(skipped, { outcome: "skipped", artifacts: [] })
    assert.include(skipped.reason, "a turn > begins (no disk to fill)")
  })
})
