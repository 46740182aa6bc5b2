/** What a client sees of turns that retention folded, on a running server with a database. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Journal } from "../../src/journal/Journal.ts"
import { follow, get, newSession, openStream, post, script, scriptText, startLocal, submit } from "./harness.ts"

/** After every event of these tests. */
const later = "2999-01-01T00:00:00.000Z"
const foldedAt = "2999-01-02T00:00:00.000Z"

describe("a folded turn", () => {
  it("keeps its answer; its stream is 410 and says where the message is; its lifecycle events are a page", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "turnstream-"))
    const server = await startLocal({ dataDir })
    try {
      const session = await newSession(server)
      const turn = await submit(server, session, { options: script(5) })
      const events = await follow(server, turn.id)
      const before = await get(server, `/v1/turns/${turn.id}`)
      await server.runtime.runPromise(Effect.flatMap(Journal, (journal) => journal.foldTurns(later, foldedAt, 10)))

      const after = await get(server, `/v1/turns/${turn.id}`)
      assert.deepStrictEqual(after.body, { ...before.body, foldedAt })
      assert.strictEqual(after.body.text, scriptText(5))

      const stream = await get(server, `/v1/turns/${turn.id}/events`, { accept: "text/event-stream" })
      assert.strictEqual(stream.status, 410)
      assert.deepInclude(stream.body, {
        code: "Gone",
        turnId: turn.id,
        messageId: before.body.messageId,
        retryable: false
      })
      assert.include(String(stream.body.detail), `/v1/sessions/${session}/messages`)
      const ended = await get(server, `/v1/turns/${turn.id}/events?after=${events.length}`, {
        accept: "text/event-stream"
      })
      assert.strictEqual(ended.status, 204)

      const lifecycle = events.filter(({ event }) => event !== "model.delta").map(({ data }) => data)
      const page = await get(server, `/v1/turns/${turn.id}/events`)
      assert.strictEqual(page.text, `{"items":[${lifecycle.join(",")}]}`)
      const first = await get(server, `/v1/turns/${turn.id}/events?limit=4`)
      assert.strictEqual(first.text, `{"items":[${lifecycle.slice(0, 4).join(",")}],"nextCursor":"9"}`)

      const inside = await get(server, `/v1/sessions/${session}/events?live=false`, {
        accept: "text/event-stream",
        "last-event-id": `${turn.id}.4`
      })
      assert.include(inside.text, '"code":"Gone"')
      const next = await submit(server, session)
      await follow(server, next.id)
      const rest = await (await openStream(server, `/v1/sessions/${session}/events?live=false`)).rest()
      assert.deepStrictEqual([...new Set(rest.map(({ id }) => id?.split(".")[0]))], [next.id])

      const retried = await post(server, `/v1/turns/${turn.id}/retry`)
      assert.strictEqual(retried.status, 202)
    } finally {
      await server.stop()
      rmSync(dataDir, { recursive: true, force: true })
    }
  })
})
