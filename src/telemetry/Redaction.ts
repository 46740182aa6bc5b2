/**
 * Takes secrets out of what is logged and exported: their exact values, wherever this process got them from, and what
 * looks like a key although nobody named it. Every log line and everything that is exported passes here, whoever wrote it.
 *
 * A value of fewer than 8 characters is no secret but a word; it would be masked in any text. Values are also masked as
 * they stand in JSON and in an address. What is cut in the middle cannot be known again, so texts are redacted first and
 * cut later. A log line costs some 10 µs with all of its texts and 6 secrets (`npm run bench:log`).
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Catalogue from "../config/Catalogue.ts"
import type { Otlp, SettingsShape } from "../config/Settings.ts"
import { keyLike, mask } from "../domain/Secrets.ts"

export interface Redaction {
  readonly text: (text: string) => string
  /** Characters of the longest that is masked: so much at the end of a text that was cut may be a part of it. */
  readonly longest: () => number
}

const secretCharsMin = 8
/** Characters of a key or header that only its look tells. */
const lookCharsMax = 256

/** A bearer token, and the value of a header that holds one, plain or as JSON, whatever its scheme. */
const bearer = /\b(bearer[ +]|bearer%20)[A-Za-z0-9._~+/*=-]{6,}/gi
const header =
  /((?:authorization|x-api-key|api-key|cookie)(?:\\*["'])*\s*[:=]\s*(?:\\*["'])*)(?:[a-z0-9-]+\s+)?[^\s\\"',;{}]+/gi

/** Between a header's name and its value; most texts have none. */
const separator = /[\s:=+%]/

/** A lone surrogate has no form in an address. */
const forms = (secret: string): ReadonlyArray<string> => [
  secret,
  JSON.stringify(secret).slice(1, -1),
  ...(/\p{Surrogate}/u.test(secret) ? [] : [encodeURIComponent(secret)])
]

/** Masks these values, which are first asked for with the first text. */
export const make = (values: () => Iterable<string>): Redaction => {
  let known: { readonly secrets: ReadonlyArray<string>; readonly longest: number } | undefined
  const look = () => {
    const long = Array.from(values()).filter(({ length }) => length >= secretCharsMin).flatMap(forms)
    // the longest first: one secret may be a part of another
    const secrets = [...new Set(long)].sort((a, b) => b.length - a.length)
    return { secrets, longest: Math.max(lookCharsMax, secrets[0]?.length ?? 0) }
  }
  return {
    longest: () => (known ??= look()).longest,
    text: (text) => {
      if (text.length < secretCharsMin) return text
      known ??= look()
      let shown = text
      for (const secret of known.secrets) if (shown.includes(secret)) shown = shown.replaceAll(secret, mask)
      if (separator.test(shown)) shown = shown.replace(bearer, `$1${mask}`).replace(header, `$1${mask}`)
      return shown.replace(keyLike, mask)
    }
  }
}

/** A header's value, and what follows its scheme: whoever checks it may repeat only that. */
const headerSecrets = (value: string): ReadonlyArray<string> => [value, value.replace(/^\S+?(?:\s|%20)+/, "")]

const headersVariable = "OTEL_EXPORTER_OTLP_HEADERS"

/** Variables that hold a secret if they are set: all that the catalogue knows, and those that the configuration names. */
const namesOf = (settings?: SettingsShape): ReadonlyArray<string> => [
  ...new Set([
    "TURNSTREAM_TOKEN",
    headersVariable,
    Catalogue.sessionEnv,
    ...Catalogue.signingEnv,
    ...Catalogue.entries.flatMap(({ env }) => env),
    ...(settings?.providers ?? []).flatMap(({ apiKeyEnv }) => apiKeyEnv ?? [])
  ])
]

const inVariable = (name: string, value: string): ReadonlyArray<string> =>
  name === headersVariable
    ? value.split(",").flatMap((pair) => headerSecrets(pair.slice(pair.indexOf("=") + 1).trim()))
    : [value, value.trim()]

/** Before settings are known: what the variables hold that are known without them. */
export const fromVariables = (env: Readonly<Record<string, string | undefined>>): Redaction =>
  make(() => namesOf().flatMap((name) => inVariable(name, env[name] ?? "")))

/** What settings hold and their variables do; `otlp` may come from a program that embeds the engine. */
export const fromSettings = (
  { otlp, settings }: { readonly settings?: SettingsShape; readonly otlp: Otlp | undefined }
): Effect.Effect<Redaction> =>
  Effect.gen(function*() {
    const read = (name: string) =>
      Config.option(Config.string(name)).pipe(
        Effect.orElseSucceed(Option.none<string>),
        Effect.map(Option.match({ onNone: () => [], onSome: (value) => inVariable(name, value) }))
      )
    const values = yield* Effect.forEach(namesOf(settings), read)
    return make(() => [
      ...values.flat(),
      ...(settings?.token === undefined ? [] : [Redacted.value(settings.token)]),
      ...Object.values(otlp === undefined ? {} : Redacted.value(otlp.headers)).flatMap(headerSecrets)
    ])
  })
