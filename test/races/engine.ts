/**
 * An engine for races: its provider lets the event loop turn between two words, so that commands fall between them, and
 * nothing waits for a clock. The message says what it does: a number of words, or `hang` after one.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import { textOf as partsText } from "../../src/domain/Message.ts"
import { UnknownProvider } from "../../src/domain/TurnError.ts"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import * as UsageSum from "../../src/domain/UsageSum.ts"
import type { Journal } from "../../src/journal/Journal.ts"
import * as JournalMemory from "../../src/journal/JournalMemory.ts"
import { layerContext, layerRuntime } from "../../src/layers.ts"
import type { ProviderEvent } from "../../src/provider/Provider.ts"
import { ProviderRegistry } from "../../src/provider/ProviderRegistry.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { layerIn } from "../journal/sqlFixture.ts"

/** One turn of the event loop: whatever was due has run. */
export const loopTurn: Effect.Effect<void> = Effect.async((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Memory where there is such a folder. */
const freshFolder = Effect.acquireRelease(
  Effect.sync(() =>
    Fs.mkdtempSync(Path.join(Fs.existsSync("/dev/shm") ? "/dev/shm" : Os.tmpdir(), "turnstream-race-"))
  ),
  (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
)

const word = (index: number): ProviderEvent => ({ _tag: "Delta", kind: "text", text: `${index} ` })

/** What `n` words are in the end. */
export const textOf = (count: number): string => Array.from({ length: count }, (_, index) => `${index} `).join("")

/** Goes on behind what was said before, as a model does that is given a prefix. */
const answer = (message: string, prefix: string): Stream.Stream<ProviderEvent> => {
  const count = message === "hang" ? 1 : Number(message)
  const said = prefix.split(" ").length - 1
  const words = said >= count
    ? Stream.empty
    : Stream.mapEffect(Stream.range(said, count - 1), (index) => Effect.as(loopTurn, word(index)))
  const last: ReadonlyArray<ProviderEvent> = [
    { _tag: "Usage", usage: UsageSum.make({ inputTokens: 1, outputTokens: count }) },
    { _tag: "Finish", reason: "stop" }
  ]
  return Stream.concat(words, message === "hang" ? Stream.never : Stream.fromIterable(last))
}

/** Calls that were made, in one number for all engines of a race. */
export const makeCounter = () => ({ calls: 0 })
export type Counter = ReturnType<typeof makeCounter>

const layerRegistry = (counter: Counter) =>
  Layer.succeed(ProviderRegistry, {
    defaults: { provider: "worded", model: () => "only" },
    resolve: (id) =>
      id === "worded"
        ? Effect.succeed({
          provider: {
            id,
            usageSource: "reported",
            stream: ({ messages }) =>
              Stream.suspend(() => {
                counter.calls++
                const question = messages.findLast(({ role }) => role === "user")?.parts[0]
                const last = messages.at(-1)
                const prefix = last?.role === "assistant" ? partsText(last.parts) : ""
                return answer(question?.type === "text" ? question.text : "hang", prefix)
              })
          },
          model: { id: "only", contextWindow: 100_000, contextWindowFrom: "configured", maxOutputTokens: 1_000 },
          capabilities: { streaming: true, tools: false, reasoning: false, prefix: true },
          generation: {}
        })
        : Effect.fail(new UnknownProvider({ providerId: id, known: ["worded"] })),
    prices: () => undefined,
    diagnostics: Effect.succeed([])
  })

const engineOn = <E>(journal: Layer.Layer<Journal, E>, counter: Counter) =>
  layerRuntime.pipe(
    Layer.provideMerge(Layer.mergeAll(journal, layerRegistry(counter), layerContext)),
    Layer.provide(SettingsLoader.layerWith({ drainMs: 0, limits: { runningTurns: 1_000, queuedTurns: 1_000 } }))
  )

export const journals = ["memory", "sqlite"] as const
export type JournalKind = (typeof journals)[number]

/** An engine on the file in `dataDir`, for races over a restart. */
export const layerOn = (dataDir: string, counter: Counter) => engineOn(layerIn(dataDir), counter)

export const withFolder = <A, E, R>(body: (dataDir: string) => Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.flatMap(freshFolder, body))

export const layerOf = (kind: JournalKind, counter: Counter = makeCounter()) =>
  kind === "memory"
    ? engineOn(JournalMemory.layer, counter)
    : Layer.unwrapScoped(Effect.map(freshFolder, (dataDir) => layerOn(dataDir, counter)))

export const newSession = Effect.flatMap(
  TurnRuntime,
  (runtime) => Effect.map(runtime.createSession({}), ({ id }) => id)
)

export const terminals = (events: ReadonlyArray<{ readonly type: string }>): ReadonlyArray<string> =>
  events.flatMap(({ type }) => TurnEvent.isTerminalType(type) ? [type] : [])

/** Numbers that are the same in every run. */
export const makeDice = (seed: number) => {
  let state = seed >>> 0
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * below)
  }
}
