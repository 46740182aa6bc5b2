/**
 * What the commands need of the rest of the program. `main.ts` fills it from `layers.ts` and the HTTP server, and loads
 * those only when a command asks, so that `--help` and a wrong flag cost no start of an engine.
 */
import type { HttpClient } from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Settings } from "../config/Settings.ts"
import type { SettingsError } from "../config/SettingsLoader.ts"
import type { TurnNotFound } from "../domain/RequestError.ts"
import type { DatabaseError } from "../journal/Database.ts"
import type { Journal, WriteError } from "../journal/Journal.ts"
import type { ProviderRegistry } from "../provider/ProviderRegistry.ts"
import type { TurnRuntime } from "../turn/TurnRuntime.ts"

/** A failure that only its tag and its message are known of here. */
export interface Failure {
  readonly _tag: string
  readonly message: string
}

/** Where a service answers. */
export class Served extends Context.Tag("turnstream/cli/Served")<Served, { readonly url: string }>() {}

export type StartError = DatabaseError | WriteError | TurnNotFound

/** Facts about a database file, whoever owns it. */
export interface DatabaseReport {
  readonly path: string
  readonly schemaVersion: number
  readonly newestVersion: number
  readonly owner:
    | {
      readonly pid: number
      readonly host: string
      readonly since: string
      readonly heartbeatAt: string
      readonly alive: boolean
    }
    | undefined
  /** Empty where SQLite's quick check finds nothing. */
  readonly faults: ReadonlyArray<string>
}

export interface Program {
  readonly version: string
  /** Reads settings, opens everything, listens. Its end drains the turns and ends all streams. */
  readonly serve: (options: { readonly takeOver: boolean }) => Layer.Layer<Served | Journal, Failure>
  readonly settings: Layer.Layer<Settings, SettingsError>
  /** The engine on the database of the settings, which this process then owns. */
  readonly engine: Layer.Layer<TurnRuntime | Journal, StartError, Settings>
  /** The journal of a database that any process may own. */
  readonly readOnly: Layer.Layer<Journal, DatabaseError, Settings>
  readonly registry: Layer.Layer<ProviderRegistry, never, Settings>
  readonly inspect: (dataDir: string) => Effect.Effect<DatabaseReport, DatabaseError>
  readonly backup: (
    dataDir: string,
    destination: string
  ) => Effect.Effect<{ readonly destination: string; readonly bytes: number }, Failure>
  readonly httpClient: Layer.Layer<HttpClient>
}
