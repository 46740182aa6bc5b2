/**
 * The contract of a wire format: what one call of a provider of this family looks like, and how its answer is read.
 * Everything here but `authorize` is pure; `LiveProvider.ts` does the rest (keys, the socket, timeouts, failures).
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Family } from "../config/Settings.ts"
import type { ProviderRequest } from "./Provider.ts"
import type { ProviderFacts } from "./ProviderFacts.ts"
import type { MakeDecoder } from "./wire/Decoder.ts"

export interface CallInput {
  readonly request: ProviderRequest
  readonly facts: Pick<ProviderFacts, "baseUrl" | "region" | "capabilities" | "quirks">
  /** Tokens that the answer may have: what was asked for, else what the model is known to give. */
  readonly maxOutputTokens: number
  /** Tokens of the window that the context was built for. */
  readonly contextWindow: number
}

export interface Call {
  /** Absolute. */
  readonly url: string
  /** Beside content-type; no key. Lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** JSON to be. */
  readonly body: Readonly<Record<string, unknown>>
  /** White space that was cut off the end of an answer to continue, where the vendor takes none there. */
  readonly trimmed?: string
}

/** An address under the provider's own. */
export const under = (baseUrl: string | undefined, path: string): string =>
  `${(baseUrl ?? "").replace(/\/+$/, "")}${path}`

/** A call as it goes over the wire, before it carries a key. */
export interface Unsigned {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** JSON. */
  readonly body: string | Uint8Array
}

/** The values of the variables that the configuration names, by name; read for this one call. */
export type Keys = ReadonlyMap<string, Redacted.Redacted>

export interface WireFamily {
  readonly family: Family
  readonly encode: (input: CallInput) => Call
  /** The headers that carry the key, or none where no key is configured. */
  readonly authorize: (
    call: Unsigned,
    keys: Keys,
    facts: Pick<ProviderFacts, "apiKeyEnv" | "region">
  ) => Effect.Effect<Readonly<Record<string, string>>>
  readonly decoder: MakeDecoder
}

/** The key as `Authorization: Bearer`, where one is configured. */
export const bearer: WireFamily["authorize"] = (_call, keys, { apiKeyEnv }) => {
  const key = apiKeyEnv === undefined ? undefined : keys.get(apiKeyEnv)
  return Effect.succeed(key === undefined ? {} : { authorization: `Bearer ${Redacted.value(key)}` })
}
