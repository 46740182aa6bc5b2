/** Turns of an engine in this process. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Journal } from "../journal/Journal.ts"
import { TurnRuntime } from "../turn/TurnRuntime.ts"
import { TurnClient } from "./TurnClient.ts"

export const layer: Layer.Layer<TurnClient, never, TurnRuntime | Journal> = Layer.effect(
  TurnClient,
  Effect.gen(function*() {
    const journal = yield* Journal
    const runtime = yield* TurnRuntime
    return {
      createSession: runtime.createSession({}),
      session: journal.session,
      importSession: ({ messages, session }) => runtime.createSession(session, messages),
      submit: (sessionId, body) => Effect.map(runtime.submit({ ...body, sessionId }), ({ turn }) => turn),
      follow: (id) => journal.follow(id, 0),
      vacuum: journal.vacuum,
      cancel: runtime.cancel
    }
  })
)
