import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { hashOf, sumOf } from "../../src/context/ContextHash.ts"
import * as Tokens from "../../src/context/Tokens.ts"
import type { Part, PromptMessage } from "../../src/domain/Message.ts"

const partArb: FastCheck.Arbitrary<Part> = FastCheck.oneof(
  FastCheck.string({ unit: "binary", maxLength: 20 }).map((text): Part => ({ type: "text", text })),
  FastCheck.record({ text: FastCheck.string({ maxLength: 5 }), type: FastCheck.constant("text" as const) }),
  FastCheck.json().map((json): Part => ({ type: "tool-result", toolCallId: "id", content: JSON.parse(json) }))
)
const messageArb: FastCheck.Arbitrary<PromptMessage> = FastCheck.record({
  role: FastCheck.constantFrom("user" as const, "assistant" as const),
  parts: FastCheck.array(partArb, { maxLength: 3 })
})

describe("the hash of a history", () => {
  it.prop(
    "is that of its canonical JSON, however it grew, was cut or went another way",
    {
      all: FastCheck.array(messageArb, { minLength: 1, maxLength: 12 }),
      other: FastCheck.array(messageArb, { maxLength: 4 }),
      views: FastCheck.array(
        FastCheck.record({ from: FastCheck.nat(2), to: FastCheck.nat(12), more: FastCheck.nat(4) })
      )
    },
    ({ all, other, views }) => {
      for (const { from, more, to } of views) {
        const messages = [...all.slice(from, to), ...other.slice(0, more)]
        const tokens = messages.reduce((sum, message) => sum + Tokens.countMessage(message), 0)
        assert.deepStrictEqual(sumOf(messages), { tokens, hash: hashOf(messages) })
      }
    },
    { fastCheck: { numRuns: 500 } }
  )

  it("does not depend on the pieces in which a long one is hashed", () => {
    const long = Array.from({ length: 3 }, (_, index): PromptMessage => ({
      role: "user",
      parts: [{ type: "text", text: `${index} ü😀`.repeat(30_000) }]
    }))
    assert.strictEqual(sumOf(long).hash, hashOf(long))
  })
})
