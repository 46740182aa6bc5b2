/** The ledger as it is committed keeps its rules; and each rule, broken once in a small tree, is the one that is told. */
import { assert, describe, it } from "@effect/vitest"
import { phases } from "./gates/phases.ts"
import { checkLedger, lineOf, type Problem } from "./ledger/check.ts"
import { type Gate, ledgerPath, type Phase } from "./ledger/Phase.ts"
import { type GateRecord, type RecordBody, type Results, sealed, sha256 } from "./ledger/Record.ts"
import { rowsOf } from "./ledger/rows.ts"
import { standingOf } from "./ledger/state.ts"
import { makeTitles } from "./ledger/titles.ts"
import { of, onDisk } from "./ledger/Tree.ts"
import { type Files, recordFiles } from "./ledger/writing.ts"
import { root } from "./root.ts"

describe("the ledger of this tree", () => {
  it("keeps its rules: every row is a run's, and what it cites is there", () => {
    assert.deepStrictEqual(checkLedger(onDisk(root), phases).map(lineOf), [])
  })

  it("every test that a gate cites is in its file", () => {
    const isThere = makeTitles(onDisk(root))
    const cited = phases.flatMap(({ gates }) => gates.flatMap(({ run }) => run._tag === "Blocked" ? [] : run.cited))
    assert.isAbove(cited.length, 30)
    assert.deepStrictEqual(cited.filter((one) => !isThere(one)), [])
  })

  it("every gate has a place in the proof, and every proof name its gates", () => {
    for (const { gates, id, names } of phases) {
      const asked = new Set(names.flatMap((name) => name.gates))
      // what runs against servers of ours upgrades nothing and is asked for by no name
      const extra = gates.filter((gate) => !asked.has(gate.id) && gate.upgrades)
      assert.deepStrictEqual(extra.map((gate) => gate.id), [], id)
      const known = new Set(gates.map((gate) => gate.id))
      assert.deepStrictEqual([...asked].filter((gate) => !known.has(gate)), [], id)
    }
    assert.deepStrictEqual(phases[1]?.names.map(({ name }) => name).sort(), [
      "evidence_ledger_entry",
      "live_provider_proof_blocker_only",
      "no_fake_scan_pass",
      "persistence_roundtrip_or_blocker",
      "provider_adapter_config_test_required",
      "repeatable_browser_e2e",
      "runtime_or_browser_trace_or_blocker",
      "security_boundary_review_or_blocker",
      "unit_or_integration_test",
      "visual_quality_gate",
      "worker_retry_cancel_recovery"
    ])
  })
})

// a small phase

const test = { file: "test/a.test.ts", title: "a turn > ends once" }

const gate = (id: string, more: Partial<Gate> = {}): Gate => ({
  id,
  type: "test_run",
  claim: `claim of ${id}`,
  proofType: "unit_or_integration_test",
  providerMode: "deterministic",
  upgrades: true,
  artifacts: [],
  run: { _tag: "Tests", paths: [test.file], cited: [test] },
  ...more
})

const small: Phase = {
  id: "09-small",
  proofId: "proof-09-small",
  audit: "reviews/qa.md",
  documents: [
    { path: "plan.md", headings: ["Objective"], hasVerdict: false },
    { path: "reviews/qa.md", headings: ["Verdict"], hasVerdict: true }
  ],
  gates: [
    gate("09-tests"),
    gate("09-trace", { type: "trace", proofType: "runtime_trace", artifacts: ["trace.txt"] }),
    gate("09-live", {
      type: "blocker",
      proofType: "blocker",
      providerMode: "blocked",
      upgrades: false,
      run: { _tag: "Blocked", why: "set SOME_KEY" }
    })
  ],
  names: [
    { name: "unit_or_integration_test", weight: "core", gates: ["09-tests"] },
    { name: "runtime_or_browser_trace_or_blocker", weight: "production", gates: ["09-trace"] },
    { name: "live_provider_proof_blocker_only", weight: "blocker", gates: ["09-live"] },
    { name: "evidence_ledger_entry", weight: "ledger", gates: [] }
  ],
  limits: ["It is small."]
}

const folder = ".buildprint/phase-runs/09-small"
const trace = "turn.started\nturn.completed\n"

const body = (id: string, more: Partial<RecordBody> = {}): RecordBody => ({
  id,
  command: `npx vitest run ${test.file}`,
  outcome: "passed",
  tests: { passed: 1, failed: 0, skipped: 0 },
  cited: [{ ...test, state: "passed" }],
  artifacts: [],
  ...more
})

const records: ReadonlyArray<GateRecord> = [
  sealed(body("09-tests")),
  sealed(body("09-trace", { artifacts: [{ name: "trace.txt", bytes: trace.length, sha256: sha256(trace) }] })),
  sealed(body("09-live", {
    command: "npm run proof",
    outcome: "blocked",
    tests: { passed: 0, failed: 0, skipped: 0 },
    cited: [],
    reason: "set SOME_KEY"
  }))
]

const documents = {
  [test.file]: 'describe("a turn", () => it(`ends ${how}`, () => assert.isTrue(ended())))',
  [`${folder}/plan.md`]: "# Plan\n\n## Objective\n\nOne turn.\n",
  [`${folder}/reviews/qa.md`]: "# QA\n\n## Verdict\n\n`pass`: 09-tests and 09-trace are what their runs were.\n",
  [`${folder}/artifacts/trace.txt`]: trace
}

const results: Results = { phase: small.id, sources: sha256("sources"), records }

const defined = (files: Files): Record<string, string> =>
  Object.fromEntries(Object.entries(files).flatMap(([path, text]) => text === undefined ? [] : [[path, text]]))

const recorded = (before: Readonly<Record<string, string>>, made: Results = results): Record<string, string> => ({
  ...before,
  ...defined(recordFiles(of(before), [small], [made]))
})

const whole = recorded(documents)

const rulesBroken = (files: Readonly<Record<string, string>>): ReadonlyArray<Problem["rule"]> => [
  ...new Set(checkLedger(of(files), [small]).map(({ rule }) => rule))
]

const standing = (files: Readonly<Record<string, string>>, made = records) =>
  standingOf(of(files), small, rowsOf(small, made))

const ledgerOf = (files: Readonly<Record<string, string>>) => files[ledgerPath] ?? ""

/** The tree with one word of one file changed. */
const edited = (path: string, from: string, to: string, files = whole): Record<string, string> => {
  const text = files[path] ?? ""
  assert.include(text, from, path)
  return { ...files, [path]: text.replace(from, to) }
}

const without = (path: string, files = whole): Record<string, string> => {
  const { [path]: gone, ...rest } = files
  assert.isDefined(gone, path)
  return rest
}

const rowLine = (index: number) => ledgerOf(whole).split("\n")[index] ?? ""

describe("a small ledger", () => {
  it("that a run made keeps every rule, and claims what it shows", () => {
    assert.deepStrictEqual(checkLedger(of(whole), [small]).map(lineOf), [])
    assert.deepStrictEqual(
      ledgerOf(whole).trim().split("\n").map((line) => JSON.parse(line)).map((row) => [
        row.artifact_id,
        row.status,
        row.proof_type,
        row.provider_mode,
        row.upgrades_claim
      ]),
      [
        ["09-tests", "passed", "unit_or_integration_test", "deterministic", true],
        ["09-trace", "proven", "runtime_trace", "deterministic", true],
        ["09-live", "blocked", "blocker", "blocked", false]
      ]
    )
    assert.strictEqual(standing(whole).state, "claim_qualified")
  })

  it("is the same when it is written twice, and a changed claim is a changed row, not another one", () => {
    assert.deepStrictEqual(recorded(whole), whole)
    const failed = records.map((record) =>
      record.id === "09-tests" ? sealed(body("09-tests", { outcome: "failed", reason: "failed: it" })) : record
    )
    const later = recorded(whole, { ...results, records: failed })
    assert.deepStrictEqual(rulesBroken(later), [])
    const [first = "", ...others] = ledgerOf(later).trim().split("\n")
    assert.deepInclude(JSON.parse(first), { artifact_id: "09-tests", status: "failed", upgrades_claim: false })
    assert.deepStrictEqual(others, ledgerOf(whole).trim().split("\n").slice(1))
  })

  it("keeps no artifact that no run left", () => {
    const stray = `${folder}/artifacts/more.txt`
    const made = recordFiles(of({ ...documents, [stray]: "more" }), [small], [results])
    assert.isTrue(stray in made)
    assert.isUndefined(made[stray])
  })

  it("has no row before its documents, says which are missing, and claims nothing", () => {
    const early = recorded(without(`${folder}/reviews/qa.md`, documents))
    assert.isUndefined(early[ledgerPath])
    assert.isUndefined(early[".buildprint/state.json"])
    assert.include(early[`${folder}/proof.md`], "reviews/qa.md is missing")
    assert.deepStrictEqual(rulesBroken(early), [])
  })

  it("claims no more than its evidence: a row that is skipped, a verdict, an audit that passes over a row", () => {
    const came = (id: string, outcome: "failed" | "skipped" | "blocked") =>
      records.map((record) => record.id === id ? sealed(body(id, { outcome, reason: outcome })) : record)
    assert.strictEqual(standing(whole, came("09-tests", "failed")).state, "checkpoint_recorded")
    assert.strictEqual(standing(whole, came("09-tests", "skipped")).state, "checkpoint_recorded")
    assert.strictEqual(standing(whole, came("09-trace", "blocked")).state, "phase_core_passed")
    const qa = `${folder}/reviews/qa.md`
    assert.strictEqual(standing(edited(qa, "`pass`", "`blocker`")).state, "checkpoint_recorded")
    assert.strictEqual(standing(edited(qa, " and 09-trace", "")).state, "phase_core_passed")
    assert.strictEqual(standing(edited(qa, "`pass`", "fine")).state, "none")
    const ground: Phase = { ...small, id: "08-ground" }
    const { state, wants } = standingOf(of(whole), { ...small, standsOn: ground }, rowsOf(small, records))
    assert.strictEqual(state, "checkpoint_recorded")
    assert.deepStrictEqual(wants, ["08-ground, on which it stands, is none"])
  })
})

describe("a rule of the ledger, broken once", () => {
  const planted: ReadonlyArray<
    readonly [what: string, rule: Problem["rule"], files: () => Readonly<Record<string, string>>]
  > = [
    ["a field that rows do not have", "schema", () => edited(ledgerPath, '"type":', '"seen_by":"me","type":')],
    ["a status that there is not", "schema", () => edited(ledgerPath, '"status":"passed"', '"status":"fine"')],
    ["a row that proves nothing", "schema", () => edited(ledgerPath, '["claim of 09-tests"]', "[]")],
    ["a line that is no row", "schema", () => edited(ledgerPath, "{", "[{")],
    ["the same claim in another row", "one-claim", () => ({
      ...whole,
      [ledgerPath]: ledgerOf(whole) + rowLine(0).replace("09-tests", "09-again") + "\n"
    })],
    [
      "a blocked row that upgrades",
      "upgrade",
      () =>
        edited(
          ledgerPath,
          '"provider_mode":"blocked","upgrades_claim":false',
          '"provider_mode":"blocked","upgrades_claim":true'
        )
    ],
    ["a failed row that upgrades", "upgrade", () => edited(ledgerPath, '"status":"passed"', '"status":"failed"')],
    ["a skipped row that upgrades", "upgrade", () => edited(ledgerPath, '"status":"passed"', '"status":"skipped"')],
    ["a missing row that upgrades", "upgrade", () => edited(ledgerPath, '"status":"passed"', '"status":"missing"')],
    [
      "a mocked provider that upgrades",
      "upgrade",
      () => edited(ledgerPath, '"provider_mode":"deterministic"', '"provider_mode":"mock"')
    ],
    [
      "a live smoke without a live provider",
      "upgrade",
      () => edited(ledgerPath, '"proof_type":"unit_or_integration_test"', '"proof_type":"provider_live_smoke"')
    ],
    [
      "a live provider in a test",
      "upgrade",
      () => edited(ledgerPath, '"provider_mode":"deterministic"', '"provider_mode":"live"')
    ],
    ["a test file that is gone", "cited-test", () => without(test.file)],
    ["a test that has another title now", "cited-test", () => edited(test.file, "ends ${how}", "begins ${how}")],
    ["an artifact that is gone", "artifact", () => without(`${folder}/artifacts/trace.txt`)],
    [
      "an artifact that was edited",
      "artifact",
      () => edited(`${folder}/artifacts/trace.txt`, "turn.completed", "turn.failed")
    ],
    [
      "a status that was made better by hand",
      "record",
      () => edited(ledgerPath, '"status":"passed"', '"status":"proven"')
    ],
    ["a claim that was made larger by hand", "record", () => edited(ledgerPath, "claim of 09-tests", "every claim")],
    [
      "a command that was not run",
      "record",
      () => edited(ledgerPath, "npx vitest run test/a.test.ts", "npx vitest run test")
    ],
    ["a row that no gate makes", "record", () => ({
      ...whole,
      [ledgerPath]: ledgerOf(whole) + rowLine(0).replaceAll("09-tests", "09-more") + "\n"
    })],
    ["a row of a phase that there is not", "record", () => ({
      ...whole,
      [ledgerPath]: ledgerOf(whole) + rowLine(0).replaceAll("09-tests", "10-tests").replace("09-small", "10-large") +
        "\n"
    })],
    [
      "a record that was edited",
      "record",
      () => edited(`${folder}/artifacts/results.json`, '"passed": 1', '"passed": 100')
    ],
    ["a record that lost a cited test", "record", () => {
      const lost = records.map((record) => record.id === "09-tests" ? sealed(body("09-tests", { cited: [] })) : record)
      return recorded(documents, { ...results, records: lost })
    }],
    ["a record with a failed test that says passed", "record", () => {
      const wrong = sealed(body("09-tests", { tests: { passed: 1, failed: 1, skipped: 0 } }))
      return recorded(documents, { ...results, records: records.map((one) => one.id === "09-tests" ? wrong : one) })
    }],
    ["a return that is gone", "artifacts-first", () => without(`${folder}/reviews/qa.md`)],
    ["a heading that is gone", "artifacts-first", () => edited(`${folder}/plan.md`, "## Objective", "## Wish")],
    ["a proof that is gone", "artifacts-first", () => without(`${folder}/proof.md`)],
    ["a row that is gone", "complete", () => edited(ledgerPath, `${rowLine(1)}\n`, "")],
    [
      "a time in an artifact",
      "clean",
      () => edited(`${folder}/artifacts/trace.txt`, "turn.started", "2026-01-01T00:00:00Z")
    ],
    [
      "a folder of a machine in an artifact",
      "clean",
      () => edited(`${folder}/artifacts/trace.txt`, "turn.started", "at /home/me/x")
    ],
    ["more pictures than may be kept", "clean", () => ({
      ...whole,
      [`${folder}/artifacts/screenshots/a.jpg`]: "x".repeat(1_000_001)
    })],
    [
      "a state that claims more",
      "state",
      () => edited(".buildprint/state.json", '"state": "claim_qualified"', '"state": "released"')
    ],
    ["a state without a ledger", "state", () => without(ledgerPath)]
  ]

  for (const [what, rule, files] of planted) {
    it(`${rule}: ${what}`, () => {
      assert.include(rulesBroken(files()), rule)
    })
  }

  it("what is told names the row, what is wrong and what makes it right", () => {
    const [problem] = checkLedger(of(edited(ledgerPath, "claim of 09-tests", "every claim")), [small])
    assert.strictEqual(problem?.where, `${ledgerPath}:1`)
    assert.include(problem?.what, '09-tests.proves is ["every claim"], its run makes it ["claim of 09-tests"]')
    assert.include(problem?.what, "npm run proof")
  })
})
