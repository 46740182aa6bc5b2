/** What a gate's run came to, in words that are the same on every machine. Pure. */
import { citedBy, commandOf, type Gate } from "../ledger/Phase.ts"
import { type Outcome, type RecordBody } from "../ledger/Record.ts"
import type { Ran, RanTest } from "./Tests.ts"

export interface Came {
  readonly ran: Ran
  /** Of the command, where the gate has one. */
  readonly code: number | undefined
  readonly artifacts: RecordBody["artifacts"]
}

const shownMax = 5

const few = (what: string, names: ReadonlyArray<string>): ReadonlyArray<string> =>
  names.length === 0
    ? []
    : [
      `${what}: ${names.slice(0, shownMax).join("; ")}${
        names.length > shownMax ? ` and ${names.length - shownMax} more` : ""
      }`
    ]

const named = ({ file, title }: Pick<RanTest, "file" | "title">): string => `${file} > ${title}`

const fault = (gate: Gate, { artifacts, code, ran }: Came): ReadonlyArray<string> => {
  const lost = citedBy(gate).filter((cited) => !ran.tests.some((test) => named(test) === named(cited)))
  return [
    ...ran.broken.length === 0 ? [] : [`the run broke off (${ran.broken.length} errors outside of tests)`],
    ...few("failed", ran.tests.filter(({ state }) => state === "failed" || state === "pending").map(named)),
    ...few("cited and not run", lost.map(named)),
    ...code === undefined || code === 0 ? [] : [`${commandOf(gate)} ended with ${code}`],
    ...few("not left", gate.artifacts.filter((name) => !artifacts.some((one) => one.name === name)))
  ]
}

export const bodyOf = (gate: Gate, came: Came): RecordBody => {
  const { tests } = came.ran
  const count = (state: RanTest["state"]) => tests.filter((test) => test.state === state).length
  const failed = fault(gate, came)
  const skipped = tests.filter(({ state }) => state === "skipped")
  const outcome: Outcome = failed.length > 0 ? "failed" : skipped.length > 0 ? "skipped" : "passed"
  const reason = failed.length > 0
    ? failed.join("; ")
    : few("skipped", skipped.map((test) => `${named(test)} (${test.note ?? "no reason given"})`)).join("")
  return {
    id: gate.id,
    command: commandOf(gate),
    outcome,
    tests: { passed: count("passed"), failed: count("failed") + count("pending"), skipped: skipped.length },
    cited: citedBy(gate).map((cited) => ({
      ...cited,
      state: tests.find((test) => named(test) === named(cited))?.state ?? "missing"
    })),
    artifacts: outcome === "passed" ? came.artifacts : [],
    ...reason === "" ? {} : { reason }
  }
}

/** A gate that cannot be run here. */
export const blockedBody = (gate: Gate, reason: string): RecordBody => ({
  id: gate.id,
  command: commandOf(gate),
  outcome: "blocked",
  tests: { passed: 0, failed: 0, skipped: 0 },
  cited: [],
  artifacts: [],
  reason
})
