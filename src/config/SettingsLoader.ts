/**
 * Settings from the environment and the JSON file that `TURNSTREAM_CONFIG` names. With neither, everything has a default.
 *
 * A file that is named but missing, unreadable, malformed or wrong stops the start: settings that a person wrote down are
 * never replaced by defaults in silence. Whatever is wrong is one `SettingsError` with the path of the fault. No error
 * repeats a value, because a key pasted into the wrong place would then reach a log. Relative paths start at the working
 * directory; an empty variable counts as absent. The file is read once, at most 1 MiB of it.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { readFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { pathText, schemaFault } from "./SchemaFault.ts"
import { ConfigFile, isLoopback, type Limits, Settings, type SettingsShape } from "./Settings.ts"
import { firstFault } from "./SettingsRules.ts"

/** Every variable that is read here. The configuration's `apiKeyEnv` names more, read when a provider is called. */
export const environmentVariables = [
  "TURNSTREAM_HOST",
  "TURNSTREAM_PORT",
  "TURNSTREAM_DATA_DIR",
  "TURNSTREAM_DURABILITY",
  "TURNSTREAM_TOKEN",
  "TURNSTREAM_CONFIG",
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_HEADERS",
  "OTEL_SERVICE_NAME",
  "OTEL_RESOURCE_ATTRIBUTES"
] as const
type Variable = (typeof environmentVariables)[number]

const fileBytesMax = 1_048_576

export class SettingsError extends Schema.TaggedError<SettingsError>("turnstream/SettingsError")("SettingsError", {
  /** The variable, or the file, that holds the fault. */
  source: Schema.String,
  /** Within the file, for example `providers[1].models[0].contextWindow`; empty for the whole. */
  path: Schema.String,
  reason: Schema.String,
  /** What to do next. */
  next: Schema.String
}) {
  override get message() {
    return `${this.source}: ${this.path === "" ? "" : `${this.path}: `}${this.reason}. ${this.next}`
  }
}

/** The variable's text; undefined where it is absent or empty. */
const read = (name: Variable) =>
  Config.option(Config.string(name)).pipe(
    Effect.map((value) => Option.getOrUndefined(Option.filter(value, (text) => text.trim() !== ""))?.trim()),
    Effect.mapError(() =>
      new SettingsError({ source: name, path: "", reason: "cannot be read", next: "Set it to plain text or unset it." })
    )
  )

const wrong = (source: Variable, reason: string, next: string) =>
  Effect.fail(new SettingsError({ source, path: "", reason, next }))

const port = Effect.flatMap(read("TURNSTREAM_PORT"), (text) =>
  text === undefined
    ? Effect.succeed(4790)
    : /^\d{1,5}$/.test(text) && Number(text) <= 65_535
    ? Effect.succeed(Number(text))
    : wrong("TURNSTREAM_PORT", "is not a port number", "Use 0 to 65535; 0 takes any free port."))

const durability: Effect.Effect<SettingsShape["durability"], SettingsError> = Effect.flatMap(
  read("TURNSTREAM_DURABILITY"),
  (text) =>
    text === undefined || text === "full" || text === "relaxed"
      ? Effect.succeed(text ?? "full")
      : wrong("TURNSTREAM_DURABILITY", "is neither full nor relaxed", "Use full, or relaxed to trade safety for speed.")
)

/** What a client can send after `Authorization: Bearer`. */
const token = Effect.flatMap(
  read("TURNSTREAM_TOKEN"),
  (text) =>
    text === undefined || /^[\x21-\x7e]{1,1024}$/.test(text)
      ? Effect.succeed(text === undefined ? undefined : Redacted.make(text))
      : wrong(
        "TURNSTREAM_TOKEN",
        "cannot be sent in a header",
        "Use 1 to 1024 printable ASCII characters without spaces, for example from: openssl rand -hex 32"
      )
)

/** `name=value` pairs between commas, values percent-encoded, as OpenTelemetry has it. */
const pairsOf = (text: string): ReadonlyArray<readonly [name: string, value: string]> | undefined => {
  const pairs: Array<readonly [string, string]> = []
  for (const pair of text.split(",").map((part) => part.trim()).filter((part) => part !== "")) {
    const at = pair.indexOf("=")
    const value = decoded(pair.slice(at + 1).trim())
    if (at < 1 || value === undefined) return undefined
    pairs.push([pair.slice(0, at).trim(), value])
  }
  return pairs
}

const headersOf = (text: string): Readonly<Record<string, string>> | undefined => {
  const pairs = pairsOf(text)
  return pairs?.every(([name, value]) => /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name) && /^[\x20-\x7e]*$/.test(value))
    ? Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value]))
    : undefined
}

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const endpointFault = (text: string): string | undefined => {
  if (!URL.canParse(text)) return "is not an http or https URL"
  const url = new URL(text)
  if (url.protocol !== "http:" && url.protocol !== "https:") return "is not an http or https URL"
  if (url.username !== "" || url.password !== "") return "holds credentials"
  return url.search !== "" || url.hash !== "" ? "holds a query" : undefined
}

const otlp: Effect.Effect<SettingsShape["otlp"], SettingsError> = Effect.gen(function*() {
  const endpoint = yield* read("OTEL_EXPORTER_OTLP_ENDPOINT")
  const text = yield* read("OTEL_EXPORTER_OTLP_HEADERS")
  if (endpoint === undefined) return undefined
  const fault = endpointFault(endpoint)
  if (fault !== undefined) {
    return yield* wrong(
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      fault,
      "Use the collector's base address, for example http://127.0.0.1:4318, and OTEL_EXPORTER_OTLP_HEADERS for a key."
    )
  }
  const headers = headersOf(text ?? "")
  if (headers === undefined) {
    return yield* wrong(
      "OTEL_EXPORTER_OTLP_HEADERS",
      "is not a list of headers",
      "Write name=value pairs between commas, values percent-encoded, for example authorization=Bearer%20abc."
    )
  }
  const name = yield* read("OTEL_SERVICE_NAME")
  const attributes = pairsOf((yield* read("OTEL_RESOURCE_ATTRIBUTES")) ?? "")
  if (attributes === undefined) {
    return yield* wrong(
      "OTEL_RESOURCE_ATTRIBUTES",
      "is not a list of attributes",
      "Write name=value pairs between commas, values percent-encoded, for example deployment.environment.name=test."
    )
  }
  return {
    endpoint: endpoint.replace(/\/+$/, ""),
    headers: Redacted.make(headers),
    resource: { ...Object.fromEntries(attributes), ...(name === undefined ? {} : { "service.name": name }) }
  }
})

/** Where the file does not fit its schema. */
const shapeError = (source: string, error: ParseResult.ParseError): SettingsError => {
  const fault = schemaFault(error)
  const [reason, next] = fault.kind === "unexpected"
    ? ["is not a setting", "Remove it, or correct its name: docs/configuration.md lists every setting."]
    : fault.kind === "missing"
    ? ["is missing", "Add it: docs/configuration.md lists every setting."]
    : [fault.reason, "Correct it: docs/configuration.md lists every setting."]
  return new SettingsError({ source, path: fault.path, reason, next })
}

/** The parser's own message quotes the file; this says only where it stopped. */
const jsonFault = (source: string, text: string, error: unknown): SettingsError => {
  const position = /position (\d+)/.exec(String(error))?.[1]
  const before = text.slice(0, Number(position ?? 0)).split("\n")
  const where = position === undefined ? "" : ` (line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1})`
  return new SettingsError({
    source,
    path: "",
    reason: `is not valid JSON${where}`,
    next: "Correct it; JSON takes no comments and no trailing commas."
  })
}

const decodeFile = Schema.decodeUnknown(ConfigFile, { onExcessProperty: "error", errors: "all" })

/** Decodes and checks the text of a configuration file; `source` names it in errors. */
export const parse = Effect.fn("Settings.parse")(function*(source: string, text: string) {
  const json = yield* Effect.try({
    try: (): unknown => JSON.parse(text.replace(/^\uFEFF/, "")),
    catch: (error) => jsonFault(source, text, error)
  })
  const file = yield* decodeFile(json).pipe(Effect.mapError((error) => shapeError(source, error)))
  const fault = firstFault(file)
  if (fault === undefined) return file
  return yield* new SettingsError({ source, path: pathText(fault.path), reason: fault.reason, next: fault.next })
})

const readConfigFile = Effect.fn("Settings.readFile")(function*(path: string) {
  const bytes = yield* Effect.tryPromise({
    try: (signal) => readFile(path, { signal }),
    catch: (error) => {
      const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error"
      return new SettingsError({
        source: path,
        path: "",
        reason: code === "ENOENT" ? "does not exist" : `cannot be read (${code})`,
        next: "TURNSTREAM_CONFIG names it: correct that, or leave it out to run on the defaults."
      })
    }
  })
  if (bytes.length > fileBytesMax) {
    return yield* new SettingsError({
      source: path,
      path: "",
      reason: `is larger than ${fileBytesMax} bytes`,
      next: "Check that TURNSTREAM_CONFIG names the configuration file."
    })
  }
  return yield* parse(path, bytes.toString("utf8"))
})

/** Reads and checks every setting. */
export const load: Effect.Effect<SettingsShape, SettingsError> = Effect.gen(function*() {
  const host = ((yield* read("TURNSTREAM_HOST")) ?? "127.0.0.1").replace(/^\[(.*)\]$/, "$1")
  const settings = {
    host,
    port: yield* port,
    dataDir: resolve((yield* read("TURNSTREAM_DATA_DIR")) ?? ".turnstream"),
    durability: yield* durability,
    token: yield* token,
    otlp: yield* otlp
  }
  if (!isLoopback(host) && settings.token === undefined) {
    return yield* wrong(
      "TURNSTREAM_HOST",
      "can be reached from other machines and TURNSTREAM_TOKEN is not set",
      "Set TURNSTREAM_TOKEN (for example from: openssl rand -hex 32), or listen on 127.0.0.1."
    )
  }
  const path = yield* read("TURNSTREAM_CONFIG")
  const file = yield* path === undefined ? parse("defaults", "{}") : readConfigFile(resolve(path))
  return { ...file, ...settings }
}).pipe(Effect.withSpan("Settings.load"))

export const layer: Layer.Layer<Settings, SettingsError> = Layer.effect(Settings, load)

/** What differs from the defaults; absent limits keep theirs. */
export interface Overrides extends Partial<Omit<SettingsShape, "limits">> {
  readonly limits?: Partial<Limits>
}

/** The defaults with changes, without any file or variable, on a free port: for programs that embed, and for tests. */
export const layerWith = (overrides: Overrides = {}): Layer.Layer<Settings> => {
  const defaults = Schema.decodeSync(ConfigFile)({})
  return Layer.succeed(Settings, {
    ...defaults,
    host: "127.0.0.1",
    port: 0,
    dataDir: join(tmpdir(), "turnstream-test"),
    durability: "full",
    token: undefined,
    otlp: undefined,
    // a program that embeds is told of its turns by their streams
    telemetry: { captureContent: false, logLevel: "error" },
    ...overrides,
    limits: { ...defaults.limits, ...overrides.limits }
  })
}
