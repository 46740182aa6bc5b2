import { assert, describe, it } from "@effect/vitest"
import { effect } from "@preact/signals"
import * as Schema from "effect/Schema"
import { Message } from "../../src/domain/Message.ts"
import type { Page } from "../../src/domain/Resources.ts"
import * as SessionMessages from "../../src/workbench/session/SessionMessages.ts"

const message = (id: string, turnId: string | null = null): Message =>
  Schema.decodeUnknownSync(Message)({
    id,
    turnId,
    role: "user",
    parts: [{ type: "text", text: `text of ${id}` }, { type: "tool-result", toolCallId: "c1", content: 1 }],
    state: "complete",
    createdAt: "2026-01-01T00:00:00.000Z"
  })

/** A server with pages of two, whose answers wait until they are let go. */
const stage = () => {
  const stored: Array<Message> = []
  const asked: Array<string | undefined> = []
  const failures: Array<unknown> = []
  const waiting: Array<{ readonly go: () => void; readonly fail: () => void }> = []
  const messages = SessionMessages.make({
    read: (cursor) => {
      asked.push(cursor)
      return new Promise<Page<Message>>((resolve, reject) => {
        const from = Number(cursor ?? 0)
        const items = stored.slice(from, from + 2)
        const page = stored.length > from + 2 ? { items, nextCursor: String(from + 2) } : { items }
        waiting.push({ go: () => resolve(page), fail: () => reject(new Error("cut")) })
      })
    },
    onFailed: (error) => failures.push(error)
  })
  /** Answers the open request and lets the next one be made. */
  const answer = async (how: "go" | "fail" = "go") => {
    ;(waiting.shift() ?? assert.fail("nothing was asked"))[how]()
    for (let step = 0; step < 10; step++) await Promise.resolve()
  }
  const seen = () => messages.imported.value.map(({ id }) => id)
  return { stored, asked, seen, failures, messages, answer }
}

describe("session messages", () => {
  it("reads every page, each message once, and goes on at the last page", async () => {
    const at = stage()
    at.stored.push(message("m1"), message("m2"), message("m3"))
    const first = at.messages.refresh()
    await at.answer()
    await at.answer()
    await first
    at.stored.push(message("m4"))
    const second = at.messages.refresh()
    await at.answer()
    await second
    assert.deepStrictEqual(at.asked, [undefined, "2", "2"])
    assert.deepStrictEqual(at.seen(), ["m1", "m2", "m3", "m4"])
    assert.strictEqual(at.messages.textOf("m4"), "text of m4[result of tool call c1]")
    assert.isUndefined(at.messages.textOf("m5"))
  })

  it("the messages of turns are not shown beside them, and who waits for a text is told", async () => {
    const at = stage()
    const texts: Array<string | undefined> = []
    const stop = effect(() => void texts.push(at.messages.textOf("m1")))
    at.stored.push(message("m1", "t1"))
    const read = at.messages.refresh()
    await at.answer()
    await read
    stop()
    assert.deepStrictEqual(texts, [undefined, "text of m1[result of tool call c1]"])
    assert.deepStrictEqual(at.seen(), [])
  })

  it("an ask during a read makes one more read, so that a message is not missed", async () => {
    const at = stage()
    at.stored.push(message("m1"))
    const all = at.messages.refresh()
    at.stored.push(message("m2"))
    void at.messages.refresh()
    void at.messages.refresh()
    await at.answer()
    await at.answer()
    await all
    assert.deepStrictEqual([at.asked.length, at.seen()], [2, ["m1", "m2"]])
  })

  it("keeps the calls of tools in the answer of a turn", async () => {
    const at = stage()
    const call = { type: "tool-call", toolCallId: "c1", toolName: "weather", arguments: { city: "Ulm" } } as const
    at.stored.push({ ...message("m1", "t1"), role: "assistant", parts: [{ type: "text", text: "a" }, call] })
    const read = at.messages.refresh()
    await at.answer()
    await read
    assert.deepStrictEqual([at.messages.callsOf("t1"), at.messages.callsOf("t2")], [[call], []])
  })

  it("a read that failed is told, and the next ask reads again", async () => {
    const at = stage()
    at.stored.push(message("m1"))
    const failed = at.messages.refresh()
    await at.answer("fail")
    await failed
    assert.strictEqual(at.failures.length, 1)
    const again = at.messages.refresh()
    await at.answer()
    await again
    assert.deepStrictEqual(at.seen(), ["m1"])
  })
})
