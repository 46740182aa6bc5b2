import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import { layerProviders } from "../../src/layers.ts"
import type { OwnProvider } from "../../src/provider/OwnProviders.ts"
import { ProviderRegistry } from "../../src/provider/ProviderRegistry.ts"

const prices = { input: 1, output: 2 }

const own = (id: string): OwnProvider => ({
  provider: { id, usageSource: "reported", stream: () => Stream.empty },
  models: [
    { id: "small", contextWindow: 1_000, maxOutputTokens: 100 },
    { id: "large", contextWindow: 9_000, maxOutputTokens: 900, prices }
  ],
  capabilities: { tools: true }
})

const registry = <A, E>(use: (registry: ProviderRegistry["Type"]) => Effect.Effect<A, E>, ...ids: Array<string>) =>
  Effect.flatMap(ProviderRegistry, use).pipe(
    Effect.provide(layerProviders(ids.map(own))),
    Effect.provide(SettingsLoader.layerWith())
  )

describe("providers of a program's own", () => {
  it.effect("are resolved by their ids, with what they said of themselves", () =>
    registry((found) =>
      Effect.gen(function*() {
        const { capabilities, generation, model } = yield* found.resolve("mine", "large")
        assert.deepStrictEqual(model, {
          id: "large",
          contextWindow: 9_000,
          contextWindowFrom: "configured",
          maxOutputTokens: 900,
          prices
        })
        assert.deepStrictEqual(capabilities, { streaming: true, tools: true, reasoning: false, prefix: false })
        assert.deepStrictEqual(generation, {})
        assert.strictEqual(found.defaults.model("mine"), "small")
        assert.deepStrictEqual(found.prices("mine", "large"), prices)
        assert.isUndefined(found.prices("mine", "small"))
      }), "mine"))

  it.effect("stand beside those of the settings, and before one of the same id", () =>
    registry(
      (found) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* found.resolve("deterministic", "large")).model.id, "large")
          const ids = (yield* found.diagnostics).map(({ id }) => id)
          assert.deepStrictEqual(ids.slice(0, 2), ["mine", "deterministic"])
          assert.strictEqual(new Set(ids).size, ids.length)
          assert.include(ids, "openai")
          assert.strictEqual(found.defaults.provider, "deterministic")
        }),
      "mine",
      "deterministic"
    ))

  it.effect("are named to whoever asks for none of them, with the nearest", () =>
    registry((found) =>
      Effect.gen(function*() {
        const noProvider = yield* Effect.flip(found.resolve("mime", "small"))
        assert.strictEqual(noProvider._tag, "UnknownProvider")
        assert.deepInclude(noProvider, { providerId: "mime", suggestion: "mine" })
        assert.include(noProvider._tag === "UnknownProvider" ? noProvider.known : [], "deterministic")
        const noModel = yield* Effect.flip(found.resolve("mine", "smal"))
        assert.deepInclude(noModel, { _tag: "UnknownModel", known: ["small", "large"], suggestion: "small" })
        const blocked = yield* Effect.flip(found.resolve("openai", "gpt-5"))
        assert.strictEqual(blocked._tag, "ProviderBlocked")
      }), "mine"))
})
