/**
 * A provider that does what the test says, chunk by chunk: each call of it is handed to the test, which sends events,
 * ends it, fails it, or leaves it hanging, and learns when the engine has let go of it. Also a table of misbehaviours
 * that need no steering.
 */
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"
import { type ProviderFailure, UnknownProvider } from "../../src/domain/TurnError.ts"
import type { FinishReason } from "../../src/domain/TurnEvent.ts"
import type * as Usage from "../../src/domain/Usage.ts"
import * as UsageSum from "../../src/domain/UsageSum.ts"
import type { ProviderEvent, ProviderRequest } from "../../src/provider/Provider.ts"
import { ProviderRegistry } from "../../src/provider/ProviderRegistry.ts"

export type Answer = Stream.Stream<ProviderEvent, ProviderFailure>

export const providerId = "steered"

export const text = (said: string): ProviderEvent => ({ _tag: "Delta", kind: "text", text: said })
export const usage = (known: Partial<Usage.Usage>): ProviderEvent => ({ _tag: "Usage", usage: UsageSum.make(known) })
export const finish = (reason: FinishReason = "stop"): ProviderEvent => ({ _tag: "Finish", reason })

/** A registry of one provider, whose answers `answer` makes. */
export const layerAnswering = (answer: (request: ProviderRequest) => Answer): Layer.Layer<ProviderRegistry> =>
  Layer.succeed(ProviderRegistry, {
    defaults: { provider: providerId, model: () => "only" },
    resolve: (id) =>
      id === providerId
        ? Effect.succeed({
          provider: { id, usageSource: "reported", stream: answer },
          model: { id: "only", contextWindow: 10_000, contextWindowFrom: "configured", maxOutputTokens: 100 },
          capabilities: { streaming: true, tools: false, reasoning: false, prefix: true },
          generation: {}
        })
        : Effect.fail(new UnknownProvider({ providerId: id, known: [providerId] })),
    prices: () => undefined,
    diagnostics: Effect.succeed([])
  })

/** One call of the provider. */
export interface Call {
  readonly request: ProviderRequest
  /** The events arrive as one chunk. */
  readonly send: (...events: ReadonlyArray<ProviderEvent>) => Effect.Effect<void>
  /** The stream ends, after what was sent. */
  readonly close: Effect.Effect<void>
  readonly fail: (failure: ProviderFailure) => Effect.Effect<void>
  /** Completes when the engine has let go of the call, whoever ended it. */
  readonly released: Effect.Effect<void>
}

/** Chunks of one call that the engine has not taken yet: a test that sends more waits. */
const sentMax = 64

export const steered = Effect.gen(function*() {
  const calls = yield* Mailbox.make<Call>(sentMax)
  const made: Array<Call> = []
  const answer = (request: ProviderRequest): Answer =>
    Stream.unwrapScoped(Effect.gen(function*() {
      const sent = yield* Mailbox.make<Chunk.Chunk<ProviderEvent>, ProviderFailure>(sentMax)
      const released = yield* Deferred.make<void>()
      yield* Effect.addFinalizer(() => Deferred.succeed(released, undefined))
      const call: Call = {
        request,
        send: (...events) => Effect.asVoid(sent.offer(Chunk.unsafeFromArray(events))),
        close: Effect.asVoid(sent.end),
        fail: (failure) => Effect.asVoid(sent.fail(failure)),
        released: Deferred.await(released)
      }
      made.push(call)
      yield* calls.offer(call)
      return Stream.flattenChunks(Mailbox.toStream(sent))
    }))
  return {
    layer: layerAnswering(answer),
    /** The next call, once it is made. */
    next: Effect.orDie(calls.take),
    calls: (): ReadonlyArray<Call> => made
  }
})

const word = text("word ")

/** A value that JSON cannot hold. */
const cycle: { itself?: unknown } = {}
cycle.itself = cycle

/** What a provider may do wrong, after a word or instead of one. */
export const misbehaviours = {
  "never says a word": Stream.never,
  "falls silent": Stream.concat(Stream.make(word), Stream.never),
  "ends without a finish": Stream.make(word),
  "ends twice": Stream.make(word, finish(), finish()),
  "goes on after its end": Stream.make(word, finish(), word),
  "never stops talking": Stream.forever(Stream.make(word)),
  "says 10 MB at once": Stream.make(text("x".repeat(10_000_000)), finish()),
  "never lets go": Stream.ensuring(Stream.concat(Stream.make(word), Stream.never), Effect.never),
  "calls with arguments that JSON cannot hold": Stream.make(
    word,
    { _tag: "ToolCall", toolCallId: "c", toolName: "t", arguments: cycle } as const,
    finish()
  ),
  "crashes": Stream.concat(Stream.make(word), Stream.die(new Error("a bug of the adapter"))),
  "interrupts itself": Stream.concat(Stream.make(word), Stream.fromEffect(Effect.interrupt))
} as const satisfies Record<string, Answer>

/** A good answer whose usage came with a raw form that JSON cannot hold. */
export const oddUsage: Answer = Stream.make(
  word,
  { _tag: "Usage", usage: UsageSum.make({ inputTokens: 1, outputTokens: 2 }), raw: cycle } as const,
  finish()
)
