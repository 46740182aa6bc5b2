import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Estimate from "../../src/turn/Estimate.ts"

const words = "The quick brown fox jumps over the lazy dog, again and again. "

describe("an estimate of tokens", () => {
  it("is close to what a byte-pair tokenizer counts, in several scripts", () => {
    // counted by o200k_base
    const counted: ReadonlyArray<readonly [text: string, tokens: number]> = [
      [words.repeat(10), 150],
      ["const sum = (a: number, b: number): number => a + b\n".repeat(10), 200],
      ["Die Donaudampfschifffahrtsgesellschaft hat beschlossen, dass wir morgen früh gemeinsam spazieren gehen. ", 22],
      ["今天天气很好，我们一起去公园散步吧。", 12],
      ["Сегодня хорошая погода, пойдём гулять в парк. ", 14]
    ]
    for (const [text, tokens] of counted) {
      const ratio = Estimate.ofText(text) / tokens
      assert.isTrue(ratio > 0.6 && ratio < 1.6, `${text.slice(0, 20)}: ${ratio}`)
    }
  })

  it("nothing is nothing, and anything is at least one", () => {
    assert.strictEqual(Estimate.ofText(""), 0)
    FastCheck.assert(
      FastCheck.property(FastCheck.string({ minLength: 1 }).filter((text) => text.trim() !== ""), (text) => {
        assert.isAtLeast(Estimate.ofText(text), 1)
      })
    )
  })

  it("of a long text is what its beginning tells", () => {
    const long = words.repeat(20_000)
    const expected = Estimate.ofText(words.repeat(100)) * 200
    assert.closeTo(Estimate.ofText(long) / expected, 1, 0.05)
  })

  it("of pieces is that of the whole", () => {
    const { add, sample } = Estimate.makeSample()
    for (let i = 0; i < words.length; i += 7) add(words.slice(i, i + 7))
    assert.deepStrictEqual(sample(), { text: words, chars: words.length })
    for (let i = 0; i < 10_000; i++) add(words)
    assert.strictEqual(sample().chars, words.length * 10_001)
    assert.isAtMost(sample().text.length, Estimate.sampleMax)
  })

  it("of a request counts all of it, however long", () => {
    const message = (text: string) => ({ role: "user" as const, parts: [{ type: "text" as const, text }] })
    assert.strictEqual(Estimate.ofRequest({ system: words, messages: [] }), Estimate.ofText(words))
    assert.strictEqual(Estimate.ofRequest({ messages: [message(words)] }), Estimate.ofText(words) + 4)
    const many = Estimate.ofRequest({ messages: Array.from({ length: 5_000 }, () => message(words)) })
    assert.closeTo(many / (5_000 * (Estimate.ofText(words) + 4)), 1, 0.05)
    const call = { type: "tool-call" as const, toolCallId: "c", toolName: "look", arguments: { at: words } }
    assert.isAbove(Estimate.ofRequest({ messages: [{ role: "assistant", parts: [call] }] }), Estimate.ofText(words))
  })
})
