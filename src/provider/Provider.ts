/**
 * The contract of a provider adapter: one request in, one stream of provider events out.
 *
 * Rules, checked by `test/provider/adapter-contract.ts` and enforced by `turn/Attempt.ts`:
 * - `Accepted` comes before anything is said, and once more where the wire names its model later, or not at all;
 * - exactly one `Finish` ends a good answer; after it only `Usage` may follow; a stream that ends without it is
 *   `ProviderFailure{incomplete_stream}`;
 * - the last `Usage` wins; a stream that reports none is usage unknown;
 * - a `ToolCall` is complete: cut or unparsable arguments never become one;
 * - interrupting the stream closes the upstream request;
 * - a failure carries no prompt text, header or key. Retries are the engine's, not the adapter's.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { PromptMessage } from "../domain/Message.ts"
import type { ProviderFailure } from "../domain/TurnError.ts"
import type { DeltaKind, FinishReason } from "../domain/TurnEvent.ts"
import type { Usage } from "../domain/Usage.ts"
import type { Script } from "./Script.ts"

export type ProviderEvent =
  /** The vendor took the request. `requestId`: what its support asks for; `model`: the one that it says answers. */
  | { readonly _tag: "Accepted"; readonly requestId?: string; readonly model?: string }
  | {
    readonly _tag: "Delta"
    readonly kind: DeltaKind
    readonly text: string
    readonly toolCallId?: string
    readonly toolName?: string
  }
  | { readonly _tag: "ToolCall"; readonly toolCallId: string; readonly toolName: string; readonly arguments: unknown }
  /** `raw`: the wire's own usage object. */
  | { readonly _tag: "Usage"; readonly usage: Usage; readonly raw?: unknown }
  /** `raw`: the wire's own word for the end. */
  | { readonly _tag: "Finish"; readonly reason: FinishReason; readonly raw?: string }

/** Generation settings of one call. Absent: the provider's own default. */
export const GenerationOptions = Schema.Struct({
  temperature: Schema.optional(Schema.Number.pipe(Schema.between(0, 2))),
  maxOutputTokens: Schema.optional(Schema.Int.pipe(Schema.positive())),
  reasoning: Schema.optional(Schema.Literal("off", "low", "medium", "high"))
})
export type GenerationOptions = typeof GenerationOptions.Type

export interface ProviderRequest {
  readonly model: string
  /** Instructions and the other leading context slots, joined; absent where there are none. */
  readonly system?: string
  /** Ends with a user message, or with an assistant prefix to continue (a resumed turn). */
  readonly messages: ReadonlyArray<PromptMessage>
  readonly generation: GenerationOptions
  /** 1 for the first call of the turn. */
  readonly attempt: number
  /** Tokens of the context as counted by the builder. */
  readonly contextTokens: number
  /** For the deterministic provider only. */
  readonly script?: Script
}

/** Where an answer goes as it comes. */
export interface AnswerSink {
  /**
   * Takes what was said. Undefined: go on at once. Otherwise run the effect before anything more is read: it waits for
   * room, or fails where the answer is not to be read any further. Synchronous.
   */
  readonly take: (events: ReadonlyArray<ProviderEvent>) => Effect.Effect<void, ProviderFailure> | undefined
}

export interface Provider {
  readonly id: string
  /** Who counts its usage when it reports any. */
  readonly usageSource: "reported" | "deterministic"
  readonly stream: (request: ProviderRequest) => Stream.Stream<ProviderEvent, ProviderFailure>
  /**
   * The same answer, given to `sink` by whatever callback its bytes come in, so that a delta costs no step of a stream. For
   * adapters that read a socket; absent, the engine reads `stream`. It ends as the stream does.
   */
  readonly pump?: (request: ProviderRequest, sink: AnswerSink) => Effect.Effect<void, ProviderFailure>
}

/** What the sink may hold of a pump that is read as a stream: events that come in one read of a socket, several times. */
const streamedMax = 1_024

/** The stream of an adapter that pumps. */
export const streamOf = (
  pump: (sink: AnswerSink) => Effect.Effect<void, ProviderFailure>
): Stream.Stream<ProviderEvent, ProviderFailure> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const mailbox = yield* Mailbox.make<ProviderEvent, ProviderFailure>({ capacity: streamedMax })
    const sink: AnswerSink = {
      take: (events) => {
        const rest = mailbox.unsafeOfferAll(events)
        return Chunk.isEmpty(rest) ? undefined : Effect.asVoid(mailbox.offerAll(rest))
      }
    }
    yield* Effect.forkScoped(Mailbox.into(pump(sink), mailbox))
    return Mailbox.toStream(mailbox)
  }))
