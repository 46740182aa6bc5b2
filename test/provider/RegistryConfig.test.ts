import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import * as Catalogue from "../../src/config/Catalogue.ts"
import { ConfigFile, Settings } from "../../src/config/Settings.ts"
import * as Egress from "../../src/provider/Egress.ts"
import type { Provider } from "../../src/provider/Provider.ts"
import { ProviderRegistry } from "../../src/provider/ProviderRegistry.ts"
import { type Adapters, layer } from "../../src/provider/RegistryConfig.ts"

const secret = "sk-canary-7f3a"

interface World {
  readonly file?: unknown
  readonly env?: Readonly<Record<string, string>>
  readonly adapters?: Adapters
}

/** Use the registry of a configuration file, with these environment variables and no others. */
const withRegistry = <A, E>(
  world: World,
  use: (registry: ProviderRegistry["Type"]) => Effect.Effect<A, E>
): Effect.Effect<A, E> => {
  const settings = Layer.succeed(Settings, {
    ...Schema.decodeUnknownSync(ConfigFile)(world.file ?? {}),
    host: "127.0.0.1",
    port: 0,
    dataDir: "unused",
    durability: "full",
    token: undefined,
    otlp: undefined
  })
  return Effect.flatMap(ProviderRegistry, use).pipe(
    Effect.provide(Layer.provide(layer(world.adapters), settings)),
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(world.env ?? {}))))
  )
}

const refusal = (world: World, provider: string, model: string) =>
  withRegistry(world, (registry) => Effect.flip(registry.resolve(provider, model)))

const diagnosticsOf = (world: World, id: string) =>
  withRegistry(world, (registry) =>
    Effect.map(registry.diagnostics, (all) => {
      const found = all.find((diagnostics) => diagnostics.id === id)
      assert.isDefined(found)
      return found
    }))

const adapter = (id: string): Provider => ({
  id,
  usageSource: "reported",
  stream: () => Stream.make({ _tag: "Finish", reason: "stop" } as const)
})

const live = { network: { live: true } }
/** Ollama's own address is on this machine. */
const liveHere = { network: { live: true, allowLoopback: true } }

describe("which providers there are", () => {
  it.effect("with no configuration: deterministic first and ready, then the catalogue's, blocked", () =>
    withRegistry({}, (registry) =>
      Effect.gen(function*() {
        const all = yield* registry.diagnostics
        assert.deepStrictEqual(all.map(({ id }) => id), ["deterministic", "openai", "anthropic", "bedrock", "ollama"])
        assert.sameMembers(all.map(({ id }) => id), [...Catalogue.listedIds])
        assert.deepStrictEqual(all.map(({ readiness }) => readiness), [
          "ready",
          "blocked",
          "blocked",
          "blocked",
          "blocked"
        ])
        assert.deepStrictEqual(registry.defaults.provider, "deterministic")
        assert.deepStrictEqual(registry.defaults.model("deterministic"), "echo")
        const { capabilities, model, provider } = yield* registry.resolve("deterministic", "story")
        assert.deepInclude(model, { contextWindow: 131_072, maxOutputTokens: 8_192, contextWindowFrom: "catalogue" })
        assert.strictEqual(provider.usageSource, "deterministic")
        assert.isTrue(capabilities.prefix)
      })))

  it.effect("configured providers come first, in their order, and each id once", () =>
    withRegistry({
      file: { providers: [{ id: "local", family: "openai-compatible" }, { id: "anthropic" }] }
    }, (registry) =>
      Effect.map(registry.diagnostics, (all) =>
        assert.deepStrictEqual(all.map(({ id }) => id), [
          "local",
          "anthropic",
          "deterministic",
          "openai",
          "bedrock",
          "ollama"
        ]))))

  it.effect("a default model belongs to the default provider only", () =>
    withRegistry({
      file: {
        defaults: { provider: "local", model: "big" },
        providers: [
          { id: "local", family: "openai-compatible", models: "any" },
          { id: "other", family: "anthropic", models: [{ id: "first" }, { id: "second" }] }
        ]
      }
    }, (registry) =>
      Effect.sync(() => {
        assert.strictEqual(registry.defaults.model("local"), "big")
        assert.strictEqual(registry.defaults.model("other"), "first")
        assert.strictEqual(registry.defaults.model("deterministic"), "echo")
        assert.strictEqual(registry.defaults.model("nobody"), "")
      })))
})

describe("unknown ids", () => {
  it.effect("an unknown provider is an error with the known ids and the nearest, never a fallback", () =>
    Effect.gen(function*() {
      const error = yield* refusal({}, "Antropic", "any")
      assert.strictEqual(error._tag, "UnknownProvider")
      assert.deepInclude({ ...error }, {
        providerId: "Antropic",
        known: ["deterministic", "openai", "anthropic", "bedrock", "ollama"],
        suggestion: "anthropic"
      })
      assert.include(error.message, 'Did you mean "anthropic"?')
    }))

  it.effect("a name that is near nothing has no suggestion", () =>
    Effect.gen(function*() {
      for (const id of ["warehouse", "", "x".repeat(10_000)]) {
        const error = yield* refusal({}, id, "any")
        assert.strictEqual(error._tag, "UnknownProvider")
        assert.isFalse("suggestion" in error && error.suggestion !== undefined)
      }
    }))

  it.effect("an unknown model of a closed list is an error with the list and the nearest", () =>
    Effect.gen(function*() {
      const error = yield* refusal({}, "deterministic", "storry")
      assert.strictEqual(error._tag, "UnknownModel")
      assert.deepInclude({ ...error }, {
        providerId: "deterministic",
        modelId: "storry",
        known: ["echo", "story", "slow", "fails", "stalls", "flaky"],
        suggestion: "story"
      })
    }))

  it.effect("the model is checked before readiness: a blocked provider still says that it lacks the model", () =>
    Effect.gen(function*() {
      const file = { providers: [{ id: "anthropic", family: "anthropic", models: [{ id: "claude-x" }] }] }
      assert.strictEqual((yield* refusal({ file }, "anthropic", "claude-y"))._tag, "UnknownModel")
      assert.strictEqual((yield* refusal({ file }, "anthropic", "claude-x"))._tag, "ProviderBlocked")
    }))

  it.effect("no model named: a blocked provider is blocked, one that could be called asks for a name", () =>
    Effect.gen(function*() {
      for (const id of ["openai", "anthropic", "bedrock", "ollama"]) {
        assert.strictEqual((yield* refusal({}, id, ""))._tag, "ProviderBlocked", id)
      }
      const ready = { file: liveHere, adapters: { ollama: ({ id }: { readonly id: string }) => adapter(id) } }
      const error = yield* refusal(ready, "ollama", "")
      assert.strictEqual(error._tag, "UnknownModel")
      assert.match(error.message, /^No model is named for provider "ollama"\. Name one/)
    }))

  it.effect("an open list takes any model", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* refusal({}, "ollama", "llama"))._tag, "ProviderBlocked")
    }))
})

describe("readiness", () => {
  const blocked = (world: World, id: string) =>
    Effect.gen(function*() {
      const error = yield* refusal(world, id, "m")
      assert.strictEqual(error._tag, "ProviderBlocked")
      const { readiness, reason } = yield* diagnosticsOf(world, id)
      assert.strictEqual(readiness, "blocked")
      assert.isTrue(error._tag === "ProviderBlocked" && error.reason === reason)
      return { missingEnv: error._tag === "ProviderBlocked" ? error.missingEnv : [], reason: reason ?? "" }
    })

  it.effect("with the network off that is the first reason, and a missing variable is named too", () =>
    Effect.gen(function*() {
      const { missingEnv, reason } = yield* blocked({}, "openai")
      assert.match(reason, /^live network is off/)
      assert.deepStrictEqual(missingEnv, ["OPENAI_API_KEY"])
    }))

  it.effect("with the network off a key in the environment unblocks nothing", () =>
    Effect.gen(function*() {
      const adapters: Adapters = { "openai-responses": ({ id }) => adapter(id) }
      const { missingEnv, reason } = yield* blocked({ env: { OPENAI_API_KEY: secret }, adapters }, "openai")
      assert.deepStrictEqual(missingEnv, [])
      assert.match(reason, /^live network is off[^;]*$/)
    }))

  it.effect("P25: variables are named, their values appear nowhere", () =>
    Effect.gen(function*() {
      const env = { AWS_ACCESS_KEY_ID: secret, OPENAI_API_KEY: secret, ANTHROPIC_API_KEY: secret }
      const world = { env, file: { ...live, providers: [{ id: "bedrock", region: "us-east-1" }] } }
      const { missingEnv, reason } = yield* blocked(world, "bedrock")
      assert.deepStrictEqual(missingEnv, ["AWS_SECRET_ACCESS_KEY"])
      assert.include(reason, "AWS_SECRET_ACCESS_KEY")
      const { env: shown } = yield* diagnosticsOf(world, "bedrock")
      assert.deepStrictEqual(shown, [
        { name: "AWS_ACCESS_KEY_ID", present: true },
        { name: "AWS_SECRET_ACCESS_KEY", present: false }
      ])
      const error = yield* refusal(world, "bedrock", "m")
      const everything = yield* withRegistry(world, (registry) => registry.diagnostics)
      assert.notInclude(JSON.stringify([error, error.message, everything]), secret)
    }))

  it.effect("an empty variable is a missing one", () =>
    Effect.gen(function*() {
      const { missingEnv } = yield* blocked({ file: live, env: { OPENAI_API_KEY: "" } }, "openai")
      assert.deepStrictEqual(missingEnv, ["OPENAI_API_KEY"])
    }))

  it.effect("bedrock with a bearer token needs that variable and a region, not the signing ones", () =>
    Effect.gen(function*() {
      const file = { ...live, providers: [{ id: "bedrock", family: "bedrock", apiKeyEnv: "BEARER" }] }
      const { missingEnv, reason } = yield* blocked({ file }, "bedrock")
      assert.deepStrictEqual(missingEnv, ["BEARER"])
      assert.include(reason, "it has no region")
    }))

  it.effect("a provider without a host says so", () =>
    Effect.gen(function*() {
      const file = { ...live, providers: [{ id: "local", family: "openai-compatible" }] }
      const { reason } = yield* blocked({ file }, "local")
      assert.include(reason, "it has no baseUrl")
    }))

  it.effect("a family without an adapter is blocked with that reason, where nothing else stands in the way", () =>
    Effect.gen(function*() {
      const world = { file: live, env: { OPENAI_API_KEY: secret } }
      assert.strictEqual(
        (yield* blocked(world, "openai")).reason,
        'this version has no adapter for family "openai-responses"'
      )
      assert.match((yield* blocked({}, "openai")).reason, /live network.*OPENAI_API_KEY is not set$/)
    }))

  it.effect("what to do about it follows from the reasons, and never tells to set what would not help", () =>
    Effect.gen(function*() {
      const adapters: Adapters = { anthropic: ({ id }) => adapter(id) }
      const advice = (world: World) => Effect.map(refusal(world, "anthropic", "m"), ({ message }) => message)
      const none = yield* advice({ file: live, env: { ANTHROPIC_API_KEY: secret } })
      assert.match(none, /\. Use the provider "deterministic"\.$/)
      assert.notMatch(none, /Set |start again/)
      assert.include(yield* advice({}), "Set network.live to true, set ANTHROPIC_API_KEY and start again")
      assert.match(
        yield* advice({ adapters, env: { ANTHROPIC_API_KEY: secret } }),
        /\. Set network\.live to true and start again/
      )
      assert.match(yield* advice({ adapters, file: live }), /\. Set ANTHROPIC_API_KEY and start again/)
    }))

  it.effect("a variable that is set after the start counts", () =>
    withRegistry(
      { file: live, adapters: { anthropic: ({ id }) => adapter(id) } },
      (registry) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* Effect.flip(registry.resolve("anthropic", "m")))._tag, "ProviderBlocked")
          const later = ConfigProvider.fromMap(new Map([["ANTHROPIC_API_KEY", secret]]))
          const { provider } = yield* Effect.withConfigProvider(registry.resolve("anthropic", "m"), later)
          assert.strictEqual(provider.id, "anthropic")
        })
    ))

  it.effect("configured and allowed is unproven until it gave something, then ready", () =>
    withRegistry(
      { file: liveHere, adapters: { ollama: ({ id }) => adapter(id) } },
      (registry) =>
        Effect.gen(function*() {
          const readiness = Effect.map(registry.diagnostics, (all) => all.find(({ id }) => id === "ollama")?.readiness)
          const { provider } = yield* registry.resolve("ollama", "llama")
          assert.strictEqual(yield* readiness, "unproven")
          yield* Stream.runDrain(
            provider.stream({ model: "llama", messages: [], generation: {}, attempt: 1, contextTokens: 0 })
          )
          assert.strictEqual(yield* readiness, "ready")
        })
    ))
})

describe("P26: where a provider may be", () => {
  const adapters: Adapters = { "openai-compatible": ({ id }) => adapter(id), bedrock: ({ id }) => adapter(id) }
  const at = (baseUrl: string, network: object) =>
    refusal(
      {
        adapters,
        file: { network, providers: [{ id: "local", family: "openai-compatible", baseUrl, models: "any" }] }
      },
      "local",
      "m"
    )

  it.effect("another host by https alone, a private or metadata address never, and the reason says which", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [baseUrl: string, reason: string]> = [
        ["http://api.example/v1", "its baseUrl is not https"],
        ["http://8.8.8.8/v1", "its baseUrl is not https"],
        ["https://10.0.0.1/v1", "its baseUrl is a private or reserved address, which is never called"],
        ["https://169.254.169.254/", "its baseUrl is a private or reserved address, which is never called"],
        ["http://[::ffff:a9fe:a9fe]/", "its baseUrl is a private or reserved address, which is never called"]
      ]
      for (const [baseUrl, reason] of cases) {
        for (const allowLoopback of [false, true]) {
          const error = yield* at(baseUrl, { live: true, allowLoopback })
          assert.deepInclude({ ...error }, { _tag: "ProviderBlocked", reason }, baseUrl)
          assert.include(error.message, "Change the configuration and start again")
        }
      }
    }))

  it.effect("this machine where loopback is allowed, and else that is what to set", () =>
    Effect.gen(function*() {
      for (
        const baseUrl of ["http://127.0.0.1:9000/v1", "http://localhost/v1", "http://[::1]/", "http://2130706433/"]
      ) {
        const error = yield* at(baseUrl, { live: true })
        assert.strictEqual(error._tag, "ProviderBlocked")
        assert.include(error.message, "Set network.allowLoopback to true and start again", baseUrl)
        const allowed = { network: { live: true, allowLoopback: true } }
        const file = { ...allowed, providers: [{ id: "local", family: "openai-compatible", baseUrl, models: "any" }] }
        yield* withRegistry({ adapters, file }, (registry) => registry.resolve("local", "m"))
      }
    }))

  it.effect("with the network off the address is not what stands in the way", () =>
    Effect.gen(function*() {
      const error = yield* at("https://10.0.0.1/", { live: false })
      assert.match(error._tag === "ProviderBlocked" ? error.reason : "", /^live network is off[^;]*$/)
    }))

  it.effect("an address that is no URL, from a program that embeds, blocks its provider and stops nothing", () =>
    Effect.gen(function*() {
      const file = { ...live, providers: [{ id: "bedrock", baseUrl: "https://xn--a", apiKeyEnv: "BEARER" }] }
      const error = yield* refusal({ adapters, file, env: { BEARER: secret } }, "bedrock", "m")
      assert.match(error._tag === "ProviderBlocked" ? error.reason : "", /^its address .* is no URL$/)
    }))

  it("every host of the catalogue may be called, those of this machine with loopback on", () => {
    for (const { baseUrl, id } of Catalogue.entries) {
      if (baseUrl === undefined) continue
      assert.isUndefined(Egress.refusal(new URL(baseUrl), true), id)
      assert.strictEqual(Egress.refusal(new URL(baseUrl), false) === undefined, baseUrl.startsWith("https:"), id)
    }
  })
})

describe("a provider that calls nobody", () => {
  const here = fileURLToPath(import.meta.url)
  const adapters: Adapters = { replay: ({ id }) => adapter(id) }
  const replay = (recording: string, rest: object = {}) => ({
    providers: [{ id: "again", family: "replay", recording }],
    ...rest
  })

  it.effect("plays a recording with the network off and on: it is ready without a call, and has the one model", () =>
    Effect.gen(function*() {
      for (const rest of [{}, live]) {
        const world = { adapters, file: replay(here, rest) }
        const found = yield* diagnosticsOf(world, "again")
        assert.deepInclude(found, { readiness: "ready", defaultModel: "recording", env: [] })
        const { model } = yield* withRegistry(world, (registry) => registry.resolve("again", "recording"))
        assert.strictEqual(model.id, "recording")
      }
    }))

  it.effect("whose recording is not there is blocked and says where it should be", () =>
    Effect.gen(function*() {
      const error = yield* refusal({ adapters, file: replay("/nowhere/a.jsonl") }, "again", "recording")
      assert.deepInclude({ ...error }, {
        _tag: "ProviderBlocked",
        reason: "its recording /nowhere/a.jsonl is not there",
        missingEnv: []
      })
    }))

  it.effect("is not asked where its baseUrl is", () =>
    Effect.gen(function*() {
      for (
        const provider of [{ id: "again", family: "replay", recording: here }, { id: "again", family: "deterministic" }]
      ) {
        const file = { ...live, providers: [{ ...provider, baseUrl: "http://10.0.0.1/" }] }
        assert.strictEqual((yield* diagnosticsOf({ adapters, file }, "again")).readiness, "ready")
      }
    }))
})

describe("facts of a provider", () => {
  it.effect("a configured entry inherits the catalogue's host and key; what it says itself wins", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const note = { "openai-compatible": (facts: { readonly id: string }) => (seen.push(facts), adapter(facts.id)) }
      yield* withRegistry({
        adapters: note,
        file: {
          ...live,
          providers: [
            {
              id: "openai",
              family: "openai-compatible",
              capabilities: { prefix: true },
              generation: { temperature: 0 }
            }
          ]
        },
        env: { OPENAI_API_KEY: secret }
      }, (registry) =>
        Effect.map(registry.resolve("openai", "m"), ({ capabilities, generation }) => {
          assert.deepStrictEqual(capabilities, { streaming: true, tools: true, reasoning: true, prefix: true })
          assert.deepStrictEqual(generation, { temperature: 0 })
        }))
      assert.deepInclude(seen[0], { baseUrl: "https://api.openai.com/v1", env: ["OPENAI_API_KEY"] })
    }))

  it.effect("P25: a catalogue key is not inherited by an entry that points to another host", () =>
    Effect.gen(function*() {
      const file = { ...live, providers: [{ id: "openai", baseUrl: "http://127.0.0.1:9000/v1" }] }
      const { env } = yield* diagnosticsOf({ file }, "openai")
      assert.deepStrictEqual(env, [])
    }))

  it.effect("window and reserve: the model's entry, the provider's, else assumed, and it says which", () =>
    Effect.gen(function*() {
      const file = {
        providers: [{
          id: "local",
          family: "openai-compatible",
          contextWindow: 64_000,
          models: [{ id: "own", contextWindow: 200_000, maxOutputTokens: 16_000 }, { id: "plain" }]
        }, { id: "bare", family: "anthropic", models: [{ id: "m" }] }]
      }
      const { models } = yield* diagnosticsOf({ file }, "local")
      assert.deepStrictEqual(models, [
        { id: "own", contextWindow: 200_000, contextWindowFrom: "configured", maxOutputTokens: 16_000 },
        { id: "plain", contextWindow: 64_000, contextWindowFrom: "configured", maxOutputTokens: 8_192 }
      ])
      const bare = yield* diagnosticsOf({ file }, "bare")
      assert.deepStrictEqual(bare.models, [
        { id: "m", contextWindow: 8_192, contextWindowFrom: "assumed", maxOutputTokens: 2_048 }
      ])
    }))

  it.effect("deterministic takes another window from configuration and keeps its models", () =>
    withRegistry({
      file: {
        providers: [{ id: "deterministic", family: "deterministic", contextWindow: 1_000, maxOutputTokens: 100 }, {
          id: "second",
          family: "deterministic"
        }]
      }
    }, (registry) =>
      Effect.gen(function*() {
        const { model } = yield* registry.resolve("deterministic", "slow")
        assert.deepStrictEqual(model, {
          id: "slow",
          contextWindow: 1_000,
          contextWindowFrom: "configured",
          maxOutputTokens: 100
        })
        assert.strictEqual((yield* registry.resolve("second", "echo")).provider.id, "second")
      })))
})
