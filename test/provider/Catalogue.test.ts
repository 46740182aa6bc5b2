/** Every field of every entry of the catalogue does something: it is a provider's fact, or it changes its request. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Catalogue from "../../src/config/Catalogue.ts"
import { ConfigFile, type ProviderSetting, type Quirks, type SettingsShape } from "../../src/config/Settings.ts"
import type { PromptMessage } from "../../src/domain/Message.ts"
import { families } from "../../src/provider/LiveAdapters.ts"
import type { GenerationOptions } from "../../src/provider/Provider.ts"
import { allFacts, modelOf, type ProviderFacts } from "../../src/provider/ProviderFacts.ts"
import { continueText } from "../../src/provider/wire/Prompt.ts"

const settings = (...providers: ReadonlyArray<ProviderSetting>): SettingsShape => ({
  ...Schema.decodeSync(ConfigFile)({}),
  providers,
  host: "127.0.0.1",
  port: 0,
  dataDir: "unused",
  durability: "full",
  token: undefined,
  otlp: undefined
})

const factsOf = (setting: ProviderSetting): ProviderFacts => {
  const facts = allFacts(settings(setting)).find(({ id }) => id === setting.id)
  assert.isDefined(facts)
  return facts
}

const resumed: ReadonlyArray<PromptMessage> = [
  { role: "user", parts: [{ type: "text", text: "Count." }] },
  { role: "assistant", parts: [{ type: "text", text: "1, 2" }] }
]

/** The request for a resumed turn, as JSON. */
const requestOf = (facts: ProviderFacts, generation: GenerationOptions) => {
  const family = families.get(facts.family)
  assert.isDefined(family)
  const { body, url } = family.encode({
    request: { model: "m", messages: resumed, generation, attempt: 1, contextTokens: 10 },
    facts,
    maxOutputTokens: 1_000,
    contextWindow: 8_192
  })
  return { url, body: JSON.parse(JSON.stringify(body)) as Record<string, unknown> }
}

/** What `reasoning: "high"` and `"off"` add to a body. */
const reasoning: Readonly<Record<NonNullable<Quirks["reasoning"]>, readonly [high: object, off: object]>> = {
  effort: [{ reasoning_effort: "high" }, { reasoning_effort: "none" }],
  object: [{ reasoning: { effort: "high" } }, { reasoning: { enabled: false } }],
  thinking: [{ thinking: { type: "enabled" } }, { thinking: { type: "disabled" } }],
  enable_thinking: [{ enable_thinking: true }, { enable_thinking: false }],
  // for Claude; a server of chat completions knows no such thing
  adaptive: [{ reasoning_effort: "high" }, { reasoning_effort: "none" }],
  none: [{}, {}]
}

const bodyFrom = ({ prefix, quirks }: Catalogue.CatalogueEntry, level: "high" | "off") => {
  const { maxTokensField = "max_tokens", prefixField, reasoning: style = "effort", streamOptions = true } = quirks
  const half = { role: "assistant", content: "1, 2" }
  return {
    model: "m",
    messages: [
      { role: "user", content: "Count." },
      ...(prefix === true
        ? [prefixField === undefined ? half : { ...half, [prefixField]: true }]
        : [half, { role: "user", content: continueText }])
    ],
    stream: true,
    ...(streamOptions ? { stream_options: { include_usage: true } } : {}),
    [maxTokensField]: 99,
    ...reasoning[style][level === "high" ? 0 : 1]
  }
}

describe("the catalogue", () => {
  it("gives a provider that is configured by its id alone all that it knows", () => {
    for (const entry of Catalogue.entries) {
      const facts = factsOf({ id: entry.id })
      assert.deepInclude(facts, {
        id: entry.id,
        family: entry.family,
        baseUrl: entry.baseUrl,
        env: entry.env,
        apiKeyEnv: entry.family === "bedrock" ? undefined : entry.env[0],
        quirks: entry.quirks,
        modelList: entry.models === "any" ? "any" : "closed"
      })
      assert.deepStrictEqual(facts.models.map(({ id }) => id), entry.models === "any" ? [] : [...entry.models])
      assert.strictEqual(
        facts.capabilities.prefix,
        entry.prefix ?? ["deterministic", "anthropic", "ollama"].includes(entry.family)
      )
      const model = modelOf(facts, "m")
      assert.deepStrictEqual(
        [model.contextWindow, model.contextWindowFrom],
        entry.contextWindow === undefined ? [8_192, "assumed"] : [entry.contextWindow, "catalogue"]
      )
      assert.strictEqual(model.maxOutputTokens, entry.maxOutputTokens ?? 2_048)
    }
  })

  it("each service is asked in its own way: address, cap, usage, reasoning, prefix", () => {
    const services = Catalogue.entries.filter(({ family }) => family === "openai-compatible")
    assert.isAbove(services.length, 20)
    for (const entry of services) {
      const facts = factsOf({ id: entry.id })
      for (const level of ["high", "off"] as const) {
        const { body, url } = requestOf(facts, { maxOutputTokens: 99, reasoning: level })
        assert.strictEqual(url, `${entry.baseUrl}/chat/completions`)
        assert.deepStrictEqual(body, bodyFrom(entry, level), entry.id)
      }
    }
  })

  it("some of what it says of them, word for word", () => {
    const said = (id: string): Readonly<Record<string, unknown>> => {
      const facts = factsOf({ id })
      const { messages, ...rest } = requestOf(facts, { maxOutputTokens: 9, reasoning: "high" }).body
      return { ...rest, key: facts.apiKeyEnv, last: (messages as ReadonlyArray<object>).at(-1) }
    }
    const plain = { model: "m", stream: true, max_tokens: 9 }
    const usage = { stream_options: { include_usage: true } }
    const asking = { role: "user", content: continueText }
    const half = { role: "assistant", content: "1, 2" }
    assert.deepStrictEqual(said("groq"), { ...plain, reasoning_effort: "high", key: "GROQ_API_KEY", last: half })
    assert.deepStrictEqual(said("moonshot"), {
      ...usage,
      ...plain,
      thinking: { type: "enabled" },
      key: "MOONSHOT_API_KEY",
      last: { ...half, partial: true }
    })
    assert.deepStrictEqual(said("openrouter"), {
      ...usage,
      ...plain,
      reasoning: { effort: "high" },
      key: "OPENROUTER_API_KEY",
      last: asking
    })
    assert.deepStrictEqual(said("vllm"), { ...usage, ...plain, key: undefined, last: asking })
  })

  it("the other families are asked at its address too", () => {
    for (const { baseUrl, family, id } of Catalogue.entries) {
      if (family === "deterministic" || family === "openai-compatible") continue
      const { url } = requestOf(factsOf({ id, ...(family === "bedrock" ? { region: "eu-west-3" } : {}) }), {})
      assert.isTrue(url.startsWith(baseUrl ?? "https://bedrock-runtime.eu-west-3.amazonaws.com/"), url)
    }
  })

  it("a second family of the same host has its facts as well, any other has none", () => {
    for (const { alsoFamilies, baseUrl, env, family, id, quirks } of Catalogue.entries) {
      if (family === "deterministic") continue
      for (const other of families.keys()) {
        const facts = factsOf({ id, family: other })
        const inherits = other === family || alsoFamilies.includes(other)
        assert.strictEqual(facts.baseUrl, inherits ? baseUrl : undefined)
        assert.deepStrictEqual(facts.quirks, inherits ? quirks : {})
        assert.deepStrictEqual(facts.env, inherits ? env : other === "bedrock" ? Catalogue.signingEnv : [])
      }
    }
    const { body } = requestOf(factsOf({ id: "openai", family: "openai-compatible" }), { maxOutputTokens: 99 })
    assert.strictEqual(body["max_completion_tokens"], 99)
  })

  it("what the configuration says is worth more, and its key goes to no other host", () => {
    for (const { env, id } of Catalogue.entries.filter(({ family }) => family === "openai-compatible")) {
      const facts = factsOf({
        id,
        baseUrl: "https://elsewhere.example/v1",
        quirks: { maxTokensField: "max_completion_tokens", streamOptions: false, reasoning: "object" },
        capabilities: { prefix: true, reasoning: true }
      })
      const { body, url } = requestOf(facts, { maxOutputTokens: 99, reasoning: "low" })
      assert.strictEqual(url, "https://elsewhere.example/v1/chat/completions")
      assert.deepInclude(body, { max_completion_tokens: 99, reasoning: { effort: "low" } })
      assert.notProperty(body, "stream_options")
      assert.deepStrictEqual([facts.env, facts.apiKeyEnv], [[], undefined])
      assert.deepStrictEqual(factsOf({ id, baseUrl: "https://elsewhere.example", apiKeyEnv: "MINE" }).env, ["MINE"])
      assert.notInclude(env, "MINE")
    }
  })

  it("lists some of its providers without being asked, the others when they are configured", () => {
    const listed = Catalogue.entries.filter((entry) => entry.listed).map(({ id }) => id)
    assert.deepStrictEqual(allFacts(settings()).map(({ id }) => id), listed)
    assert.deepStrictEqual(listed, [...Catalogue.listedIds])
    for (const { id } of Catalogue.entries) {
      const ids = allFacts(settings({ id })).map((facts) => facts.id)
      assert.deepStrictEqual(ids, [id, ...listed.filter((other) => other !== id)])
    }
  })

  it("has each id once, an address that can be called, and a key's name that is one", () => {
    const ids = Catalogue.entries.map(({ id }) => id)
    assert.strictEqual(new Set(ids).size, ids.length)
    for (const { baseUrl, env, id } of Catalogue.entries) {
      assert.match(id, /^[A-Za-z0-9_.-]{1,64}$/)
      for (const name of env) assert.match(name, /^[A-Z][A-Z0-9_]*$/)
      if (baseUrl === undefined) continue
      const { hash, hostname, protocol, search } = new URL(baseUrl)
      assert.deepStrictEqual([hash, search, baseUrl.endsWith("/")], ["", "", false])
      assert.strictEqual(protocol, hostname === "127.0.0.1" ? "http:" : "https:")
      assert.strictEqual(env.length === 0, hostname === "127.0.0.1", id)
    }
    assert.isUndefined(Catalogue.find("nobody"))
    assert.strictEqual(Catalogue.find("groq")?.id, "groq")
  })
})
