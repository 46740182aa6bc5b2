import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import { layerExport, layerTelemetry, layerTest } from "../../src/layers.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import * as Collector from "../telemetry/collector.ts"

const secret = "header-of-the-collector"
const otlpOf = (endpoint: string) => ({ endpoint, headers: Redacted.make({ authorization: `Bearer ${secret}` }) })

const oneTurn = Effect.flatMap(TurnRuntime, (runtime) => Stream.runDrain(runtime.stream({ message: "hello" })))

describe("a program that embeds the engine", () => {
  it.scopedLive("exports by adding one layer, and keeps its own logger beside it", () =>
    Effect.gen(function*() {
      const collector = yield* Collector.start
      const said: Array<unknown> = []
      const own = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => {
          said.push(...[message].flat())
        })
      )
      const engine = Layer.provideMerge(layerTest(), layerExport(otlpOf(collector.url)))
      yield* Effect.zipRight(oneTurn, Effect.logInfo(`from the program ${secret}`)).pipe(
        Effect.provide(Layer.provideMerge(engine, own))
      )
      const records = Collector.logsOf(collector.received).map(Collector.messageOf)
      assert.include(records, "from the program ***")
      assert.include(said, `from the program ${secret}`, "what its own logger shows is its own matter")
      for (const { headers } of collector.received) assert.strictEqual(headers.authorization, `Bearer ${secret}`)
    }))

  it.scopedLive("exports as its settings say, and without a collector in them changes nothing", () =>
    Effect.gen(function*() {
      const collector = yield* Collector.start
      const state = Effect.all([FiberRef.get(FiberRef.currentLoggers), Effect.tracer])
      const stateWith = (otlp: ReturnType<typeof otlpOf> | undefined) =>
        Effect.provide(state, Layer.provide(layerTelemetry, SettingsLoader.layerWith({ otlp })))
      const [loggers, tracer] = yield* state
      const without = yield* stateWith(undefined)
      assert.strictEqual(without[0], loggers)
      assert.strictEqual(without[1], tracer)
      const [more, other] = yield* stateWith(otlpOf(collector.url))
      assert.notStrictEqual(other, tracer)
      assert.strictEqual([...more].length, [...loggers].length + 1)
    }))
})
