/** The fold of events to a turn's state. */
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import * as TurnState from "../../src/domain/TurnState.ts"
import { attempt, built, delta, place, started } from "../../test/journal/fixtures.ts"
import { ownCpuMicros } from "../kit/ProcessUse.ts"
import type { Micro } from "./Micro.ts"

const deltas = 20_000

const events: ReadonlyArray<TurnEvent> = place("turn", "session", 1, [
  started("turn"),
  built,
  attempt(),
  ...Array.from({ length: deltas }, () => delta("sixteen letters "))
])

const check = (state: TurnState.TurnState | undefined): void => {
  if (state?.deltas !== deltas) throw new Error(`the fold counted ${state?.deltas} of ${deltas} deltas`)
}

export const folding: ReadonlyArray<Micro> = [
  {
    part: "fold",
    name: "a whole turn",
    once: async () => await ownCpuMicros(() => check(TurnState.fold(events))) / deltas
  },
  {
    part: "fold",
    name: "event by event, each a state of its own",
    once: async () => {
      const micros = await ownCpuMicros(() => {
        let state: TurnState.TurnState | undefined
        for (const event of events) state = TurnState.apply(state, event)
        check(state)
      })
      return micros / deltas
    }
  }
]
