/** A live provider on a loopback vendor, as the registry would make it. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ConfigFile } from "../../src/config/Settings.ts"
import type { ProviderFailure } from "../../src/domain/TurnError.ts"
import * as EgressClient from "../../src/provider/EgressClient.ts"
import type { WireFamily } from "../../src/provider/Family.ts"
import * as LiveProvider from "../../src/provider/LiveProvider.ts"
import type { Provider, ProviderEvent, ProviderRequest } from "../../src/provider/Provider.ts"
import { allFacts, type ProviderFacts } from "../../src/provider/ProviderFacts.ts"
import type { Upstream } from "./upstream.ts"

/** A value that must appear nowhere but in the request's own header. */
export const canary = "sk-canary-4f1c9b7e2d8a6035"
export const keyEnv = "CANARY_KEY"

export const factsOf = (family: WireFamily, baseUrl: string, setting: object = {}): ProviderFacts => {
  const file = Schema.decodeUnknownSync(ConfigFile)({
    network: { live: true, allowLoopback: true },
    providers: [{ id: "vendor", family: family.family, baseUrl, apiKeyEnv: keyEnv, models: "any", ...setting }]
  })
  const [facts] = allFacts({
    ...file,
    host: "",
    port: 0,
    dataDir: "",
    durability: "full",
    token: undefined,
    otlp: undefined
  })
  if (facts === undefined) throw new Error("the catalogue lost the provider")
  return facts
}

export const ask = (text = "hi", rest: Partial<ProviderRequest> = {}): ProviderRequest => ({
  model: "some-model",
  messages: [{ role: "user", parts: [{ type: "text", text }] }],
  generation: {},
  attempt: 1,
  contextTokens: 3,
  ...rest
})

export interface Limits {
  readonly firstByteMs?: number
  readonly connectMs?: number
  readonly idleMs?: number
  readonly allowLoopback?: boolean
  readonly hosts?: ReadonlySet<string>
  readonly lookup?: EgressClient.ClientOptions["lookup"]
}

const clientOf = (upstream: Upstream, { lookup, ...limits }: Limits) =>
  EgressClient.layerWith({
    allowLoopback: limits.allowLoopback ?? true,
    hosts: limits.hosts ?? new Set([upstream.host]),
    connectMs: limits.connectMs ?? 5_000,
    idleMs: limits.idleMs ?? 10_000,
    ...(lookup === undefined ? {} : { lookup })
  })

/** Uses the provider of a family on an upstream; the client and its sockets end with it. */
export const withProvider = <A, E>(
  family: WireFamily,
  upstream: Upstream,
  use: (provider: Provider) => Effect.Effect<A, E>,
  limits: Limits = {},
  setting: object = {}
): Effect.Effect<A, E> =>
  Effect.flatMap(EgressClient.EgressClient, (client) =>
    use(
      LiveProvider.make(family, factsOf(family, upstream.url, setting), {
        client,
        firstByteMs: limits.firstByteMs ?? 10_000,
        idleMs: limits.idleMs ?? 10_000,
        afterFinishMs: 5_000,
        recorder: undefined
      })
    )).pipe(
      Effect.provide(clientOf(upstream, limits)),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([[keyEnv, canary]])))
    )

/** Everything an answer gave, and the failure that ended it. */
export const collect = (stream: Stream.Stream<ProviderEvent, ProviderFailure>) =>
  Effect.gen(function*() {
    const events: Array<ProviderEvent> = []
    const failure = yield* Stream.runForEach(stream, (event) => Effect.sync(() => events.push(event))).pipe(
      Effect.match({ onFailure: (error) => error, onSuccess: () => undefined })
    )
    return { events, failure }
  })
