import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Database } from "../../src/journal/Database.ts"
import { contract } from "./contract.ts"
import { createSession, messageId } from "./fixtures.ts"
import { foldAll, longText, longTurn, retentionContract, said } from "./retention-contract.ts"
import { layerFresh } from "./sqlFixture.ts"

contract("SQLite", layerFresh)
retentionContract("SQLite", layerFresh)

describe("SQLite: a fold that was cut in the middle of a copy", () => {
  it.effect("P17: is begun again, and nothing of the first copy is kept", () =>
    Effect.gen(function*() {
      const { writer } = yield* Database
      yield* createSession("s")
      yield* longTurn("t", "s")
      // as another version could have parted it: fewer pieces, or more
      for (const n of [1, 1_000]) {
        yield* writer?.unsafe("INSERT INTO message_pieces (message_id, n, part) VALUES (?, ?, ?)", [
          messageId("t-answer"),
          n,
          JSON.stringify({ type: "text", text: "another " })
        ]) ?? Effect.void
      }
      yield* foldAll
      assert.isTrue((yield* said("t", "text")) === longText)
    }).pipe(Effect.provide(layerFresh)))
})
