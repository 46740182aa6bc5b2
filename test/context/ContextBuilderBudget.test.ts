import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as List from "effect/List"
import * as Budget from "../../src/context/ContextBuilderBudget.ts"
import * as Tokens from "../../src/context/Tokens.ts"
import type { Exchange } from "../../src/domain/History.ts"
import type { Part, PromptMessage } from "../../src/domain/Message.ts"
import { exchange, user } from "./history.ts"

const result = (toolCallId: string): Part => ({ type: "tool-result", toolCallId, content: "done" })
const call = (toolCallId: string): Part => ({ type: "tool-call", toolCallId, toolName: "t", arguments: {} })
const text = (text: string): Part => ({ type: "text", text })

const withParts = (
  id: string,
  question: ReadonlyArray<Part>,
  reply: ReadonlyArray<Part> | undefined
): Exchange => {
  const base = exchange(id, "")
  return {
    user: { ...base.user, parts: question },
    answer: reply === undefined ? undefined : { role: "assistant", parts: reply }
  }
}

/** Select from exchanges, newest first. */
const select = (exchanges: ReadonlyArray<Exchange>, message: PromptMessage, limit: number) =>
  Budget.end(exchanges.reduce((selection, next) => Budget.offer(selection, next, limit), Budget.start(message)))

const sent = (exchanges: ReadonlyArray<Exchange>, message: PromptMessage, limit = 1_000_000) =>
  Budget.messages(select(exchanges, message, limit), message)

const ids = (messages: ReadonlyArray<PromptMessage>, type: "tool-call" | "tool-result") =>
  messages.flatMap((message) => message.parts.flatMap((part) => (part.type === type ? [part.toolCallId] : [])))

const partArb = (kind: "user" | "assistant"): FastCheck.Arbitrary<Part> =>
  FastCheck.oneof(
    FastCheck.string({ maxLength: 60 }).map(text),
    FastCheck.constantFrom("a", "b", "c", "d", "e").map(kind === "user" ? result : call)
  )

const exchangeArb: FastCheck.Arbitrary<Exchange> = FastCheck.tuple(
  FastCheck.array(partArb("user"), { minLength: 1, maxLength: 3 }),
  FastCheck.option(FastCheck.array(partArb("assistant"), { minLength: 1, maxLength: 3 }), { nil: undefined })
).map(([question, reply]) => withParts("u", question, reply))

const messageArb: FastCheck.Arbitrary<PromptMessage> = FastCheck.array(partArb("user"), { minLength: 1, maxLength: 3 })
  .map((parts) => ({ role: "user", parts }))

const world = {
  exchanges: FastCheck.array(exchangeArb, { maxLength: 20 }),
  message: messageArb,
  limit: FastCheck.integer({ min: 0, max: 400 })
}

/** `it.prop` runs 100 cases; these are cheap. */
const runs = { fastCheck: { numRuns: 1_000 } }

describe("properties", () => {
  it.prop("what is sent never costs more than the limit", world, ({ exchanges, limit, message }) => {
    const messages = sent(exchanges, message, limit)
    assert.isAtMost(messages.reduce((sum, next) => sum + Tokens.countMessage(next), 0), limit)
  }, runs)

  it.prop(
    "the newest are kept without a gap: a larger limit never loses one",
    world,
    ({ exchanges, limit, message }) => {
      const kept = List.toArray(select(exchanges, message, limit).kept).toReversed()
      assert.deepStrictEqual(
        kept.map((next) => next.user.parts),
        exchanges.slice(0, kept.length).map((next) => Budget.plain(next.user).parts)
      )
      assert.isAtLeast(List.size(select(exchanges, message, limit + 50).kept), kept.length)
    },
    runs
  )

  it.prop(
    "calls and results in history always come in pairs, the result next",
    world,
    ({ exchanges, limit, message }) => {
      let open: Array<string> = []
      for (const next of [...sent(exchanges, message, limit), message]) {
        if (next.role === "assistant") {
          assert.deepStrictEqual(open, [])
          open = [...new Set(ids([next], "tool-call"))]
        } else {
          for (const id of ids([next], "tool-result")) {
            if (next !== message) assert.include(open, id)
            open = open.filter((waiting) => waiting !== id)
          }
        }
      }
      assert.deepStrictEqual(open, [])
    },
    runs
  )

  it.prop("an exchange is dropped with the exchange whose calls it answers", world, ({ exchanges, limit, message }) => {
    const { kept } = select(exchanges, message, limit)
    const size = List.size(kept)
    // The oldest answer sent is the one that the message needs: it is kept without what its own question answers.
    const isAnswered = (next: Exchange) => next.answer !== undefined
    const required = ids([message], "tool-result").length > 0 &&
      exchanges.slice(0, size).findLastIndex(isAnswered) === exchanges.findIndex(isAnswered)
    if (size === exchanges.length || required) return
    for (const oldest of kept) {
      assert.deepStrictEqual(ids([oldest.user], "tool-result"), [])
      if (oldest.answer !== undefined) return
    }
  }, runs)

  it.prop("no message is empty", world, ({ exchanges, limit, message }) => {
    for (const next of sent(exchanges, message, limit)) assert.isAbove(next.parts.length, 0)
  }, runs)
})

describe("pairs", () => {
  it("a call with its result, both kept; another call of the same answer, never answered, is left out", () => {
    const history = [
      withParts("u1", [result("a")], [text("thanks")]),
      withParts("u0", [text("go")], [text("calling"), call("a"), call("b")])
    ]
    const messages = sent(history, user("next"))
    assert.deepStrictEqual(ids(messages, "tool-call"), ["a"])
    assert.deepStrictEqual(ids(messages, "tool-result"), ["a"])
    assert.strictEqual(messages.length, 4)
  })

  it("a failed turn between call and result does not part them", () => {
    const history = [
      withParts("u2", [result("a")], [text("thanks")]),
      withParts("u1", [text("failed")], undefined),
      withParts("u0", [text("go")], [call("a")])
    ]
    assert.deepStrictEqual(ids(sent(history, user("next")), "tool-call"), ["a"])
    assert.strictEqual(List.size(select(history, user("next"), 50).kept), 0)
  })

  it("of two results for one call the newest is sent, also when it is this message's", () => {
    const history = [
      withParts("u1", [text("failed"), result("a")], undefined),
      withParts("u0", [text("go")], [call("a")])
    ]
    const message: PromptMessage = { role: "user", parts: [result("a")] }
    assert.deepStrictEqual(ids(sent(history, message), "tool-result"), [])
    assert.deepStrictEqual(ids(sent(history, message), "tool-call"), ["a"])
  })

  it("an answer of nothing but unanswered calls is not sent as an empty message", () => {
    const messages = sent([withParts("u0", [text("go")], [call("a")])], user("never mind"))
    assert.deepStrictEqual(messages, [user("go")])
  })

  it("a chain of tool turns is one unit of history", () => {
    const chain = [
      withParts("u2", [result("b")], [text("done")]),
      withParts("u1", [result("a")], [call("b")]),
      withParts("u0", [text("x".repeat(300))], [call("a")])
    ]
    assert.strictEqual(List.size(select(chain, user("next"), 1_000).kept), 3)
    assert.strictEqual(List.size(select(chain, user("next"), 100).kept), 0)
  })

  it("what this message answers is required; what that answers in turn is clipped like any history", () => {
    const chain = [
      withParts("u1", [result("a")], [call("b")]),
      withParts("u0", [text("x".repeat(300))], [call("a")])
    ]
    const message: PromptMessage = { role: "user", parts: [result("b")] }
    const clipped = select(chain, message, 100)
    assert.isFalse(Budget.isOverflow(clipped))
    assert.deepStrictEqual(ids(Budget.messages(clipped, message), "tool-call"), ["b"])
    assert.isTrue(Budget.isOverflow(select(chain, message, 20)))
  })

  it("results that belong to no call make no overflow and are left out of history", () => {
    const bogus: PromptMessage = { role: "user", parts: [result("nobody")] }
    const large = [withParts("u0", [text("x".repeat(300))], [text("fine")])]
    assert.isFalse(Budget.isOverflow(select(large, bogus, 20)))
    const history = [withParts("u1", [result("nobody"), text("and so on")], [text("ok")])]
    assert.deepStrictEqual(ids(sent(history, user("next")), "tool-result"), [])
    assert.strictEqual(sent(history, user("next")).length, 2)
  })
})
