import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import * as Batch from "../../src/journal/Batch.ts"
import { Database } from "../../src/journal/Database.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as StoredEvents from "../../src/journal/StoredEvents.ts"
import { contract } from "./contract.ts"
import { admit, append, attempt, built, createSession, delta, messageId, turnId } from "./fixtures.ts"
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

describe("SQLite: packed batches", () => {
  it.effect("P2: the schema counts the events of a packed batch, and they are read as they were told", () =>
    Effect.gen(function*() {
      const { epoch, writer } = yield* Database
      const journal = yield* Journal
      if (writer === undefined) return assert.fail("read-only")
      yield* createSession("s")
      yield* admit("t", "s")
      const tail = (text: string) =>
        `,"at":"2026-01-02T03:04:05.678Z","attempt":1,"type":"model.delta","data":{"kind":"text","text":"${text}"}}`
      const tails = Batch.pack([tail("a"), tail("b")])
      const row = { pos: 1_000, turn_id: "t", first_seq: 2, epoch, terminal: 0, tails }
      for (const wrong of [2, 4]) {
        const refused = yield* Effect.flip(writer`INSERT INTO batches ${writer.insert({ ...row, last_seq: wrong })}`)
        assert.include(String(refused.cause), "as many events as seqs")
      }
      yield* writer`INSERT INTO batches ${writer.insert({ ...row, last_seq: 3 })}`
      const events = yield* journal.readAfter(turnId("t"), 1, 10)
      assert.deepStrictEqual(
        events.map(({ json }) => json),
        ["a", "b"].map((text, index) => TurnEvent.json(TurnEvent.head("t", "s"), index + 2, tail(text)))
      )
    }).pipe(Effect.provide(layerFresh)))

  it.effect("P17: a page of them is no larger than a page may be, unpacked", () =>
    Effect.gen(function*() {
      const { reader } = yield* Database
      yield* createSession("s")
      yield* admit("t", "s")
      yield* append("t", "s", 2, [built, attempt()])
      let seq = 4
      // 30 commits of 100 deltas: 12 kB packed, ten times as much as events
      for (let commit = 0; commit < 30; commit++, seq += 100) {
        yield* append("t", "s", seq, Array.from({ length: 100 }, () => delta("x")))
      }
      const stored = StoredEvents.make(reader)
      const db = yield* reader.reserve
      let pages = 0
      for (let after = 0; after < seq - 1; pages++) {
        const { events } = yield* stored.turnPage(db, turnId("t"), after)
        const bytes = events.reduce((sum, { json, seq }) => sum + TurnEvent.tailOf(json, seq).length, 0)
        assert.isAtMost(bytes, StoredEvents.pageBytesMax)
        after = events.at(-1)?.seq ?? seq
      }
      assert.isAtLeast(pages, 5)
    }).pipe(Effect.scoped, Effect.provide(layerFresh)))
})
