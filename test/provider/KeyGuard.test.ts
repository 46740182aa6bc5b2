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

  it("never comes out whole, however it is spread over deltas: at most seven characters of it do", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.nat(key.length), { maxLength: 40 }),
        FastCheck.constantFrom("", "so: ", "x"),
        (places, before) => {
          const said = before + key + "."
          const ends = [...new Set([...places.map((place) => place + before.length), said.length])].sort((a, b) =>
            a - b
          )
          const deltas = ends.map((end, index) => text(said.slice(index === 0 ? 0 : ends[index - 1], end)))
          const out = textOf(guarded(deltas))
          assert.isTrue(out.endsWith("."))
          for (let at = 0; at + 8 <= key.length; at++) assert.notInclude(out, key.slice(at, at + 8))
        }
      )
    )
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
