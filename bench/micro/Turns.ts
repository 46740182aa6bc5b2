/** Turns in a journal of its own, at the point where a model speaks, and deltas for them. */
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import { type Append, Journal } from "../../src/journal/Journal.ts"
import { admit, append, attempt, built, createSession, delta, place, turnId } from "../../test/journal/fixtures.ts"
import { layerIn } from "../../test/journal/sqlFixture.ts"
import * as Program from "../kit/Program.ts"

/** Seqs before the first delta: started, context, attempt. */
export const before = 3

const text = "sixteen letters "

export const runtime = ManagedRuntime.make(layerIn(Program.freshFolder()))

export const journal = runtime.runPromise(Journal)

export interface Speaking {
  readonly turn: string
  readonly session: string
}

let made = 0

/** A running turn in a session of its own, whose model has been asked. */
export const speaking = (): Promise<Speaking> => {
  const of = { turn: `turn-${++made}`, session: `session-${made}` }
  return runtime.runPromise(
    createSession(of.session).pipe(
      Effect.zipRight(admit(of.turn, of.session)),
      Effect.zipRight(append(of.turn, of.session, 2, [built, attempt()])),
      Effect.as(of)
    )
  )
}

const deltas = ({ session, turn }: Speaking, seq: number, count: number): ReadonlyArray<TurnEvent> =>
  place(turn, session, seq, Array.from({ length: count }, () => delta(text)))

/** `commits` appends of `size` deltas each. */
export const appends = (of: Speaking, commits: number, size: number): ReadonlyArray<Append> =>
  Array.from({ length: commits }, (_, index) => ({
    turnId: turnId(of.turn),
    events: deltas(of, before + 1 + index * size, size)
  }))
