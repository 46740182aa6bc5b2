import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import * as KeyGuard from "../../src/provider/KeyGuard.ts"
import type { ProviderEvent } from "../../src/provider/Provider.ts"

const key = 'sk-c4n4ry"\\\\toolCallId-ü-0123456789'
const keys = new Map([["KEY", Redacted.make(key)]])

const guarded = (events: ReadonlyArray<ProviderEvent>, of = keys): ReadonlyArray<ProviderEvent> => {
  const out: Array<ProviderEvent> = []
  const emit = KeyGuard.make(of, (event) => out.push(event))
  for (const event of events) emit(event)
  return out
}

const text = (said: string): ProviderEvent => ({ _tag: "Delta", kind: "text", text: said })
const textOf = (events: ReadonlyArray<ProviderEvent>) =>
  events.map((event) => (event._tag === "Delta" ? event.text : "")).join("")

describe("P25: a key in what a provider says", () => {
  it("is masked where it stands whole, in any field of any event", () => {
    const events: ReadonlyArray<ProviderEvent> = [
      text(`you sent ${key}!`),
      { _tag: "Delta", kind: "tool-input", text: "{}", toolCallId: key, toolName: `t${key}` },
      { _tag: "ToolCall", toolCallId: key, toolName: key, arguments: { [key]: [1, { a: key }], b: null } },
      { _tag: "Usage", usage: {} as never, raw: { said: key, count: 7 } },
      { _tag: "Finish", reason: "stop", raw: key }
    ]
    assert.deepStrictEqual(guarded(events), [
      text("you sent ***!"),
      { _tag: "Delta", kind: "tool-input", text: "{}", toolCallId: "***", toolName: "t***" },
      { _tag: "ToolCall", toolCallId: "***", toolName: "***", arguments: { "***": [1, { a: "***" }], b: null } },
      { _tag: "Usage", usage: {} as never, raw: { said: "***", count: 7 } },
      { _tag: "Finish", reason: "stop", raw: "***" }
    ])
  })

  it("never comes out whole, however it is spread over deltas: its last two fifths do not", () => {
    const known = Math.ceil(key.length * 0.6)
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.nat(key.length), { maxLength: 40 }),
        FastCheck.constantFrom("", "so: ", "s", key.slice(0, 5)),
        (places, before) => {
          const said = before + key + "."
          const ends = [...new Set([...places.map((place) => place + before.length), said.length])].sort((a, b) =>
            a - b
          )
          const deltas = ends.map((end, index) => text(said.slice(index === 0 ? 0 : ends[index - 1], end)))
          const out = textOf(guarded(deltas))
          assert.isTrue(out.startsWith(before.slice(0, 1)) && out.endsWith("."))
          assert.notInclude(out, key.slice(0, known + 1))
          assert.notInclude(out, key.slice(known))
        }
      )
    )
  })

  it("words that also stand in it are left alone, in text and in the arguments of a call", () => {
    const worded = new Map([
      ["A", Redacted.make("sk-local-development-0001")],
      ["B", Redacted.make("my-company-assistant-production-key")],
      ["C", Redacted.make(`sk-${"0".repeat(40)}`)]
    ])
    const said = "Use development mode of my-company-assistant in production: 0.00000000000000000001, sk-local, sk-"
    const events: ReadonlyArray<ProviderEvent> = [
      text(said),
      { _tag: "ToolCall", toolCallId: "c", toolName: "t", arguments: { text: said } }
    ]
    assert.deepStrictEqual(guarded(events, worded), events)
  })

  it("nothing else is touched or held back", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.string({ unit: "grapheme" })), (said) => {
        const events = said.map(text)
        assert.deepStrictEqual(guarded(events), events)
      })
    )
  })

  it("a placeholder for a key is no key", () => {
    const events = [text("lm-studio is a program")]
    assert.deepStrictEqual(guarded(events, new Map([["KEY", Redacted.make("lm-studio")]])), events)
  })
})
