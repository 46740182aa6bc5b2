import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as ExitCode from "../../src/cli/ExitCode.ts"
import { over } from "../../src/cli/Flags.ts"
import { printable, styleOf, wantsColours } from "../../src/cli/Output.ts"
import * as Report from "../../src/cli/Report.ts"
import { TurnFailed } from "../../src/cli/RunTurn.ts"
import { ServerRefused } from "../../src/cli/TurnClient.ts"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import { InvalidRequest, SessionNotFound, TurnNotFound } from "../../src/domain/RequestError.ts"
import * as TurnError from "../../src/domain/TurnError.ts"
import { DatabaseError } from "../../src/journal/Database.ts"

const stopped = 130

describe("exit codes", () => {
  const database = (kind: DatabaseError["kind"]) => new DatabaseError({ kind, path: "p", detail: "d" })
  const cases: ReadonlyArray<readonly [error: unknown, code: number]> = [
    [new InvalidRequest({ path: "", reason: "r" }), 2],
    [new SettingsLoader.SettingsError({ source: "s", path: "", reason: "r", next: "n" }), 2],
    [new SessionNotFound({ sessionId: "s" }), 3],
    [new TurnNotFound({ turnId: "t" }), 3],
    [new TurnError.UnknownProvider({ providerId: "p", known: [] }), 4],
    [new TurnError.UnknownModel({ providerId: "p", modelId: "m", known: [] }), 4],
    [new TurnError.ProviderBlocked({ providerId: "p", missingEnv: [], reason: "r" }), 4],
    [TurnError.providerFailure("p", "quota"), 5],
    [new TurnError.ContextOverflow({ tokens: 2, budget: 1 }), 6],
    [new TurnError.BudgetExceeded({ budget: "b", used: 2, limit: 1 }), 6],
    [database("corrupt"), 7],
    [new TurnError.JournalFailure({ operation: "o", retryable: false, reason: "r" }), 7],
    [database("owned"), 8],
    [new TurnError.Fenced({ ownerEpoch: 2 }), 8],
    [new Report.Reported({ code: "BrokenPromise" }), 9],
    [new TurnError.Cancelled({ cause: "user_stop" }), 130],
    [new TurnError.Interrupted({ cause: "crash" }), 1],
    [new Error("anything"), 1],
    ["a string", 1],
    [{ _tag: "toString" }, 1]
  ]

  it("every error has its code, and the documented table names each code", () => {
    const documented = new Set(ExitCode.table.map(([code]) => code))
    for (const [error, code] of cases) {
      assert.strictEqual(ExitCode.fromExit(Exit.fail(error), stopped), code, String(error))
      assert.isTrue(documented.has(code))
    }
  })

  it("an error has the same code when a server told it, or a turn ended with it", () => {
    for (const [error, code] of cases) {
      const tag = ExitCode.tagOf(error)
      if (tag === undefined) continue
      const refused = new ServerRefused({ code: tag, status: 400, detail: "d" })
      const failed = new TurnFailed({ code: tag, detail: "d" })
      for (const other of [refused, failed, new Report.Reported({ code: tag })]) {
        assert.strictEqual(ExitCode.fromExit(Exit.fail(other), stopped), code, tag)
      }
    }
  })

  it("an interruption has the code that was asked for, and success has 0", () => {
    assert.strictEqual(ExitCode.fromExit(Exit.failCause(Cause.interrupt(FiberId.none)), 0), 0)
    assert.strictEqual(ExitCode.fromExit(Exit.failCause(Cause.interrupt(FiberId.none)), stopped), stopped)
    assert.strictEqual(ExitCode.fromExit(Exit.die(new Error("bug")), stopped), 1)
    assert.strictEqual(ExitCode.fromExit(Exit.void, stopped), 0)
  })
})

describe("reports", () => {
  it("a failure is one line without a stack; a defect shows where it happened; what was shown is not said again", () => {
    const failure = Report.lineOf(Cause.fail(new InvalidRequest({ path: "a", reason: "wrong\n  in two lines" })))
    assert.strictEqual(failure, "turnstream: a: wrong in two lines")
    assert.include(Report.lineOf(Cause.die(new Error("bug"))) ?? "", "endings.test.ts")
    assert.isUndefined(Report.lineOf(Cause.fail(new Report.Reported({ code: "x" }))))
    assert.isUndefined(Report.lineOf(Cause.interrupt(FiberId.none)))
  })

  it("text of others cannot move the cursor of a terminal or colour it", () => {
    assert.strictEqual(printable("a\u001b[2Jb\u009b1m\u0007\r"), "a\ufffd[2Jb\ufffd1m\ufffd\ufffd")
    assert.strictEqual(printable("tab\tline\nünï \u{1f600}"), "tab\tline\nünï \u{1f600}")
  })

  it("colours are for terminals, FORCE_COLOR turns them on, and NO_COLOR off", () => {
    assert.isTrue(wantsColours({ isTTY: true }, {}))
    assert.isTrue(wantsColours({ isTTY: true }, { NO_COLOR: "" }))
    assert.isFalse(wantsColours({ isTTY: true }, { NO_COLOR: "1" }))
    assert.isFalse(wantsColours({ isTTY: true }, { TERM: "dumb" }))
    assert.isFalse(wantsColours({}, {}))
    assert.isTrue(wantsColours({}, { FORCE_COLOR: "1", TERM: "dumb" }))
    assert.isFalse(wantsColours({}, { FORCE_COLOR: "0" }))
    assert.isFalse(wantsColours({ isTTY: true }, { FORCE_COLOR: "1", NO_COLOR: "1" }))
    assert.strictEqual(styleOf(false).red("x"), "x")
    assert.notStrictEqual(styleOf(true).red("x"), "x")
  })
})

describe("flags", () => {
  it.effect("a flag wins over the environment, and an error about it names the flag", () =>
    Effect.gen(function*() {
      const { dataDir, port } = yield* over({ port: "17", dataDir: "/x" })(SettingsLoader.load)
      assert.deepStrictEqual({ port, dataDir }, { port: 17, dataDir: "/x" })
      const error = yield* Effect.flip(over({ port: "many" })(SettingsLoader.load))
      assert.strictEqual(error.source, "--port")
      const config = yield* Effect.flip(over({ config: "/does/not/exist.json" })(SettingsLoader.load))
      assert.strictEqual(config.source, "/does/not/exist.json")
    }))
})
