import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { providerFailure } from "../../src/domain/TurnError.ts"
import { layerProviders, layerTest } from "../../src/layers.ts"
import type { Provider, ProviderEvent } from "../../src/provider/Provider.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"

const engineWith = (provider: Provider) =>
  layerTest({}, {
    registry: layerProviders([{ provider, models: [{ id: "only", contextWindow: 1_000, maxOutputTokens: 100 }] }])
  })

const said = (provider: Provider) =>
  Effect.flatMap(TurnRuntime, (runtime) =>
    runtime.stream({ message: "?", provider: provider.id }).pipe(
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
