import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import type { InvalidRequest } from "../../src/domain/RequestError.ts"
import { CommandBody, CreateSessionBody, UpdateSessionBody } from "../../src/http/Bodies.ts"
import { decoder, depthOf } from "../../src/http/Body.ts"
import { Transcript } from "../../src/journal/Transcript.ts"
import { SubmitBody } from "../../src/turn/TurnRuntime.ts"

const nesting = (value: unknown): number =>
  typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(nesting)) : 0

describe("request bodies", () => {
  it("depth told from the bytes is the depth of the value, whatever its strings hold", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.jsonValue({ maxDepth: 8 }), (value) => {
        assert.strictEqual(depthOf(Buffer.from(JSON.stringify(value)), 1000), nesting(value))
      }),
      { numRuns: 500 }
    )
  })

  it("a body that is deeper than the limit is told without reading on", () => {
    assert.strictEqual(depthOf(Buffer.from("[".repeat(100_000)), 32), 33)
  })

  const create = decoder(CreateSessionBody)
  const submit = decoder(SubmitBody)
  const transcript = decoder(Transcript)
  const message = { role: "user", parts: [{ type: "text", text: "x" }] }
  const words: ReadonlyArray<readonly [Effect.Effect<unknown, InvalidRequest>, string]> = [
    [create([]), "must be an object"],
    [create(null), "must be an object"],
    [create({ title: 7 }), "title: must be a string"],
    [create({ title: "x".repeat(513) }), "title: must be a string at most 512 character(s) long"],
    [decoder(UpdateSessionBody)({ title: 7 }), "title: must be a string or null"],
    [decoder(CommandBody)({ x: 1 }), "x: is not a known field; remove it"],
    [decoder(CommandBody)(7), "must be an object"],
    [submit({ message: 7 }), "message: must be a string or an object"],
    [submit({ message: "x", onBusy: "wait" }), 'onBusy: must be "reject", "queue" or "supersede"'],
    [submit({ message: { parts: [{ type: "image" }] } }), 'message.parts[0].type: must be "text" or "tool-result"'],
    [
      submit({ message: { parts: [{ type: "tool-result", toolCallId: "c" }] } }),
      "message.parts[0].content: is missing"
    ],
    [submit({ message: "x", options: { deadlineMs: 1.5 } }), "options.deadlineMs: must be an integer"],
    [
      submit({ message: "x", options: { script: { steps: [{ hang: false }] } } }),
      "options.script.steps[0].hang: must be true"
    ],
    [transcript({ v: 1, session: null, messages: [] }), "session: must be an object"],
    [transcript({ v: 2, session: {}, messages: [] }), "v: must be 1"],
    [
      transcript({ v: 1, session: {}, messages: [{ ...message, role: "system" }] }),
      'messages[0].role: must be "user" or "assistant"'
    ],
    [transcript({ v: 1, session: {}, messages: {} }), "messages: must be an array"]
  ]
  for (const [refused, expected] of words) {
    it.effect(`what does not fit is told in words: ${expected}`, () =>
      Effect.map(Effect.flip(refused), (error) => assert.strictEqual(error.message, expected)))
  }

  const cases: ReadonlyArray<readonly [unknown, string]> = [
    [{}, "message: is missing"],
    [{ message: 7 }, "message: "],
    [{ message: "" }, "message: "],
    [{ message: { parts: [] } }, "message.parts: "],
    [{ message: { parts: [{ type: "text", text: 7 }] } }, "message.parts[0].text: "],
    [{ message: "x", base_url: "http://evil" }, "base_url: is not a known field"],
    [{ message: "x", options: { api_key: "sk-canary" } }, "options.api_key: is not a known field"],
    [{ message: "x", options: { temperature: "sk-canary" } }, "options.temperature: "],
    [{ message: "x", onBusy: "sk-canary" }, "onBusy: "],
    [{ message: "x", options: { script: { steps: [{ say: 7 }] } } }, "options.script.steps[0].say: "],
    [{ message: "x", options: { script: { steps: [{ say: "a", loud: 1 }] } } }, "options.script.steps[0].loud: is not"],
    [
      { message: "x", options: { script: { steps: [{ fail: { kind: "sk-canary" } }] } } },
      "options.script.steps[0].fail.kind"
    ],
    [{ message: "x", options: { script: { deltas: -1 } } }, "options.script.deltas: "]
  ]
  for (const [body, expected] of cases) {
    it.effect(`P27: ${JSON.stringify(body)} is refused by its path, without its value`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(decoder(SubmitBody)(body))
        assert.strictEqual(error._tag, "InvalidRequest")
        assert.isTrue(error.message.startsWith(expected), error.message)
        assert.notInclude(error.message, "canary")
        assert.isBelow(error.message.length, 500)
      }))
  }
})
