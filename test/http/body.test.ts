import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { decoder, depthOf } from "../../src/http/Body.ts"
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
