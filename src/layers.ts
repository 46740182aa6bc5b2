/**
 * Named compositions: which implementation stands behind each contract. The only file that imports every capability.
 * Each part is its own constant, so that an embedding program swaps one and keeps the rest.
 */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { type Otlp, Settings, type SettingsShape } from "./config/Settings.ts"
import * as SettingsLoader from "./config/SettingsLoader.ts"
import type { ContextBuilder, ContextSource } from "./context/ContextBuilder.ts"
import * as ContextBuilderLayer from "./context/ContextBuilderLayer.ts"
import type { Database, DatabaseError } from "./journal/Database.ts"
import * as DatabaseBackup from "./journal/DatabaseBackup.ts"
import * as DatabaseFile from "./journal/DatabaseFile.ts"
import * as DatabaseInspection from "./journal/DatabaseInspection.ts"
import * as DatabaseSqlite from "./journal/DatabaseSqlite.ts"
import type { Journal } from "./journal/Journal.ts"
import * as JournalMemory from "./journal/JournalMemory.ts"
import * as JournalSql from "./journal/JournalSql.ts"
import * as Retention from "./journal/Retention.ts"
import * as OwnProviders from "./provider/OwnProviders.ts"
import type { ProviderRegistry } from "./provider/ProviderRegistry.ts"
import * as RegistryConfig from "./provider/RegistryConfig.ts"
import * as Redaction from "./telemetry/Redaction.ts"
import * as IdGenerator from "./turn/IdGenerator.ts"
import { TurnRuntime } from "./turn/TurnRuntime.ts"
import * as TurnRuntimeLayer from "./turn/TurnRuntimeLayer.ts"
import { TurnSettings } from "./turn/TurnSettings.ts"

/** Settings from the environment and the file that `TURNSTREAM_CONFIG` names. */
export const layerSettings = SettingsLoader.layer

/** Whether any provider needs more than the deterministic one does. */
const needsAdapters = ({ network, providers }: SettingsShape): boolean =>
  network.live || providers.some(({ family }) => family === "replay")

/** Providers as the settings say; what reaches the network is loaded only where it is allowed to. */
export const layerRegistry: Layer.Layer<ProviderRegistry, never, Settings> = Layer.unwrapEffect(
  Effect.flatMap(Settings, (settings) =>
    needsAdapters(settings)
      ? Effect.map(Effect.promise(() => import("./provider/LiveAdapters.ts")), ({ layer }) => layer)
      : Effect.succeed(RegistryConfig.layer()))
)

/** The same, with providers of the program's own before them. */
export const layerProviders = (own: ReadonlyArray<OwnProviders.OwnProvider>) =>
  Layer.provide(OwnProviders.layer(own), layerRegistry)

const exporting = (otlp: Otlp, known: { readonly settings?: SettingsShape } = {}): Layer.Layer<never> =>
  Layer.unwrapEffect(
    Effect.map(
      Effect.zip(
        Effect.promise(() => Promise.all([import("./telemetry/Otlp.ts"), import("./http/Version.ts")])),
        Redaction.fromSettings({ ...known, otlp })
      ),
      ([[{ layer }, { version }], redaction]) => layer(otlp, { version, redaction })
    )
  )

/**
 * Exports traces, metrics and logs of what it is provided to. It brings a tracer, which gets the engine's spans and leaves
 * all others to the one that is there, and a logger beside those that are there. Gauges that nobody announces (budgets,
 * size of the database) are as old as the last `TurnRuntime.measure`: repeat it beside.
 */
export const layerExport = (otlp: Otlp): Layer.Layer<never> => exporting(otlp)

/** The same, if the settings name a collector; else nothing of it is loaded, and no span is made. */
export const layerTelemetry: Layer.Layer<never, never, Settings> = Layer.unwrapEffect(
  Effect.map(
    Settings,
    (settings) => settings.otlp === undefined ? Layer.setTracerEnabled(false) : exporting(settings.otlp, { settings })
  )
)

/** Context from instructions, history and message, and from what a program's own sources give for the slots between. */
export const layerSources = (sources: ReadonlyArray<ContextSource>): Layer.Layer<ContextBuilder> =>
  Layer.provide(ContextBuilderLayer.layer, ContextBuilderLayer.layerSources(sources))

/** Without any: no memory, skills, team or attachments. */
export const layerContext: Layer.Layer<ContextBuilder> = layerSources([])

/** The database in `settings.dataDir`, owned by this process. */
export const layerDatabase = (
  options: { readonly takeOver: boolean }
): Layer.Layer<Database, DatabaseError, Settings> =>
  Layer.unwrapEffect(
    Effect.map(Settings, ({ dataDir, durability }) => DatabaseSqlite.layer({ dataDir, durability, ...options }))
  )

/** The database for reading only: another process may own it. */
export const layerReadOnly: Layer.Layer<Journal | Database, DatabaseError, Settings> = Layer.provideMerge(
  JournalSql.layer,
  Layer.unwrapEffect(Effect.map(Settings, ({ dataDir }) => DatabaseSqlite.layerReadOnly({ dataDir })))
)

/** Facts about the database in a folder, whoever owns it. */
export const inspectDatabase = DatabaseInspection.inspect

/** Copies the database in a folder to a new file, whoever owns it, and checks the copy. */
export const backupDatabase = (dataDir: string, destination: string) =>
  DatabaseBackup.backup(DatabaseFile.pathIn(dataDir), destination)

const turnSettings = Effect.gen(function*() {
  const settings = yield* Settings
  const { captureContent, logLevel } = settings.telemetry
  const content = captureContent
    ? (yield* Redaction.fromSettings({ settings, otlp: settings.otlp })).text
    : undefined
  return { ...settings, telemetry: { content, logLevel, spans: yield* FiberRef.get(FiberRef.currentTracerEnabled) } }
})

/** The turn engine on any journal, registry and context builder. */
export const layerRuntime = Layer.provide(
  TurnRuntimeLayer.layer,
  Layer.merge(IdGenerator.layer, Layer.effect(TurnSettings, turnSettings))
)

/** What an engine gives. */
export type Engine = TurnRuntime | Journal | ProviderRegistry | ContextBuilder

/** What a program may put in the place of the engine's own. The journal is swapped by building `layerRuntime` on another. */
export interface Parts {
  /** Absent: `layerRegistry`. */
  readonly registry?: Layer.Layer<ProviderRegistry, never, Settings>
  /** Absent: `layerContext`. */
  readonly context?: Layer.Layer<ContextBuilder, never, Settings>
}

const engineOn = <E, R>(
  journal: Layer.Layer<Journal, E, R>,
  { context = layerContext, registry = layerRegistry }: Parts
) => layerRuntime.pipe(Layer.provideMerge(Layer.mergeAll(journal, registry, context)))

/** For a collector, which nobody asks for metrics: gauges that only a look brings up to date are looked at for it. */
const layerGauges = Layer.scopedDiscard(
  Effect.gen(function*() {
    const { otlp } = yield* Settings
    const { measure } = yield* TurnRuntime
    if (otlp !== undefined) yield* Effect.forkScoped(Effect.repeat(measure, Schedule.spaced("10 seconds")))
  })
)

/** The engine on SQLite. */
export const layerEngine = (options: { readonly takeOver: boolean }, parts: Parts = {}) =>
  Layer.provideMerge(
    Layer.merge(Retention.layer, layerGauges),
    engineOn(Layer.provide(JournalSql.layer, layerDatabase(options)), parts)
  )

/** Settings for a program that tells of the ends of its turns itself. */
export const layerQuiet: Layer.Layer<Settings, never, Settings> = Layer.effect(
  Settings,
  Effect.map(Settings, (settings) => ({ ...settings, telemetry: { ...settings.telemetry, logLevel: "none" as const } }))
)

/** The engine on SQLite with the deterministic provider, no environment and no file read: a laptop, an embedding program. */
export const layerLocal = (settings: SettingsLoader.Overrides & { readonly dataDir: string }, parts: Parts = {}) =>
  Layer.provideMerge(layerEngine({ takeOver: false }, parts), SettingsLoader.layerWith(settings))

/** The engine in memory, for tests: time and chance are the test's. */
export const layerTest = (settings: SettingsLoader.Overrides = {}, parts: Parts = {}) =>
  Layer.provideMerge(engineOn(JournalMemory.layer, parts), SettingsLoader.layerWith(settings))
