import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import type { Part, PromptMessage } from "../../../src/domain/Message.ts"
import * as UsageSum from "../../../src/domain/UsageSum.ts"
import { family } from "../../../src/provider/families/Anthropic.ts"
import type { CallInput } from "../../../src/provider/Family.ts"
import type { GenerationOptions, ProviderEvent } from "../../../src/provider/Provider.ts"
import { continueText } from "../../../src/provider/wire/Prompt.ts"
import {
  type Body,
  close,
  delta,
  event,
  json,
  open,
  ping,
  reason,
  start,
  stop,
  text,
  textBlock,
  tool,
  toolBlock,
  wire
} from "./AnthropicWire.ts"
import { bytesOf, concat, cutAt, decode, pieces, settled } from "./decoding.ts"
import { recordings } from "./fixtures.ts"

/* ---- what is sent ---- */

const said = (text: string): Part => ({ type: "text", text })
const called = (toolCallId: string, toolName: string, given: unknown): Part => ({
  type: "tool-call",
  toolCallId,
  toolName,
  arguments: given
})
const result = (toolCallId: string, content: unknown): Part => ({ type: "tool-result", toolCallId, content })
const user = (...parts: ReadonlyArray<Part>): PromptMessage => ({ role: "user", parts })
const assistant = (...parts: ReadonlyArray<Part>): PromptMessage => ({ role: "assistant", parts })

interface Asked {
  readonly messages?: ReadonlyArray<PromptMessage>
  readonly system?: string
  readonly generation?: GenerationOptions
  readonly maxOutputTokens?: number
  readonly baseUrl?: string
  readonly reasoning?: boolean
  readonly prefix?: boolean
}

const inputOf = (asked: Asked): CallInput => ({
  request: {
    model: "claude-x",
    ...(asked.system === undefined ? {} : { system: asked.system }),
    messages: asked.messages ?? [user(said("hi"))],
    generation: asked.generation ?? {},
    attempt: 1,
    contextTokens: 5
  },
  facts: {
    baseUrl: asked.baseUrl ?? "https://api.example.test",
    region: undefined,
    quirks: {},
    capabilities: { streaming: true, tools: true, reasoning: asked.reasoning ?? true, prefix: asked.prefix ?? true }
  },
  maxOutputTokens: asked.maxOutputTokens ?? 40_000,
  contextWindow: 16_384
})

const bodyOf = (asked: Asked) => family.encode(inputOf(asked)).body

const plain = (value: string) => ({ type: "text", text: value })
const question = { role: "user", content: [plain("hi")] }
const minimal = { model: "claude-x", max_tokens: 40_000, stream: true, messages: [question] }

describe("a call of the Messages API", () => {
  it("goes to /v1/messages below the base URL, with the version and no key", () => {
    for (const baseUrl of ["https://api.example.test", "https://api.example.test/", "https://api.example.test//"]) {
      const { headers, url } = family.encode(inputOf({ baseUrl }))
      assert.strictEqual(url, "https://api.example.test/v1/messages")
      assert.deepStrictEqual(headers, { "anthropic-version": "2023-06-01", "accept": "text/event-stream" })
    }
    assert.strictEqual(
      family.encode(inputOf({ baseUrl: "https://h.test/team/" })).url,
      "https://h.test/team/v1/messages"
    )
  })

  it.effect("carries the key of the named variable, and none where none is named or set", () =>
    Effect.gen(function*() {
      const call = { url: "", headers: {}, body: "" }
      const keys = new Map([["THE_KEY", Redacted.make("k-1")]])
      const headers = (apiKeyEnv: string | undefined) => family.authorize(call, keys, { apiKeyEnv, region: undefined })
      assert.deepStrictEqual(yield* headers("THE_KEY"), { "x-api-key": "k-1" })
      assert.deepStrictEqual(yield* headers("OTHER"), {})
      assert.deepStrictEqual(yield* headers(undefined), {})
    }))

  it("sends nothing that nobody asked for, but for max_tokens, which the API demands", () => {
    assert.deepStrictEqual(bodyOf({}), minimal)
    assert.deepStrictEqual(bodyOf({ maxOutputTokens: 77 }), { ...minimal, max_tokens: 77 })
  })

  it("carries the instructions and the temperature, and no blank instructions", () => {
    assert.deepStrictEqual(bodyOf({ system: "Be brief.", generation: { temperature: 0 } }), {
      ...minimal,
      system: "Be brief.",
      temperature: 0
    })
    assert.deepStrictEqual(bodyOf({ system: " \n" }), minimal)
  })

  it("keeps parts as blocks, merges neighbours of one role, leaves reasoning and blank text out", () => {
    const messages = [
      user(said("a"), said("b")),
      user(said(" "), said("c")),
      assistant({ type: "reasoning", text: "hm" }, said("\n\n"), said("d")),
      assistant(said("e")),
      assistant(said(" ")),
      user(said("f"))
    ]
    assert.deepStrictEqual(bodyOf({ messages }), {
      ...minimal,
      messages: [
        { role: "user", content: [plain("a"), plain("b"), plain("c")] },
        { role: "assistant", content: [plain("d"), plain("e")] },
        { role: "user", content: [plain("f")] }
      ]
    })
  })

  it("lets the API refuse a blank question rather than continue the last answer", () => {
    assert.deepStrictEqual(bodyOf({ messages: [user(said("hi")), assistant(said("yes")), user(said(" "))] }), {
      ...minimal,
      messages: [question, { role: "assistant", content: [plain("yes")] }, { role: "user", content: [plain(" ")] }]
    })
  })

  it("has the user speak first", () => {
    const { messages } = bodyOf({ messages: [assistant(said("welcome")), user(said("hi"))] })
    assert.deepStrictEqual(messages, [
      { role: "user", content: [plain("(the conversation begins with your message)")] },
      { role: "assistant", content: [plain("welcome")] },
      question
    ])
  })

  it("shows calls with their results first, and defines each tool that it shows once", () => {
    const messages = [
      user(said("weather?")),
      assistant(said("I look."), called("c1", "look", { at: "Ulm" }), called("c2", "look", { at: "Bonn" })),
      user(said("thanks"), result("c2", { c: 4 }), result("c1", "rain"))
    ]
    assert.deepStrictEqual(bodyOf({ messages }), {
      ...minimal,
      messages: [
        { role: "user", content: [plain("weather?")] },
        {
          role: "assistant",
          content: [
            plain("I look."),
            { type: "tool_use", id: "c1", name: "look", input: { at: "Ulm" } },
            { type: "tool_use", id: "c2", name: "look", input: { at: "Bonn" } }
          ]
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "c1", content: "rain" },
            { type: "tool_result", tool_use_id: "c2", content: '{"c":4}' },
            plain("thanks")
          ]
        }
      ],
      tools: [{ name: "look", input_schema: { type: "object" } }]
    })
  })

  it("answers a call that nobody answered, and turns a result without its call into text", () => {
    const messages = [
      user(said("go")),
      assistant(called("c1", "look", {})),
      user(result("gone", "x"), said("never mind"))
    ]
    assert.deepStrictEqual(bodyOf({ messages }), {
      ...minimal,
      messages: [
        { role: "user", content: [plain("go")] },
        { role: "assistant", content: [{ type: "tool_use", id: "c1", name: "look", input: {} }] },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "c1", content: "(no result was given)" },
            plain("Result of the tool call gone: x"),
            plain("never mind")
          ]
        }
      ],
      tools: [{ name: "look", input_schema: { type: "object" } }]
    })
  })

  it("spells ids and names of tools as the API takes them, the same in call, result and definition", () => {
    const messages = [
      user(said("go")),
      assistant(called("call.1|é", "fs.read file", {}), called("", "n".repeat(200), {})),
      user(result("call.1|é", "ok"), result("", "ok too"))
    ]
    const long = "n".repeat(128)
    assert.deepStrictEqual(bodyOf({ messages }), {
      ...minimal,
      messages: [
        { role: "user", content: [plain("go")] },
        {
          role: "assistant",
          content: [
            { type: "tool_use", id: "call_1__", name: "fs_read_file", input: {} },
            { type: "tool_use", id: "_", name: long, input: {} }
          ]
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "call_1__", content: "ok" },
            { type: "tool_result", tool_use_id: "_", content: "ok too" }
          ]
        }
      ],
      tools: [
        { name: "fs_read_file", input_schema: { type: "object" } },
        { name: long, input_schema: { type: "object" } }
      ]
    })
  })

  it("makes ids unique that come again in a later answer or become equal when spelled", () => {
    const messages = [
      user(said("go")),
      assistant(called("a.1", "t", {}), called("a:1", "t", {})),
      user(result("a.1", "1"), result("a:1", "2")),
      assistant(called("a.1", "t", {})),
      user(result("a.1", "3"))
    ]
    const sent = JSON.stringify(bodyOf({ messages }).messages)
    assert.deepStrictEqual([...sent.matchAll(/"id":"(.*?)"/g)].map(([, id]) => id), ["a_1", "a_1_2", "a_1_2_2"])
    assert.deepStrictEqual(
      [...sent.matchAll(/"tool_use_id":"(.*?)","content":"(.)"/g)].map(([, id, content]) => [id, content]),
      [["a_1", "1"], ["a_1_2", "2"], ["a_1_2_2", "3"]]
    )
  })

  it("sends an object as the input of every call", () => {
    const inputs: ReadonlyArray<readonly [given: unknown, sent: unknown]> = [
      [{ a: [1] }, { a: [1] }],
      [null, {}],
      [undefined, {}],
      ["x", { value: "x" }],
      [[1], { value: [1] }],
      [0, { value: 0 }]
    ]
    for (const [given, sent] of inputs) {
      const { messages } = bodyOf({
        messages: [user(said("go")), assistant(called("c", "t", given)), user(result("c", "r"))]
      })
      assert.deepStrictEqual((messages as ReadonlyArray<unknown>)[1], {
        role: "assistant",
        content: [{ type: "tool_use", id: "c", name: "t", input: sent }]
      })
    }
  })

  it("sends the beginning of an answer as a prefix without white space at its end", () => {
    const messages = [user(said("hi")), assistant(said("one "), said("two \n "))]
    assert.deepStrictEqual(bodyOf({ messages, generation: { temperature: 0.5, reasoning: "off" } }), {
      ...minimal,
      temperature: 0.5,
      messages: [question, { role: "assistant", content: [plain("one "), plain("two")] }]
    })
  })

  it("sends no prefix that is only white space", () => {
    assert.deepStrictEqual(bodyOf({ messages: [user(said("hi")), assistant(said(" \n"))] }), minimal)
  })

  it("asks in words to continue where the model takes no prefix or begins with its thoughts", () => {
    const messages = [user(said("hi")), assistant(said("one "))]
    const asking = [question, { role: "assistant", content: [plain("one")] }, {
      role: "user",
      content: [plain(continueText)]
    }]
    assert.deepStrictEqual(bodyOf({ messages, prefix: false }), { ...minimal, messages: asking })
    assert.deepStrictEqual(bodyOf({ messages, generation: { reasoning: "low", temperature: 1 } }), {
      ...minimal,
      messages: asking,
      thinking: { type: "enabled", budget_tokens: 1_024 }
    })
  })
})

describe("thinking", () => {
  it("is left to the model's own measure where the configuration says that it takes no budget", () => {
    const input = inputOf({ generation: { reasoning: "high", temperature: 0.2 } })
    const { body } = family.encode({ ...input, facts: { ...input.facts, quirks: { reasoning: "adaptive" } } })
    assert.deepStrictEqual(body, { ...minimal, thinking: { type: "adaptive" }, output_config: { effort: "high" } })
  })

  const thinking = (asked: Asked) => bodyOf({ ...asked, generation: { reasoning: "high", ...asked.generation } })

  it("has the budget of its level and never a temperature", () => {
    for (const [level, budget] of [["low", 1_024], ["medium", 4_096], ["high", 16_384]] as const) {
      assert.deepStrictEqual(bodyOf({ generation: { reasoning: level, temperature: 0.2 } }), {
        ...minimal,
        thinking: { type: "enabled", budget_tokens: budget }
      })
    }
  })

  it("is not asked for when off, absent, or unknown to the provider", () => {
    assert.deepStrictEqual(bodyOf({ generation: { reasoning: "off" } }), minimal)
    assert.deepStrictEqual(bodyOf({ generation: { reasoning: "high", temperature: 1 }, reasoning: false }), {
      ...minimal,
      temperature: 1
    })
  })

  it("leaves half of the output to the answer, and is left out where that is less than the API's least budget", () => {
    const budget = (maxOutputTokens: number) => {
      const body = thinking({ maxOutputTokens })
      assert.strictEqual(body.max_tokens, maxOutputTokens)
      return body.thinking
    }
    assert.deepStrictEqual(budget(8_001), { type: "enabled", budget_tokens: 4_000 })
    assert.deepStrictEqual(budget(2_048), { type: "enabled", budget_tokens: 1_024 })
    assert.isUndefined(budget(2_047))
    assert.isUndefined(budget(1))
  })

  it("is left out behind results of tool calls, also where the answer to them is resumed", () => {
    const calls = [user(said("go")), assistant(called("c", "t", {})), user(result("c", "r"))]
    assert.notProperty(thinking({ messages: calls }), "thinking")
    assert.notProperty(thinking({ messages: [...calls, assistant(said("so"))] }), "thinking")
    assert.notProperty(thinking({ messages: [...calls, assistant(said("so"))], prefix: false }), "thinking")
    assert.property(thinking({ messages: [...calls, assistant(said("so")), user(said("and?"))] }), "thinking")
  })
})

/* ---- what is read ---- */

const read = (...bodies: ReadonlyArray<Body>) => decode(family, bodies.map(event))
const raw = (body: string) => decode(family, [bytesOf(body)])
const outline = (events: ReadonlyArray<ProviderEvent>) =>
  events.map((event) =>
    event._tag === "Delta"
      ? `${event.kind}:${event.text}`
      : event._tag === "ToolCall"
      ? `call:${event.toolName}${JSON.stringify(event.arguments)}`
      : event._tag
  )
const noUsage = { ...start(), message: { id: "msg_a" } }

describe("an answer of the Messages API", () => {
  it("gives text as it comes, usage as soon as it is known, and one Finish at message_stop", () => {
    const { events, fault } = read(start(), ping, ...textBlock(0, "Hal", "", "lo"), ping, reason("end_turn"), stop)
    assert.isUndefined(fault)
    assert.deepStrictEqual(outline(events), ["Usage", "text:Hal", "text:lo", "Usage", "Finish"])
    assert.deepStrictEqual(events.at(-1), { _tag: "Finish", reason: "stop", raw: "end_turn" })
  })

  it("is not over before message_stop, and reads nothing after it", () => {
    const events: Array<ProviderEvent> = []
    const decoder = family.decoder({ emit: (event) => events.push(event), callId: () => "new" })
    for (const body of [start(), ...textBlock(0, "a"), reason("end_turn")]) decoder.push(event(body))
    assert.strictEqual(decoder.progress(), "open")
    decoder.push(event(stop))
    assert.strictEqual(decoder.progress(), "closed")
    const count = events.length
    for (const body of [text(0, "late"), { type: "error" }, start({}, { id: "msg_b" }), stop]) {
      assert.isUndefined(decoder.push(event(body)))
    }
    assert.isUndefined(decoder.end())
    assert.strictEqual(events.length, count)
  })

  it("without message_stop is incomplete, also behind a stop reason or [DONE]", () => {
    for (const tail of [[], [bytesOf("data: [DONE]\n\n")]]) {
      const decoded = decode(family, [...[start(), ...textBlock(0, "a"), reason("end_turn")].map(event), ...tail])
      assert.strictEqual(decoded.fault?.kind, "incomplete_stream")
      assert.isUndefined(decoded.finishReason)
    }
    assert.strictEqual(raw("").fault?.kind, "incomplete_stream")
  })

  it("may carry text and thinking in content_block_start", () => {
    const decoded = read(
      start(),
      open(0, { type: "thinking", thinking: "first ", signature: "" }),
      delta(0, { type: "thinking_delta", thinking: "think" }),
      close(0),
      open(1, { type: "text", text: "then " }),
      text(1, "speak"),
      close(1),
      reason("end_turn"),
      stop
    )
    assert.strictEqual(decoded.reasoning, "first think")
    assert.strictEqual(decoded.text, "then speak")
  })

  it("is read by the type in the JSON; the event's name counts where there is none", () => {
    const lines = [start(), ...textBlock(0, "a"), reason("end_turn"), stop].map((body) => JSON.stringify(body))
    for (const name of ["", "event: other\n", "event: ping\n", "event: error\n"]) {
      const decoded = raw(lines.map((line) => `${name}data: ${line}  \r\n\r\n`).join(""))
      assert.isUndefined(decoded.fault)
      assert.strictEqual(decoded.text, "a")
      assert.strictEqual(decoded.finishReason, "stop")
    }
    assert.strictEqual(raw("event: ping\ndata: {}\n\nevent: message_stop\ndata: {}\n\n").finishReason, "unknown")
  })

  it("passes over events, deltas and fields that it does not know", () => {
    const decoded = read(
      { type: "brand_new", error: { message: "not ours" } },
      start(),
      open(0, { type: "text", text: "" }),
      delta(0, { type: "citations_delta", citation: { cited_text: "c" } }),
      delta(0, { type: "brand_new_delta", text: "no" }),
      { type: "content_block_delta", index: 0 },
      { type: "content_block_delta", index: "0", delta: { type: "text_delta", text: 5 } },
      text(0, "yes"),
      close(0),
      close(9),
      { type: "message_delta" },
      { type: "message_delta", delta: { stop_reason: 4 }, usage: [] },
      reason("end_turn"),
      stop
    )
    assert.isUndefined(decoded.fault)
    assert.strictEqual(decoded.text, "yes")
    assert.strictEqual(raw("data: 5\n\ndata: null\n\ndata: []\n\n").fault?.kind, "incomplete_stream")
  })

  it("passes over what only the provider can read", () => {
    const decoded = read(
      start(),
      open(0, { type: "thinking", thinking: "", signature: "" }),
      delta(0, { type: "thinking_delta", thinking: "hm" }),
      delta(0, { type: "signature_delta", signature: "c2ln" }),
      close(0),
      open(1, { type: "redacted_thinking", data: "b64" }),
      close(1),
      open(2, { type: "compaction", content: null }),
      delta(2, { type: "compaction_delta", content: "so far" }),
      close(2),
      open(3, { type: "fallback", from: { model: "a" }, to: { model: "b" } }),
      close(3),
      ...textBlock(4, "ok"),
      reason("end_turn"),
      stop
    )
    assert.deepStrictEqual(outline(decoded.events), ["Usage", "reasoning:hm", "text:ok", "Usage", "Finish"])
  })

  it("never surfaces tools that the provider ran itself", () => {
    const server = { type: "server_tool_use", id: "srv_1", name: "web_search", input: {} }
    const mcp = { type: "mcp_tool_use", id: "mcp_1", name: "echo", server_name: "s", input: { a: 1 } }
    const decoded = read(
      start(),
      ...toolBlock(0, server, '{"query":', '"x"}'),
      open(1, {
        type: "web_search_tool_result",
        tool_use_id: "srv_1",
        content: [{ type: "web_search_result", url: "u" }]
      }),
      close(1),
      ...toolBlock(2, mcp, '{"a":1}'),
      open(3, { type: "mcp_tool_result", tool_use_id: "mcp_1", content: [{ type: "text", text: "hidden" }] }),
      close(3),
      ...textBlock(4, "found"),
      reason("pause_turn"),
      stop
    )
    assert.deepStrictEqual(outline(decoded.events), ["Usage", "text:found", "Usage", "Finish"])
    assert.strictEqual(decoded.rawFinishReason, "pause_turn")
  })

  it("tolerates a message_start that comes twice, and refuses another message inside the first", () => {
    const twice = read(
      start(),
      ...textBlock(0, "a"),
      start({ input_tokens: 1, output_tokens: 1 }),
      reason("end_turn"),
      stop
    )
    assert.isUndefined(twice.fault)
    assert.strictEqual(twice.text, "a")
    assert.strictEqual(twice.usage?.inputTokens, 11)
    const other = read(start(), ...textBlock(0, "a"), start({}, { id: "msg_b" }), reason("end_turn"), stop)
    assert.strictEqual(other.fault?.kind, "protocol")
    assert.isUndefined(other.finishReason)
    // the last event of a body may lack its blank line and is whole nonetheless
    const last = decode(family, [event(start()), bytesOf(`data: ${JSON.stringify(start({}, { id: "msg_b" }))}`)])
    assert.strictEqual(last.fault?.kind, "protocol")
  })

  it("may come whole in message_start", () => {
    const content = [
      plain("see: "),
      { type: "mcp_tool_result", content: [] },
      tool("t1", "look", { at: "Ulm" }),
      tool("t2", "list")
    ]
    const decoded = read(start({ input_tokens: 3, output_tokens: 2 }, { content, stop_reason: "tool_use" }), stop)
    assert.isUndefined(decoded.fault)
    assert.strictEqual(decoded.text, "see: ")
    assert.deepStrictEqual(decoded.toolCalls, [
      { id: "t1", name: "look", arguments: { at: "Ulm" } },
      { id: "t2", name: "list", arguments: {} }
    ])
    assert.strictEqual(decoded.finishReason, "tool-calls")
    assert.strictEqual(decoded.usage?.totalTokens, 5)
  })
})

describe("tool calls of the Messages API", () => {
  it("are announced, given piece by piece, and made when their block stops", () => {
    const { events } = read(
      start(),
      ...toolBlock(0, tool("t1", "look"), "", '{"at":', '"Ülm"}'),
      ...toolBlock(1, tool("t2", "list"), '{"n":1}'),
      reason("tool_use"),
      stop
    )
    assert.deepStrictEqual(outline(events), [
      "Usage",
      "tool-input:",
      'tool-input:{"at":',
      'tool-input:"Ülm"}',
      'call:look{"at":"Ülm"}',
      "tool-input:",
      'tool-input:{"n":1}',
      'call:list{"n":1}',
      "Usage",
      "Finish"
    ])
    assert.deepStrictEqual(events[2], {
      _tag: "Delta",
      kind: "tool-input",
      text: '{"at":',
      toolCallId: "t1",
      toolName: "look"
    })
    assert.deepStrictEqual(events.at(-1), { _tag: "Finish", reason: "tool-calls", raw: "tool_use" })
  })

  it("keep their pieces apart by the index of the block", () => {
    const decoded = read(
      start(),
      open(0, tool("t1", "a")),
      open(1, tool("t2", "b")),
      json(1, '{"b":'),
      json(0, '{"a":'),
      json(1, "2}"),
      json(0, "1}"),
      json(7, "{}"),
      close(1),
      close(0),
      reason("tool_use"),
      stop
    )
    assert.deepStrictEqual(decoded.toolCalls, [
      { id: "t2", name: "b", arguments: { b: 2 } },
      { id: "t1", name: "a", arguments: { a: 1 } }
    ])
  })

  it("without arguments have an empty object, in their order", () => {
    const decoded = read(
      start(),
      ...toolBlock(0, tool("t1", "a"), ""),
      ...toolBlock(1, tool("t2", "b")),
      ...toolBlock(2, tool("t3", "c"), "{}"),
      ...toolBlock(3, tool("t4", "d"), "", ""),
      reason("tool_use"),
      stop
    )
    assert.deepStrictEqual(decoded.toolCalls.map(({ id }) => id), ["t1", "t2", "t3", "t4"])
    for (const call of decoded.toolCalls) assert.deepStrictEqual(call.arguments, {})
  })

  it("take the input of content_block_start where no other follows", () => {
    const decoded = read(
      start(),
      ...toolBlock(0, tool("t1", "a", { x: 1 })),
      ...toolBlock(1, tool("t2", "b", { x: 1 }), "", '{"x":2}'),
      reason("tool_use"),
      stop
    )
    assert.deepStrictEqual(decoded.toolCalls.map((call) => call.arguments), [{ x: 1 }, { x: 2 }])
    assert.include(outline(decoded.events), 'tool-input:{"x":1}')
  })

  it("without an id get one of ours", () => {
    const decoded = read(start(), ...toolBlock(0, { type: "tool_use", name: "a" }, "{}"), reason("tool_use"), stop)
    assert.deepStrictEqual(decoded.toolCalls, [{ id: "call_1", name: "a", arguments: {} }])
  })

  it("that the output limit or a refusal cut are left out, whether or not their block stops", () => {
    for (const word of ["max_tokens", "model_context_window_exceeded", "refusal"]) {
      for (const cut of ["", "{", '{"a":1', '{"a":1}']) {
        for (const end of cut === '{"a":1}' ? [[]] : [[], [close(1)]]) {
          const decoded = read(
            start(),
            ...toolBlock(0, tool("t1", "whole"), "{}"),
            open(1, tool("t2", "cut")),
            json(1, cut),
            ...end,
            reason(word),
            stop
          )
          assert.isUndefined(decoded.fault)
          assert.deepStrictEqual(decoded.toolCalls.map(({ name }) => name), ["whole"])
          assert.strictEqual(decoded.rawFinishReason, word)
        }
      }
    }
  })

  it("that nothing explains the cut of are a fault, and no Finish", () => {
    for (const word of ["tool_use", "end_turn", "brand_new", null]) {
      for (const end of [[], [close(0)]]) {
        const decoded = read(start(), open(0, tool("t1", "cut")), json(0, '{"a":'), ...end, reason(word), stop)
        assert.strictEqual(decoded.fault?.kind, "protocol")
        assert.include(decoded.fault?.detail, '"cut"')
        assert.deepStrictEqual(decoded.toolCalls, [])
        assert.isUndefined(decoded.finishReason)
      }
      assert.strictEqual(read(start(), open(0, tool("t1", "cut")), reason(word), stop).fault?.kind, "protocol")
      assert.strictEqual(
        read(start(), open(0, tool("t1", "cut")), json(0, "12"), reason(word), stop).fault?.kind,
        "protocol"
      )
    }
    // also where the blank line behind message_stop is missing
    const bytes = concat([start(), open(0, tool("t1", "cut")), json(0, "{"), reason("tool_use"), stop].map(event))
    assert.strictEqual(decode(family, [bytes.slice(0, -2)]).fault?.kind, "protocol")
  })

  it("whose block never stops are made at the end where their object is complete", () => {
    const decoded = read(
      start(),
      open(0, tool("t1", "a")),
      json(0, '{"x":1}'),
      open(1, tool("t2", "b", { y: 2 })),
      reason("tool_use"),
      stop
    )
    assert.deepStrictEqual(decoded.toolCalls.map((call) => call.arguments), [{ x: 1 }, { y: 2 }])
    assert.strictEqual(decoded.finishReason, "tool-calls")
  })

  it("without a name, or whose block another call takes over, are cut", () => {
    const nameless = read(start(), ...toolBlock(0, { type: "tool_use", id: "t1" }, "{}"), reason("tool_use"), stop)
    assert.strictEqual(nameless.fault?.kind, "protocol")
    assert.deepStrictEqual(outline(nameless.events), ["Usage", "Usage"])
    const replaced = [start(), open(0, tool("t1", "a")), json(0, "{"), ...toolBlock(0, tool("t2", "b"), "{}")]
    assert.strictEqual(read(...replaced, reason("tool_use"), stop).fault?.kind, "protocol")
    const repeated = [start(), open(0, tool("t1", "a")), json(0, "{"), open(0, tool("t1", "a")), json(0, "}"), close(0)]
    assert.deepStrictEqual(read(...repeated, reason("tool_use"), stop).toolCalls.map(({ id }) => id), ["t1"])
  })

  it("are not opened without end", () => {
    const many = Array.from({ length: 65 }, (_, index) => open(index, tool(`t${index}`, "a")))
    assert.include(read(start(), ...many, reason("max_tokens"), stop).fault?.detail, "open at once")
    assert.strictEqual(read(start(), ...many.slice(1), reason("max_tokens"), stop).finishReason, "length")
  })

  it("without arguments are whole where another block begins behind them, whatever the limit cuts then", () => {
    const decoded = read(
      start(),
      ...toolBlock(0, tool("t1", "a"), ""),
      ...textBlock(1, "and"),
      reason("max_tokens"),
      stop
    )
    assert.deepStrictEqual(outline(decoded.events).slice(1, 4), ["tool-input:", "call:a{}", "text:and"])
    assert.strictEqual(decoded.finishReason, "length")
  })
})

describe("usage of the Messages API", () => {
  const usage = (first: unknown, ...later: ReadonlyArray<unknown>) =>
    read(start(first), ...later.map((counts, index) => reason(index === 0 ? "end_turn" : null, counts)), stop)

  it("counts what the cache gave and took as input, and thinking as output", () => {
    const counts = {
      input_tokens: 5,
      cache_creation_input_tokens: 100,
      cache_read_input_tokens: 1_000,
      output_tokens: 40,
      output_tokens_details: { thinking_tokens: 30 }
    }
    const decoded = usage({ ...counts, output_tokens: 1, output_tokens_details: null }, counts)
    assert.deepStrictEqual(decoded.usage, {
      inputTokens: 1_105,
      outputTokens: 40,
      cacheReadTokens: 1_000,
      cacheWriteTokens: 100,
      reasoningTokens: 30,
      totalTokens: 1_145
    })
    assert.deepStrictEqual(decoded.rawUsage, counts)
  })

  it("leaves unknown what the wire does not say", () => {
    assert.deepStrictEqual(usage({ input_tokens: 4 }).usage, { ...UsageSum.unknown, inputTokens: 4 })
    assert.deepStrictEqual(usage({ cache_read_input_tokens: 4, output_tokens: 2 }).usage, {
      ...UsageSum.unknown,
      cacheReadTokens: 4,
      outputTokens: 2
    })
    assert.deepStrictEqual(usage({ input_tokens: 4, output_tokens: -1 }, { output_tokens: "9" }).usage, {
      ...UsageSum.unknown,
      inputTokens: 4
    })
    assert.isUndefined(usage({ input_tokens: null, service_tier: "standard" }, null).usage)
    assert.isUndefined(read(noUsage, { type: "message_delta", delta: { stop_reason: "end_turn" } }, stop).usage)
  })

  it("replaces the counts of message_start field by field; null and absent fields replace nothing", () => {
    const decoded = usage(
      {
        input_tokens: 2_000,
        cache_read_input_tokens: 7,
        cache_creation_input_tokens: 3,
        output_tokens: 1,
        service_tier: "standard"
      },
      {
        output_tokens: 50,
        cache_read_input_tokens: null,
        input_tokens: 9_000,
        server_tool_use: { web_search_requests: 1 }
      },
      { output_tokens: 60, iterations: [{ input_tokens: 1 }] }
    )
    assert.deepInclude(decoded.usage, {
      inputTokens: 9_010,
      outputTokens: 60,
      cacheReadTokens: 7,
      cacheWriteTokens: 3,
      totalTokens: 9_070
    })
    assert.deepStrictEqual(decoded.rawUsage, {
      input_tokens: 9_000,
      cache_read_input_tokens: 7,
      cache_creation_input_tokens: 3,
      output_tokens: 60,
      service_tier: "standard",
      server_tool_use: { web_search_requests: 1 },
      iterations: [{ input_tokens: 1 }]
    })
  })

  it("is known from the start, so that a cancelled or broken answer has its cost", () => {
    const decoded = read(start({ input_tokens: 17, output_tokens: 1 }), text(0, "a"))
    assert.strictEqual(decoded.fault?.kind, "incomplete_stream")
    assert.deepInclude(decoded.usage, { inputTokens: 17, outputTokens: 1, totalTokens: 18 })
    assert.deepStrictEqual(outline(decoded.events), ["Usage", "text:a"])
  })

  it("holds a bounded number of fields, however many messages bring new ones", () => {
    const later = Array.from({ length: 200 }, (_, index) => ({ [`field_${index}`]: 1, output_tokens: index }))
    const decoded = usage({ input_tokens: 1 }, ...later)
    assert.isAtMost(Object.keys(decoded.rawUsage as object).length, 64)
    assert.strictEqual(decoded.usage?.inputTokens, 1)
  })
})

describe("the end of an answer of the Messages API", () => {
  it("has the reason that the wire gave", () => {
    const reasons = [
      ["end_turn", "stop"],
      ["stop_sequence", "stop"],
      ["pause_turn", "stop"],
      ["max_tokens", "length"],
      ["model_context_window_exceeded", "length"],
      ["tool_use", "tool-calls"],
      ["refusal", "content-filter"],
      ["compaction", "unknown"],
      ["constructor", "unknown"]
    ] as const
    for (const [word, expected] of reasons) {
      const { events } = read(start(), ...textBlock(0, "a"), reason(word), stop)
      assert.deepStrictEqual(events.at(-1), { _tag: "Finish", reason: expected, raw: word })
    }
  })

  it("is unknown where there was no word, and a later null takes none back", () => {
    assert.deepStrictEqual(read(start(), stop).events.at(-1), { _tag: "Finish", reason: "unknown" })
    assert.strictEqual(read(start(), reason("max_tokens"), reason(null), stop).finishReason, "length")
  })

  it("may be a refusal without any block", () => {
    const decoded = read(start(), reason("refusal"), stop)
    assert.isUndefined(decoded.fault)
    assert.deepStrictEqual(outline(decoded.events), ["Usage", "Usage", "Finish"])
    assert.strictEqual(decoded.finishReason, "content-filter")
  })
})

describe("an error in a stream of the Messages API", () => {
  const failed = (type: string, message = "m") => ({ type: "error", error: { type, message }, request_id: "req_a" })

  it("is a failure of its kind, after what was said before it", () => {
    const kinds = [
      ["overloaded_error", "overloaded"],
      ["rate_limit_error", "rate_limit"],
      ["api_error", "server"],
      ["authentication_error", "authentication"],
      ["permission_error", "permission"],
      ["not_found_error", "not_found"],
      ["invalid_request_error", "invalid_request"],
      ["request_too_large", "invalid_request"],
      ["billing_error", "quota"],
      ["timeout_error", "timeout"],
      ["brand_new_error", "server"]
    ] as const
    for (const [type, kind] of kinds) {
      const decoded = read(start(), open(0, { type: "text", text: "" }), text(0, "a"), failed(type))
      assert.deepStrictEqual(decoded.fault, { kind, detail: "m", requestId: "req_a" })
      assert.strictEqual(decoded.text, "a")
      assert.isUndefined(decoded.finishReason)
    }
    assert.strictEqual(
      read(failed("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")).fault?.kind,
      "context_length"
    )
  })

  it("counts behind a stop reason, and nothing after it is read", () => {
    const decoder = decode(family, [
      concat([start(), reason("end_turn"), failed("overloaded_error"), text(0, "late"), stop].map(event))
    ])
    assert.strictEqual(decoder.fault?.kind, "overloaded")
    assert.strictEqual(decoder.text, "")
    assert.isUndefined(decoder.finishReason)
  })

  it("is known in whatever form it comes", () => {
    const forms = [
      'data: {"type":"error","error":{"type":"overloaded_error","message":"m"}}\n\n',
      'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"m"}}',
      'event: error\ndata: {"type":"overloaded_error","message":"m"}\n\n',
      'event: error\ndata: {"error":{"type":"overloaded_error","message":"m"}}\n\n',
      'data: {"error":{"code":"overloaded_error","message":"m"}}\n\n',
      'error: {"type":"overloaded_error","message":"m"}\n\n',
      '{"type":"error","error":{"type":"overloaded_error","message":"m"}}'
    ]
    for (const form of forms) assert.deepStrictEqual(raw(form).fault, { kind: "overloaded", detail: "m" }, form)
    assert.deepStrictEqual(raw("event: error\ndata: upstream broke\n\n").fault, {
      kind: "server",
      detail: "upstream broke"
    })
    assert.strictEqual(raw("event: error\ndata: {}\n\n").fault?.kind, "server")
    assert.strictEqual(raw("event: error\ndata: 5\n\n").fault?.kind, "server")
  })

  it("is of the protocol where a whole event is not JSON", () => {
    assert.strictEqual(raw('data: {"type":\n\ndata: {"type":"message_stop"}\n\n').fault?.kind, "protocol")
    assert.strictEqual(raw('event: error\ndata: {"type":\n\n').fault?.kind, "protocol")
    assert.strictEqual(raw("data: upstream broke\n\n").fault?.kind, "protocol")
  })
})

/* ---- any bytes ---- */

const samples: ReadonlyArray<readonly [name: string, bodies: ReadonlyArray<Body>]> = [
  ["text", [start(), ping, ...textBlock(0, "Grüße, ", "世界 🌍", "\n\n"), reason("end_turn"), stop]],
  ["thinking and calls", [
    start({ input_tokens: 3, cache_read_input_tokens: 4, output_tokens: 1 }),
    open(0, { type: "thinking", thinking: "", signature: "" }),
    delta(0, { type: "thinking_delta", thinking: "ähem" }),
    delta(0, { type: "signature_delta", signature: "c2ln" }),
    close(0),
    ...textBlock(1, "I look."),
    ...toolBlock(2, tool("t1", "look"), "", '{"at":', '"Köln","n":[1,', "2]}"),
    ...toolBlock(3, tool("t2", "list"), ""),
    reason("tool_use", { output_tokens: 9, output_tokens_details: { thinking_tokens: 4 } }),
    stop
  ]],
  ["a call cut by the limit", [
    start(),
    ...toolBlock(0, tool("t1", "look"), "{}"),
    open(1, tool("t2", "cut")),
    json(1, '{"a":"b'),
    reason("max_tokens"),
    stop
  ]],
  ["an error", [start(), ...textBlock(0, "a"), { type: "error", error: { type: "overloaded_error", message: "m" } }]]
]

const bytesIn = (bodies: ReadonlyArray<Body>) => concat(bodies.map(event))

const isSound = (events: ReadonlyArray<ProviderEvent>, isFault: boolean): void => {
  const finishes = events.filter(({ _tag }) => _tag === "Finish").length
  assert.strictEqual(finishes, isFault ? 0 : 1)
  if (finishes === 1) assert.strictEqual(events.findIndex(({ _tag }) => _tag === "Finish"), events.length - 1)
}

describe("bytes of the Messages API", () => {
  for (const [name, bodies] of samples) {
    const whole = bytesIn(bodies)
    const expected = settled(decode(family, [whole]))

    it(`${name}: give the same answer in single bytes and cut in two at each place`, () => {
      assert.deepStrictEqual(settled(decode(family, pieces(whole, 1))), expected)
      for (let place = 1; place < whole.length; place++) {
        assert.deepStrictEqual(settled(decode(family, cutAt(whole, [place]))), expected)
      }
    })

    it(`${name}: give the same answer in any cut`, () => {
      FastCheck.assert(
        FastCheck.property(
          FastCheck.array(FastCheck.integer({ min: 0, max: whole.length }), { maxLength: 30 }),
          (places) => {
            assert.deepStrictEqual(settled(decode(family, cutAt(whole, places))), expected)
          }
        )
      )
    })

    it(`${name}: are an incomplete stream without their last event or any part of it`, () => {
      const calls = decode(family, [whole]).toolCalls
      // behind its last brace the event is whole
      const marker = whole.lastIndexOf("}".charCodeAt(0))
      for (let end = 0; end <= marker; end++) {
        const decoded = decode(family, [whole.slice(0, end)])
        assert.strictEqual(decoded.fault?.kind, "incomplete_stream", `cut at ${end}`)
        assert.isUndefined(decoded.finishReason)
        assert.deepStrictEqual(decoded.toolCalls, calls.slice(0, decoded.toolCalls.length))
      }
    })
  }

  it("that mean nothing give one fault and no exception", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.uint8Array({ maxLength: 400 }), FastCheck.nat(400), (bytes, place) => {
        const { events, fault } = decode(family, cutAt(bytes, [place]))
        isSound(events, fault !== undefined)
      })
    )
    const lines = FastCheck.array(
      FastCheck.constantFrom(
        "data: ",
        "event: error\n",
        '{"type":"message_stop"}',
        "\n",
        "\r",
        "{",
        ":",
        '"',
        "error: x"
      )
    )
    FastCheck.assert(FastCheck.property(lines, (parts) => {
      const { events, fault } = raw(parts.join(""))
      isSound(events, fault !== undefined)
    }))
  })

  const types = [
    ...new Set(samples.flatMap(([, bodies]) => bodies.map(({ type }) => type))),
    "text",
    "thinking",
    "tool_use",
    "text_delta",
    "input_json_delta",
    "thinking_delta"
  ]
  const keys = [
    "type",
    "index",
    "delta",
    "content_block",
    "message",
    "usage",
    "id",
    "name",
    "input",
    "partial_json",
    "text",
    "thinking",
    "stop_reason",
    "content",
    "error",
    "__proto__"
  ]
  const { any } = FastCheck.letrec((tie) => ({
    any: FastCheck.oneof(
      { maxDepth: 4 },
      FastCheck.constantFrom<unknown>(...types, null, 0, 1, "{", "{}", "tool_use", "max_tokens", true, 1e300),
      FastCheck.jsonValue({ maxDepth: 2 }),
      FastCheck.dictionary(FastCheck.constantFrom(...keys), tie("any"), { maxKeys: 6 }),
      FastCheck.array(tie("any"), { maxLength: 3 })
    )
  }))
  const frameOf = (value: unknown) => bytesOf(`data: ${JSON.stringify(value) ?? "null"}\n\n`)

  it("of JSON that nobody would send give events or one fault, and no exception", () => {
    const frame = FastCheck.oneof(
      any,
      FastCheck.record({
        type: FastCheck.constantFrom(...types),
        index: any,
        delta: any,
        content_block: any,
        message: any,
        usage: any
      }, { requiredKeys: ["type"] })
    )
    FastCheck.assert(
      FastCheck.property(FastCheck.array(frame, { maxLength: 8 }), (values) => {
        const { events, fault } = decode(family, values.map(frameOf))
        isSound(events, fault !== undefined)
      }),
      { numRuns: 500 }
    )
  })

  it("of a good answer in which fields were changed give events or one fault, and no exception", () => {
    const put = (value: unknown, path: ReadonlyArray<number>, to: unknown): unknown => {
      const [step, ...rest] = path
      if (step === undefined || typeof value !== "object" || value === null) return to
      const keys = Object.keys(value)
      const key = keys[step % Math.max(keys.length, 1)]
      return key === undefined ? to : { ...value, [key]: put((value as Record<string, unknown>)[key], rest, to) }
    }
    FastCheck.assert(
      FastCheck.property(
        FastCheck.constantFrom(...samples.map(([, bodies]) => bodies)),
        FastCheck.array(FastCheck.tuple(FastCheck.nat(20), FastCheck.array(FastCheck.nat(5), { maxLength: 3 }), any), {
          minLength: 1,
          maxLength: 4
        }),
        (bodies, changes) => {
          const changed: Array<unknown> = [...bodies]
          for (const [at, path, to] of changes) {
            changed[at % changed.length] = put(changed[at % changed.length], path, to)
          }
          const { events, fault } = decode(family, changed.map(frameOf))
          isSound(events, fault !== undefined)
        }
      ),
      { numRuns: 500 }
    )
  })
})

describe("the frames for the shared suite", () => {
  it("say what they promise", () => {
    const answer = decode(family, wire.answer(["a", "b"]))
    assert.deepInclude(answer, { fault: undefined, text: "ab", finishReason: "stop" })
    assert.deepInclude(answer.usage, { inputTokens: 11, outputTokens: 7 })
    assert.strictEqual(decode(family, wire.answer(["a"]).slice(0, -wire.endFrames)).fault?.kind, "incomplete_stream")
    assert.deepStrictEqual(decode(family, wire.toolCall("t", "look", ['{"a"', ":1}"])).toolCalls, [
      { id: "t", name: "look", arguments: { a: 1 } }
    ])
    assert.strictEqual(decode(family, [...wire.answer(["a"]).slice(0, -1), wire.overloaded]).fault?.kind, "overloaded")
  })
})

recordings("anthropic", family, "sse")
