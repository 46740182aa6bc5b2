/**
 * The provider registry that configuration describes: configured providers in their order, then the catalogue's.
 *
 * Invariants: never a fallback, an id is found exactly or it is an error; readiness names variables and never holds a
 * value; variables are read at the time of the call, so that none is kept here. Settings are validated before they get
 * here (`config/SettingsLoader.ts`).
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { existsSync } from "node:fs"
import { type Family, Settings, type SettingsShape } from "../config/Settings.ts"
import { networkOff, noAdapter, ProviderBlocked, UnknownModel, UnknownProvider } from "../domain/TurnError.ts"
import * as Deterministic from "./Deterministic.ts"
import * as Egress from "./Egress.ts"
import { suggest } from "./Nearest.ts"
import type { Provider } from "./Provider.ts"
import { allFacts, modelOf, type ProviderFacts } from "./ProviderFacts.ts"
import { type ModelInfo, type ProviderDiagnostics, ProviderRegistry, type Resolved } from "./ProviderRegistry.ts"

/** How a provider of each family is made. A family without one is known and blocked. */
export type Adapters = { readonly [F in Family]?: (facts: ProviderFacts) => Provider }

const builtIn: Adapters = { deterministic: (facts) => Deterministic.make(facts.id) }

/** Whether a variable holds anything. Its value is looked at here and goes nowhere. */
const isPresent = (name: string): Effect.Effect<boolean> =>
  Config.option(Config.redacted(name)).pipe(
    Effect.map((value) => Option.isSome(value) && Redacted.value(value.value) !== ""),
    Effect.orElseSucceed(() => false)
  )

const needsBaseUrl: ReadonlySet<Family> = new Set(["openai-compatible", "openai-responses", "anthropic", "ollama"])

/** Families that call nobody. */
const offline: ReadonlySet<Family> = new Set(["deterministic", "replay"])

/** What speaks against its address, which no turn changes; undefined where nothing does. */
const addressFault = ({ baseUrl, family }: ProviderFacts, network: SettingsShape["network"]): string | undefined => {
  if (baseUrl === undefined) {
    return needsBaseUrl.has(family) ? "it has no baseUrl" : family === "bedrock" ? "it has no region" : undefined
  }
  if (!network.live || offline.has(family)) return undefined
  return URL.canParse(baseUrl)
    ? Egress.refusal(new URL(baseUrl), network.allowLoopback)
    : `its address ${baseUrl} is no URL`
}

/** Everything that stands in the way of a call, in the order in which a person would clear it. */
const obstacles = (
  { address, facts, provider }: Entry,
  missingEnv: ReadonlyArray<string>,
  network: SettingsShape["network"]
): ReadonlyArray<string> => {
  const reasons: Array<string> = []
  if (!network.live && !offline.has(facts.family)) {
    reasons.push(networkOff)
  }
  if (missingEnv.length > 0) {
    const variables = missingEnv.length === 1 ? "environment variable" : "environment variables"
    reasons.push(`${variables} ${missingEnv.join(" and ")} ${missingEnv.length === 1 ? "is" : "are"} not set`)
  }
  if (address !== undefined) reasons.push(address)
  if (facts.recording !== undefined && !existsSync(facts.recording)) {
    reasons.push(`its recording ${facts.recording} is not there`)
  }
  // adapters are loaded where they may be used
  if (provider === undefined && reasons.length === 0) reasons.push(`${noAdapter} for family "${facts.family}"`)
  return reasons
}

/** The model of that id, where the provider may be asked for it. */
const knownModel = (facts: ProviderFacts, modelId: string): ModelInfo | undefined =>
  facts.models.some((model) => model.id === modelId) || (facts.modelList === "any" && modelId !== "")
    ? modelOf(facts, modelId)
    : undefined

interface Entry {
  readonly facts: ProviderFacts
  readonly provider: Provider | undefined
  /** `addressFault` of it. */
  readonly address: string | undefined
}

/** The provider, calling `gave` when it gave something. Once a chunk, not a delta. */
const watched = (provider: Provider, gave: () => void): Provider => {
  const { id, pump, stream, usageSource } = provider
  return {
    id,
    usageSource,
    stream: (request) =>
      Stream.mapChunks(stream(request), (chunk) => {
        gave()
        return chunk
      }),
    ...(pump === undefined ? {} : {
      pump: (request, sink) =>
        pump(request, {
          take: (events) => {
            gave()
            return sink.take(events)
          }
        })
    })
  }
}

/** What stands in the way of a provider now. */
const examine = (entry: Entry, network: SettingsShape["network"]) =>
  Effect.gen(function*() {
    const env = yield* Effect.forEach(
      entry.facts.env,
      (name) => Effect.map(isPresent(name), (present) => ({ name, present }))
    )
    const missingEnv = env.filter(({ present }) => !present).map(({ name }) => name)
    return { env, missingEnv, reasons: obstacles(entry, missingEnv, network) }
  })

const make = (settings: SettingsShape, adapters: Adapters) =>
  Effect.gen(function*() {
    /** Live providers that gave at least one chunk since the start. */
    const proven = new Set<string>()

    const entries: ReadonlyArray<Entry> = allFacts(settings).map((facts) => {
      const provider = adapters[facts.family]?.(facts)
      return {
        facts,
        address: addressFault(facts, settings.network),
        provider: provider === undefined || offline.has(facts.family)
          ? provider
          : watched(provider, () => proven.add(facts.id))
      }
    })
    const known = entries.map(({ facts }) => facts.id)

    const defaultModel = (providerId: string): string =>
      (providerId === settings.defaults.provider ? settings.defaults.model : undefined) ??
        entries.find(({ facts }) => facts.id === providerId)?.facts.models[0]?.id ?? ""

    const resolve = Effect.fnUntraced(function*(providerId: string, modelId: string) {
      const entry = entries.find(({ facts }) => facts.id === providerId)
      if (entry === undefined) {
        return yield* new UnknownProvider({ providerId, known, ...suggest(providerId, known) })
      }
      const { facts, provider } = entry
      const model = knownModel(facts, modelId)
      const ids = facts.models.map(({ id }) => id)
      // an error with its stack is dear to make: only where it is needed
      const unknownModel = () => new UnknownModel({ providerId, modelId, known: ids, ...suggest(modelId, ids) })
      if (model === undefined && modelId !== "") return yield* unknownModel()
      const { missingEnv, reasons } = yield* examine(entry, settings.network)
      if (provider === undefined || reasons.length > 0) {
        return yield* new ProviderBlocked({ providerId, missingEnv, reason: reasons.join("; ") })
      }
      // nothing was named and there is no default: a fault only where a name would have helped
      if (model === undefined) return yield* unknownModel()
      const resolved: Resolved = { provider, model, capabilities: facts.capabilities, generation: facts.generation }
      return resolved
    })

    const diagnose = Effect.fnUntraced(function*(entry: Entry) {
      const { facts } = entry
      const { env, reasons } = yield* examine(entry, settings.network)
      const called = offline.has(facts.family) || proven.has(facts.id)
      const model = defaultModel(facts.id)
      const diagnostics: ProviderDiagnostics = {
        id: facts.id,
        family: facts.family,
        readiness: reasons.length > 0 ? "blocked" : called ? "ready" : "unproven",
        ...(reasons.length > 0 ? { reason: reasons.join("; ") } : {}),
        env,
        modelList: facts.modelList,
        models: facts.models,
        ...(model === "" ? {} : { defaultModel: model }),
        capabilities: facts.capabilities
      }
      return diagnostics
    })

    return ProviderRegistry.of({
      defaults: { provider: settings.defaults.provider, model: defaultModel },
      resolve,
      prices: (providerId, modelId) => {
        const entry = entries.find(({ facts }) => facts.id === providerId)
        return entry === undefined ? undefined : modelOf(entry.facts, modelId).prices
      },
      diagnostics: Effect.forEach(entries, diagnose)
    })
  })

/** The registry of the settings. `adapters` adds to (or replaces) the built-in ones, by family. */
export const layer = (adapters: Adapters = {}): Layer.Layer<ProviderRegistry, never, Settings> =>
  Layer.effect(ProviderRegistry, Effect.flatMap(Settings, (settings) => make(settings, { ...builtIn, ...adapters })))
