// A provider of your own in the place of a model: it says the question back, louder.
// After `npm run build`: node examples/custom-provider.mjs
import { Effect, Stream } from "effect"
import { layerLocal, layerProviders, TurnRuntime } from "turnstream"

const loud = {
  provider: {
    id: "loud",
    usageSource: "reported",
    stream: ({ messages }) => {
      const words = messages.at(-1).parts[0].text.toUpperCase().match(/\S+\s*/g) ?? []
      const deltas = words.map((text) => ({ _tag: "Delta", kind: "text", text }))
      return Stream.fromIterable([...deltas, { _tag: "Finish", reason: "stop" }])
    }
  },
  models: [{ id: "only", contextWindow: 8_192, maxOutputTokens: 1_024 }]
}

const program = Effect.gen(function*() {
  const runtime = yield* TurnRuntime
  yield* runtime.stream({ message: "hello, engine", provider: "loud" }).pipe(
    Stream.filter((event) => event.type === "model.delta"),
    Stream.runForEach((event) => Effect.sync(() => console.log(event.data.text)))
  )
})

const engine = layerLocal({ dataDir: process.env.DATA_DIR ?? ".turnstream" }, { registry: layerProviders([loud]) })

await Effect.runPromise(program.pipe(Effect.provide(engine)))
