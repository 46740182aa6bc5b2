// What your product remembers of a person, as a part of what each turn sends to its model.
// After `npm run build`: node examples/custom-context.mjs
import { Effect, Stream } from "effect"
import { layerLocal, layerSources, TurnRuntime } from "turnstream"

const memory = {
  slot: "memory",
  source: "profile",
  read: (sessionId) => Effect.succeed(`Likes short answers. (session ${sessionId})`)
}

const program = Effect.gen(function*() {
  const runtime = yield* TurnRuntime
  yield* runtime.stream({ message: "Hello, engine" }).pipe(
    Stream.filter((event) => event.type === "context.built"),
    Stream.runForEach((event) =>
      Effect.sync(() => {
        for (const { action, slot, source, tokens } of event.data.slots) console.log(slot, source, action, tokens)
      })
    )
  )
})

const engine = layerLocal({ dataDir: process.env.DATA_DIR ?? ".turnstream" }, { context: layerSources([memory]) })

await Effect.runPromise(program.pipe(Effect.provide(engine)))
