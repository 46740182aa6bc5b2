/**
 * `doctor`: is everything in order, and if not, what to do. Configuration with where each setting came from, providers
 * with their readiness, the database with its owner and an integrity check, budgets with what is used of them, prices,
 * telemetry. Reads only; no network but for a probe that was asked for, no ownership, no secret shown. The exit code is
 * that of the first thing that is wrong.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { readFile } from "node:fs/promises"
import { ConfigFile, Settings, type SettingsShape } from "../config/Settings.ts"
import type { SettingsError } from "../config/SettingsLoader.ts"
import type { DatabaseError } from "../journal/Database.ts"
import { ProviderRegistry } from "../provider/ProviderRegistry.ts"
import { budgetFindings, pricesFinding, telemetryFindings } from "./DoctorTelemetry.ts"
import { fact, type Finding, fine, section, wrong } from "./Finding.ts"
import { type Flags, given } from "./Flags.ts"
import { Output } from "./Output.ts"
import { probe } from "./Probe.ts"
import type { DatabaseReport, Program } from "./Program.ts"
import { Reported } from "./Report.ts"

const variables: ReadonlyArray<readonly [variable: string, shown: (settings: SettingsShape) => string]> = [
  ["TURNSTREAM_HOST", ({ host }) => host],
  ["TURNSTREAM_PORT", ({ port }) => String(port)],
  ["TURNSTREAM_DATA_DIR", ({ dataDir }) => dataDir],
  ["TURNSTREAM_DURABILITY", ({ durability }) => durability],
  ["TURNSTREAM_TOKEN", ({ token }) => token === undefined ? "none" : "set"]
]

const variable = (name: string): Effect.Effect<string | undefined> =>
  Effect.match(Config.option(Config.string(name)), {
    onFailure: () => undefined,
    onSuccess: (value) => Option.getOrUndefined(Option.filter(value, (text) => text.trim() !== ""))
  })

/** Leaves of nested settings by their paths; arrays count as leaves. */
const leaves = (value: unknown, path = ""): ReadonlyArray<readonly [path: string, value: unknown]> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === "" ? key : `${path}.${key}`))
    : [[path, value]]

const fileKeys = Object.keys(ConfigFile.fields) as ReadonlyArray<keyof typeof ConfigFile.fields>

const shownValue = (value: unknown): string => Array.isArray(value) ? `${value.length} entries` : String(value)

/** The file passed its check when the settings were loaded: what it names is told from its own JSON. */
const namedInFile = (path: string): Effect.Effect<ReadonlySet<string>> =>
  Effect.tryPromise(() => readFile(path, "utf8")).pipe(
    Effect.map((text): unknown => JSON.parse(text.replace(/^\uFEFF/, ""))),
    Effect.match({
      onFailure: () => new Set<string>(),
      onSuccess: (json) => new Set(leaves(json).map(([key]) => key))
    }),
    Effect.catchAllDefect(() => Effect.succeed(new Set<string>()))
  )

const settingsFindings = Effect.fnUntraced(function*(flags: Flags) {
  const settings = yield* Settings
  const flagOf = new Map(given(flags).map(({ flag, variable }) => [variable, flag]))
  const source = (name: string) =>
    Effect.map(variable(name), (value) => flagOf.get(name) ?? (value === undefined ? "default" : name))
  const lines = yield* Effect.forEach(
    variables,
    ([name, shown]) => Effect.map(source(name), (from) => fact(`${name} = ${shown(settings)} (${from})`))
  )
  const file = yield* variable("TURNSTREAM_CONFIG")
  const named = file === undefined ? new Set<string>() : yield* namedInFile(file)
  const values = leaves(Object.fromEntries(fileKeys.map((key) => [key, settings[key]])))
  return [
    ...lines,
    fact(`TURNSTREAM_CONFIG = ${file ?? "none"} (${yield* source("TURNSTREAM_CONFIG")})`),
    ...values.map(([path, value]) => fact(`${path} = ${shownValue(value)} (${named.has(path) ? "file" : "default"})`))
  ]
})

const readinessText = {
  ready: "ready",
  blocked: "blocked",
  unproven: "unproven (nothing stands in the way; not called yet, --probe calls it once)"
} as const

const providerFindings = Effect.gen(function*() {
  const registry = yield* ProviderRegistry
  const found = yield* registry.diagnostics
  return found.map(({ defaultModel, env, id, readiness, reason }): Finding => {
    const isDefault = id === registry.defaults.provider
    const variables = env.map(({ name, present }) => `${name} ${present ? "set" : "not set"}`).join(", ")
    const text = `${id}${isDefault ? " (default)" : ""}: ${readinessText[readiness]}${
      defaultModel === undefined ? "" : `, model ${defaultModel}`
    }${variables === "" ? "" : `, ${variables}`}${reason === undefined ? "" : `: ${reason}`}`
    if (readiness !== "blocked") return fine(text)
    return isDefault ? wrong(text, "ProviderBlocked") : fact(text)
  })
})

const probeFinding = ({ model, provider }: Probed) =>
  probe(provider, model).pipe(
    Effect.match({ onSuccess: fine, onFailure: (error) => wrong(error.message, error._tag) }),
    Effect.map((finding) => [finding])
  )

const ownerText = ({ owner }: DatabaseReport): string =>
  owner === undefined
    ? "owner: none"
    : `owner: process ${owner.pid} on host ${owner.host}, since ${owner.since}, last heartbeat ${owner.heartbeatAt}${
      owner.alive ? "" : " (gone: the next start takes over)"
    }`

const databaseFindings = (
  inspected: Either.Either<DatabaseReport, DatabaseError>,
  { durability }: SettingsShape
): ReadonlyArray<Finding> =>
  Either.match(inspected, {
    onLeft: (error) =>
      error.kind === "missing"
        ? [fact(`${error.path}: not there yet; the first start makes it`)]
        : [wrong(error.message, error._tag)],
    onRight: (report) => [
      fine(report.path),
      fine(
        report.schemaVersion === report.newestVersion
          ? `schema version ${report.schemaVersion}`
          : `schema version ${report.schemaVersion}; the next start migrates it to ${report.newestVersion} and keeps a copy`
      ),
      fact(`durability: ${durability}`),
      fact(ownerText(report)),
      report.faults.length === 0
        ? fine("integrity: ok")
        : wrong(
          `integrity: ${
            report.faults.slice(0, 5).join("; ")
          }. Restore a backup: docs/operations.md, "Backup and restore".`,
          "DatabaseError"
        ),
      fact(
        "content: not checked here; turnstream inspect --verify compares every turn, and the usage ledger, with the events"
      )
    ]
  })

/** The provider to call, if any, and the model where it is not the default. */
export interface Probed {
  readonly provider: string
  readonly model: string | undefined
}

export const doctor = (program: Program, flags: Flags, probed: Probed | undefined) =>
  Effect.gen(function*() {
    const out = yield* Output
    const say = (title: string, findings: ReadonlyArray<Finding>) =>
      Effect.as(out.line(section(title, findings, out.style)), findings)
    yield* say("program", [fine(`turnstream ${program.version}, Node ${process.versions.node}`)])
    const found = yield* Effect.gen(function*() {
      const settings = yield* Settings
      const configuration = yield* say("configuration", yield* settingsFindings(flags))
      const providers = yield* say("providers", yield* Effect.provide(providerFindings, program.registry))
      const inspected = yield* Effect.either(program.inspect(settings.dataDir))
      const database = yield* say("database", databaseFindings(inspected, settings))
      const budgets = yield* budgetFindings(Either.match(inspected, {
        onLeft: ({ kind }) => kind === "missing" ? "none yet" : "unreadable",
        onRight: () => program.readOnly
      }))
      const spending = yield* say("spending", [...budgets, pricesFinding(settings)])
      const telemetry = yield* say("telemetry", telemetryFindings(settings))
      const answer = probed === undefined
        ? []
        : yield* say("probe", yield* Effect.provide(probeFinding(probed), program.registry))
      return [...configuration, ...providers, ...database, ...spending, ...telemetry, ...answer]
    }).pipe(
      Effect.provide(program.settings),
      Effect.catchTag(
        "SettingsError",
        (error: SettingsError) => say("configuration", [wrong(error.message, error._tag)])
      )
    )
    const faults = found.flatMap(({ fault }) => fault ?? [])
    const [first] = faults
    if (first === undefined) {
      const isQuiet = !found.some(({ kind }) => kind === "warning")
      return yield* out.line(isQuiet ? "All is well." : "Nothing is broken; look at what is marked with !.")
    }
    yield* out.note(`turnstream: ${faults.length} of ${found.length} checks failed; what to do stands beside each.`)
    return yield* new Reported({ code: first })
  })
