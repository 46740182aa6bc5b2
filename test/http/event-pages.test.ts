import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { JournalFailure } from "../../src/domain/TurnError.ts"
import { turnPage } from "../../src/http/EventPages.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as JournalMemory from "../../src/journal/JournalMemory.ts"
import { answered, createSession, turnId } from "../journal/fixtures.ts"
import { startWith } from "./harness.ts"

describe("a page of a turn's events", () => {
  it.effect("is refused, or broken off, where retention folds the turn before it is whole", () =>
    Effect.gen(function*() {
      const journal = yield* Journal
      yield* createSession("s")
      yield* answered("t", "s", ["one ", "two ", "three"])
      const { turn: { lastSeq } } = yield* journal.turn(turnId("t"))
      const range = { after: 0, limit: 1_000, lastSeq }
      const foldTurns = Effect.orDie(journal.foldTurns("2999-01-01T00:00:00.000Z", "2999-01-02T00:00:00.000Z", 10))

      // one event a read; the turn is folded after the first
      const page = yield* turnPage(
        {
          ...journal,
          readAfter: (id, after) =>
            Effect.zipLeft(journal.readAfter(id, after, 1), after === 0 ? foldTurns : Effect.void)
        },
        turnId("t"),
        range
      )
      const { body } = page
      if (body._tag !== "Stream") throw new Error(`the page is a ${body._tag}`)
      const brokenOff = yield* Effect.flip(Stream.runDrain(body.stream))
      assert.deepInclude(brokenOff, { _tag: "JournalFailure", retryable: true })

      const refused = yield* Effect.flip(turnPage(journal, turnId("t"), range))
      assert.deepInclude(refused, { _tag: "JournalFailure", retryable: true })
    }).pipe(Effect.provide(JournalMemory.layer)))

  it("that breaks off is cut, so that nobody takes it for a whole one", async () => {
    let reads = 0
    const server = await startWith(() => ({}), {}, (journal) => ({
      // one event a read, and the disk fails at the third
      readAfter: (id, after) =>
        ++reads < 3
          ? journal.readAfter(id, after, 1)
          : new JournalFailure({ operation: "read", retryable: false, reason: "SQLITE_IOERR" })
    }))
    try {
      const json = { "content-type": "application/json" }
      const made = await fetch(`${server.url}/v1/sessions`, { method: "POST", headers: json, body: "{}" })
      const { id } = await made.json() as { readonly id: string }
      const streamed = await fetch(`${server.url}/v1/sessions/${id}/turns`, {
        method: "POST",
        headers: { ...json, accept: "text/event-stream" },
        body: JSON.stringify({ message: "hello" })
      })
      const turn = /"turnId":"([^"]+)"/.exec(await streamed.text())?.[1]
      const page = fetch(`${server.url}/v1/turns/${turn}/events`).then((answer) => answer.text())
      const error = await page.then(() => undefined, (reason: unknown) => reason)
      assert.instanceOf(error, TypeError)
      assert.strictEqual((await fetch(`${server.url}/health/live`)).status, 200)
    } finally {
      await server.stop()
    }
  })
})
