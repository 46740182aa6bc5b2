// One turn of the adapter in examples/adapter.mjs; docs/tutorials/adapter.md says how to try it.
import { Effect, Stream } from "effect"
import { layerLocal, layerProviders, TurnRuntime } from "turnstream"
import { lines } from "./adapter.mjs"

const program = Effect.gen(function*() {
  const runtime = yield* TurnRuntime
  yield* runtime.stream({ message: "Hello", provider: "lines" }).pipe(
    Stream.runForEach((event) => Effect.sync(() => console.log(event.type, JSON.stringify(event.data)))),
    Effect.catchTag("ProviderFailure", (failure) => Effect.sync(() => console.log("failed", failure.message)))
  )
})

const registry = layerProviders([lines(process.env.LINES_URL ?? "http://127.0.0.1:9099/chat")])
const engine = layerLocal({ dataDir: process.env.DATA_DIR ?? ".turnstream" }, { registry })

await Effect.runPromise(program.pipe(Effect.provide(engine)))
