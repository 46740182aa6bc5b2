// The engine inside a program of your own. After `npm run build`: node examples/embed.mjs
import { Effect, Stream } from "effect"
import { layerLocal, TurnRuntime } from "turnstream"

const program = Effect.gen(function*() {
  const runtime = yield* TurnRuntime
  yield* runtime.stream({ message: "Hello, engine" }).pipe(
    Stream.runForEach((event) => Effect.sync(() => console.log(event.seq, event.type, JSON.stringify(event.data))))
  )
})

await Effect.runPromise(program.pipe(Effect.provide(layerLocal({ dataDir: process.env.DATA_DIR ?? ".turnstream" }))))
