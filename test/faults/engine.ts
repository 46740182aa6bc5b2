/**
 * A whole engine on a SQLite file, opened and thrown away many times: the real runtime over the real journal, with places
 * where a test may put something of its own between the parts. Time is the test's clock.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { Settings } from "../../src/config/Settings.ts"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import type { ContextBuilder } from "../../src/context/ContextBuilder.ts"
import { Database } from "../../src/journal/Database.ts"
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"
import { tick } from "../../src/journal/EventLoop.ts"
import type { Journal } from "../../src/journal/Journal.ts"
import * as JournalSql from "../../src/journal/JournalSql.ts"
import { layerContext, layerRegistry, layerRuntime } from "../../src/layers.ts"
import type { Provider } from "../../src/provider/Provider.ts"
import { ProviderRegistry } from "../../src/provider/ProviderRegistry.ts"
import type { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import type { SqlFaults } from "./SqlFaults.ts"

export type Engine = TurnRuntime | Journal | Database | ProviderRegistry

/** What stands between the parts of an engine; each is the identity where it is absent. */
export interface Between {
  readonly database?: <E>(layer: Layer.Layer<Database, E>) => Layer.Layer<Database, E>
  readonly journal?: <E>(layer: Layer.Layer<Journal, E, Database>) => Layer.Layer<Journal, E, Database>
  readonly registry?: <E>(
    layer: Layer.Layer<ProviderRegistry, E, Settings>
  ) => Layer.Layer<ProviderRegistry, E, Settings>
  readonly runtime?: (
    layer: typeof layerRuntime
  ) => Layer.Layer<TurnRuntime, Layer.Layer.Error<typeof layerRuntime>, Layer.Layer.Context<typeof layerRuntime>>
}

/** Something around every provider of the registry. */
export const onProvider = (
  change: (stream: Provider["stream"]) => Provider["stream"]
): NonNullable<Between["registry"]> =>
(layer) =>
  Layer.provide(
    Layer.effect(
      ProviderRegistry,
      Effect.map(ProviderRegistry, (registry) => ({
        ...registry,
        resolve: (providerId: string, modelId: string) =>
          Effect.map(registry.resolve(providerId, modelId), (resolved) => ({
            ...resolved,
            provider: { ...resolved.provider, stream: change(resolved.provider.stream) }
          }))
      }))
    ),
    layer
  )

const same = <A>(a: A): A => a

/** Nobody pulls a plug here, and a thousand engines are opened: no file is synced. A killed process loses nothing by it. */
const unsynced = <E>(database: Layer.Layer<Database, E>): Layer.Layer<Database, E> =>
  Layer.tap(database, (context) => {
    const { writer } = Context.get(context, Database)
    return writer === undefined ? Effect.void : Effect.orDie(writer.unsafe("PRAGMA synchronous = OFF"))
  })

export const engineIn = (dataDir: string, between: Between = {}, settings: SettingsLoader.Overrides = {}) => {
  const database = (between.database ?? same)(
    unsynced(DatabaseSqlite.layer({ dataDir, durability: "relaxed", takeOver: false }))
  )
  const journal = (between.journal ?? same)(JournalSql.layer)
  const registry = (between.registry ?? same)(layerRegistry)
  const parts = Layer.mergeAll(Layer.provideMerge(journal, database), registry, layerContext)
  return (between.runtime ?? same)(layerRuntime).pipe(
    Layer.provideMerge(parts),
    Layer.provide(SettingsLoader.layerWith(settings))
  )
}

// folders

const prefix = Path.join(Os.tmpdir(), "turnstream-faults-")

/** Folders for one run, removed with its scope. */
export const folders = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(prefix)),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

export const copyFolder = (from: string, to: string): void => Fs.cpSync(from, to, { recursive: true })

// driving

/** Turns of the loop without a statement after which nothing will happen until time passes. */
const quietTurns = 4
/** Virtual seconds within which everything must have ended once faults are over (P23). */
export const patienceMs = 60_000

/** Milliseconds to the next thing that is due; a moving of the clock costs some real ones. */
const untilNext = Effect.gen(function*() {
  const now = yield* TestClock.currentTimeMillis
  const due = [...yield* TestClock.sleeps()].filter((at) => at > now)
  return due.length === 0 ? 1_000 : Math.min(...due) - now
})

/** Nothing ends although there was all the time that a test has. */
export class Stuck extends Data.TaggedError("Stuck") {}

/**
 * Runs an effect to its end and moves the clock whenever the engine has nothing left to do; fails as `Stuck` where
 * `patienceMs` did not suffice.
 */
export const drive =
  (faults: Pick<SqlFaults, "statements">) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | Stuck, R> =>
    Effect.scoped(Effect.gen(function*() {
      const fiber = yield* Effect.forkScoped(effect)
      let waited = 0
      while (waited <= patienceMs) {
        let quiet = 0
        let before = faults.statements()
        while (quiet < quietTurns) {
          yield* tick
          if (fiber.unsafePoll() !== null) return yield* Fiber.join(fiber)
          quiet = faults.statements() === before ? quiet + 1 : 0
          before = faults.statements()
        }
        const step = yield* untilNext
        yield* TestClock.adjust(step)
        waited += step
      }
      return yield* Effect.fail(new Stuck())
    }))

export interface Opened {
  readonly context: Context.Context<Engine | ContextBuilder>
  /** Moves the clock, so that whatever the end waits for comes. */
  readonly close: Effect.Effect<void, Stuck>
}

type EngineLayer = ReturnType<typeof engineIn>

/** An engine that the test closes. One that cannot start leaves nothing open. */
export const open = (
  layer: EngineLayer,
  faults: Pick<SqlFaults, "statements">
): Effect.Effect<Opened, Layer.Layer.Error<EngineLayer> | Stuck> =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const close = drive(faults)(Scope.close(scope, Exit.void))
    const context = yield* Effect.tapErrorCause(drive(faults)(Layer.buildWithScope(layer, scope)), () => close)
    return { context, close }
  })
