/**
 * Crash-point enumeration, refusal: storage says no at write 1, 2, 3 ... of each scenario, once or for a while, and the
 * process lives. Clients get typed failures, every turn ends once the fault has passed, and all that was acknowledged stands.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { emptyDatabase, type Refusal, refusals } from "./life.ts"
import { scenarios, sharedWrites } from "./scenarios.ts"
import * as SqlFaults from "./SqlFaults.ts"

type Name = keyof typeof scenarios
const names = Object.keys(scenarios) as ReadonlyArray<Name>

const code = "SQLITE_IOERR"

/** Virtual: past some of the engine's and the client's tries, before others. */
const liftedAfterMs = 900

interface Mode {
  readonly refusal: Refusal
  /** All of them where absent; a mode that differs little from another is not worth the time of all. */
  readonly scenarios?: ReadonlyArray<Name>
  /** Places of the fault at the least, as measured. */
  readonly least: Readonly<Record<Name, number>>
  /** Places that another scenario has too. */
  readonly shared: Partial<Record<Name, number>>
}

const writes: Mode["least"] = {
  plain: 26,
  cancel: 26,
  providerFailure: 23,
  retry: 50,
  resume: 42,
  queue: 47,
  deleteSession: 57
}
const commits: Mode["least"] = {
  plain: 6,
  cancel: 6,
  providerFailure: 5,
  retry: 11,
  resume: 9,
  queue: 10,
  deleteSession: 11
}

const modes: ReadonlyArray<Mode> = [
  {
    refusal: {
      name: "a write refused once",
      plans: (n) => ({ writer: SqlFaults.atWrite(n, { refused: "before", code }) })
    },
    least: writes,
    shared: sharedWrites
  },
  {
    refusal: {
      name: "a commit that takes effect and is reported as failed",
      plans: (n) => ({ writer: SqlFaults.unacknowledged(n, code) })
    },
    least: commits,
    shared: {}
  },
  {
    refusal: {
      name: "a commit that takes effect and is reported as failed, and no write for a while",
      plans: (n) => SqlFaults.outage(n, { commit: "after", reads: true, code }),
      liftedAfterMs
    },
    scenarios: ["plain", "queue"],
    least: commits,
    shared: {}
  },
  {
    refusal: {
      name: "a commit that takes effect and is reported as failed, and no storage for a while",
      plans: (n) => SqlFaults.outage(n, { commit: "after", reads: false, code }),
      liftedAfterMs
    },
    least: commits,
    shared: {}
  },
  {
    refusal: {
      name: "a commit that is refused, and no storage for a while",
      plans: (n) => SqlFaults.outage(n, { commit: "before", reads: false, code }),
      liftedAfterMs
    },
    least: commits,
    shared: {}
  }
]

for (const { least, refusal, scenarios: some = names, shared } of modes) {
  describe(`P4, P9, P14, P15, P19, P23: ${refusal.name}`, () => {
    for (const name of some) {
      it.scoped(
        `${name}: a typed failure or none, every turn ends when the fault has passed, nothing acknowledged is lost`,
        () =>
          Effect.gen(function*() {
            const { found, points } = yield* refusals(
              yield* emptyDatabase,
              scenarios[name],
              refusal,
              (shared[name] ?? 0) + 1
            )
            assert.deepStrictEqual(found, [])
            assert.isAtLeast(points, least[name])
          }),
        60_000
      )
    }
  })
}
