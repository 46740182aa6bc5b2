/** The JSON that a chat completions server is sent. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Part, PromptMessage } from "../../../src/domain/Message.ts"
import { family } from "../../../src/provider/families/OpenAiChat.ts"
import type { CallInput } from "../../../src/provider/Family.ts"
import type { ProviderRequest } from "../../../src/provider/Provider.ts"
import { continueText } from "../../../src/provider/wire/Prompt.ts"

const say = (role: PromptMessage["role"], ...said: ReadonlyArray<string | Part>): PromptMessage => ({
  role,
  parts: said.map((part) => (typeof part === "string" ? { type: "text", text: part } : part))
})
const call = (toolCallId: string, toolName: string, args: unknown): Part => ({
  type: "tool-call",
  toolCallId,
  toolName,
  arguments: args
})
const result = (toolCallId: string, content: unknown): Part => ({ type: "tool-result", toolCallId, content })

interface Asked extends Partial<Omit<ProviderRequest, "messages">> {
  readonly quirks?: CallInput["facts"]["quirks"]
  readonly baseUrl?: string
  readonly reasoning?: boolean
  readonly prefix?: boolean
}

const hello = [say("user", "Hello?")]

const encode = (
  messages: ReadonlyArray<PromptMessage>,
  { baseUrl = "https://api.example.test/v1", prefix = false, quirks = {}, reasoning = true, ...request }: Asked = {}
) =>
  family.encode({
    request: { model: "m", messages, generation: {}, attempt: 1, contextTokens: 10, ...request },
    facts: { baseUrl, region: undefined, quirks, capabilities: { streaming: true, tools: true, reasoning, prefix } },
    maxOutputTokens: 4_096,
    contextWindow: 16_384
  })

/** As it goes over the wire. */
const bodyOf = (messages: ReadonlyArray<PromptMessage>, asked?: Asked): Record<string, unknown> =>
  JSON.parse(JSON.stringify(encode(messages, asked).body))

const plain = {
  model: "m",
  messages: [{ role: "user", content: "Hello?" }],
  stream: true,
  stream_options: { include_usage: true }
}

describe("what a chat server is sent", () => {
  it("goes to the base URL's chat/completions, as JSON that asks for a stream and its usage", () => {
    const { headers, trimmed, url } = encode(hello)
    assert.strictEqual(url, "https://api.example.test/v1/chat/completions")
    assert.deepStrictEqual(headers, { accept: "text/event-stream" })
    assert.isUndefined(trimmed)
    assert.strictEqual(encode(hello, { baseUrl: "http://h:1/v1//" }).url, "http://h:1/v1/chat/completions")
  })

  it("holds what was asked and nothing else", () => {
    assert.deepStrictEqual(bodyOf(hello), plain)
    assert.deepStrictEqual(
      bodyOf(hello, {
        model: "vendor/m:free",
        system: "Be brief.",
        generation: { temperature: 0, maxOutputTokens: 100 }
      }),
      {
        ...plain,
        model: "vendor/m:free",
        messages: [{ role: "system", content: "Be brief." }, ...plain.messages],
        temperature: 0,
        max_tokens: 100
      }
    )
  })

  it("roles take turns, and several texts of a user stay several", () => {
    assert.deepStrictEqual(
      bodyOf([
        say("assistant", "Welcome."),
        say("user", "One.", "Two."),
        say("user", "Three."),
        say("assistant", { type: "reasoning", text: "hm" }, "Four, ", "five."),
        say("user", "", "Six?")
      ])["messages"],
      [
        { role: "assistant", content: "Welcome." },
        { role: "user", content: ["One.", "Two.", "Three."].map((text) => ({ type: "text", text })) },
        { role: "assistant", content: "Four, five." },
        { role: "user", content: "Six?" }
      ]
    )
  })

  it("calls stand in the answer, and each has one result right behind it; the rest of the question follows", () => {
    const asked = (id: string, name: string, args: string) => ({
      id,
      type: "function",
      function: { name, arguments: args }
    })
    assert.deepStrictEqual(
      bodyOf([
        say("user", "Look."),
        say("assistant", "I look.", call("a", "look", { at: ["ö"] }), call("b", "wait", {}), call("c", "stop", null)),
        say("user", "And?", result("gone", "late"), result("c", { done: true }), result("a", "seen")),
        say("assistant", call("d", "look", undefined))
      ])["messages"],
      [
        { role: "user", content: "Look." },
        {
          role: "assistant",
          content: "I look.",
          tool_calls: [asked("a", "look", '{"at":["ö"]}'), asked("b", "wait", "{}"), asked("c", "stop", "{}")]
        },
        { role: "tool", tool_call_id: "a", content: "seen" },
        { role: "tool", tool_call_id: "b", content: "(no result was given)" },
        { role: "tool", tool_call_id: "c", content: '{"done":true}' },
        {
          role: "user",
          content: [{ type: "text", text: "And?" }, { type: "text", text: "Result of the tool call gone: late" }]
        },
        { role: "assistant", content: null, tool_calls: [asked("d", "look", "{}")] },
        { role: "tool", tool_call_id: "d", content: "(no result was given)" }
      ]
    )
  })

  it("the cap goes into the field that the service knows", () => {
    const generation = { maxOutputTokens: 77 }
    assert.deepStrictEqual(bodyOf(hello, { generation, quirks: { maxTokensField: "max_tokens" } }), {
      ...plain,
      max_tokens: 77
    })
    assert.deepStrictEqual(bodyOf(hello, { generation, quirks: { maxTokensField: "max_completion_tokens" } }), {
      ...plain,
      max_completion_tokens: 77
    })
    assert.deepStrictEqual(bodyOf(hello, { quirks: { maxTokensField: "max_completion_tokens" } }), plain)
  })

  it("usage is asked for unless the service does not know how", () => {
    const { stream_options, ...without } = plain
    assert.deepStrictEqual(bodyOf(hello, { quirks: { streamOptions: false } }), without)
    assert.deepStrictEqual(bodyOf(hello, { quirks: { streamOptions: true } }), { ...without, stream_options })
  })

  it("reasoning is asked for in the service's own form", () => {
    const levels = ["off", "low", "medium", "high"] as const
    const added = (quirks: CallInput["facts"]["quirks"], more: Asked = {}) =>
      levels.map((reasoning) => {
        const { messages, model, stream, stream_options, ...rest } = bodyOf(hello, {
          generation: { reasoning },
          quirks,
          ...more
        })
        assert.deepStrictEqual({ messages, model, stream, stream_options }, plain)
        return rest
      })
    const effort = ["none", "low", "medium", "high"].map((level) => ({ reasoning_effort: level }))
    assert.deepStrictEqual(added({}), effort)
    for (const reasoning of ["effort", "adaptive"] as const) assert.deepStrictEqual(added({ reasoning }), effort)
    assert.deepStrictEqual(added({ reasoning: "object" }), [
      { reasoning: { enabled: false } },
      ...["low", "medium", "high"].map((effort) => ({ reasoning: { effort } }))
    ])
    const switched = (off: object, on: object) => [off, on, on, on]
    assert.deepStrictEqual(
      added({ reasoning: "thinking" }),
      switched({ thinking: { type: "disabled" } }, { thinking: { type: "enabled" } })
    )
    assert.deepStrictEqual(
      added({ reasoning: "enable_thinking" }),
      switched({ enable_thinking: false }, { enable_thinking: true })
    )
    assert.deepStrictEqual(added({ reasoning: "none" }), switched({}, {}))
    for (const reasoning of ["effort", "object", "thinking", "enable_thinking"] as const) {
      assert.deepStrictEqual(added({ reasoning }, { reasoning: false }), switched({}, {}))
      assert.deepStrictEqual(bodyOf(hello, { quirks: { reasoning } }), plain)
    }
  })
})

describe("a resumed answer", () => {
  const resumed = [say("user", "Count."), say("assistant", "1, 2"), say("assistant", ", 3 ")]
  const question = { role: "user", content: "Count." }
  const half = { role: "assistant", content: "1, 2, 3 " }
  const messages = (asked: Asked) => bodyOf(resumed, asked)["messages"]

  it("is continued where the service takes a prefix, marked where it wants a mark", () => {
    assert.deepStrictEqual(messages({ prefix: true }), [question, half])
    for (const prefixField of ["prefix", "partial"] as const) {
      assert.deepStrictEqual(messages({ prefix: true, quirks: { prefixField } }), [question, {
        ...half,
        [prefixField]: true
      }])
    }
    assert.deepStrictEqual(messages({ prefix: true, quirks: { prefixField: "prefix" }, system: "s" }), [
      { role: "system", content: "s" },
      question,
      { ...half, prefix: true }
    ])
  })

  it("is followed by the request to continue where it takes none, and nothing is marked", () => {
    const asking = [question, half, { role: "user", content: continueText }]
    assert.deepStrictEqual(messages({}), asking)
    assert.deepStrictEqual(messages({ quirks: { prefixField: "partial" } }), asking)
  })

  it("no other message is marked: not an earlier answer, nor one with calls", () => {
    const quirks = { prefixField: "partial" } as const
    const histories = [
      [...resumed, say("user", "Go on.")],
      [say("user", "Look."), say("assistant", "I look.", call("a", "look", {}))],
      hello
    ]
    for (const history of histories) {
      assert.notInclude(JSON.stringify(bodyOf(history, { prefix: true, quirks })), '"partial"')
    }
  })
})

describe("its key", () => {
  const authorize = (apiKeyEnv: string | undefined, keys: Readonly<Record<string, string>>) =>
    family.authorize(
      { url: "https://api.example.test", headers: {}, body: "{}" },
      new Map(Object.entries(keys).map(([name, key]) => [name, Redacted.make(key)])),
      { apiKeyEnv, region: undefined }
    )

  it.effect("is a bearer token, or nothing where none is configured or set", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* authorize("KEY", { KEY: "k-1", OTHER: "k-2" }), { authorization: "Bearer k-1" })
      assert.deepStrictEqual(yield* authorize("KEY", { OTHER: "k-2" }), {})
      assert.deepStrictEqual(yield* authorize(undefined, { KEY: "k-1" }), {})
    }))
})
