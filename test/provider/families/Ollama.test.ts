import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import type { PromptMessage } from "../../../src/domain/Message.ts"
import { family } from "../../../src/provider/families/Ollama.ts"
import type { CallInput } from "../../../src/provider/Family.ts"
import type { ProviderRequest } from "../../../src/provider/Provider.ts"
import { bytesOf, concat, cutAt, decode, pieces, settled } from "./decoding.ts"
import { call, calls, done, line, said, text, wire } from "./OllamaWire.ts"

const read = (...lines: ReadonlyArray<object>) => decode(family, lines.map(line))

const user = (text: string): PromptMessage => ({ role: "user", parts: [{ type: "text", text }] })
const assistant = (text: string): PromptMessage => ({ role: "assistant", parts: [{ type: "text", text }] })

const facts: CallInput["facts"] = {
  baseUrl: "http://127.0.0.1:11434",
  region: undefined,
  capabilities: { streaming: true, tools: true, reasoning: true, prefix: true },
  quirks: {}
}

const encoded = (
  request: Partial<ProviderRequest>,
  capabilities: Partial<CallInput["facts"]["capabilities"]> = {}
) =>
  family.encode({
    request: { model: "m", messages: [user("hi")], generation: {}, attempt: 1, contextTokens: 1, ...request },
    facts: { ...facts, capabilities: { ...facts.capabilities, ...capabilities } },
    maxOutputTokens: 4_096,
    contextWindow: 16_384
  })

describe("what Ollama is sent", () => {
  it("says no more than it was told", () => {
    assert.deepStrictEqual(encoded({}), {
      url: "http://127.0.0.1:11434/api/chat",
      headers: { accept: "application/x-ndjson" },
      body: { model: "m", messages: [{ role: "user", content: "hi" }], stream: true, options: { num_ctx: 16_384 } }
    })
  })

  it("does not double the slash of a base URL", () => {
    const { url } = family.encode({
      request: { model: "m", messages: [user("hi")], generation: {}, attempt: 1, contextTokens: 1 },
      facts: { ...facts, baseUrl: "https://example.test/ollama//" },
      maxOutputTokens: 1,
      contextWindow: 16_384
    })
    assert.strictEqual(url, "https://example.test/ollama/api/chat")
  })

  it("carries system, settings and history in its form", () => {
    const { body } = encoded({
      model: "m",
      system: "be brief",
      generation: { temperature: 0.5, maxOutputTokens: 99, reasoning: "medium" },
      messages: [
        { role: "user", parts: [{ type: "text", text: "one" }, { type: "text", text: "two" }] },
        {
          role: "assistant",
          parts: [
            { type: "reasoning", text: "hidden" },
            { type: "text", text: "I look. " },
            { type: "tool-call", toolCallId: "a", toolName: "look", arguments: { at: [1] } },
            { type: "tool-call", toolCallId: "b", toolName: "wait", arguments: "soon" },
            { type: "tool-call", toolCallId: "c", toolName: "stop", arguments: null }
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
    const results = (body["messages"] as ReadonlyArray<Record<string, unknown>>).slice(3)
    assert.deepStrictEqual({ ...body, messages: (body["messages"] as ReadonlyArray<unknown>).slice(0, 3) }, {
      model: "m",
      messages: [
        { role: "system", content: "be brief" },
        { role: "user", content: "one\n\ntwo" },
        {
          role: "assistant",
          content: "I look. ",
          tool_calls: [
            { function: { name: "look", arguments: { at: [1] } } },
            { function: { name: "wait", arguments: { value: "soon" } } },
            { function: { name: "stop", arguments: {} } }
          ]
        }
      ],
      stream: true,
      think: true,
      options: { num_ctx: 16_384, temperature: 0.5, num_predict: 99 }
    })
    assert.deepStrictEqual(results, [
      { role: "tool", tool_name: "look", content: '{"seen":true}' },
      { role: "tool", tool_name: "wait", content: "(no result was given)" },
      { role: "tool", tool_name: "stop", content: "(no result was given)" },
      { role: "user", content: "and?\n\nResult of the tool call gone: late" }
    ])
  })

  it("continues a resumed answer, or asks to where the model cannot", () => {
    const messages = [user("count"), assistant("1, 2"), assistant(", 3")]
    assert.deepStrictEqual(encoded({ messages }).body["messages"], [
      { role: "user", content: "count" },
      { role: "assistant", content: "1, 2, 3" }
    ])
    const asked = encoded({ messages }, { prefix: false }).body["messages"] as ReadonlyArray<{ role: string }>
    assert.deepStrictEqual(asked.map(({ role }) => role), ["user", "assistant", "user"])
  })

  it("turns thinking on and off, by level where only levels are known", () => {
    const think = (model: string, reasoning: "off" | "low" | "medium" | "high" | undefined) =>
      encoded({ model, generation: reasoning === undefined ? {} : { reasoning } }).body["think"]
    const levels = [undefined, "off", "low", "medium", "high"] as const
    assert.deepStrictEqual(levels.map((level) => think("qwen3", level)), [undefined, false, true, true, true])
    assert.deepStrictEqual(levels.map((level) => think("gpt-oss:20b", level)), [
      undefined,
      "low",
      "low",
      "medium",
      "high"
    ])
    assert.notProperty(encoded({ generation: { reasoning: "high" } }, { reasoning: false }).body, "think")
  })

  it.effect("carries a key only where one is configured", () =>
    Effect.gen(function*() {
      const call = { url: "", headers: {}, body: "" }
      const keys = new Map([["CLOUD_KEY", Redacted.make("k-1")]])
      const of = (apiKeyEnv: string | undefined) => family.authorize(call, keys, { apiKeyEnv, region: undefined })
      assert.deepStrictEqual(yield* of("CLOUD_KEY"), { authorization: "Bearer k-1" })
      assert.deepStrictEqual(yield* of(undefined), {})
      assert.deepStrictEqual(yield* of("OTHER"), {})
    }))
})

describe("what Ollama answers", () => {
  it("gives text, thinking and counts, and says that it is over", () => {
    const durations = { total_duration: 9, load_duration: 1, prompt_eval_duration: 2, eval_duration: 3 }
    const { events } = read(
      said({ thinking: "hm" }),
      said({ thinking: ".", content: "a" }),
      text("b"),
      done("stop", { prompt_eval_count: 5, eval_count: 6, ...durations })
    )
    assert.deepStrictEqual(events, [
      { _tag: "Delta", kind: "reasoning", text: "hm" },
      { _tag: "Delta", kind: "reasoning", text: "." },
      { _tag: "Delta", kind: "text", text: "a" },
      { _tag: "Delta", kind: "text", text: "b" },
      {
        _tag: "Usage",
        usage: {
          inputTokens: 5,
          outputTokens: 6,
          cacheReadTokens: null,
          cacheWriteTokens: null,
          reasoningTokens: null,
          totalTokens: 11
        },
        raw: { prompt_eval_count: 5, eval_count: 6, ...durations }
      },
      { _tag: "Finish", reason: "stop", raw: "stop" }
    ])
  })

  it("hears thinking that a model writes into its text, also where the answer ends inside a tag", () => {
    const heard = read(text("<th"), text("ink>hm</think>yes"), done("stop"))
    assert.deepStrictEqual([heard.reasoning, heard.text, heard.finishReason], ["hm", "yes", "stop"])
    assert.strictEqual(read(text("<thi"), done("stop")).text, "<thi")
    assert.strictEqual(read(text("<thi")).text, "<thi")
  })

  it("never guesses a count that is missing", () => {
    const partly = read(text("a"), done("stop", { eval_count: 3 }))
    assert.deepInclude(partly.usage, { inputTokens: null, outputTokens: 3, totalTokens: null })
    assert.deepStrictEqual(partly.rawUsage, { eval_count: 3 })
    assert.isUndefined(read(text("a"), done("stop", { total_duration: 1 })).usage)
    assert.isUndefined(read(text("a"), done("stop", { prompt_eval_count: "5", eval_count: -1 })).usage)
  })

  it("ends for the reason that it gives", () => {
    const ends = (word: string | null | undefined, ...before: ReadonlyArray<object>) => {
      const { fault, finishReason, rawFinishReason } = read(...before, done(word))
      assert.isUndefined(fault)
      return [finishReason, rawFinishReason]
    }
    const called = calls(call("f", {}))
    assert.deepStrictEqual(ends("stop"), ["stop", "stop"])
    assert.deepStrictEqual(ends("length"), ["length", "length"])
    assert.deepStrictEqual(ends("load"), ["unknown", "load"])
    assert.deepStrictEqual(ends("unload"), ["unknown", "unload"])
    assert.deepStrictEqual(ends(null), ["unknown", undefined])
    assert.deepStrictEqual(ends(undefined), ["unknown", undefined])
    assert.deepStrictEqual(ends("stop", called), ["tool-calls", "stop"])
    assert.deepStrictEqual(ends(undefined, called), ["tool-calls", undefined])
    assert.deepStrictEqual(ends("length", called), ["length", "length"])
  })

  it("gives tool calls with the wire's ids or new ones, arguments as object or as text", () => {
    const { finishReason, toolCalls } = read(
      calls(call("look", { at: 1 }, "wire-1"), call("wait", '{"ms":2}')),
      calls(call("stop", undefined, ""), call("go", ""), { function: { arguments: {} } }, null as unknown as object),
      done("stop")
    )
    assert.deepStrictEqual(toolCalls, [
      { id: "wire-1", name: "look", arguments: { at: 1 } },
      { id: "call_1", name: "wait", arguments: { ms: 2 } },
      { id: "call_2", name: "stop", arguments: {} },
      { id: "call_3", name: "go", arguments: {} }
    ])
    assert.strictEqual(finishReason, "tool-calls")
  })

  it("never gives a call with cut arguments", () => {
    const cut = calls(call("look", '{"at":'), call("wait", { ms: 1 }))
    const stopped = read(cut, done("stop"))
    assert.strictEqual(stopped.fault?.kind, "protocol")
    assert.include(stopped.fault?.detail, "look")
    assert.isUndefined(stopped.finishReason)
    const short = read(cut, done("length"))
    assert.isUndefined(short.fault)
    assert.strictEqual(short.finishReason, "length")
    for (const { toolCalls } of [stopped, short]) assert.deepStrictEqual(toolCalls.map(({ name }) => name), ["wait"])
    // without its line feed the last line says the same
    const whole = concat([line(cut), line(done("stop"))])
    assert.strictEqual(decode(family, [whole.slice(0, -1)]).fault?.kind, "protocol")
    assert.strictEqual(read(calls(call("f", [1])), done("stop")).fault?.kind, "protocol")
  })

  it("is read whole where it was not streamed", () => {
    const whole = said({ content: "all", thinking: "why" }, { done: true, done_reason: "stop", eval_count: 1 })
    const { finishReason, reasoning, text } = read(whole)
    assert.deepStrictEqual([reasoning, text, finishReason], ["why", "all", "stop"])
  })

  it("fails with what an error line says", () => {
    const kind = (...lines: ReadonlyArray<object>) => {
      const decoded = read(text("a"), ...lines, done("stop"))
      assert.isUndefined(decoded.finishReason)
      assert.strictEqual(decoded.text, "a")
      return [decoded.fault?.kind, decoded.fault?.detail]
    }
    assert.deepStrictEqual(kind({ error: "an error was met" }), ["server", "an error was met"])
    assert.deepStrictEqual(kind({ error: "model 'x' not found" }), ["not_found", "model 'x' not found"])
    assert.deepStrictEqual(kind({ StatusCode: 429, Status: "429 Too Many Requests", error: "slow down" }), [
      "rate_limit",
      "slow down"
    ])
    assert.deepStrictEqual(kind({ StatusCode: 401, Status: "401 Unauthorized", signin_url: "u" }), [
      "authentication",
      "401 Unauthorized"
    ])
    assert.deepStrictEqual(kind({ error: { message: "m", code: "invalid_api_key" } }), ["authentication", "m"])
    assert.strictEqual(decode(family, [wire.overloaded]).fault?.kind, "overloaded")
  })

  it("passes over what it does not know", () => {
    const { fault, finishReason, text: all } = decode(family, [
      bytesOf('[]\n1\nnull\n"x"\n\n{}\n'),
      line({ message: "words", done: "true", error: null }),
      line({ message: { content: 7, thinking: {}, tool_calls: "f" }, error: "" }),
      line(text("a")),
      line(done("stop"))
    ])
    assert.isUndefined(fault)
    assert.deepStrictEqual([all, finishReason], ["a", "stop"])
  })

  it("is a protocol failure where a line is not JSON", () => {
    const { fault, text: all } = decode(family, [line(text("a")), bytesOf("<html>\n"), line(done("stop"))])
    assert.deepStrictEqual([all, fault?.kind], ["a", "protocol"])
  })

  it("is over as soon as its last line is there", () => {
    const decoder = family.decoder({ emit: () => {}, callId: () => "" })
    decoder.push(line(text("a")))
    assert.strictEqual(decoder.progress(), "open")
    decoder.push(line(done("stop")))
    assert.strictEqual(decoder.progress(), "closed")
  })

  it("reads nothing behind its end", () => {
    const body = concat([line(text("a")), line(done("stop")), line(text("b")), line({ error: "late" }), bytesOf("{")])
    const { events, fault } = decode(family, [body])
    assert.isUndefined(fault)
    assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Delta", "Usage", "Finish"])
  })
})

const sample = concat([
  said({ thinking: "hm, größer 🎈" }),
  text("né 日本 "),
  text('"\n{}'),
  calls(call("look", { at: "ü" }, "w1"), call("wait", '{"ms":[1]}')),
  done("stop")
].map(line))

const json = FastCheck.json()

describe("any cut of any bytes", () => {
  const whole = settled(decode(family, [sample]))

  it("changes nothing in the answer", () => {
    assert.isUndefined(whole.fault)
    for (let at = 1; at < sample.length; at++) {
      assert.deepStrictEqual(settled(decode(family, cutAt(sample, [at]))), whole)
    }
    assert.deepStrictEqual(settled(decode(family, pieces(sample, 1))), whole)
  })

  it("changes nothing in any answer", () => {
    FastCheck.assert(FastCheck.property(
      FastCheck.array(FastCheck.fullUnicodeString()),
      FastCheck.array(FastCheck.nat(2_000)),
      (texts, places) => {
        const body = concat(wire.answer(texts))
        const decoded = decode(family, cutAt(body, places))
        assert.strictEqual(decoded.text, new TextDecoder().decode(bytesOf(texts.join(""))))
        assert.deepStrictEqual(settled(decoded), settled(decode(family, [body])))
      }
    ))
  })

  it("is incomplete before the last line is whole", () => {
    // the last line counts as soon as its object closes
    for (let end = 0; end < sample.length - 1; end++) {
      const { fault, finishReason, toolCalls } = decode(family, [sample.slice(0, end)])
      assert.strictEqual(fault?.kind, "incomplete_stream", `cut at ${end}`)
      assert.isUndefined(finishReason)
      for (const made of toolCalls) assert.deepInclude(whole.toolCalls, made)
    }
    assert.isUndefined(decode(family, [sample.slice(0, -1)]).fault)
  })

  it("gives events or one fault, whatever comes", () => {
    FastCheck.assert(FastCheck.property(FastCheck.uint8Array({ maxLength: 200 }), (bytes) => {
      const decoded = decode(family, [new Uint8Array(bytes)])
      assert.isTrue(decoded.fault !== undefined || decoded.finishReason !== undefined)
    }))
    FastCheck.assert(FastCheck.property(FastCheck.array(json), (values) => {
      const decoded = decode(family, values.map((value) => bytesOf(`${value}\n`)))
      assert.isTrue((decoded.fault === undefined) === (decoded.finishReason !== undefined))
    }))
  })

  it("gives events or one fault where a field is anything at all", () => {
    const fields = FastCheck.record({
      message: FastCheck.oneof(
        FastCheck.jsonValue(),
        FastCheck.record({
          content: FastCheck.jsonValue(),
          thinking: FastCheck.jsonValue(),
          tool_calls: FastCheck.oneof(
            FastCheck.jsonValue(),
            FastCheck.array(FastCheck.oneof(
              FastCheck.jsonValue(),
              FastCheck.record({ id: FastCheck.jsonValue(), function: FastCheck.jsonValue() }),
              FastCheck.record({
                function: FastCheck.record({ name: FastCheck.string(), arguments: FastCheck.jsonValue() })
              })
            ))
          )
        }, { requiredKeys: [] })
      ),
      done: FastCheck.oneof(FastCheck.jsonValue(), FastCheck.constant(true)),
      done_reason: FastCheck.jsonValue(),
      eval_count: FastCheck.jsonValue(),
      error: FastCheck.jsonValue(),
      StatusCode: FastCheck.jsonValue()
    }, { requiredKeys: [] })
    FastCheck.assert(FastCheck.property(FastCheck.array(fields), (values) => {
      const decoded = decode(family, values.map(line))
      assert.isTrue((decoded.fault === undefined) === (decoded.finishReason !== undefined))
      assert.isAtMost(decoded.events.filter(({ _tag }) => _tag === "Finish").length, 1)
    }))
  })
})
