/** Bedrock's ConverseStream: the JSON that goes out, how it is signed, and what each message of the answer means. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { createHash, createHmac } from "node:crypto"
import type { Part, PromptMessage } from "../../../src/domain/Message.ts"
import * as UsageSum from "../../../src/domain/UsageSum.ts"
import { family } from "../../../src/provider/families/Bedrock.ts"
import type { CallInput, Unsigned } from "../../../src/provider/Family.ts"
import type { GenerationOptions } from "../../../src/provider/Provider.ts"
import { continueText } from "../../../src/provider/wire/Prompt.ts"
import {
  begin,
  blockStart,
  blockStop,
  counted,
  delta,
  error,
  event,
  exception,
  input,
  message,
  metadata,
  stop,
  text,
  toolStart,
  wire
} from "./BedrockWire.ts"
import { bytesOf, concat, cutAt, decode, pieces, settled } from "./decoding.ts"
import { recordings } from "./fixtures.ts"

// ---- the request

const claude = "eu.anthropic.claude-test-v1:0"
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

interface Asked {
  readonly model?: string
  readonly system?: string
  readonly generation?: GenerationOptions
  readonly facts?: Partial<CallInput["facts"]>
  readonly reasoning?: boolean
  readonly prefix?: boolean
}

const encode = (
  messages: ReadonlyArray<PromptMessage>,
  { facts, generation = {}, model = "vendor.model-1", prefix = false, reasoning = true, system }: Asked = {}
) =>
  family.encode({
    request: {
      model,
      messages,
      generation,
      attempt: 1,
      contextTokens: 10,
      ...(system === undefined ? {} : { system })
    },
    facts: {
      baseUrl: "https://bedrock-runtime.eu-west-3.amazonaws.com",
      region: "eu-west-3",
      quirks: {},
      capabilities: { streaming: true, tools: true, reasoning, prefix },
      ...facts
    },
    maxOutputTokens: generation.maxOutputTokens ?? 8_192,
    contextWindow: 16_384
  })

const bodyOf = (messages: ReadonlyArray<PromptMessage>, asked?: Asked): Record<string, unknown> =>
  JSON.parse(JSON.stringify(encode(messages, asked).body))

const user = (...texts: ReadonlyArray<string>) => ({ role: "user", content: texts.map((text) => ({ text })) })
const assistant = (...texts: ReadonlyArray<string>) => ({ role: "assistant", content: texts.map((text) => ({ text })) })
const hello = [say("user", "Hello?")]
const tools = (...names: ReadonlyArray<string>) => ({
  tools: names.map((name) => ({ toolSpec: { name, inputSchema: { json: { type: "object" } } } }))
})

describe("Bedrock request", () => {
  it("goes to the model's path, percent-encoded, at the region's host or the configured one", () => {
    const { headers, url } = encode(hello, { model: claude })
    assert.strictEqual(
      url,
      "https://bedrock-runtime.eu-west-3.amazonaws.com/model/eu.anthropic.claude-test-v1%3A0/converse-stream"
    )
    assert.deepStrictEqual(headers, { accept: "application/vnd.amazon.eventstream" })
    const arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/abc"
    const facts = { baseUrl: "http://127.0.0.1:4010/", region: undefined }
    assert.strictEqual(
      encode(hello, { model: arn, facts }).url,
      "http://127.0.0.1:4010/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fabc/converse-stream"
    )
    assert.match(encode(hello, { model: "half\ud800" }).url, /\/model\/half%EF%BF%BD\//)
  })

  it("holds what was asked and nothing else", () => {
    assert.deepStrictEqual(bodyOf(hello), { messages: [user("Hello?")] })
    assert.deepStrictEqual(
      bodyOf(hello, { system: "Be brief.", generation: { temperature: 0, maxOutputTokens: 100 } }),
      {
        system: [{ text: "Be brief." }],
        messages: [user("Hello?")],
        inferenceConfig: { maxTokens: 100, temperature: 0 }
      }
    )
    assert.deepStrictEqual(bodyOf(hello, { system: " \n", generation: { temperature: 0.5 } }), {
      messages: [user("Hello?")],
      inferenceConfig: { temperature: 0.5 }
    })
  })

  it("roles take turns, the user speaks first, reasoning is left out", () => {
    assert.deepStrictEqual(
      bodyOf([
        say("assistant", "Welcome."),
        say("user", "One.", "Two."),
        say("user", "Three."),
        say("assistant", { type: "reasoning", text: "hm" }, "Four."),
        say("user", "Five?")
      ]),
      {
        messages: [
          user("(the conversation begins with your message)"),
          assistant("Welcome."),
          user("One.", "Two.", "Three."),
          assistant("Four."),
          user("Five?")
        ]
      }
    )
  })

  it("no blank text is sent, and no message without content", () => {
    assert.deepStrictEqual(
      bodyOf([say("user", " ", "Hi.", ""), say("assistant", "Yes?", "\n\n"), say("user", "  \n")]),
      { messages: [user("Hi."), assistant("Yes?"), user("(an empty message)")] }
    )
  })

  it("calls and results are paired, defined, and written in Bedrock's letters", () => {
    const long = "x".repeat(70)
    assert.deepStrictEqual(
      bodyOf([
        say("user", "Go."),
        say(
          "assistant",
          "Going.",
          call("a/1", "map.find", { q: "ü" }),
          call("a|1", "list", null),
          call(long, "list", [1])
        ),
        say("user", result("a/1", "found"), result("orphan", { n: 1 }), "And?")
      ]),
      {
        messages: [
          user("Go."),
          {
            role: "assistant",
            content: [
              { text: "Going." },
              { toolUse: { toolUseId: "a_1", name: "map_find", input: { q: "ü" } } },
              { toolUse: { toolUseId: "a_1_2", name: "list", input: {} } },
              { toolUse: { toolUseId: "x".repeat(64), name: "list", input: { value: [1] } } }
            ]
          },
          {
            role: "user",
            content: [
              { toolResult: { toolUseId: "a_1", content: [{ text: "found" }] } },
              { toolResult: { toolUseId: "a_1_2", content: [{ text: "(no result was given)" }] } },
              { toolResult: { toolUseId: "x".repeat(64), content: [{ text: "(no result was given)" }] } },
              { text: 'Result of the tool call orphan: {"n":1}' },
              { text: "And?" }
            ]
          }
        ],
        toolConfig: tools("map_find", "list")
      }
    )
  })

  it("ids and names stay different and legal, whatever they were", () => {
    fc.assert(fc.property(fc.uniqueArray(fc.string({ maxLength: 80 }), { minLength: 1, maxLength: 8 }), (ids) => {
      const body = bodyOf([say("user", "Go."), say("assistant", ...ids.map((id) => call(id, id, {})))])
      const [, asked, answered] = body["messages"] as ReadonlyArray<
        { content: ReadonlyArray<Record<string, Record<string, unknown>>> }
      >
      const used = asked?.content.map(({ toolUse }) => String(toolUse?.["toolUseId"])) ?? []
      assert.strictEqual(new Set(used).size, ids.length)
      for (const id of used) assert.match(id, /^[a-zA-Z0-9_.:-]{1,64}$/)
      assert.deepStrictEqual(answered?.content.map(({ toolResult }) => toolResult?.["toolUseId"]), used)
      const names = asked?.content.map(({ toolUse }) => String(toolUse?.["name"])) ?? []
      for (const name of names) assert.match(name, /^[a-zA-Z0-9_-]{1,64}$/)
      assert.deepStrictEqual(body["toolConfig"], tools(...names))
    }))
  })

  const fields = (model: string, generation: GenerationOptions, more: Asked = {}) => {
    const { messages: _, ...rest } = bodyOf(hello, { model, generation, ...more })
    return rest
  }
  const thinking = (budget_tokens: number) => ({
    additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens } }
  })

  it("Anthropic's models get a budget to think with, without a temperature and below the answer's size", () => {
    assert.deepStrictEqual(fields(claude, { reasoning: "low" }), thinking(1_024))
    assert.deepStrictEqual(fields(claude, { reasoning: "medium", temperature: 0.7 }), thinking(4_096))
    assert.deepStrictEqual(fields(claude, { reasoning: "high" }), thinking(16_384))
    const capped = (maxTokens: number) =>
      fields(claude, { reasoning: "high", maxOutputTokens: maxTokens, temperature: 0.7 })
    assert.deepStrictEqual(capped(40_000), { inferenceConfig: { maxTokens: 40_000 }, ...thinking(16_384) })
    assert.deepStrictEqual(capped(6_001), { inferenceConfig: { maxTokens: 6_001 }, ...thinking(3_000) })
    assert.deepStrictEqual(capped(2_048), { inferenceConfig: { maxTokens: 2_048 }, ...thinking(1_024) })
    assert.deepStrictEqual(capped(2_047), { inferenceConfig: { maxTokens: 2_047, temperature: 0.7 } })
    assert.deepStrictEqual(fields(claude, { reasoning: "off", temperature: 0.7 }), {
      inferenceConfig: { temperature: 0.7 }
    })
  })

  it("gpt-oss gets an effort; other models and those that do not reason get nothing", () => {
    const oss = "openai.gpt-oss-120b-1:0"
    for (const reasoning of ["low", "medium", "high"] as const) {
      assert.deepStrictEqual(fields(oss, { reasoning, temperature: 1 }), {
        inferenceConfig: { temperature: 1 },
        additionalModelRequestFields: { reasoning_effort: reasoning }
      })
    }
    assert.deepStrictEqual(fields(oss, { reasoning: "off" }), {})
    assert.deepStrictEqual(fields("amazon.nova-pro-v1:0", { reasoning: "high" }), {})
    for (const model of [oss, claude]) {
      assert.deepStrictEqual(fields(model, { reasoning: "high" }, { reasoning: false }), {})
    }
  })

  it("no thinking between a call and its answer: its signed thoughts are not kept", () => {
    const body = bodyOf([say("user", "Go."), say("assistant", call("1", "t", {})), say("user", result("1", "ok"))], {
      model: claude,
      generation: { reasoning: "low", temperature: 0.7 }
    })
    assert.isUndefined(body["additionalModelRequestFields"])
    assert.deepStrictEqual(body["inferenceConfig"], { temperature: 0.7 })
  })

  const resumed = [say("user", "Tell."), say("assistant", "Once upon ", "a time \n")]

  it("an answer to continue is the last message where the model takes one, without blanks at its end", () => {
    assert.deepStrictEqual(bodyOf(resumed, { prefix: true }), {
      messages: [user("Tell."), assistant("Once upon ", "a time")]
    })
    const blank = [say("user", "Tell."), say("assistant", " \n")]
    for (const prefix of [true, false]) assert.deepStrictEqual(bodyOf(blank, { prefix }), { messages: [user("Tell.")] })
    const padded = [say("user", "Tell."), say("assistant", "Once ", "\n")]
    assert.deepStrictEqual(bodyOf(padded, { prefix: true }), { messages: [user("Tell."), assistant("Once")] })
  })

  it("elsewhere, and where the model thinks, it is asked to go on", () => {
    const asking = [user("Tell."), assistant("Once upon ", "a time"), user(continueText)]
    assert.deepStrictEqual(bodyOf(resumed), { messages: asking })
    assert.deepStrictEqual(bodyOf(resumed, { prefix: true, model: claude, generation: { reasoning: "low" } }), {
      messages: asking,
      ...thinking(1_024)
    })
  })
})

// ---- the signature

const secret = "not/a+Real=Secret"
const signing = { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: secret }
const keysOf = (values: Readonly<Record<string, string>>) =>
  new Map(Object.entries(values).map(([name, value]) => [name, Redacted.make(value)]))

const unsigned: Unsigned = {
  url: "https://bedrock-runtime.eu-west-3.amazonaws.com/model/eu.anthropic.claude-test-v1%3A0/converse-stream",
  headers: { accept: "application/vnd.amazon.eventstream", "content-type": "application/json" },
  body: '{"messages":[{"text":"grüße"}]}'
}
const atMs = Date.UTC(2031, 4, 6, 7, 8, 9, 765)
const stamp = "20310506T070809Z"

const hex = (data: string | Uint8Array) => createHash("sha256").update(data).digest("hex")
const hmac = (key: string | Buffer, data: string) => createHmac("sha256", key).update(data).digest()

/** Signature Version 4 as AWS's guide writes it, for one path that is already encoded once. */
const expected = (canonicalPath: string, host: string, region: string, token?: string) => {
  const headers = {
    "content-type": "application/json",
    host,
    "x-amz-content-sha256": hex(unsigned.body),
    "x-amz-date": stamp,
    ...(token === undefined ? {} : { "x-amz-security-token": token })
  }
  const names = Object.keys(headers).join(";")
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`).join("")
  const canonical = `POST\n${canonicalPath}\n\n${lines}\n${names}\n${hex(unsigned.body)}`
  const scope = `20310506/${region}/bedrock/aws4_request`
  const key = ["20310506", region, "bedrock", "aws4_request"].reduce<string | Buffer>(hmac, `AWS4${secret}`)
  const signature = hmac(key, `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${hex(canonical)}`).toString("hex")
  return {
    authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/${scope}, SignedHeaders=${names}, Signature=${signature}`,
    "x-amz-content-sha256": hex(unsigned.body),
    "x-amz-date": stamp,
    ...(token === undefined ? {} : { "x-amz-security-token": token })
  }
}

const authorized = (
  values: Readonly<Record<string, string>>,
  { apiKeyEnv, call = unsigned, region }: { call?: Unsigned; region?: string; apiKeyEnv?: string } = {}
) =>
  Effect.gen(function*() {
    yield* TestClock.setTime(atMs)
    return yield* family.authorize(call, keysOf(values), { apiKeyEnv, region })
  })

const path = "/model/eu.anthropic.claude-test-v1%253A0/converse-stream"

describe("Bedrock authorization", () => {
  it.effect("a configured token is sent as a bearer token, and nothing is signed", () =>
    Effect.gen(function*() {
      const values = { ...signing, AWS_BEARER_TOKEN_BEDROCK: "token-1" }
      assert.deepStrictEqual(yield* authorized(values, { apiKeyEnv: "AWS_BEARER_TOKEN_BEDROCK" }), {
        authorization: "Bearer token-1"
      })
    }))

  it.effect("the signature is AWS Signature Version 4 over the path encoded twice, at the clock's time", () =>
    Effect.gen(function*() {
      const host = "bedrock-runtime.eu-west-3.amazonaws.com"
      assert.deepStrictEqual(yield* authorized(signing, { region: "eu-west-3" }), expected(path, host, "eu-west-3"))
      const once = expected(path.replace("%25", "%"), host, "eu-west-3")
      assert.notDeepEqual(yield* authorized(signing, { region: "eu-west-3" }), once)
    }))

  it.effect("a session token is signed and sent", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* authorized({ ...signing, AWS_SESSION_TOKEN: "session/1" }, { region: "eu-west-3" }),
        expected(path, "bedrock-runtime.eu-west-3.amazonaws.com", "eu-west-3", "session/1")
      )
      const empty = yield* authorized({ ...signing, AWS_SESSION_TOKEN: "" }, { region: "eu-west-3" })
      assert.notProperty(empty, "x-amz-security-token")
    }))

  it.effect("the region is the configured one, else the one in the host's name, else us-east-1", () =>
    Effect.gen(function*() {
      const at = (host: string): Unsigned => ({
        ...unsigned,
        url: unsigned.url.replace("bedrock-runtime.eu-west-3.amazonaws.com", host)
      })
      const cases = [
        ["bedrock-runtime.eu-west-3.amazonaws.com", "us-gov-west-1", "us-gov-west-1"],
        ["bedrock-runtime.eu-west-3.amazonaws.com", undefined, "eu-west-3"],
        ["bedrock-runtime-fips.us-gov-west-1.amazonaws.com", undefined, "us-gov-west-1"],
        ["vpce-0a1.bedrock-runtime.ap-south-1.vpce.amazonaws.com", undefined, "ap-south-1"],
        ["gateway.example.test:8443", undefined, "us-east-1"]
      ] as const
      for (const [host, region, signedFor] of cases) {
        assert.deepStrictEqual(
          yield* authorized(signing, { call: at(host), ...(region === undefined ? {} : { region }) }),
          expected(path, host, signedFor)
        )
      }
    }))

  it.effect("without keys, or where signing fails, nothing is sent and nothing of a key is thrown", () =>
    Effect.gen(function*() {
      const incomplete = [{}, { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE" }, { ...signing, AWS_SECRET_ACCESS_KEY: "" }]
      for (const values of incomplete) assert.deepStrictEqual(yield* authorized(values), {})
      assert.deepStrictEqual(yield* authorized({}, { apiKeyEnv: "AWS_BEARER_TOKEN_BEDROCK" }), {})
      assert.deepStrictEqual(yield* authorized(signing, { call: { ...unsigned, url: "no url" } }), {})
    }))
})

// ---- the answer

const answer = (...frames: ReadonlyArray<Uint8Array>) => decode(family, [concat(frames)])
const deltas = (...frames: ReadonlyArray<Uint8Array>) => answer(begin, ...frames, stop("end_turn"), counted)

describe("Bedrock answer", () => {
  it("text comes as it is said, then the end, then usage", () => {
    const { events, fault } = decode(family, wire.answer(["Good ", "day"]))
    assert.isUndefined(fault)
    const raw = { inputTokens: 11, outputTokens: 7, totalTokens: 18 }
    assert.deepStrictEqual(events, [
      { _tag: "Delta", kind: "text", text: "Good " },
      { _tag: "Delta", kind: "text", text: "day" },
      { _tag: "Finish", reason: "stop", raw: "end_turn" },
      { _tag: "Usage", usage: UsageSum.make(raw), raw }
    ])
  })

  it("contentBlockStart may say nothing or be missing, text may be empty, events may be unknown", () => {
    const found = deltas(
      blockStart(0, {}),
      text("a"),
      text(""),
      event("somethingNew", { text: "no" }),
      message({ ":message-type": "event", ":event-type": "notJson" }, bytesOf("{")),
      message({ ":message-type": "notice", ":event-type": "contentBlockDelta" }, { delta: { text: "no" } }),
      delta(0, { text: 7, toolUse: [], reasoningContent: null, citation: { title: "t" }, image: {} }),
      event("contentBlockDelta", {}),
      blockStop(),
      blockStop(7),
      text("b", 3)
    )
    assert.isUndefined(found.fault)
    assert.strictEqual(found.text, "ab")
    assert.strictEqual(found.finishReason, "stop")
    assert.strictEqual(found.events.filter((event) => event._tag === "Delta").length, 2)
  })

  it("of reasoning only its text is told", () => {
    const found = deltas(
      delta(0, { reasoningContent: { text: "think" } }),
      delta(0, { reasoningContent: { text: "ing" } }),
      delta(0, { reasoningContent: { signature: "c2ln" } }),
      delta(0, { reasoningContent: { redactedContent: "aGlkZGVu" } }),
      blockStop(),
      text("done", 1)
    )
    assert.deepStrictEqual([found.reasoning, found.text, found.fault], ["thinking", "done", undefined])
    assert.deepStrictEqual(found.events.slice(0, 2), [
      { _tag: "Delta", kind: "reasoning", text: "think" },
      { _tag: "Delta", kind: "reasoning", text: "ing" }
    ])
  })

  it("a call is handed out when its block stops, before the answer ends", () => {
    const { events, fault } = decode(family, wire.toolCall("t1", "find", ["", '{"q":', '"ü"}']))
    assert.isUndefined(fault)
    assert.deepStrictEqual(events.slice(0, 4), [
      { _tag: "Delta", kind: "tool-input", text: '{"q":', toolCallId: "t1", toolName: "find" },
      { _tag: "Delta", kind: "tool-input", text: '"ü"}', toolCallId: "t1", toolName: "find" },
      { _tag: "ToolCall", toolCallId: "t1", toolName: "find", arguments: { q: "ü" } },
      { _tag: "Finish", reason: "tool-calls", raw: "tool_use" }
    ])
    const early = answer(begin, toolStart(0, "t1", "find"), input(0, "{}"), blockStop())
    assert.strictEqual(early.toolCalls.length, 1)
    assert.strictEqual(early.fault?.kind, "incomplete_stream")
  })

  it("calls keep their order, also those without arguments, and get an id where the wire gave none", () => {
    const found = answer(
      begin,
      toolStart(0, "", "first"),
      blockStop(0),
      toolStart(1, "t2", "second", { type: "tool_use" }),
      input(1, '{"n":2}'),
      blockStop(1),
      toolStart(2, "t3", "third"),
      input(2, "[3]"),
      blockStop(2),
      stop("tool_use")
    )
    assert.isUndefined(found.fault)
    assert.deepStrictEqual(found.toolCalls, [
      { id: "call_1", name: "first", arguments: {} },
      { id: "t2", name: "second", arguments: { n: 2 } },
      { id: "t3", name: "third", arguments: [3] }
    ])
    assert.strictEqual(found.events.at(-1)?._tag, "Finish")
  })

  it("blocks may interleave, and may end without being stopped", () => {
    const found = answer(
      begin,
      toolStart(0, "a", "one"),
      toolStart(1, "b", "two"),
      input(1, '{"b":'),
      input(0, '{"a":1}'),
      input(1, "2}"),
      stop("tool_use")
    )
    assert.deepStrictEqual(found.toolCalls, [{ id: "a", name: "one", arguments: { a: 1 } }, {
      id: "b",
      name: "two",
      arguments: { b: 2 }
    }])
    const overtaken = answer(
      begin,
      toolStart(0, "a", "one"),
      toolStart(1, "b", "two"),
      blockStop(0),
      input(1, "{}"),
      blockStop(1),
      stop("tool_use")
    )
    assert.deepStrictEqual(overtaken.toolCalls.map(({ id }) => id), ["a", "b"])
    const nulls = blockStart(0, { toolUse: { toolUseId: "a", name: "one", type: null }, toolResult: null })
    assert.strictEqual(answer(begin, nulls, input(0, "{}"), blockStop(), stop("tool_use")).toolCalls.length, 1)
    const bare = answer(begin, toolStart(0, "a", "one"), stop("tool_use"))
    assert.deepStrictEqual(bare.toolCalls, [{ id: "a", name: "one", arguments: {} }])
    const reused = answer(
      begin,
      toolStart(0, "a", "one"),
      input(0, "{}"),
      toolStart(0, "b", "two"),
      input(0, "{}"),
      blockStop(),
      stop("tool_use")
    )
    assert.deepStrictEqual(reused.toolCalls.map(({ id }) => id), ["a", "b"])
  })

  const cutAnswers = (json: string, reason: string) => [
    answer(
      begin,
      text("x"),
      toolStart(1, "t", "find"),
      ...(json === "" ? [] : [input(1, json)]),
      blockStop(1),
      stop(reason)
    ),
    answer(begin, text("x"), toolStart(1, "t", "find"), ...(json === "" ? [] : [input(1, json)]), stop(reason))
  ]

  it("a call that the end cut is left out, and the answer stands", () => {
    for (const reason of ["max_tokens", "model_context_window_exceeded", "guardrail_intervened", "content_filtered"]) {
      for (const json of ['{"q":"ha', "12", ""]) {
        for (const found of cutAnswers(json, reason)) {
          assert.deepStrictEqual([found.toolCalls, found.text, found.fault], [[], "x", undefined])
          assert.strictEqual(found.rawFinishReason, reason)
        }
      }
    }
  })

  it("a call that is cut for no reason fails the answer", () => {
    for (const reason of ["tool_use", "end_turn", "something_new"]) {
      for (const found of cutAnswers('{"q":"ha', reason)) {
        assert.deepStrictEqual([found.toolCalls, found.finishReason, found.fault?.kind], [[], undefined, "protocol"])
        assert.match(found.fault?.detail ?? "", /"find"/)
      }
    }
    const followed = answer(
      begin,
      toolStart(0, "t", "find"),
      input(0, '{"q'),
      blockStop(),
      text("more", 1),
      stop("max_tokens")
    )
    assert.deepStrictEqual([followed.toolCalls, followed.fault?.kind], [[], "protocol"])
  })

  it("a call without a name is never handed out", () => {
    const nameless = answer(
      begin,
      blockStart(0, { toolUse: { toolUseId: "t" } }),
      input(0, "{}"),
      blockStop(),
      stop("tool_use")
    )
    assert.deepStrictEqual([nameless.events, nameless.fault?.kind], [[], "protocol"])
    const orphan = deltas(input(4, "{}"), blockStop(4))
    assert.deepStrictEqual([orphan.toolCalls, orphan.finishReason], [[], "stop"])
  })

  it("tools that the provider ran itself are not told", () => {
    const found = deltas(
      text("a"),
      toolStart(1, "s1", "web_search", { type: "server_tool_use" }),
      input(1, '{"query":"q"}'),
      blockStop(1),
      blockStart(2, { toolResult: { toolUseId: "s1", status: "success", type: "web_search_result" } }),
      delta(2, { toolResult: [{ text: "found" }] }),
      delta(2, { text: "also found" }),
      blockStop(2),
      delta(3, { citation: { title: "t", source: "s", location: {} } }),
      text("b", 3),
      blockStop(3)
    )
    assert.isUndefined(found.fault)
    assert.deepStrictEqual(found.events.map((event) => event._tag), ["Delta", "Delta", "Finish", "Usage"])
    assert.strictEqual(found.text, "ab")
  })

  it("each stop reason has its meaning, and its own word is kept", () => {
    const meanings = {
      end_turn: "stop",
      stop_sequence: "stop",
      max_tokens: "length",
      model_context_window_exceeded: "length",
      tool_use: "tool-calls",
      guardrail_intervened: "content-filter",
      content_filtered: "content-filter",
      something_new: "unknown"
    }
    for (const [raw, reason] of Object.entries(meanings)) {
      const found = answer(begin, text("x"), stop(raw))
      assert.deepStrictEqual([found.finishReason, found.rawFinishReason, found.fault], [reason, raw, undefined])
    }
    for (const payload of [{}, { stopReason: 7 }]) {
      assert.deepStrictEqual(answer(begin, event("messageStop", payload)).events, [{
        _tag: "Finish",
        reason: "unknown"
      }])
    }
    for (const raw of ["malformed_model_output", "malformed_tool_use"]) {
      const found = answer(begin, text("x"), stop(raw), counted)
      assert.deepStrictEqual([found.text, found.finishReason, found.fault?.kind], ["x", undefined, "protocol"])
    }
  })

  it("nothing of the answer follows its end: one Finish, no text, no call", () => {
    const found = answer(
      begin,
      text("x"),
      stop("end_turn"),
      text("y"),
      toolStart(1, "t", "find"),
      blockStop(1),
      stop("max_tokens"),
      counted
    )
    assert.deepStrictEqual(found.events.map((event) => event._tag), ["Delta", "Finish", "Usage"])
    assert.strictEqual(found.rawFinishReason, "end_turn")
  })
})

const usageIn = (usage?: object) => answer(begin, text("x"), stop("end_turn"), metadata(usage))

describe("Bedrock usage", () => {
  it("input includes what the cache gave and took; the total is the wire's own", () => {
    const raw = {
      inputTokens: 40,
      outputTokens: 9,
      cacheReadInputTokens: 300,
      cacheWriteInputTokens: 20,
      totalTokens: 369,
      serverToolUsage: {}
    }
    const found = usageIn(raw)
    assert.deepStrictEqual(found.usage, {
      inputTokens: 360,
      outputTokens: 9,
      cacheReadTokens: 300,
      cacheWriteTokens: 20,
      reasoningTokens: null,
      totalTokens: 369
    })
    assert.deepStrictEqual(found.rawUsage, raw)
  })

  it("what is not said is unknown, and a missing total is the sum", () => {
    assert.deepStrictEqual(
      usageIn({ inputTokens: 4, outputTokens: 5 }).usage,
      UsageSum.make({ inputTokens: 4, outputTokens: 5, totalTokens: 9 })
    )
    assert.deepStrictEqual(
      usageIn({ outputTokens: 5, cacheReadInputTokens: 3 }).usage,
      UsageSum.make({ outputTokens: 5, cacheReadTokens: 3 })
    )
    assert.deepStrictEqual(
      usageIn({ inputTokens: -1, outputTokens: 5, totalTokens: "9" }).usage,
      UsageSum.make({ outputTokens: 5 })
    )
  })

  it("no usage is no usage: metadata without it, empty, or missing", () => {
    for (
      const found of [
        usageIn(),
        usageIn({}),
        usageIn({ inputTokens: "many" }),
        answer(begin, text("x"), stop("end_turn"))
      ]
    ) {
      assert.deepStrictEqual([found.usage, found.finishReason, found.fault], [undefined, "stop", undefined])
    }
  })

  it("it may come before the end", () => {
    const found = answer(begin, text("x"), counted, stop("end_turn"))
    assert.deepStrictEqual(found.events.map((event) => event._tag), ["Delta", "Usage", "Finish"])
    assert.strictEqual(found.usage?.totalTokens, 18)
  })

  it("a guardrail's trace next to it changes nothing", () => {
    const trace = {
      trace: { guardrail: { inputAssessment: {} } },
      usage: { inputTokens: 1, outputTokens: 0, totalTokens: 1 }
    }
    const found = answer(begin, text("Blocked."), stop("guardrail_intervened"), event("metadata", trace))
    assert.deepStrictEqual([found.finishReason, found.usage?.outputTokens, found.fault], [
      "content-filter",
      0,
      undefined
    ])
  })

  it("the answer is open until its end, finished until its usage, then closed", () => {
    const after = (...frames: ReadonlyArray<Uint8Array>) => {
      const decoder = family.decoder({ emit: () => {}, callId: () => "c" })
      decoder.push(concat(frames))
      return decoder.progress()
    }
    assert.strictEqual(after(begin, text("x"), counted), "open")
    assert.strictEqual(after(begin, text("x"), stop("end_turn")), "finished")
    assert.strictEqual(after(begin, stop("end_turn"), counted), "closed")
    assert.strictEqual(after(begin, counted, stop("end_turn")), "closed")
    assert.strictEqual(after(begin, stop("end_turn"), metadata()), "closed")
  })
})

describe("Bedrock errors", () => {
  const failed = (frame: Uint8Array) => {
    const found = answer(begin, text("half"), frame, text("never"), stop("end_turn"))
    assert.deepStrictEqual([found.text, found.finishReason], ["half", undefined])
    return [found.fault?.kind, found.fault?.detail]
  }

  it("each exception of the stream has its kind and keeps its words", () => {
    const kinds = {
      internalServerException: "server",
      modelStreamErrorException: "server",
      modelTimeoutException: "timeout",
      throttlingException: "rate_limit",
      validationException: "invalid_request",
      serviceUnavailableException: "overloaded",
      accessDeniedException: "permission",
      somethingNewException: "server"
    }
    for (const [type, kind] of Object.entries(kinds)) {
      assert.deepStrictEqual(failed(exception(type, { message: "the words", originalStatusCode: 500 })), [
        kind,
        "the words"
      ])
      assert.deepStrictEqual(failed(exception(type, { Message: "the words" })), [kind, "the words"])
    }
    assert.deepStrictEqual(failed(wire.overloaded)[0], "overloaded")
    assert.deepStrictEqual(
      failed(exception("validationException", { message: "Input is too long for requested model." }))[0],
      "context_length"
    )
  })

  it("an exception without a readable body is still itself", () => {
    for (const body of [bytesOf("<html>"), new Uint8Array(0), null, "text", { message: 7 }]) {
      assert.deepStrictEqual(failed(exception("throttlingException", body)), ["rate_limit", "throttlingException"])
    }
    assert.deepStrictEqual(failed(message({ ":message-type": "exception" }, { message: "m" })), ["server", "m"])
  })

  it("an error message has its code and words in its headers", () => {
    assert.deepStrictEqual(failed(error("InternalFailure", "it broke")), ["server", "it broke"])
    assert.deepStrictEqual(failed(error("ThrottlingException", "slowly")), ["rate_limit", "slowly"])
    assert.deepStrictEqual(failed(message({ ":message-type": "error" }, new Uint8Array(0))), ["server", undefined])
  })

  it("an error after the end is still told", () => {
    const found = answer(begin, text("x"), stop("end_turn"), exception("internalServerException", { message: "late" }))
    assert.deepStrictEqual([found.fault?.kind, found.finishReason], ["server", "stop"])
  })

  it("an event that is not JSON, and a damaged message, are protocol faults", () => {
    const notJson = message({ ":message-type": "event", ":event-type": "contentBlockDelta" }, bytesOf('{"delta"'))
    assert.strictEqual(failed(notJson)[0], "protocol")
    for (const at of [5, 9, 20, 60]) {
      assert.strictEqual(failed(text("damaged").map((byte, index) => (index === at ? byte ^ 1 : byte)))[0], "protocol")
    }
    assert.strictEqual(answer(bytesOf("no stream at all, but words")).fault?.kind, "protocol")
  })

  it("blocks that begin and never stop are bounded", () => {
    const endless = Array.from({ length: 200 }, (_, index) => toolStart(index, `t${index}`, "find"))
    const found = answer(begin, ...endless)
    assert.deepStrictEqual([found.events, found.fault?.kind], [[], "protocol"])
  })
})

// ---- cuts and noise

const sample = [
  begin,
  delta(0, { reasoningContent: { text: "grübeln …" } }),
  blockStop(0),
  text("Ein 🙂 Text", 1),
  text(" geht weiter", 1),
  blockStop(1),
  toolStart(2, "t1", "find"),
  input(2, '{"q":"ö'),
  input(2, '"}'),
  blockStop(2),
  toolStart(3, "t2", "now"),
  blockStop(3),
  stop("tool_use"),
  metadata({ inputTokens: 1, outputTokens: 2, totalTokens: 3 })
]
const samples = [sample, wire.answer(["a", "b"]), wire.toolCall("t", "find", ['{"a"', ":[1,2]}"]), [
  begin,
  text("x"),
  wire.overloaded
]]

describe("Bedrock bytes", () => {
  it("any cut gives what the whole gives", () => {
    const whole = settled(decode(family, [concat(sample)]))
    assert.deepStrictEqual(whole.toolCalls, [{ id: "t1", name: "find", arguments: { q: "ö" } }, {
      id: "t2",
      name: "now",
      arguments: {}
    }])
    const body = concat(sample)
    for (let place = 1; place < body.length; place++) {
      assert.deepStrictEqual(settled(decode(family, cutAt(body, [place]))), whole)
    }
    assert.deepStrictEqual(settled(decode(family, pieces(body, 1))), whole)
    fc.assert(fc.property(fc.constantFrom(...samples), fc.array(fc.nat(2_000), { maxLength: 20 }), (frames, places) => {
      const all = concat(frames)
      assert.deepStrictEqual(settled(decode(family, cutAt(all, places))), settled(decode(family, [all])))
    }))
  })

  it("a body that ends before messageStop did is incomplete, without an end and without a cut call", () => {
    const body = concat(sample)
    const needed = body.length - (sample.at(-1)?.length ?? 0)
    const good = JSON.stringify([{ q: "ö" }, {}])
    for (let size = 0; size < body.length; size++) {
      const found = decode(family, [body.slice(0, size)])
      if (size < needed) {
        assert.deepStrictEqual(
          [found.fault?.kind, found.finishReason],
          ["incomplete_stream", undefined],
          `${size} bytes`
        )
        assert.isTrue(good.startsWith(JSON.stringify(found.toolCalls.map((made) => made.arguments)).slice(0, -1)))
      } else {assert.deepStrictEqual([found.fault, found.finishReason, found.usage], [
          undefined,
          "tool-calls",
          undefined
        ])}
    }
  })

  it("what the shared suite is told of this wire is so", () => {
    const good = wire.answer(["a", "b"])
    assert.deepInclude(decode(family, good).usage, { inputTokens: 11, outputTokens: 7 })
    assert.strictEqual(decode(family, good.slice(0, -wire.endFrames)).fault?.kind, "incomplete_stream")
    assert.isUndefined(decode(family, good.slice(0, 1 - wire.endFrames)).fault)
    assert.strictEqual(answer(wire.overloaded).fault?.kind, "overloaded")
  })

  it("any bytes, and any JSON in whole messages, give events or one fault, never an exception", () => {
    const oneEnd = (frames: ReadonlyArray<Uint8Array>) => {
      const { events, fault } = decode(family, frames)
      const end = events.findIndex((event) => event._tag === "Finish")
      if (end >= 0) assert.isTrue(events.slice(end + 1).every((event) => event._tag === "Usage"))
      else assert.isDefined(fault)
    }
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), oneEnd), { numRuns: 300 })

    const types = [
      "messageStart",
      "contentBlockStart",
      "contentBlockDelta",
      "contentBlockStop",
      "messageStop",
      "metadata"
    ]
    const fields = [
      "contentBlockIndex",
      "start",
      "delta",
      "toolUse",
      "toolResult",
      "toolUseId",
      "name",
      "type",
      "text",
      "input",
      "reasoningContent",
      "stopReason",
      "usage",
      "message",
      "__proto__"
    ]
    const { json } = fc.letrec((tie) => ({
      json: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom("", "{", "{}", "tool_use", "server_tool_use", "find"),
        fc.integer(),
        fc.constant(null),
        fc.boolean(),
        fc.array(tie("json"), { maxLength: 2 }),
        fc.dictionary(fc.constantFrom(...fields), tie("json"), { maxKeys: 4 })
      )
    }))
    const noise = fc.tuple(
      fc.constantFrom("event", "event", "event", "exception", "error", ""),
      fc.constantFrom(...types),
      json
    ).map(([kind, type, value]) =>
      message({ ":message-type": kind, ":event-type": type, ":exception-type": type, ":error-code": type }, value)
    )
    const mutated = fc.tuple(fc.constantFrom(...sample), json).map((
      [frame, value]
    ) => [frame, event("contentBlockDelta", { contentBlockIndex: 2, delta: value })])
    fc.assert(fc.property(fc.array(noise, { maxLength: 12 }), oneEnd), { numRuns: 500 })
    fc.assert(fc.property(fc.array(mutated, { maxLength: 12 }), (frames) => oneEnd(frames.flat())), { numRuns: 300 })
  })
})

recordings("bedrock", family, "bin")
