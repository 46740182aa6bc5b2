/**
 * A provider that says what the simulation tells it, when it is told, in as many chunks. It notes every call, so that
 * the journal can be held against what was really said.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type ProviderFailure, UnknownProvider } from "../../src/domain/TurnError.ts"
import type { ProviderEvent, ProviderRequest } from "../../src/provider/Provider.ts"
import { ProviderRegistry } from "../../src/provider/ProviderRegistry.ts"

type Item =
  | { readonly _tag: "Events"; readonly events: ReadonlyArray<ProviderEvent> }
  | { readonly _tag: "End" }
  | { readonly _tag: "Fail"; readonly error: ProviderFailure }
  | { readonly _tag: "Die" }
  | { readonly _tag: "Interrupt" }

export interface Call {
  readonly number: number
  readonly request: ProviderRequest
  /** Filled in by whoever watches calls. */
  turnId: string | undefined
  /** Everything emitted, taken by the engine or not. */
  readonly said: Array<ProviderEvent>
  /** Tells the engine the next thing; nothing happens once the call is over. */
  readonly tell: (item: Item) => void
  /** The engine has let go of it, or it has ended. */
  open: boolean
  /** It is told nothing any more. */
  stalled: boolean
  /** Its release never completes. */
  sticky: boolean
  /** The same delta again and again. */
  endless: boolean
  /** Lets a sticky call go in the end. */
  letGo: () => void
}

const toPull = (item: Item): Effect.Effect<Chunk.Chunk<ProviderEvent>, Option.Option<ProviderFailure>> => {
  switch (item._tag) {
    case "Events":
      return Effect.succeed(Chunk.fromIterable(item.events))
    case "End":
      return Effect.fail(Option.none())
    case "Fail":
      return Effect.fail(Option.some(item.error))
    case "Die":
      return Effect.die(new Error("a bug in an adapter"))
    case "Interrupt":
      return Effect.interrupt
  }
}

const makeCall = (number: number, request: ProviderRequest) => {
  const queue: Array<Item> = []
  let waiter: ((pull: ReturnType<typeof toPull>) => void) | undefined
  const call: Call = {
    number,
    request,
    turnId: undefined,
    said: [],
    open: true,
    stalled: false,
    sticky: false,
    endless: false,
    letGo: () => undefined,
    tell: (item) => {
      if (item._tag === "Events") call.said.push(...item.events)
      if (waiter === undefined) queue.push(item)
      else {
        const resume = waiter
        waiter = undefined
        resume(toPull(item))
      }
    }
  }
  const pull = Effect.async<Chunk.Chunk<ProviderEvent>, Option.Option<ProviderFailure>>((resume) => {
    const next = queue.shift()
    if (next !== undefined) return resume(toPull(next))
    if (call.endless) {
      const event: ProviderEvent = { _tag: "Delta", kind: "text", text: `${call.number}~ `.repeat(8) }
      call.said.push(event)
      return resume(toPull({ _tag: "Events", events: [event] }))
    }
    waiter = resume
    return Effect.sync(() => {
      waiter = undefined
    })
  })
  const stream = Stream.ensuring(
    Stream.repeatEffectChunkOption(pull),
    Effect.suspend(() => {
      call.open = false
      return call.sticky
        ? Effect.async<void>((resume) => {
          call.letGo = () => resume(Effect.void)
        })
        : Effect.void
    })
  )
  return { call, stream }
}

export const make = (onCall: (call: Call) => void) => {
  let calls = 0
  const layer = Layer.succeed(ProviderRegistry, {
    defaults: { provider: "steered", model: () => "only" },
    resolve: (id) =>
      id === "steered"
        ? Effect.succeed({
          provider: {
            id,
            usageSource: "reported",
            stream: (request) =>
              Stream.unwrap(Effect.sync(() => {
                const { call, stream } = makeCall(++calls, request)
                onCall(call)
                return stream
              }))
          },
          model: { id: "only", contextWindow: 20_000, contextWindowFrom: "configured", maxOutputTokens: 500 },
          capabilities: { streaming: true, tools: true, reasoning: true, prefix: true },
          generation: {}
        })
        : Effect.fail(new UnknownProvider({ providerId: id, known: ["steered"] })),
    prices: () => undefined,
    diagnostics: Effect.succeed([])
  })
  return { layer, calls: () => calls }
}
