/** What the tests of the turn engine share: an engine in memory, scripted turns, and waits that follow the journal. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { SessionId, TurnId } from "../../src/domain/Ids.ts"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import type { EventType } from "../../src/domain/TurnEvent.ts"
import { Journal } from "../../src/journal/Journal.ts"
import { layerTest } from "../../src/layers.ts"
import type { Script, Step } from "../../src/provider/Script.ts"
import { type SubmitBody, TurnRuntime } from "../../src/turn/TurnRuntime.ts"

export type TestSettings = NonNullable<Parameters<typeof layerTest>[0]>

/** Runs a test on an engine of its own. */
export const withEngine =
  (settings: TestSettings = {}) =>
  <A, E>(effect: Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof layerTest>>>) =>
    Effect.provide(effect, layerTest(settings))

export const steps = (...list: ReadonlyArray<Step>): Script => ({ steps: list })

export const newSession = Effect.flatMap(
  TurnRuntime,
  (runtime) => Effect.map(runtime.createSession({}), ({ id }) => id)
)

export const submit = (sessionId: SessionId, body: Partial<SubmitBody> = {}) =>
  Effect.flatMap(TurnRuntime, (runtime) => runtime.submit({ sessionId, message: "hello", ...body }))

export const submitScript = (sessionId: SessionId, script: Script, body: Partial<SubmitBody> = {}) =>
  Effect.map(submit(sessionId, { ...body, options: { ...body.options, script } }), ({ turn }) => turn)

/** Completes with the first event of a type; the turn goes on. A turn that ends without it dies here. */
export const awaitEvent = (turnId: TurnId, type: EventType, count = 1) =>
  Effect.flatMap(Journal, (journal) =>
    journal.follow(turnId, 0).pipe(
      Stream.filter((event) => event.type === type),
      Stream.take(count),
      Stream.runCount,
      Effect.flatMap((found) =>
        found === count ? Effect.void : Effect.dieMessage(`${turnId} ended with ${found} of ${count} ${type}`)
      )
    ))

/** Every event of the turn, once it has ended. */
export const events = (turnId: TurnId) =>
  Effect.flatMap(
    Journal,
    (journal) =>
      Effect.map(Stream.runCollect(journal.follow(turnId, 0)), (all) =>
        Chunk.toReadonlyArray(all).map((event) => TurnEvent.decode(JSON.parse(event.json))))
  )

export const typesOf = (list: ReadonlyArray<{ readonly type: string }>) => list.map((event) => event.type)

/** The event of a type; a test that expects it fails without it. */
export const one = <T extends EventType>(list: ReadonlyArray<TurnEvent.TurnEvent>, type: T) => {
  const found = list.find((event): event is TurnEvent.EventOf<T> => event.type === type)
  if (found === undefined) throw new Error(`no ${type} among ${typesOf(list).join(", ")}`)
  return found
}

export const turnOf = (turnId: TurnId) =>
  Effect.flatMap(Journal, (journal) => Effect.map(journal.turn(turnId), ({ turn }) => turn))
