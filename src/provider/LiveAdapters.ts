/**
 * The adapters of every wire family, and of recordings. Loaded only where a live provider or a replay is configured: a
 * service on the deterministic provider has no HTTP client at all.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Family, Settings, type SettingsShape } from "../config/Settings.ts"
import * as Answer from "./Answer.ts"
import * as EgressClient from "./EgressClient.ts"
import * as Anthropic from "./families/Anthropic.ts"
import * as Bedrock from "./families/Bedrock.ts"
import * as Ollama from "./families/Ollama.ts"
import * as OpenAiChat from "./families/OpenAiChat.ts"
import * as OpenAiResponses from "./families/OpenAiResponses.ts"
import type { WireFamily } from "./Family.ts"
import * as LiveProvider from "./LiveProvider.ts"
import { allFacts, type ProviderFacts } from "./ProviderFacts.ts"
import type { ProviderRegistry } from "./ProviderRegistry.ts"
import * as Recorder from "./Recorder.ts"
import type { Adapters } from "./RegistryConfig.ts"
import * as RegistryConfig from "./RegistryConfig.ts"
import * as Replay from "./Replay.ts"

export const families: ReadonlyMap<Family, WireFamily> = new Map(
  [OpenAiChat.family, OpenAiResponses.family, Anthropic.family, Bedrock.family, Ollama.family].map((family) => [
    family.family,
    family
  ])
)

/** `host:port` of everything that the configuration lets be called. */
const hostsOf = (settings: SettingsShape): ReadonlySet<string> =>
  new Set(
    allFacts(settings).flatMap(({ baseUrl }) =>
      baseUrl !== undefined && URL.canParse(baseUrl) ? [new URL(baseUrl).host] : []
    )
  )

/** The turn engine watches tokens; the socket only has to outlast both of its limits. */
const idleOf = ({ firstTokenMs, idleMs }: SettingsShape["limits"]): number => Math.max(firstTokenMs, idleMs)

const adapters = ({ dataDir, limits }: SettingsShape, client: EgressClient.EgressClient["Type"]): Adapters => {
  const recorder = Recorder.make(dataDir)
  const live = Array.from(families, ([name, family]) => [
    name,
    (facts: ProviderFacts) =>
      LiveProvider.make(family, facts, {
        client,
        firstByteMs: limits.firstTokenMs,
        idleMs: idleOf(limits),
        afterFinishMs: Answer.afterFinishMs(limits.idleMs),
        recorder: facts.record ? recorder : undefined
      })
  ])
  return {
    ...Object.fromEntries(live),
    replay: (facts) => Replay.make(facts, families, Answer.afterFinishMs(limits.idleMs))
  }
}

/** The registry with every adapter, on any way out. */
export const layerOn: Layer.Layer<ProviderRegistry, never, Settings | EgressClient.EgressClient> = Layer.unwrapEffect(
  Effect.map(
    Effect.all([Settings, EgressClient.EgressClient]),
    ([settings, client]) => RegistryConfig.layer(adapters(settings, client))
  )
)

/** The way out that may leave this process for the configured hosts. */
export const layerClient: Layer.Layer<EgressClient.EgressClient, never, Settings> = Layer.unwrapEffect(
  Effect.map(Settings, (settings) =>
    EgressClient.layerWith({
      allowLoopback: settings.network.allowLoopback,
      hosts: hostsOf(settings),
      connectMs: settings.limits.connectMs,
      idleMs: idleOf(settings.limits)
    }))
)

export const layer: Layer.Layer<ProviderRegistry, never, Settings> = Layer.provide(layerOn, layerClient)
