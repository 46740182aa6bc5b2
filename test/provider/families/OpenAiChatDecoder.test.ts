/** Chat completions as servers stream them: every difference between servers that is known, in invented answers. */
import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as UsageSum from "../../../src/domain/UsageSum.ts"
import * as InlineThinking from "../../../src/provider/families/InlineThinking.ts"
import { family } from "../../../src/provider/families/OpenAiChat.ts"
import { callsMax } from "../../../src/provider/families/OpenAiChatCalls.ts"
import type { ProviderEvent } from "../../../src/provider/Provider.ts"
import { frameBytesMax } from "../../../src/provider/wire/Decoder.ts"
import { bytesOf, concat, cutAt, decode, pieces, settled } from "./decoding.ts"
import { recordings } from "./fixtures.ts"
import { callPiece, chunk, done, finish, sse, usage, wire } from "./OpenAiChatWire.ts"

/** The body of these events; `[DONE]` only where it is one of them. */
const read = (...events: ReadonlyArray<unknown>) => decode(family, events.map(sse))
const readRaw = (...parts: ReadonlyArray<string>) => decode(family, parts.map(bytesOf))
const text = (content: string) => chunk({ content })
const said = (text: string): ProviderEvent => ({ _tag: "Delta", kind: "text", text })
const thought = (text: string): ProviderEvent => ({ _tag: "Delta", kind: "reasoning", text })
const stopped: ProviderEvent = { _tag: "Finish", reason: "stop", raw: "stop" }

recordings("openai-compat", family, "sse")

describe("what a chat server says", () => {
  it("is told as it comes: text, usage, one end", () => {
    const raw = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
    const counted = UsageSum.make({ inputTokens: 3, outputTokens: 2, totalTokens: 5 })
    assert.deepStrictEqual(read(text("Hel"), text("lo"), finish("stop"), usage(raw), done).events, [
      said("Hel"),
      said("lo"),
      { _tag: "Usage", usage: counted, raw },
      stopped
    ])
  })

  it("may have chunks without choices first, in the middle, and behind the usage", () => {
    const filters = { id: "", model: "", choices: [], prompt_filter_results: [{ prompt_index: 0 }] }
    const found = read(
      filters,
      text("a"),
      { choices: [] },
      { choices: null },
      {},
      text("b"),
      finish("stop"),
      usage({ prompt_tokens: 1, completion_tokens: 1 }),
      { choices: [], moderation: { flagged: false } },
      done
    )
    assert.deepStrictEqual([found.text, found.finishReason, found.usage?.totalTokens], ["ab", "stop", 2])
  })

  it("may leave out or repeat the role, and say null where it says nothing", () => {
    const found = read(
      chunk({ role: "assistant", content: null, tool_calls: null, refusal: "" }),
      chunk({ role: "assistant", content: "a", refusal: null }),
      chunk({ role: null, content: "b", reasoning: null, reasoning_content: null, reasoning_details: null }),
      chunk({ content: "" }),
      { id: "another", choices: [{ index: 0, delta: { content: "c", executed_tools: [{ type: "search" }] } }] },
      { choices: [{ index: 0, delta: {} }] },
      { choices: [{ index: 0 }, null, 7] },
      chunk({ function_call: null }),
      { choices: [{ delta: { content: "d" }, finish_reason: "" }] },
      { choices: [{ index: null, delta: { content: "e" }, finish_reason: "stop" }] },
      done
    )
    assert.deepStrictEqual(found.events, [...[..."abcde"].map(said), stopped])
  })

  it("counts once where the whole message stands beside the delta", () => {
    const grown = (content: string, message: string) => ({
      choices: [{ index: 0, delta: { content }, message: { role: "assistant", content: message } }]
    })
    const end = { choices: [{ index: 0, delta: {}, message: { content: "one two" }, finish_reason: "stop" }] }
    assert.strictEqual(read(grown("one", "one"), grown(" two", "one two"), end, done).text, "one two")
  })

  it("is the first choice alone", () => {
    const both = {
      choices: [
        { index: 1, delta: { content: "no", reasoning: "no" }, finish_reason: "length" },
        { index: 0, delta: { content: "b" }, finish_reason: null }
      ]
    }
    const other = { choices: [{ index: 1, delta: { content: "never", tool_calls: [{ index: 0, id: "x" }] } }] }
    const found = read(text("a"), other, both, { choices: [{ index: 1, delta: {}, finish_reason: "stop" }] })
    assert.deepStrictEqual([found.text, found.reasoning, found.fault?.kind], ["ab", "", "incomplete_stream"])
  })

  it("may be a list of text and thinking", () => {
    const found = read(
      chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "h" }, { text: "m" }, null, {}] }] }),
      chunk({ content: [{ type: "thinking", thinking: "?" }, { type: "text", text: "A" }, { type: "image" }, 3] }),
      text("B"),
      finish("stop"),
      done
    )
    assert.deepStrictEqual(found.events, [thought("hm"), thought("?"), said("A"), said("B"), stopped])
  })

  it("may be reasoning, in any of its places, told once where it stands in two", () => {
    const details = (...items: ReadonlyArray<object>) => ({ reasoning_details: items })
    const found = read(
      chunk({ reasoning_content: "a" }),
      chunk({ reasoning: "b", content: "" }),
      chunk({ reasoning: "c", ...details({ type: "reasoning.text", text: "c" }) }),
      chunk({ reasoning: "d", reasoning_content: "d" }),
      chunk(details({ type: "reasoning.text", text: "e" }, { summary: "f" }, { type: "encrypted", data: "no" })),
      chunk({ reasoning_content: "", reasoning: null, ...details({ text: "g" }) }),
      chunk({ reasoning_content: "h", content: "T" }),
      finish("stop"),
      done
    )
    assert.deepStrictEqual([found.reasoning, found.text], ["abcdefgh", "T"])
    assert.deepStrictEqual(found.events.slice(-3), [thought("h"), said("T"), stopped])
  })

  it("may be a refusal: that is text", () => {
    const found = read(chunk({ content: null, refusal: "I " }), chunk({ refusal: "won't." }), finish("stop"), done)
    assert.strictEqual(found.text, "I won't.")
  })

  it("may be one completion instead of a stream", () => {
    const body = {
      object: "chat.completion",
      choices: [{
        index: 0,
        message: {
          role: "assistant",
          content: "Here.",
          reasoning_content: "hm",
          tool_calls: [{ id: "t", type: "function", function: { name: "find", arguments: '{"q":1}' } }]
        },
        finish_reason: "tool_calls"
      }],
      usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }
    }
    const json = bytesOf(JSON.stringify(body, null, 2))
    for (const parts of [[json], pieces(json, 1), [bytesOf("\n"), bytesOf(" \n"), json, bytesOf("\n")]]) {
      const found = decode(family, parts)
      assert.deepStrictEqual(found.toolCalls, [{ id: "t", name: "find", arguments: { q: 1 } }])
      assert.deepStrictEqual(
        [found.text, found.reasoning, found.finishReason, found.usage?.totalTokens, found.fault],
        ["Here.", "hm", "tool-calls", 3, undefined]
      )
    }
    const cut = decode(family, [json.slice(0, -4)])
    assert.deepStrictEqual([cut.events, cut.fault?.kind], [[], "incomplete_stream"])
  })
})

describe("how a chat answer ends", () => {
  it("each reason has its meaning, and its own word is kept", () => {
    const meanings = {
      stop: "stop",
      end_turn: "stop",
      eos: "stop",
      length: "length",
      model_length: "length",
      tool_calls: "tool-calls",
      function_call: "tool-calls",
      content_filter: "content-filter",
      something_new: "unknown",
      constructor: "unknown",
      __proto__x: "unknown",
      toString: "unknown"
    }
    for (const [raw, reason] of [...Object.entries(meanings), ["__proto__", "unknown"] as const]) {
      const found = read(text("x"), finish(raw), done)
      assert.deepStrictEqual([found.finishReason, found.rawFinishReason, found.fault], [reason, raw, undefined], raw)
    }
  })

  it("said twice is one end, and the usage beside the second counts", () => {
    const again = { ...finish("stop"), usage: { prompt_tokens: 1, completion_tokens: 2 } }
    const found = read(text("x"), finish("stop"), again, done)
    assert.deepStrictEqual(found.events.map(({ _tag }) => _tag), ["Delta", "Usage", "Finish"])
  })

  it("needs no [DONE] behind a reason, nor a blank line behind the last event", () => {
    assert.deepStrictEqual(read(text("x"), finish("stop")).events, [said("x"), stopped])
    for (const end of ["", "\n", "\r\n", "\r", "   \n", "  "]) {
      const found = readRaw(`data: ${JSON.stringify(text("x"))}\n\ndata: ${JSON.stringify(finish("stop"))}${end}`)
      assert.deepStrictEqual([found.events, found.fault], [[said("x"), stopped], undefined])
      const marked = readRaw(`data: ${JSON.stringify(text("x"))}\n\ndata: [DONE]${end}`)
      assert.deepStrictEqual([marked.finishReason, marked.fault], ["unknown", undefined])
    }
  })

  it("with [DONE] and no reason is complete, for an unknown reason", () => {
    assert.deepStrictEqual(read(text("x"), done).events, [said("x"), { _tag: "Finish", reason: "unknown" }])
    assert.deepStrictEqual(read(done).events, [{ _tag: "Finish", reason: "unknown" }])
    assert.strictEqual(readRaw("data:[DONE]  \n\n").finishReason, "unknown")
  })

  it("with neither is incomplete, and what was said and counted stands", () => {
    const found = read(text("x"), usage({ prompt_tokens: 4 }))
    assert.deepStrictEqual([found.text, found.finishReason, found.fault?.kind], ["x", undefined, "incomplete_stream"])
    assert.strictEqual(found.usage?.inputTokens, 4)
    assert.strictEqual(readRaw("").fault?.kind, "incomplete_stream")
    assert.strictEqual(readRaw(": waiting\n\n").fault?.kind, "incomplete_stream")
    assert.strictEqual(readRaw("<html>no stream at all</html>").fault?.kind, "incomplete_stream")
  })

  it("is the last thing that is read", () => {
    const found = read(text("x"), finish("stop"), done, text("y"), { error: { message: "late" } })
    assert.deepStrictEqual([found.events, found.fault], [[said("x"), stopped], undefined])
  })

  it("it is open until a reason, finished until [DONE], then closed", () => {
    const after = (...events: ReadonlyArray<unknown>) => {
      const decoder = family.decoder({ emit: () => {}, callId: () => "c" })
      decoder.push(concat(events.map(sse)))
      return decoder.progress()
    }
    assert.strictEqual(after(text("x")), "open")
    assert.strictEqual(after(text("x"), usage({ prompt_tokens: 1 })), "open")
    assert.strictEqual(after(text("x"), finish("stop")), "finished")
    assert.strictEqual(after(text("x"), finish("stop"), usage({ prompt_tokens: 1 })), "finished")
    assert.strictEqual(after(text("x"), done), "closed")
  })
})

describe("chat usage", () => {
  const counts = (raw: object) => read(text("x"), finish("stop"), usage(raw), done).usage

  it("input holds what came from the cache, output the reasoning; the total is the wire's", () => {
    const raw = {
      prompt_tokens: 50,
      completion_tokens: 20,
      total_tokens: 70,
      prompt_tokens_details: { cached_tokens: 30, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 12 }
    }
    const found = read(text("x"), finish("stop"), usage(raw), done)
    assert.deepStrictEqual(found.rawUsage, raw)
    assert.deepStrictEqual(found.usage, {
      inputTokens: 50,
      outputTokens: 20,
      cacheReadTokens: 30,
      cacheWriteTokens: null,
      reasoningTokens: 12,
      totalTokens: 70
    })
  })

  it("reasoning that only the total holds (xAI) is output", () => {
    const raw = { prompt_tokens: 10, completion_tokens: 1, total_tokens: 41 }
    const details = { completion_tokens_details: { reasoning_tokens: 30 } }
    assert.deepInclude(counts({ ...raw, ...details }), { outputTokens: 31, reasoningTokens: 30, totalTokens: 41 })
    assert.deepInclude(counts({ ...raw, total_tokens: 11, ...details }), { outputTokens: 1, totalTokens: 11 })
    assert.deepInclude(counts({ ...raw, total_tokens: 40, ...details }), { outputTokens: 1, totalTokens: 40 })
    const none = { prompt_tokens: 10, completion_tokens: 5, completion_tokens_details: { reasoning_tokens: 3 } }
    assert.deepInclude(counts(none), { outputTokens: 5, totalTokens: 15 })
  })

  it("reads the cache where DeepSeek, Together, Moonshot and OpenRouter count it", () => {
    const plain = { prompt_tokens: 9, completion_tokens: 1, total_tokens: 10 }
    assert.strictEqual(
      counts({ ...plain, prompt_cache_hit_tokens: 6, prompt_cache_miss_tokens: 3 })?.cacheReadTokens,
      6
    )
    assert.strictEqual(counts({ ...plain, cached_tokens: 5 })?.cacheReadTokens, 5)
    const details = { cached_tokens: 4, cache_write_tokens: 2 }
    assert.deepInclude(
      counts({ ...plain, cached_tokens: 8, prompt_cache_hit_tokens: 7, prompt_tokens_details: details }),
      { cacheReadTokens: 4, cacheWriteTokens: 2 }
    )
    assert.strictEqual(counts({ ...plain, prompt_tokens_details: { cached_tokens: 0 } })?.cacheReadTokens, 0)
  })

  it("reads reasoning_tokens beside the details (Azure DeepSeek), and details that are null", () => {
    const raw = { prompt_tokens: 5, completion_tokens: 9, total_tokens: 14, reasoning_tokens: 4 }
    assert.deepInclude(counts({ ...raw, completion_tokens_details: null, prompt_tokens_details: null }), {
      inputTokens: 5,
      outputTokens: 9,
      reasoningTokens: 4,
      cacheReadTokens: null,
      totalTokens: 14
    })
    assert.strictEqual(counts({ ...raw, completion_tokens_details: { reasoning_tokens: 3 } })?.reasoningTokens, 3)
  })

  it("what is not counted is unknown, never 0, and a missing total is the sum", () => {
    assert.deepStrictEqual(counts({ prompt_tokens: 5, completion_tokens: 2 }), {
      ...UsageSum.unknown,
      inputTokens: 5,
      outputTokens: 2,
      totalTokens: 7
    })
    assert.deepStrictEqual(counts({ completion_tokens: 2 }), { ...UsageSum.unknown, outputTokens: 2 })
    assert.deepStrictEqual(counts({ prompt_tokens: -1, completion_tokens: 1.5, total_tokens: 8 }), {
      ...UsageSum.unknown,
      totalTokens: 8
    })
  })

  it("none is none", () => {
    for (const none of [{}, null, 7, { prompt_tokens: "many" }, { prompt_tokens: null }]) {
      const found = read(text("x"), { ...finish("stop"), usage: none }, done)
      assert.deepStrictEqual([found.usage, found.fault, found.finishReason], [undefined, undefined, "stop"])
    }
  })

  it("is found beside the last text, in x_groq, and in the choice", () => {
    const raw = { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 }
    for (
      const last of [
        { ...chunk({ content: "x" }, { finish_reason: "stop" }), usage: raw },
        { ...chunk({ content: "x" }, { finish_reason: "stop" }), x_groq: { id: "r", usage: raw } },
        { ...chunk({ content: "x" }, { finish_reason: "stop" }), usage: null, x_groq: { usage: raw } },
        chunk({ content: "x" }, { finish_reason: "stop", usage: raw })
      ]
    ) {
      const found = read(last, done)
      assert.deepStrictEqual([found.text, found.usage?.totalTokens, found.rawUsage], ["x", 5, raw])
    }
  })

  it("that grows with every chunk is told each time, and the last counts", () => {
    const grown = (content: string, completion_tokens: number) => ({
      ...chunk({ content }),
      usage: { prompt_tokens: 7, completion_tokens, total_tokens: 7 + completion_tokens }
    })
    const found = read(grown("a", 1), grown("b", 2), { ...grown("c", 3), usage: null }, finish("stop"), done)
    assert.deepStrictEqual(found.events.map(({ _tag }) => _tag).join(), "Delta,Usage,Delta,Usage,Delta,Finish")
    assert.strictEqual(found.usage?.outputTokens, 2)
  })
})

const call = (id: string, name: string, args: unknown) => ({ id, name, arguments: args })

describe("chat tool calls", () => {
  const calls = (...events: ReadonlyArray<unknown>) => {
    const found = read(...events, finish("tool_calls"), done)
    assert.isUndefined(found.fault)
    assert.strictEqual(found.finishReason, "tool-calls")
    return found.toolCalls
  }
  const input = (text: string): ProviderEvent => ({
    _tag: "Delta",
    kind: "tool-input",
    text,
    toolCallId: "t",
    toolName: "find"
  })

  it("come in pieces, are announced once, and are told whole at the end", () => {
    const found = read(
      callPiece({ index: 0, id: "t" }, { name: "find", arguments: "" }),
      callPiece({ index: 0 }, { arguments: "" }),
      callPiece({ index: 0 }, { arguments: '{"q":' }),
      callPiece({ index: 0, id: "", function: null }, { name: "", arguments: "" }),
      callPiece({ index: 0, id: null }, { name: null, arguments: '"ö"}' }),
      callPiece({ index: 0 }, { arguments: null }),
      finish("tool_calls"),
      done
    )
    assert.deepStrictEqual(found.events, [
      input(""),
      input('{"q":'),
      input('"ö"}'),
      { _tag: "ToolCall", toolCallId: "t", toolName: "find", arguments: { q: "ö" } },
      { _tag: "Finish", reason: "tool-calls", raw: "tool_calls" }
    ])
  })

  it("a stop behind complete calls means the calls, and so does no reason at all", () => {
    const whole = callPiece({ index: 0, id: "t" }, { name: "find", arguments: "{}" })
    for (const end of [[finish("stop"), done], [finish("eos")], [done], [finish("something_new"), done]]) {
      const found = read(whole, ...end)
      assert.deepStrictEqual([found.finishReason, found.toolCalls], ["tool-calls", [call("t", "find", {})]])
    }
    for (const [raw, reason] of [["length", "length"], ["content_filter", "content-filter"]] as const) {
      const found = read(whole, finish(raw), done)
      assert.deepStrictEqual([found.finishReason, found.toolCalls], [reason, [call("t", "find", {})]])
    }
  })

  it("without arguments they are empty: nothing, blanks or {}, in one chunk or several", () => {
    for (const given of ["", " ", "{}", null, undefined, {}]) {
      const whole = callPiece({ index: 0, id: "t" }, { name: "now", arguments: given })
      assert.deepStrictEqual(calls(whole), [call("t", "now", {})])
    }
    assert.deepStrictEqual(
      calls(callPiece({ index: 0, id: "t" }, { name: "now" }), callPiece({ index: 0 }, { arguments: "{}" })),
      [call("t", "now", {})]
    )
  })

  it("may have an object as arguments", () => {
    const whole = callPiece({ index: 0, id: "t" }, { name: "find", arguments: { q: ["ö", 1] } })
    const found = read(whole, finish("tool_calls"), done)
    assert.deepStrictEqual(found.events[0], input('{"q":["ö",1]}'))
    assert.deepStrictEqual(found.toolCalls, [call("t", "find", { q: ["ö", 1] })])
  })

  const two = [call("a", "find", { q: 1 }), call("b", "look", { z: 2 })]

  it("several are kept apart by index, interleaved or not", () => {
    const first = callPiece({ index: 0, id: "a" }, { name: "find", arguments: '{"q"' })
    const second = callPiece({ index: 1, id: "b" }, { name: "look", arguments: '{"z"' })
    const ends = [callPiece({ index: 0 }, { arguments: ":1}" }), callPiece({ index: 1 }, { arguments: ":2}" })] as const
    assert.deepStrictEqual(calls(first, second, ends[0], ends[1]), two)
    assert.deepStrictEqual(calls(first, second, ends[1], ends[0]), two)
    assert.deepStrictEqual(calls(first, ends[0], second, ends[1]), two)
  })

  it("several in one chunk, with indexes that begin anywhere", () => {
    const both = (first: object, second: object) =>
      chunk({
        tool_calls: [
          { id: "a", ...first, function: { name: "find", arguments: '{"q":1}' } },
          { id: "b", ...second, function: { name: "look", arguments: '{"z":2}' } }
        ]
      })
    assert.deepStrictEqual(calls(both({ index: 0 }, { index: 1 })), two)
    assert.deepStrictEqual(calls(both({ index: 1 }, { index: 2 })), two)
    assert.deepStrictEqual(calls(both({}, {})), two)
    assert.deepStrictEqual(calls(both({ index: null }, { index: null })), two)
    assert.deepStrictEqual(calls(both({ index: 0 }, { index: 0 })), two)
  })

  it("several without an index: by id, and a piece without an id belongs to the last", () => {
    assert.deepStrictEqual(
      calls(
        callPiece({ id: "a" }, { name: "find", arguments: '{"q"' }),
        callPiece({ id: "a" }, { arguments: ":1}" }),
        callPiece({ id: "b" }, { name: "look", arguments: '{"z"' }),
        callPiece({}, { arguments: ":2}" })
      ),
      two
    )
    assert.deepStrictEqual(
      calls(
        callPiece({ id: "a" }, { name: "find", arguments: '{"q"' }),
        callPiece({ id: "b" }, { name: "look", arguments: '{"z"' }),
        callPiece({ id: "a" }, { arguments: ":1}" }),
        callPiece({ id: "b" }, { arguments: ":2}" })
      ),
      two
    )
  })

  it("several at index 0 are told apart by ids that come with a name", () => {
    assert.deepStrictEqual(
      calls(
        callPiece({ index: 0, id: "a" }, { name: "find", arguments: '{"q"' }),
        callPiece({ index: 0, id: "new-each-time" }, { arguments: ":1}" }),
        callPiece({ index: 0, id: "b" }, { name: "look", arguments: '{"z"' }),
        callPiece({ index: 0 }, { arguments: ":2}" })
      ),
      two
    )
  })

  it("an id and a name that each piece repeats are one call", () => {
    const piece = (text: string) => callPiece({ index: 0, id: "t" }, { name: "find", arguments: text })
    assert.deepStrictEqual(calls(piece(""), piece("{"), piece('"q":{}'), piece("}"), piece("")), [
      call("t", "find", { q: {} })
    ])
    const again = read(...["", "", '{"q":1}', ""].map(piece), finish("tool_calls"), done)
    assert.deepStrictEqual(again.events.slice(0, 3), [
      input(""),
      input('{"q":1}'),
      { _tag: "ToolCall", toolCallId: "t", toolName: "find", arguments: { q: 1 } }
    ])
    const renamed = callPiece({ index: 0, id: "t" }, { name: "other", arguments: "}" })
    assert.deepStrictEqual(calls(piece("{"), renamed), [call("t", "find", {})])
    const nameless = (text: string) => callPiece({ index: 0, id: "" }, { name: "find", arguments: text })
    assert.deepStrictEqual(calls(nameless('{"q":'), nameless("{"), nameless("}}"), nameless("")), [
      call("call_1", "find", { q: {} })
    ])
  })

  it("without ids they get new ones, and a new name or new arguments begin another", () => {
    for (const place of [{ index: 0, id: "" }, { index: 0 }, {}, { id: null }]) {
      assert.deepStrictEqual(
        calls(
          callPiece(place, { name: "find", arguments: '{"q":1}' }),
          callPiece(place, { name: "look", arguments: '{"z":2}' }),
          callPiece(place, { name: "look", arguments: '{"z":3}' }),
          callPiece(place, { arguments: "" })
        ),
        [call("call_1", "find", { q: 1 }), call("call_2", "look", { z: 2 }), call("call_3", "look", { z: 3 })]
      )
    }
    const apart = (index: number) => callPiece({ index }, { name: "find", arguments: "{}" })
    assert.deepStrictEqual(calls(apart(0), apart(1)).map(({ id }) => id), ["call_1", "call_2"])
  })

  it("two with one id are two calls with two ids", () => {
    const at = (index: number, q: number) => callPiece({ index, id: "a" }, { name: "find", arguments: `{"q":${q}}` })
    assert.deepStrictEqual(calls(at(0, 1), at(1, 2)), [call("a", "find", { q: 1 }), call("call_1", "find", { q: 2 })])
  })

  it("are announced when their name is known, with what came before it", () => {
    const found = read(
      callPiece({ index: 0, id: "t" }, { arguments: '{"q"' }),
      callPiece({ index: 0 }, { name: "find", arguments: ":1" }),
      callPiece({ index: 0 }, { arguments: "}" }),
      finish("tool_calls"),
      done
    )
    assert.deepStrictEqual(found.events.slice(0, 2), [input('{"q":1'), input("}")])
    assert.deepStrictEqual(found.toolCalls, [call("t", "find", { q: 1 })])
  })

  it("of the older form are calls like any other", () => {
    const found = read(
      chunk({ function_call: { name: "find", arguments: "" } }),
      chunk({ function_call: { arguments: '{"q":1}' } }),
      finish("function_call"),
      done
    )
    assert.deepStrictEqual([found.finishReason, found.toolCalls], ["tool-calls", [call("call_1", "find", { q: 1 })]])
    const empty = read(chunk({ content: "x", function_call: {}, tool_calls: [] }), finish("stop"), done)
    assert.deepStrictEqual([empty.finishReason, empty.toolCalls], ["stop", []])
  })

  it("that the wire does not describe are passed over", () => {
    const strange = [null, 3, "x", [], {}, { index: 0 }, { index: 0, id: "t" }, { index: 0, function: "find" }]
    const found = read(text("x"), chunk({ tool_calls: strange }), chunk({ tool_calls: {} }), finish("stop"), done)
    assert.deepStrictEqual(found.events, [said("x"), stopped])
  })

  const whole = callPiece({ index: 0, id: "a" }, { name: "find", arguments: '{"q":1}' })
  const cuts = ["{", '{"q"', '{"q":1', '{"q":"ö', '{"q":[1,']

  it("cut by the end of an answer are left out where the reason explains it, and the answer stands", () => {
    for (const json of [...cuts, "", "1"]) {
      const cut = callPiece({ index: 1, id: "b" }, { name: "look", arguments: json })
      for (const [raw, reason] of [["length", "length"], ["content_filter", "content-filter"]] as const) {
        const found = read(text("x"), whole, cut, finish(raw), done)
        assert.deepStrictEqual(
          [found.finishReason, found.toolCalls, found.fault],
          [reason, [call("a", "find", { q: 1 })], undefined]
        )
        assert.deepStrictEqual(read(cut, finish(raw)).toolCalls, [])
      }
      const before = callPiece({ index: 0, id: "a" }, { name: "now", arguments: "" })
      assert.deepStrictEqual(read(before, cut, finish("length"), done).toolCalls, [call("a", "now", {})])
      const early = read(cut, whole, finish("length"), done)
      assert.deepStrictEqual(early.toolCalls.at(-1), call("a", "find", { q: 1 }))
      assert.isUndefined(early.fault)
    }
  })

  it("cut for no reason fail the answer, and none of them is told", () => {
    for (const json of cuts) {
      const cut = callPiece({ index: 0, id: "b" }, { name: "look", arguments: json })
      for (const end of [[finish("stop"), done], [finish("tool_calls")], [done], [finish("something_new"), done]]) {
        const found = read(text("x"), cut, ...end)
        assert.deepStrictEqual([found.toolCalls, found.finishReason, found.fault?.kind], [[], undefined, "protocol"])
        assert.match(found.fault?.detail ?? "", /"look"/)
      }
      const unended = read(text("x"), cut)
      assert.deepStrictEqual([unended.toolCalls, unended.fault?.kind], [[], "incomplete_stream"])
    }
    const atEnd = readRaw(
      `data: ${JSON.stringify(callPiece({ index: 0, id: "b" }, { name: "look", arguments: "{" }))}\n\ndata: [DONE]`
    )
    assert.deepStrictEqual([atEnd.toolCalls, atEnd.fault?.kind], [[], "protocol"])
  })

  it("without a name are never told", () => {
    const nameless = callPiece({ index: 0, id: "t" }, { arguments: "{}" })
    const found = read(nameless, finish("tool_calls"), done)
    assert.deepStrictEqual([found.events, found.fault?.kind], [[], "protocol"])
    assert.deepStrictEqual(read(nameless, finish("length"), done).events.map(({ _tag }) => _tag), ["Finish"])
  })

  it("are bounded: their number, and what comes before a name", () => {
    const decoder = family.decoder({ emit: () => {}, callId: () => "c" })
    const push = (index: number, text: string) => decoder.push(sse(callPiece({ index }, { arguments: text })))
    for (let index = 0; index < callsMax; index++) assert.isUndefined(push(index, "1"))
    assert.strictEqual(push(callsMax, "1")?.kind, "protocol")
    const large = family.decoder({ emit: () => {}, callId: () => "c" })
    const part = sse(callPiece({ index: 0 }, { arguments: " ".repeat(1_048_576) }))
    for (let held = 0; held < frameBytesMax; held += 1_048_576) assert.isUndefined(large.push(part))
    assert.strictEqual(large.push(part)?.kind, "protocol")
    assert.strictEqual(large.push(part)?.kind, "protocol")
  })

  it("in very many pieces cost what their pieces cost", { timeout: 10_000 }, () => {
    const decoder = family.decoder({ emit: () => {}, callId: () => "c" })
    decoder.push(sse(callPiece({ index: 0, id: "t" }, { name: "find", arguments: '{"q":"' })))
    const piece = concat(Array.from({ length: 100 }, () => sse(callPiece({ index: 0 }, { arguments: "word " }))))
    for (let count = 0; count < 3_000; count++) assert.isUndefined(decoder.push(piece))
    decoder.push(sse(callPiece({ index: 0 }, { arguments: '"}' })))
    assert.isUndefined(decoder.push(concat([finish("tool_calls"), done].map(sse))))
    assert.strictEqual(decoder.progress(), "closed")
  })
})

describe("chat errors", () => {
  const failed = (...events: ReadonlyArray<unknown>) => {
    const found = read(text("half"), ...events, text("never"), finish("stop"), done)
    assert.deepStrictEqual([found.text, found.finishReason], ["half", undefined])
    return [found.fault?.kind, found.fault?.detail]
  }

  it("an error object under HTTP 200 is an error, as the first event and as the only one", () => {
    const error = { error: { message: "no credit", type: "insufficient_quota", code: null } }
    const found = read(error)
    assert.deepStrictEqual([found.events, found.fault], [[], { kind: "quota", detail: "no credit" }])
    assert.deepStrictEqual(failed(error), ["quota", "no credit"])
  })

  it("in any of its shapes", () => {
    const words = "the words"
    const shapes: ReadonlyArray<readonly [unknown, string]> = [
      [{ error: words }, "server"],
      [{ error: words, code: "rate_limit_exceeded" }, "rate_limit"],
      [{ error: { message: words, code: 429 } }, "rate_limit"],
      [{ error: { message: words, code: "503" } }, "overloaded"],
      [{ error: { detail: words, code: 401 } }, "authentication"],
      [{ object: "error", message: words, type: "BadRequestError", code: 400 }, "invalid_request"],
      [{ object: "error", message: words, code: 40_303 }, "server"],
      [{ type: "error", message: words }, "server"],
      [{ type: "error", error: { type: "overloaded_error", message: words } }, "overloaded"],
      [[{ error: { code: 503, message: words, status: "UNAVAILABLE" } }], "overloaded"],
      [{ id: "c", choices: [], error: { message: words, code: 502 } }, "server"],
      [{ choices: [{ index: 0, error: { message: words, code: 429 }, finish_reason: "error" }] }, "rate_limit"]
    ]
    for (const [shape, kind] of shapes) assert.deepStrictEqual(failed(shape), [kind, words], JSON.stringify(shape))
  })

  it("no error is none", () => {
    const quiet = { ...text("x"), error: null, object: "chat.completion.chunk", type: null }
    assert.deepStrictEqual(read(quiet, { ...text("y"), error: "" }, finish("stop"), done).text, "xy")
  })

  it("behind a reason and with usage in the same chunk it is an error, and the usage is kept", () => {
    const found = read(text("half"), finish("length"), {
      ...chunk({ content: "" }, { finish_reason: "length" }),
      usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
      error: { code: 502, message: "upstream broke", metadata: { error_type: "server_error" } }
    }, done)
    assert.deepStrictEqual([found.text, found.finishReason, found.usage?.totalTokens], ["half", undefined, 7])
    assert.deepStrictEqual(found.fault, { kind: "server", detail: "upstream broke" })
  })

  it("reasons that are failures fail, unless the chunk says more", () => {
    assert.strictEqual(failed(finish("error"))[0], "server")
    assert.strictEqual(failed(finish("insufficient_system_resource"))[0], "overloaded")
    assert.deepStrictEqual(failed({ ...finish("error"), error: { message: "slow down", code: 429 } }), [
      "rate_limit",
      "slow down"
    ])
    const counted = read({ ...finish("error"), usage: { prompt_tokens: 8 } })
    assert.deepStrictEqual([counted.usage?.inputTokens, counted.fault?.kind], [8, "server"])
  })

  it("an event or a field of that name is an error, in JSON or in words", () => {
    const error = JSON.stringify({ error: { message: "busy", type: "overloaded_error" } })
    const plain = JSON.stringify({ message: "busy", code: "server_is_overloaded" })
    const begun = `data: ${JSON.stringify(text("half"))}\n\n`
    for (
      const [body, kind, detail] of [
        [`event: error\ndata: ${error}\n\n`, "overloaded", "busy"],
        [`event: error\ndata: ${error}`, "overloaded", "busy"],
        [`event: error\ndata: ${plain}\n\n`, "overloaded", "busy"],
        [`event: error\ndata: [${error}]\n\n`, "overloaded", "busy"],
        ["event: error\ndata: it broke\n\n", "server", "it broke"],
        [`error: ${error}\n\n`, "overloaded", "busy"],
        [`error:${error}`, "overloaded", "busy"],
        [`error: ${plain}\ndata: [DONE]\n\n`, "overloaded", "busy"],
        ["error: it broke\n", "server", "it broke"]
      ] as const
    ) {
      const found = decode(family, pieces(bytesOf(begun + body), 5))
      assert.deepStrictEqual([found.text, found.finishReason], ["half", undefined])
      assert.deepStrictEqual(found.fault, { kind, detail }, body)
    }
  })

  it("an error event that is cut is a cut answer", () => {
    for (const field of ["event: error\ndata: ", "error: "]) {
      assert.strictEqual(readRaw(`${field}{"error":{"mess`).fault?.kind, "incomplete_stream")
      assert.strictEqual(readRaw(`${field}{"error":{"mess\n\ndata: [DONE]\n\n`).fault?.kind, "protocol")
    }
  })

  it("a JSON body instead of a stream is that error, in any cut", () => {
    const bodies: ReadonlyArray<readonly [unknown, string]> = [
      [{ error: { message: "no", type: "invalid_request_error", code: "invalid_api_key" } }, "authentication"],
      [
        [{ error: { code: 400, message: "API key not valid. Pass a valid one.", status: "INVALID_ARGUMENT" } }],
        "authentication"
      ],
      [{ object: "error", message: "no", code: 404 }, "not_found"],
      [{ code: "Some requested entity was not found", error: "no" }, "server"]
    ]
    for (const [body, kind] of bodies) {
      const json = bytesOf(`\r\n${JSON.stringify(body, null, 1)}\r\n`)
      for (const size of [json.length, 1, 3]) {
        const found = decode(family, pieces(json, size))
        assert.deepStrictEqual([found.events, found.fault?.kind], [[], kind])
      }
    }
  })

  it("an event that is not JSON breaks the protocol, and one at the very end is cut", () => {
    assert.deepStrictEqual(failed("{"), ["protocol", "an event of the answer is not JSON"])
    assert.deepStrictEqual(failed("hello"), ["protocol", "an event of the answer is not JSON"])
    const begun = `data: ${JSON.stringify(text("half"))}\n\n`
    assert.strictEqual(readRaw(`${begun}data: {"choi`).fault?.kind, "incomplete_stream")
    const finished = readRaw(`${begun}data: ${JSON.stringify(finish("stop"))}\n\ndata: {"usage":{"prompt`)
    assert.deepStrictEqual([finished.fault, finished.finishReason], [undefined, "stop"])
    for (const nothing of ["1", "null", '"text"', "[]", "[[]]", "true"]) {
      assert.strictEqual(read(text("x"), nothing, finish("stop"), done).text, "x")
    }
  })

  it("what was held back of the text comes before the failure", () => {
    for (const end of [[], [{ error: "no" }], [finish("error")], ["{"], ["{", done]]) {
      assert.strictEqual(read(text("<thi"), ...end).text, "<thi")
    }
  })
})

describe("thinking inside the text", () => {
  const answer = (...contents: ReadonlyArray<string>) => {
    const found = read(...contents.map(text), finish("stop"), done)
    assert.isUndefined(found.fault)
    return [found.reasoning, found.text]
  }
  const characters = (whole: string) => answer(...whole)

  it("is reasoning, wherever its tags are cut", () => {
    const whole = "<think>hm <b> </thin?</think>\n\nSo: <think>"
    const expected = ["hm <b> </thin?", "\n\nSo: <think>"]
    for (let first = 0; first <= whole.length; first++) {
      for (let second = first; second <= whole.length; second++) {
        const parts = [whole.slice(0, first), whole.slice(first, second), whole.slice(second)]
        assert.deepStrictEqual(answer(...parts), expected, JSON.stringify(parts))
      }
    }
    assert.deepStrictEqual(characters(whole), expected)
  })

  it("may begin behind white space, and may be empty", () => {
    for (const read of [answer, characters]) {
      assert.deepStrictEqual(read("\n <think>a</think>b"), ["a", "\n b"])
      assert.deepStrictEqual(read("<think></think>b"), ["", "b"])
      assert.deepStrictEqual(read("<think>\n\n</think>\n\nb"), ["\n\n", "\n\nb"])
      assert.deepStrictEqual(read("<think>a</think>"), ["a", ""])
    }
  })

  it("that never closes is reasoning to the end, with what looked like a tag", () => {
    for (const read of [answer, characters]) {
      assert.deepStrictEqual(read("<think>a</b"), ["a</b", ""])
      assert.deepStrictEqual(read("<think>a</thin"), ["a</thin", ""])
      assert.deepStrictEqual(read("<think>"), ["", ""])
    }
  })

  it("tags anywhere else are text", () => {
    for (
      const whole of ["a<think>b</think>", "</think>a", "<thin", "<", " <thinking>a", "<Think>a</Think>", "< think>"]
    ) {
      assert.deepStrictEqual(answer(whole), ["", whole])
      assert.deepStrictEqual(characters(whole), ["", whole])
    }
  })

  it("is the same in any cut, and no more than a tag's characters are ever held", () => {
    const alphabet = FastCheck.constantFrom("<think>", "</think>", "<", "</", "think", ">", "t", "x", "\n", " ", "é")
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.array(alphabet, { maxLength: 4 }), { maxLength: 6 }), (pushed) => {
        const parts = pushed.map((tokens) => tokens.join("")).flatMap((text) => [text.slice(0, 3), text.slice(3)])
        const whole = parts.join("")
        const said = { text: "", reasoning: "" }
        const thinking = InlineThinking.make((kind, text) => {
          said[kind] += text
        })
        let given = 0
        for (const part of parts) {
          thinking.push(part)
          given += part.length
          // the tags themselves are never said
          const tags = said.reasoning === "" && !whole.trimStart().startsWith("<think>") ? 0 : "<think></think>".length
          assert.isAtMost(given - said.text.length - said.reasoning.length - tags, "<think".length)
        }
        thinking.flush()
        const found = /^(\s*)<think>([\s\S]*?)(?:<\/think>([\s\S]*))?$/.exec(whole)
        assert.deepStrictEqual(
          said,
          found === null
            ? { text: whole, reasoning: "" }
            : { text: `${found[1]}${found[3] ?? ""}`, reasoning: found[2] ?? "" }
        )
      }),
      { numRuns: 500 }
    )
  })

  it("text of an ordinary answer is not held at all", () => {
    const found: Array<string> = []
    const thinking = InlineThinking.make((kind, text) => found.push(`${kind}:${text}`))
    for (const part of [" a", "<", "think", ">b"]) thinking.push(part)
    assert.deepStrictEqual(found, ["text: a", "text:<", "text:think", "text:>b"])
  })
})

// ---- cuts and noise

const sample = [
  bytesOf(": waiting\n\n: waiting\r\n\r\n"),
  sse(chunk({ role: "assistant", content: "" })),
  sse(chunk({ reasoning_content: "grübeln …" })),
  bytesOf(`id: 7\r\nretry: 10\r\ndata:${JSON.stringify(text("Ein 🙂 "))}  \r\n\r\n`),
  bytesOf(JSON.stringify(text("Text"), null, 1).replace(/^/gm, "data: ") + "\r\r"),
  sse(callPiece({ index: 0, id: "t1" }, { name: "find", arguments: '{"q":"ö' })),
  sse(callPiece({ index: 1, id: "t2" }, { name: "now", arguments: "" })),
  sse(callPiece({ index: 0 }, { arguments: '"}' })),
  sse(finish("tool_calls")),
  sse(usage({ prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 })),
  sse(done)
]
const thinking = ["<think>", "hm</th", "ink>\n", "ok"].map(text)
const samples = [
  sample,
  wire.answer(["a", "b"]),
  wire.toolCall("t", "find", ['{"a"', ":[1,2]}"]),
  [...thinking, finish("stop")].map(sse),
  [sse(text("x")), wire.overloaded],
  [sse(text("x")), bytesOf(`error: ${JSON.stringify({ error: { message: "no", code: 429 } })}\n`)],
  [bytesOf(JSON.stringify({ error: { message: "nö", code: 429 } }))]
]

describe("a message that repeats everything", () => {
  it("counts once, beside a delta and in a last chunk of its own", () => {
    const message = { role: "assistant", content: "abc" }
    const said = decode(family, [
      sse(chunk({ content: "abc" }, { message })),
      sse({ choices: [{ index: 0, message, finish_reason: "stop" }] }),
      sse("[DONE]")
    ])
    assert.deepStrictEqual([said.text, said.finishReason, said.fault], ["abc", "stop", undefined])
  })
})

describe("chat bytes", () => {
  it("any cut gives what the whole gives", () => {
    const body = concat(sample)
    const whole = settled(decode(family, [body]))
    assert.deepStrictEqual(whole.toolCalls, [call("t1", "find", { q: "ö" }), call("t2", "now", {})])
    assert.deepStrictEqual([whole.text, whole.reasoning, whole.usage?.totalTokens], ["Ein 🙂 Text", "grübeln …", 3])
    for (let place = 1; place < body.length; place++) {
      assert.deepStrictEqual(settled(decode(family, cutAt(body, [place]))), whole)
    }
    assert.deepStrictEqual(settled(decode(family, pieces(body, 1))), whole)
    FastCheck.assert(
      FastCheck.property(
        FastCheck.constantFrom(...samples),
        FastCheck.array(FastCheck.nat(2_000), { maxLength: 20 }),
        (frames, places) => {
          const all = concat(frames)
          assert.deepStrictEqual(settled(decode(family, cutAt(all, places))), settled(decode(family, [all])))
        }
      )
    )
  })

  it("a body that ends before its reason did is incomplete, without an end and without a call", () => {
    const body = concat(sample)
    const [counted, marked] = sample.slice(-2).map(({ length }) => length)
    // the blank line behind an event is not needed
    const needed = body.length - (counted ?? 0) - (marked ?? 0) - 2
    for (let size = 0; size < body.length; size++) {
      const found = decode(family, [body.slice(0, size)])
      const ended = size < needed ? ["incomplete_stream", undefined, 0] : [undefined, "tool-calls", 2]
      assert.deepStrictEqual([found.fault?.kind, found.finishReason, found.toolCalls.length], ended, `${size} bytes`)
    }
    for (let frames = 0; frames < sample.length - 3; frames++) {
      assert.strictEqual(decode(family, sample.slice(0, frames)).fault?.kind, "incomplete_stream")
    }
  })

  it("what the shared suite is told of this wire is so", () => {
    const good = wire.answer(["a", "b"])
    assert.deepInclude(decode(family, good).usage, { inputTokens: 11, outputTokens: 7 })
    assert.strictEqual(decode(family, good.slice(0, -wire.endFrames)).fault?.kind, "incomplete_stream")
    assert.isUndefined(decode(family, good.slice(0, 1 - wire.endFrames)).fault)
    assert.strictEqual(decode(family, [wire.overloaded]).fault?.kind, "overloaded")
  })

  const oneEnd = (frames: ReadonlyArray<Uint8Array>) => {
    const { events, fault } = decode(family, frames)
    const end = events.findIndex((event) => event._tag === "Finish")
    if (end >= 0) assert.deepStrictEqual([end, fault], [events.length - 1, undefined])
    else assert.isDefined(fault)
    for (const event of events) {
      if (event._tag !== "Delta") continue
      if (event.kind !== "tool-input") assert.notStrictEqual(event.text, "")
      else assert.isTrue(event.toolName !== "" && event.toolCallId !== undefined)
    }
  }

  it("any bytes give events or one fault, never an exception", () => {
    FastCheck.assert(FastCheck.property(FastCheck.array(FastCheck.uint8Array({ maxLength: 60 })), oneEnd), {
      numRuns: 300
    })
    const token = FastCheck.constantFrom(
      ...[
        "data",
        "data: ",
        "event",
        ": ",
        "error",
        "{",
        "}",
        '"',
        "[DONE]",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\uFEFF",
        "é",
        "[",
        "]"
      ]
    )
    FastCheck.assert(
      FastCheck.property(FastCheck.array(token, { maxLength: 30 }), (tokens) => oneEnd([bytesOf(tokens.join(""))])),
      { numRuns: 500 }
    )
  })

  it("any JSON in whole events, and in good answers, gives events or one fault, never an exception", () => {
    const fields = [
      ...[
        "choices",
        "index",
        "delta",
        "message",
        "content",
        "refusal",
        "reasoning",
        "reasoning_content",
        "text",
        "type"
      ],
      ...["reasoning_details", "tool_calls", "function_call", "function", "id", "name", "arguments", "finish_reason"],
      ...["usage", "prompt_tokens", "completion_tokens_details", "error", "code", "x_groq", "thinking", "__proto__"]
    ]
    const { json } = FastCheck.letrec((tie) => ({
      json: FastCheck.oneof(
        { maxDepth: 6 },
        FastCheck.constantFrom("", "{", "{}", "stop", "length", "thinking", "<think>", "constructor", "find"),
        FastCheck.integer({ min: -2, max: 600 }),
        FastCheck.constant(null),
        FastCheck.boolean(),
        FastCheck.array(tie("json"), { maxLength: 2 }),
        FastCheck.dictionary(FastCheck.constantFrom(...fields), tie("json"), { maxKeys: 4 })
      )
    }))
    const noise = FastCheck.oneof(
      json,
      json.map((delta) => ({ choices: [{ index: 0, delta }] })),
      json.map((piece) => chunk({ tool_calls: [piece, { index: 0, function: piece }] }))
    ).map(sse)
    FastCheck.assert(FastCheck.property(FastCheck.array(noise, { maxLength: 8 }), oneEnd), { numRuns: 500 })
    const mutated = FastCheck.tuple(
      FastCheck.constantFrom(...samples),
      FastCheck.array(noise, { maxLength: 4 }),
      FastCheck.nat(10)
    )
    FastCheck.assert(
      FastCheck.property(mutated, ([frames, strange, at]) => {
        oneEnd([...frames.slice(0, at), ...strange, ...frames.slice(at)])
      }),
      { numRuns: 300 }
    )
  })
})
