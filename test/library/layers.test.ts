import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import { providerFailure, UnknownProvider } from "../../src/domain/TurnError.ts"
import * as JournalMemory from "../../src/journal/JournalMemory.ts"
import { layerContext, layerRuntime } from "../../src/layers.ts"
import type { Provider, ProviderEvent } from "../../src/provider/Provider.ts"
import { ProviderRegistry } from "../../src/provider/ProviderRegistry.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"

/** A registry of one's own: one provider that says one word, then fails or finishes. */
const registryOf = (provider: Provider) =>
  Layer.succeed(ProviderRegistry, {
    defaults: { provider: provider.id, model: () => "only" },
    resolve: (id) =>
      id === provider.id
        ? Effect.succeed({
          provider,
          model: { id: "only", contextWindow: 1_000, contextWindowFrom: "configured", maxOutputTokens: 100 },
          capabilities: { streaming: true, tools: false, reasoning: false, prefix: true },
          generation: {}
        })
        : Effect.fail(new UnknownProvider({ providerId: id, known: [provider.id] })),
    prices: () => undefined,
    diagnostics: Effect.succeed([])
  })

const engineWith = (provider: Provider) =>
  layerRuntime.pipe(
    Layer.provideMerge(Layer.mergeAll(JournalMemory.layer, registryOf(provider), layerContext)),
    Layer.provide(SettingsLoader.layerWith())
  )

const said = (provider: Provider) =>
  Effect.flatMap(TurnRuntime, (runtime) =>
    runtime.stream({ message: "?" }).pipe(
      Stream.runFold("", (text, event) => event.type === "model.delta" ? text + event.data.text : text)
    )).pipe(Effect.provide(engineWith(provider)))

describe("swapping one Layer", () => {
  it.effect("a registry with a provider of one's own", () =>
    Effect.gen(function*() {
      const text = yield* said({
        id: "mine",
        usageSource: "reported",
        stream: () =>
          Stream.make<Array<ProviderEvent>>(
            { _tag: "Delta", kind: "text", text: "word" },
            { _tag: "Finish", reason: "stop" }
          )
      })
      assert.strictEqual(text, "word")
    }))

  it.effect("an adapter that crashes is one typed failure, not a crash of the engine", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(said({
        id: "mine",
        usageSource: "reported",
        stream: () => Stream.die(new Error("bug"))
      }))
      assert.deepInclude(error, { _tag: "ProviderFailure", kind: "protocol" })
    }))

  it.effect("a failure of one's own provider reaches the stream's error channel", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(said({
        id: "mine",
        usageSource: "reported",
        stream: () => Stream.fail(providerFailure("mine", "permission"))
      }))
      assert.deepInclude(error, { _tag: "ProviderFailure", kind: "permission" })
    }))
})
