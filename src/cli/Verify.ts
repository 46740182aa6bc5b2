/**
 * `inspect --verify`: a turn, or the whole database, against what must always hold of it. One line a violation, then how
 * much was checked; the exit code tells whether anything was found. For the whole database also SQLite's own check of the
 * file. Reads only, also while a server owns the database; what its turns say meanwhile is not judged.
 */
import * as Effect from "effect/Effect"
import { Settings } from "../config/Settings.ts"
import type { TurnId } from "../domain/Ids.ts"
import type { Violation } from "../domain/Invariants.ts"
import { Journal } from "../journal/Journal.ts"
import * as Verification from "../journal/Verification.ts"
import { Output, printable } from "./Output.ts"
import type { Program } from "./Program.ts"
import { Reported } from "./Report.ts"

const textOf = ({ promise, seq, turnId, what }: Violation): string =>
  [
    ...(turnId === "" ? [] : [`turn ${turnId}${seq === undefined ? "" : ` #${seq}`}`]),
    `${promise}: ${printable(what)}`
  ].join(" ")

const count = (n: number, thing: string): string => `${n} ${thing}${n === 1 ? "" : "s"}`

/** Writes violations as they are found, and the counts at the end. */
const reporter = Effect.fnUntraced(function*(json: boolean) {
  const out = yield* Output
  return {
    violation: (found: Violation) => out.line(json ? JSON.stringify(found) : out.style.red(textOf(found))),
    end: (counts: Verification.Counts) =>
      Effect.gen(function*() {
        const { events, sessions, turns, violations } = counts
        yield* out.line(
          json
            ? JSON.stringify(counts)
            : `${count(sessions, "session")}, ${count(turns, "turn")}, ${count(events, "event")} checked: ${
              violations === 0 ? "all is as promised" : count(violations, "violation")
            }.`
        )
        if (violations === 0) return
        yield* out.note(
          `turnstream: ${
            count(violations, "violation")
          }. Keep a copy of the database, please report it, and restore a backup if text is missing: docs/operations.md, "Backup and restore".`
        )
        return yield* new Reported({ code: "BrokenPromise" })
      })
  }
})

export const verifyTurn = Effect.fn("Cli.verifyTurn")(function*(id: TurnId, json: boolean) {
  const say = yield* reporter(json)
  const { events, violations } = yield* Verification.verifyTurn(yield* Journal, id)
  yield* Effect.forEach(violations, say.violation, { discard: true })
  return yield* say.end({ sessions: 1, turns: 1, events, violations: violations.length })
})

export const verifyDatabase = Effect.fn("Cli.verifyDatabase")(
  function*(program: Pick<Program, "inspect">, json: boolean) {
    const say = yield* reporter(json)
    const { dataDir } = yield* Settings
    const { faults } = yield* program.inspect(dataDir)
    yield* Effect.forEach(
      faults,
      (fault) => say.violation({ promise: "storage", turnId: "", seq: undefined, what: fault }),
      { discard: true }
    )
    const counts = yield* Verification.verifyAll(yield* Journal, say.violation)
    return yield* say.end({ ...counts, violations: counts.violations + faults.length })
  }
)
