/** A ledger of every kind of row: priced, without a price, estimated, and with nothing known. */
import * as Effect from "effect/Effect"
import type { EventBody } from "../../src/domain/TurnEvent.ts"
import { admit, append, attempt, built, completed, createSession, delta, used } from "./fixtures.ts"

const turn = (id: string, session: string, usage: EventBody) =>
  Effect.zipRight(admit(id, session), append(id, session, 2, [built, attempt(), delta("x"), usage, completed(id)]))

/** Five turns of two sessions, all of 2026-01-02 on `deterministic`/`echo`. */
export const writeLedger = Effect.gen(function*() {
  yield* createSession("a")
  yield* createSession("b")
  const whole = { inputTokens: 12_000, outputTokens: 300 }
  yield* turn("t1", "a", used(whole, "reported", { cost: 0.1, contextPercent: 12.5 }))
  yield* turn("t2", "a", used(whole, "reported", { cost: 0.2 }))
  yield* turn("t3", "a", used(whole, "reported", { contextPercent: 3 }))
  yield* turn("t4", "b", used({ inputTokens: 400, outputTokens: 20 }, "estimated", { cost: 0.0000004 }))
  yield* turn("t5", "b", used({}, "deterministic"))
})
