/**
 * Flags that stand for variables of the environment: a flag that is given wins. Everything behind the command line still
 * reads the one `ConfigProvider`, and an error about such a value names the flag, not a variable nobody set.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { SettingsError } from "../config/SettingsLoader.ts"

export interface Flags {
  readonly host?: string | undefined
  readonly port?: string | undefined
  readonly dataDir?: string | undefined
  readonly config?: string | undefined
}

const variables: Readonly<Record<keyof Flags, readonly [flag: string, variable: string]>> = {
  host: ["--host", "TURNSTREAM_HOST"],
  port: ["--port", "TURNSTREAM_PORT"],
  dataDir: ["--data-dir", "TURNSTREAM_DATA_DIR"],
  config: ["--config", "TURNSTREAM_CONFIG"]
}

export interface Given {
  readonly flag: string
  readonly variable: string
  readonly value: string
}

/** The flags that were given. */
export const given = (flags: Flags): ReadonlyArray<Given> =>
  (Object.keys(variables) as ReadonlyArray<keyof Flags>).flatMap((name) => {
    const value = flags[name]
    const [flag, variable] = variables[name]
    return value === undefined ? [] : [{ flag, variable, value }]
  })

/** Runs an effect with the flags over the environment. */
export const over = (flags: Flags) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const entries = given(flags)
  if (entries.length === 0) return effect
  const provider = ConfigProvider.fromMap(new Map(entries.map(({ value, variable }) => [variable, value])))
  return effect.pipe(
    Effect.withConfigProvider(ConfigProvider.orElse(provider, () => ConfigProvider.fromEnv())),
    Effect.mapError((error) => {
      if (!(error instanceof SettingsError)) return error
      const named = (text: string) =>
        entries.reduce((words, { flag, variable }) => words.replaceAll(variable, flag), text)
      const { next, path, reason, source } = error
      // the same class, so the same E
      return new SettingsError({
        source: named(source),
        path,
        reason: named(reason),
        next: named(next)
      }) as typeof error
    })
  )
}
