/** What the races share: what they count, and waits that are no waits for time. */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import type { TurnId } from "../../src/domain/Ids.ts"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import { Journal } from "../../src/journal/Journal.ts"
import { loopTurn } from "./engine.ts"

export interface Figures {
  readonly rounds: number
  readonly counts: Readonly<Record<string, number>>
  readonly wrong: ReadonlyArray<string>
}

export const eventsOf = (id: TurnId) =>
  Effect.flatMap(
    Journal,
    (journal) => Effect.map(Stream.runCollect(journal.follow(id, 0)), (all) => Chunk.toReadonlyArray(all))
  )

export const parsed = (events: ReadonlyArray<{ readonly json: string }>) =>
  events.map(({ json }) => TurnEvent.parse(json))

export const tagOf = (exit: Exit.Exit<unknown, { readonly _tag: string }>): string => {
  if (exit._tag === "Success") return "success"
  const failure = Cause.failureOption(exit.cause)
  return failure._tag === "Some" ? failure.value._tag : Cause.pretty(exit.cause)
}

export const pause = (turns: number, yields: number) =>
  Effect.zipRight(
    turns === 0 ? Effect.void : Effect.repeatN(loopTurn, turns - 1),
    yields === 0 ? Effect.void : Effect.repeatN(Effect.yieldNow(), yields - 1)
  )
