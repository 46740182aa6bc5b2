import { assert, describe, it } from "@effect/vitest"
import * as TurnError from "../../src/domain/TurnError.ts"

describe("messages of turn errors", () => {
  it("a damaged file is not said to have lost nothing, every other refusal is", () => {
    const message = (reason: string, retryable = false) =>
      new TurnError.JournalFailure({ operation: "commit", retryable, reason }).message
    for (const reason of ["SQLITE_CORRUPT", "SQLITE_CORRUPT_VTAB", "SQLITE_NOTADB"]) {
      assert.notInclude(message(reason), "Nothing acknowledged is lost")
      assert.match(message(reason), /damaged.*restore a backup/)
    }
    for (const reason of ["SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR"]) {
      assert.match(message(reason), /Nothing acknowledged is lost\. Check the disk/)
    }
    assert.match(message("SQLITE_BUSY", true), /Nothing acknowledged is lost\. Try again shortly/)
  })

  it("the same words are derived again from the journaled facts", () => {
    const errors = [
      new TurnError.ProviderBlocked({
        providerId: "p",
        missingEnv: ["KEY"],
        reason: `${TurnError.networkOff}; environment variable KEY is not set`
      }),
      new TurnError.UnknownModel({ providerId: "p", modelId: "", known: [] }),
      new TurnError.ContextOverflow({ tokens: 2, budget: 1 })
    ]
    for (const error of errors) {
      assert.strictEqual(TurnError.fromInfo(TurnError.toInfo(error)).message, error.message)
    }
  })

  it("say nothing that is not true of every turn they end", () => {
    assert.match(
      new TurnError.ContextOverflow({ tokens: 9, budget: 5 }).message,
      /^The instructions and this message need about 9/
    )
    for (const cause of ["user_stop", "deadline", "superseded", "shutdown"] as const) {
      assert.include(new TurnError.Cancelled({ cause }).message, "What was received, if anything, is kept")
    }
    for (const cause of ["crash", "shutdown"] as const) {
      assert.include(new TurnError.Interrupted({ cause }).message, "What was received, if anything, is kept")
    }
  })
})
