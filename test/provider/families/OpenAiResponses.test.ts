import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import type { PromptMessage } from "../../../src/domain/Message.ts"
import { family } from "../../../src/provider/families/OpenAiResponses.ts"
import { callsMax } from "../../../src/provider/families/OpenAiResponsesCalls.ts"
import type { CallInput } from "../../../src/provider/Family.ts"
import type { ProviderRequest } from "../../../src/provider/Provider.ts"
import { continueText } from "../../../src/provider/wire/Prompt.ts"
import { bytesOf, concat, cutAt, decode, pieces, settled } from "./decoding.ts"
import { recordings } from "./fixtures.ts"
import * as Wire from "./OpenAiResponsesWire.ts"

const { added, call, completed, created, done, ended, input, inputDone, message, reasoning, sse, text } = Wire

const read = (...events: ReadonlyArray<Wire.Event>) => decode(family, events.map(sse))
/** Frames as they stand. */
const readRaw = (...frames: ReadonlyArray<string>) => decode(family, frames.map(bytesOf))

const user = (text: string): PromptMessage => ({ role: "user", parts: [{ type: "text", text }] })
const assistant = (text: string): PromptMessage => ({ role: "assistant", parts: [{ type: "text", text }] })

const facts: CallInput["facts"] = {
  baseUrl: "https://api.example.test/v1",
  region: undefined,
  capabilities: { streaming: true, tools: true, reasoning: true, prefix: false },
  quirks: {}
}

const encoded = (request: Partial<ProviderRequest>, own: Partial<CallInput["facts"]> = {}) =>
  family.encode({
    request: { model: "m", messages: [user("hi")], generation: {}, attempt: 1, contextTokens: 1, ...request },
    facts: { ...facts, ...own },
    maxOutputTokens: 4_096,
    contextWindow: 16_384
  })

recordings("openai-responses", family, "sse")

describe("what the Responses API is sent", () => {
  it("says no more than it was told", () => {
    assert.deepStrictEqual(encoded({}), {
      url: "https://api.example.test/v1/responses",
      headers: { accept: "text/event-stream" },
      body: {
        model: "m",
        input: [{ type: "message", role: "user", content: [{ type: "input_text", text: "hi" }] }],
        stream: true,
        store: false
      }
    })
    assert.strictEqual(encoded({}, { baseUrl: "http://h/v1/" }).url, "http://h/v1/responses")
  })

  it("carries system, settings and history in its form", () => {
    const { body } = encoded({
      system: "be brief",
      generation: { temperature: 0, maxOutputTokens: 99, reasoning: "low" },
      messages: [
        { role: "user", parts: [{ type: "text", text: "one" }, { type: "text", text: "two" }] },
        {
          role: "assistant",
          parts: [
            { type: "reasoning", text: "hidden" },
            { type: "text", text: "I look." },
            { type: "tool-call", toolCallId: "a", toolName: "look", arguments: { at: [1] } },
            { type: "text", text: "And wait." },
            { type: "tool-call", toolCallId: "b", toolName: "wait", arguments: null }
          ]
        },
        {
          role: "user",
          parts: [
            { type: "text", text: "and?" },
            { type: "tool-result", toolCallId: "gone", content: "late" },
            { type: "tool-result", toolCallId: "a", content: { seen: true } }
          ]
        }
      ]
    })
    assert.deepStrictEqual(body, {
      model: "m",
      instructions: "be brief",
      input: [
        {
          type: "message",
          role: "user",
          content: [{ type: "input_text", text: "one" }, { type: "input_text", text: "two" }]
        },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "I look." }] },
        { type: "function_call", call_id: "a", name: "look", arguments: '{"at":[1]}' },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "And wait." }] },
        { type: "function_call", call_id: "b", name: "wait", arguments: "{}" },
        { type: "function_call_output", call_id: "a", output: '{"seen":true}' },
        { type: "function_call_output", call_id: "b", output: "(no result was given)" },
        {
          type: "message",
          role: "user",
          content: [
            { type: "input_text", text: "and?" },
            { type: "input_text", text: "Result of the tool call gone: late" }
          ]
        }
      ],
      stream: true,
      store: false,
      temperature: 0,
      max_output_tokens: 99,
      reasoning: { effort: "low", summary: "auto" }
    })
  })

  it("asks for reasoning by level, and only where the model reasons", () => {
    const of = (level: "off" | "low" | "medium" | "high") =>
      encoded({ generation: { reasoning: level } }).body["reasoning"]
    assert.deepStrictEqual(of("off"), { effort: "none" })
    assert.deepStrictEqual(of("low"), { effort: "low", summary: "auto" })
    assert.deepStrictEqual(of("medium"), { effort: "medium", summary: "auto" })
    assert.deepStrictEqual(of("high"), { effort: "high", summary: "auto" })
    const capabilities = { ...facts.capabilities, reasoning: false }
    assert.notProperty(encoded({ generation: { reasoning: "off" } }, { capabilities }).body, "reasoning")
  })

  it("asks to continue a resumed answer, unless the server takes a prefix", () => {
    const messages = [user("count"), assistant("1, 2")]
    const entries = [
      { type: "message", role: "user", content: [{ type: "input_text", text: "count" }] },
      { type: "message", role: "assistant", content: [{ type: "output_text", text: "1, 2" }] }
    ]
    assert.deepStrictEqual(encoded({ messages }).body["input"], [
      ...entries,
      { type: "message", role: "user", content: [{ type: "input_text", text: continueText }] }
    ])
    const capabilities = { ...facts.capabilities, prefix: true }
    assert.deepStrictEqual(encoded({ messages }, { capabilities }).body["input"], entries)
  })

  it.effect("carries a key only where one is configured", () =>
    Effect.gen(function*() {
      const keys = new Map([["KEY", Redacted.make("k-1")]])
      const of = (apiKeyEnv: string | undefined) =>
        family.authorize({ url: "", headers: {}, body: "" }, keys, { apiKeyEnv, region: undefined })
      assert.deepStrictEqual(yield* of("KEY"), { authorization: "Bearer k-1" })
      assert.deepStrictEqual(yield* of(undefined), {})
      assert.deepStrictEqual(yield* of("OTHER"), {})
    }))
})

describe("text and reasoning of a response", () => {
  it("come as deltas, then usage, then the end", () => {
    const { events, fault } = decode(family, Wire.wire.answer(["a", "", "b"]))
    assert.isUndefined(fault)
    assert.deepStrictEqual(events, [
      { _tag: "Delta", kind: "text", text: "a" },
      { _tag: "Delta", kind: "text", text: "b" },
      {
        _tag: "Usage",
        usage: {
          inputTokens: 11,
          outputTokens: 7,
          cacheReadTokens: null,
          cacheWriteTokens: null,
          reasoningTokens: null,
          totalTokens: 18
        },
        raw: Wire.usage
      },
      { _tag: "Finish", reason: "stop", raw: "completed" }
    ])
  })

  it("come from refusals too", () => {
    const refused = read({ type: "response.refusal.delta", output_index: 0, delta: "no" }, completed)
    assert.deepStrictEqual([refused.text, refused.finishReason], ["no", "stop"])
    const item = message("", { content: [{ type: "refusal", refusal: "no" }] })
    assert.strictEqual(read(done(0, item), completed).text, "no")
  })

  it("are reasoning from either of its events, from the first where both tell the same item", () => {
    assert.strictEqual(read(reasoning("summary", "a"), reasoning("summary", "b"), completed).reasoning, "ab")
    assert.strictEqual(read(reasoning("text", "a"), reasoning("text", "b"), completed).reasoning, "ab")
    const both = read(
      reasoning("text", "long"),
      reasoning("summary", "short"),
      reasoning("text", "er"),
      reasoning("summary", "next", 1),
      reasoning("text", "other", 1),
      completed
    )
    assert.strictEqual(both.reasoning, "longernext")
  })

  it("are told once where deltas, items and the response tell them all", () => {
    const thought = { type: "reasoning", id: "rs", summary: [{ type: "summary_text", text: "hm" }] }
    const output = [thought, message("ab")]
    const told = read(
      reasoning("summary", "hm"),
      done(0, thought),
      text("a", 1),
      text("b", 1),
      { type: "response.output_text.done", output_index: 1, text: "ab" },
      done(1, message("ab")),
      ended("completed", { output })
    )
    assert.deepStrictEqual([told.reasoning, told.text], ["hm", "ab"])
    const fromItems = read(
      done(0, thought),
      done(1, message("a")),
      done(2, message("b")),
      ended("completed", { output })
    )
    assert.deepStrictEqual([fromItems.reasoning, fromItems.text], ["hm", "ab"])
    const fromResponse = read(created, ended("completed", { output: [...output, message("", { content: "c" })] }))
    assert.deepStrictEqual([fromResponse.reasoning, fromResponse.text], ["hm", "abc"])
    const raw = { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: "raw" }] }
    assert.strictEqual(read(ended("completed", { output: [raw] })).reasoning, "raw")
  })
})

const look = (json: string) => ({ id: "c1", name: "look", arguments: JSON.parse(json) as unknown })

describe("function calls of a response", () => {
  const args = '{"at":[1,"ü"]}'

  it("are known by call_id, stream their arguments, and end in tool-calls", () => {
    const { events } = decode(family, Wire.wire.toolCall("c1", "look", ['{"at"', ":1}"]))
    const delta = { _tag: "Delta", kind: "tool-input", toolCallId: "c1", toolName: "look" } as const
    assert.deepStrictEqual(events.filter(({ _tag }) => _tag !== "Usage"), [
      { ...delta, text: '{"at"' },
      { ...delta, text: ":1}" },
      { _tag: "ToolCall", toolCallId: "c1", toolName: "look", arguments: { at: 1 } },
      { _tag: "Finish", reason: "tool-calls", raw: "completed" }
    ])
  })

  it("may interleave", () => {
    const { toolCalls } = read(
      added(0, call("c1", "look", "")),
      added(1, call("c2", "wait", "")),
      input(1, '{"ms":'),
      input(0, '{"at":'),
      input(1, "2}"),
      input(0, "1}"),
      done(1, call("c2", "wait", '{"ms":2}')),
      done(0, call("c1", "look", '{"at":1}')),
      completed
    )
    assert.deepStrictEqual(toolCalls.map(({ id }) => id), ["c2", "c1"])
  })

  it("may interleave by the ids of items where a server gives no index", () => {
    const nowhere = (event: Wire.Event, id: string): Wire.Event => ({ ...event, output_index: undefined, item_id: id })
    const { toolCalls } = read(
      nowhere(added(0, call("c1", "look", "", { id: "x1" })), "x1"),
      nowhere(added(0, call("c2", "wait", "", { id: "x2" })), "x2"),
      nowhere(input(0, '{"at":'), "x1"),
      nowhere(input(0, '{"ms":'), "x2"),
      nowhere(input(0, "1}"), "x1"),
      nowhere(input(0, "2}"), "x2"),
      completed
    )
    assert.deepStrictEqual(toolCalls.map((made) => made.arguments), [{ at: 1 }, { ms: 2 }])
  })

  it("say all of their arguments where these begin before it is known whose they are", () => {
    const { events } = read(input(0, '{"at'), added(0, call("c1", "look", "")), input(0, '":1}'), completed)
    assert.deepInclude(events[0], { kind: "tool-input", text: '{"at":1}', toolCallId: "c1" })
  })

  it("keep their place where the ids of items change", () => {
    const item = (id: string, json: string) => ({ ...call("c1", "look", json), id })
    const { events, toolCalls } = read(
      added(3, item("x1", "")),
      { ...input(3, args), item_id: "x2" },
      { ...inputDone(3, args), item_id: "x3" },
      done(3, item("x4", args)),
      ended("completed", { output: [item("x5", args)] })
    )
    assert.deepStrictEqual(toolCalls, [look(args)])
    assert.strictEqual(events.filter(({ _tag }) => _tag === "Delta").length, 1)
  })

  it("are told once, from whichever event has them", () => {
    const whole = call("c1", "look", args)
    const opened = added(0, call("c1", "look", ""))
    const output = { output: [whole] }
    const ways: ReadonlyArray<ReadonlyArray<Wire.Event>> = [
      [done(0, whole), completed],
      [done(0, whole), done(0, whole), ended("completed", output)],
      [opened, done(0, whole), ended("completed", output)],
      [opened, inputDone(0, args), completed],
      [opened, inputDone(0, args), ended("completed", output)],
      [opened, input(0, args), completed],
      [opened, input(0, args), done(0, { ...whole, arguments: "" }), completed],
      [opened, input(0, args), done(0, { ...whole, arguments: undefined }), ended("completed", output)],
      [added(0, whole), done(0, { ...whole, arguments: null }), completed],
      [added(0, whole), completed],
      [input(0, args.slice(0, 3)), opened, input(0, args.slice(3)), completed],
      [input(0, args), done(0, { ...whole, arguments: "" }), completed],
      [done(0, { ...whole, arguments: JSON.parse(args) }), completed],
      [opened, opened, input(0, args), done(0, whole), completed],
      [ended("completed", output)],
      // no index anywhere, and an index that is always the same
      [{ ...done(0, whole), output_index: undefined }, ended("completed", { output: [message(""), whole] })],
      [added(0, message("")), opened, done(0, message("")), done(0, whole), ended("completed", output)]
    ]
    for (const [index, way] of ways.entries()) {
      const { fault, finishReason, toolCalls } = read(...way)
      assert.isUndefined(fault, `way ${index}`)
      assert.deepStrictEqual(toolCalls, [look(args)], `way ${index}`)
      assert.strictEqual(finishReason, "tool-calls", `way ${index}`)
    }
  })

  it("are two where a server gives both the same place, or none", () => {
    const [first, second] = [call("c1", "look", "{}"), call("c2", "look", "{}")]
    const nowhere = (event: Wire.Event) => ({ ...event, output_index: undefined })
    for (
      const way of [
        [done(0, first), done(0, second)],
        [added(0, first), added(0, second), done(0, first), done(0, second)],
        [done(0, first), done(0, second), ended("completed", { output: [first, second] })],
        [nowhere(added(0, first)), nowhere(done(0, first)), nowhere(added(0, second)), nowhere(done(0, second))],
        [done(0, first), ended("completed", { output: [first, second] })]
      ]
    ) assert.deepStrictEqual(read(...way, completed).toolCalls.map(({ id }) => id), ["c1", "c2"])
  })

  it("are one where a server changes their id", () => {
    const renamed = call("other", "look", args)
    const { toolCalls } = read(
      added(0, call("c1", "look", "")),
      done(0, renamed),
      ended("completed", { output: [renamed] })
    )
    assert.deepStrictEqual(toolCalls, [look(args)])
    const late = read(done(0, call("c1", "look", args)), ended("completed", { output: [renamed] }))
    assert.deepStrictEqual(late.toolCalls, [look(args)])
  })

  it("get an id where the wire gives none", () => {
    const nameless = call("", "look", args)
    const { toolCalls } = read(added(0, nameless), done(0, nameless), ended("completed", { output: [nameless] }))
    assert.deepStrictEqual(toolCalls, [{ ...look(args), id: "call_1" }])
  })

  it("without arguments have none", () => {
    assert.deepStrictEqual(read(...Wire.streamedCall(0, "c1", "look", [""]), completed).toolCalls, [look("{}")])
  })

  it("are never given with cut arguments", () => {
    const cut = '{"at":'
    const opened = [added(0, call("c1", "look", "")), input(0, cut)]
    const ways = [
      opened,
      [...opened, inputDone(0, cut)],
      [...opened, done(0, call("c1", "look", cut))],
      [...opened, done(0, call("c1", "look", cut, { status: "incomplete" }))],
      [done(0, call("c1", "look", "{}", { status: "incomplete", arguments: cut }))],
      [added(0, call("c1", "look", ""))]
    ]
    for (const way of ways) {
      for (const output of [[], [call("c1", "look", cut)]]) {
        const stopped = read(...way, ended("completed", { output }))
        assert.strictEqual(stopped.fault?.kind, "protocol")
        assert.include(stopped.fault?.detail, "look")
        const short = read(...way, ended("incomplete", { output, incomplete_details: { reason: "max_output_tokens" } }))
        assert.isUndefined(short.fault)
        assert.strictEqual(short.finishReason, "length")
        const other = read(...way, ended("incomplete", { output, incomplete_details: { reason: "else" } }))
        assert.strictEqual(other.fault?.kind, "protocol")
        for (const { toolCalls } of [stopped, short, other]) assert.deepStrictEqual(toolCalls, [])
      }
    }
    // the fault is the same where nothing follows the last event
    const body = concat([...opened, completed].map(sse))
    assert.strictEqual(decode(family, [body.slice(0, -2)]).fault?.kind, "protocol")
  })

  it("without arguments are no calls where the output limit cut the answer and no item says that they are whole", () => {
    const item = call("c1", "rm", "", { status: undefined })
    const short = (output: ReadonlyArray<object>) =>
      ended("incomplete", { output, incomplete_details: { reason: "max_output_tokens" } })
    for (const answer of [read(done(0, item), short([])), read(short([item])), read(done(0, item), short([item]))]) {
      assert.deepStrictEqual([answer.toolCalls, answer.finishReason], [[], "length"])
    }
    assert.deepStrictEqual(read(done(0, item), completed).toolCalls, [{ id: "c1", name: "rm", arguments: {} }])
  })

  it("are left out where their item says that it is incomplete and the end says why", () => {
    const item = call("c1", "look", "{}", { status: "incomplete" })
    const { fault, toolCalls } = read(
      done(0, item),
      ended("incomplete", { output: [item], incomplete_details: { reason: "max_output_tokens" } })
    )
    assert.isUndefined(fault)
    assert.deepStrictEqual(toolCalls, [])
  })

  it("of an answer that was cut behind them stand", () => {
    const { finishReason, toolCalls } = read(
      ...Wire.streamedCall(0, "c1", "look", ["{}"]),
      ...Wire.streamedCall(1, "c2", "wait", ['{"ms"']).slice(0, 2),
      ended("incomplete", { incomplete_details: { reason: "max_output_tokens" } })
    )
    assert.deepStrictEqual(toolCalls, [look("{}")])
    assert.strictEqual(finishReason, "length")
  })

  it("are never those of tools that the provider runs", () => {
    const types = [
      "web_search",
      "file_search",
      "code_interpreter",
      "mcp",
      "image_generation",
      "computer",
      "custom_tool"
    ]
    const items = types.map((type, index) => ({ ...call(`p${index}`, "theirs", "{}"), type: `${type}_call` }))
    const { events, finishReason } = read(
      ...items.flatMap((item, index) => [
        added(index, item),
        { type: `response.${item.type}.in_progress`, output_index: index },
        { type: "response.mcp_call_arguments.delta", output_index: index, delta: "{" },
        { type: "response.code_interpreter_call_code.delta", output_index: index, delta: "print" },
        { type: "response.custom_tool_call_input.delta", output_index: index, delta: "x" },
        input(index, '{"not":'),
        done(index, item)
      ]),
      text("found", 9),
      ended("completed", { output: items })
    )
    assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Delta", "Finish"])
    assert.strictEqual(finishReason, "stop")
  })

  it("are a failure where they are more than can be held", () => {
    const many = Array.from({ length: callsMax + 1 }, (_, index) => added(index, call(`c${index}`, "look", "")))
    assert.strictEqual(read(...many).fault?.kind, "protocol")
    const unnamed = Array.from({ length: 20 }, () => input(0, "x".repeat(1_000_000)))
    assert.strictEqual(read(...unnamed).fault?.kind, "protocol")
  })
})

describe("usage of a response", () => {
  const usageOf = (usage: unknown) => read(ended("completed", { usage }))

  it("has every count where the wire has it", () => {
    const raw = {
      input_tokens: 100,
      input_tokens_details: { cached_tokens: 60, cache_write_tokens: 20 },
      output_tokens: 50,
      output_tokens_details: { reasoning_tokens: 30 },
      total_tokens: 151
    }
    const decoded = usageOf(raw)
    assert.deepStrictEqual(decoded.usage, {
      inputTokens: 100,
      outputTokens: 50,
      cacheReadTokens: 60,
      cacheWriteTokens: 20,
      reasoningTokens: 30,
      totalTokens: 151
    })
    assert.deepStrictEqual(decoded.rawUsage, raw)
  })

  it("is never guessed", () => {
    const partly = usageOf({ input_tokens: 3, input_tokens_details: null, output_tokens: 4, output_tokens_details: 1 })
    assert.deepInclude(partly.usage, { cacheReadTokens: null, reasoningTokens: null, totalTokens: 7 })
    assert.deepInclude(usageOf({ output_tokens: 4 }).usage, { inputTokens: null, totalTokens: null })
    for (const none of [null, undefined, {}, [], "9", { input_tokens: "9" }]) assert.isUndefined(usageOf(none).usage)
  })

  it("of a failed or cut response is known too", () => {
    assert.strictEqual(read(ended("failed", { usage: Wire.usage })).usage?.totalTokens, 18)
    assert.strictEqual(read(ended("incomplete", { usage: Wire.usage })).usage?.totalTokens, 18)
  })
})

describe("the end of a response", () => {
  const endOf = (...events: ReadonlyArray<Wire.Event>) => {
    const { fault, finishReason, rawFinishReason } = read(text("a"), ...events)
    assert.isUndefined(fault)
    return [finishReason, rawFinishReason]
  }

  it("has the reason that the wire gives", () => {
    const incomplete = (reason: unknown) => ended("incomplete", { incomplete_details: { reason } })
    assert.deepStrictEqual(endOf(completed), ["stop", "completed"])
    assert.deepStrictEqual(endOf(incomplete("max_output_tokens")), ["length", "max_output_tokens"])
    assert.deepStrictEqual(endOf(incomplete("content_filter")), ["content-filter", "content_filter"])
    assert.deepStrictEqual(endOf(incomplete("tired")), ["unknown", "tired"])
    assert.deepStrictEqual(endOf(incomplete(null)), ["unknown", "incomplete"])
    assert.deepStrictEqual(endOf({ type: "response.cancelled" }), ["unknown", "cancelled"])
    assert.deepStrictEqual(endOf({ type: "response.completed" }), ["stop", "completed"])
  })

  it("is what the status says where every end is called completed", () => {
    const status = (status: string, rest: object = {}): Wire.Event => ({
      type: "response.completed",
      response: Wire.response(status, rest)
    })
    const details = { incomplete_details: { reason: "max_output_tokens" } }
    assert.deepStrictEqual(endOf(status("incomplete", details)), ["length", "max_output_tokens"])
    const failed = read(status("failed", { error: { code: "server_is_overloaded", message: "m" } }))
    assert.strictEqual(failed.fault?.kind, "overloaded")
    assert.isUndefined(failed.finishReason)
  })

  it("is known as soon as it is there", () => {
    const decoder = family.decoder({ emit: () => {}, callId: () => "" })
    for (const event of [created, text("a")]) {
      decoder.push(sse(event))
      assert.strictEqual(decoder.progress(), "open")
    }
    decoder.push(sse(completed))
    assert.strictEqual(decoder.progress(), "closed")
  })

  it("needs no event lines and bears [DONE] and more behind it", () => {
    const frames = [text("a"), completed].map((event) => `data: ${JSON.stringify(event)}\n\n`)
    const { events, fault } = readRaw(...frames, "data: [DONE]\n\n", "event: error\ndata: {}\n\n", "data: {\n\n")
    assert.isUndefined(fault)
    assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Delta", "Usage", "Finish"])
  })

  it("is missing where only [DONE] or nothing comes", () => {
    for (const last of ["data: [DONE]\n\n", ""]) {
      const { fault, finishReason, text: all } = readRaw(`data: ${JSON.stringify(text("a"))}\n\n`, last)
      assert.deepStrictEqual([all, fault?.kind, finishReason], ["a", "incomplete_stream", undefined])
    }
  })

  it("is not looked for in events that nobody knows", () => {
    const unknown = ["response.queued", "response.reasoning_part.added", "response.in_progress", "ping", "response.x"]
    const decoded = read(
      ...unknown.map((type) => ({ type, response: Wire.response("completed"), part: {}, delta: "no" })),
      text("a"),
      completed
    )
    assert.deepStrictEqual([decoded.text, decoded.events.length], ["a", 3])
  })
})

describe("errors of a response", () => {
  const faultOf = (...frames: ReadonlyArray<string>) => {
    const decoded = readRaw(`data: ${JSON.stringify(text("a"))}\n\n`, ...frames)
    assert.isUndefined(decoded.finishReason)
    assert.strictEqual(decoded.text, "a")
    return [decoded.fault?.kind, decoded.fault?.detail]
  }
  const data = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`

  it("come nested, flat, with the response, and are reported once", () => {
    const failed = data(ended("failed", { error: { code: "rate_limit_exceeded", message: "second" } }))
    const nested = {
      type: "error",
      error: { type: "insufficient_quota", code: "insufficient_quota", message: "first" }
    }
    assert.deepStrictEqual(faultOf(data(nested), failed), ["quota", "first"])
    const flat = { type: "error", code: "server_is_overloaded", message: "first", param: null }
    assert.deepStrictEqual(faultOf(data(flat), failed), ["overloaded", "first"])
    assert.deepStrictEqual(faultOf(data(flat)), ["overloaded", "first"])
    assert.deepStrictEqual(faultOf(failed), ["rate_limit", "second"])
    assert.deepStrictEqual(faultOf(data({ ...nested, type: "response.error" })), ["quota", "first"])
    assert.deepStrictEqual(faultOf(data(ended("failed"))), ["server", "the response failed"])
    assert.deepStrictEqual(faultOf(data({ type: "response.failed", error: { code: "server_error", message: "m" } })), [
      "server",
      "m"
    ])
    assert.strictEqual(decode(family, [Wire.wire.overloaded]).fault?.kind, "overloaded")
  })

  it("come in other shapes too", () => {
    assert.deepStrictEqual(faultOf(data({ error: { code: 429, message: "m" } })), ["rate_limit", "m"])
    assert.deepStrictEqual(faultOf(data({ error: "maximum context length is 9" })), [
      "context_length",
      "maximum context length is 9"
    ])
    assert.deepStrictEqual(faultOf(data({ object: "error", message: "m", code: 400 })), ["invalid_request", "m"])
    assert.deepStrictEqual(faultOf(data([{ error: { status: "PERMISSION_DENIED", message: "m" } }])), [
      "permission",
      "m"
    ])
    assert.deepStrictEqual(faultOf(`event: error\n${data({ code: "invalid_api_key", message: "m" })}`), [
      "authentication",
      "m"
    ])
    assert.deepStrictEqual(faultOf("event: error\ndata: upstream is gone\n\n"), ["server", "upstream is gone"])
    assert.deepStrictEqual(faultOf(`error: ${JSON.stringify({ type: "overloaded_error", message: "m" })}\n\n`), [
      "overloaded",
      "m"
    ])
    const failed = ended("failed", { error: { code: "rate_limit_exceeded", message: "m" } })
    assert.deepStrictEqual(faultOf(`event: error\n${data(failed)}`), ["rate_limit", "m"])
  })

  it("come as one document under HTTP 200", () => {
    const { events, fault } = readRaw(JSON.stringify({ error: { code: "invalid_api_key", message: "m" } }, null, 2))
    assert.deepStrictEqual([events.length, fault?.kind, fault?.detail], [0, "authentication", "m"])
  })

  it("are protocol failures where an event is not JSON", () => {
    assert.strictEqual(faultOf('data: {"type":\n\n', data(completed))[0], "protocol")
    assert.strictEqual(faultOf('event: error\ndata: {"type":\n\n', data(completed))[0], "protocol")
  })
})

describe("a response that was not streamed", () => {
  it("is read as if its last event carried it", () => {
    const output = [message("all"), call("c1", "look", "{}")]
    const whole = JSON.stringify(Wire.response("completed", { output, usage: Wire.usage }), null, 1)
    const decoded = decode(family, pieces(bytesOf(whole), 5))
    assert.isUndefined(decoded.fault)
    assert.deepStrictEqual([decoded.text, decoded.toolCalls, decoded.finishReason, decoded.usage?.totalTokens], [
      "all",
      [look("{}")],
      "tool-calls",
      18
    ])
  })

  it("ends as its status says", () => {
    const kind = (status: string, rest: object = {}) => {
      const { fault, finishReason } = readRaw(JSON.stringify(Wire.response(status, rest)))
      return fault?.kind ?? finishReason
    }
    assert.strictEqual(kind("incomplete", { incomplete_details: { reason: "max_output_tokens" } }), "length")
    assert.strictEqual(kind("failed", { error: { code: "server_error", message: "m" } }), "server")
    assert.strictEqual(kind("cancelled"), "unknown")
    assert.strictEqual(kind("in_progress"), "incomplete_stream")
  })
})

const sampleEvents: ReadonlyArray<Wire.Event> = [
  created,
  reasoning("summary", "hm, größer 🎈", 0),
  text("né 日本", 1),
  text(' "\n\n{}', 1),
  done(1, message('né 日本 "\n\n{}')),
  ...Wire.streamedCall(2, "c1", "look", ['{"at"', ':"ü"', "}"]),
  done(3, call("c2", "wait", '{"ms":[1]}')),
  ended("completed", { usage: Wire.usage, output: [message("né")] })
]

describe("any cut of any bytes", () => {
  const frames = sampleEvents.map(sse)
  const sample = concat([bytesOf(": hello\n\n"), ...frames, bytesOf("data: [DONE]\n\n")])
  const whole = settled(decode(family, [sample]))

  it("changes nothing in the answer", () => {
    assert.isUndefined(whole.fault)
    assert.deepStrictEqual(whole.toolCalls.map(({ id }) => id), ["c1", "c2"])
    for (let at = 1; at < sample.length; at++) {
      assert.deepStrictEqual(settled(decode(family, cutAt(sample, [at]))), whole)
    }
    assert.deepStrictEqual(settled(decode(family, pieces(sample, 1))), whole)
  })

  it("changes nothing in any answer, whatever its line ends", () => {
    FastCheck.assert(FastCheck.property(
      FastCheck.array(FastCheck.fullUnicodeString()),
      FastCheck.constantFrom("\n", "\r\n", "\r"),
      FastCheck.array(FastCheck.nat(3_000)),
      (texts, end, places) => {
        const body = bytesOf(new TextDecoder().decode(concat(Wire.wire.answer(texts))).replaceAll("\n", end))
        const decoded = decode(family, cutAt(body, places))
        assert.strictEqual(decoded.text, texts.join(""))
        assert.deepStrictEqual(settled(decoded), settled(decode(family, [body])))
      }
    ))
  })

  it("is incomplete before the last event is whole", () => {
    const body = concat(frames)
    // the last event counts as soon as its object closes
    for (let end = 0; end < body.length - 2; end++) {
      const { fault, finishReason, toolCalls } = decode(family, [body.slice(0, end)])
      assert.strictEqual(fault?.kind, "incomplete_stream", `cut at ${end}`)
      assert.isUndefined(finishReason)
      for (const made of toolCalls) assert.deepInclude(whole.toolCalls, made)
    }
    for (let count = 0; count < frames.length; count++) {
      assert.strictEqual(decode(family, frames.slice(0, count)).fault?.kind, "incomplete_stream")
    }
    assert.isUndefined(decode(family, [body.slice(0, -2)]).fault)
  })

  it("gives events or one fault, whatever comes", () => {
    FastCheck.assert(FastCheck.property(FastCheck.uint8Array({ maxLength: 200 }), (bytes) => {
      const decoded = decode(family, [new Uint8Array(bytes)])
      assert.isDefined(decoded.fault)
    }))
    FastCheck.assert(FastCheck.property(FastCheck.array(FastCheck.json()), (values) => {
      assert.isDefined(decode(family, values.map((value) => bytesOf(`data: ${value}\n\n`))).fault)
    }))
  })

  it("gives events or one fault where fields are anything at all", () => {
    const anything = FastCheck.jsonValue()
    const item = FastCheck.record({
      type: FastCheck.constantFrom("function_call", "message", "reasoning", "mcp_call"),
      call_id: FastCheck.oneof(FastCheck.constantFrom("c1", "c2"), anything),
      name: FastCheck.oneof(FastCheck.constant("look"), anything),
      arguments: FastCheck.oneof(FastCheck.constantFrom("", "{}", '{"a"'), anything),
      status: FastCheck.oneof(FastCheck.constantFrom("completed", "incomplete"), anything),
      content: FastCheck.oneof(anything, FastCheck.array(FastCheck.record({ text: anything }))),
      summary: FastCheck.oneof(anything, FastCheck.array(FastCheck.record({ text: anything })))
    }, { requiredKeys: ["type"] })
    const response = FastCheck.record({
      status: FastCheck.oneof(FastCheck.constantFrom("completed", "incomplete", "failed"), anything),
      output: FastCheck.oneof(anything, FastCheck.array(item)),
      usage: anything,
      error: anything,
      incomplete_details: anything
    }, { requiredKeys: [] })
    const event = FastCheck.record({
      type: FastCheck.constantFrom(...new Set(sampleEvents.map(({ type }) => type)), "error", "response.incomplete"),
      output_index: FastCheck.oneof(FastCheck.nat(2), anything),
      item: FastCheck.oneof(item, anything),
      delta: FastCheck.oneof(FastCheck.string(), anything),
      arguments: anything,
      response: FastCheck.oneof(response, anything),
      error: anything
    }, { requiredKeys: ["type"] })
    FastCheck.assert(
      FastCheck.property(FastCheck.array(event, { maxLength: 12 }), (events) => {
        const decoded = decode(family, events.map((event) => sse(event as Wire.Event)))
        assert.isTrue((decoded.fault === undefined) === (decoded.finishReason !== undefined))
        const ids = decoded.toolCalls.map(({ id }) => id)
        assert.strictEqual(new Set(ids).size, ids.length)
        const finish = decoded.events.findIndex(({ _tag }) => _tag === "Finish")
        assert.isTrue(finish === -1 || finish === decoded.events.length - 1)
      }),
      { numRuns: 1_000 }
    )
  })
})
