/** The context of a turn to look at: before it is sent (preview), and again after it was (rebuild). Writes nothing. */
import * as Effect from "effect/Effect"
import type { ContextBuilder } from "../context/ContextBuilder.ts"
import type { TurnId } from "../domain/Ids.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import type { Journal } from "../journal/Journal.ts"
import type { ProviderRegistry } from "../provider/ProviderRegistry.ts"
import * as Admit from "./Admit.ts"
import type * as Ask from "./Ask.ts"
import type { IdGenerator } from "./IdGenerator.ts"

interface Preview {
  readonly ask: Ask.Ask
  readonly builder: ContextBuilder["Type"]
  readonly contextOf: ReturnType<typeof Admit.make>["contextOf"]
  readonly ids: IdGenerator["Type"]
  readonly journal: Journal["Type"]
  readonly registry: ProviderRegistry["Type"]
}

/** What a submit of `ask` would send now. */
export const preview = Effect.fnUntraced(
  function*({ ask, builder, contextOf, ids, journal, registry }: Preview) {
    const resolved = yield* registry.resolve(ask.provider, ask.model)
    const parts = ask.message._tag === "New" ? ask.message.parts : []
    const context = contextOf(ask, { role: "user", parts }, yield* ids.messageId, resolved, undefined)
    // there is no message yet that history would end at
    const history = journal.history({ sessionId: ask.sessionId, before: undefined, asOfTurn: undefined })
    const { manifest } = yield* builder.build({ ...context, history }).pipe(
      Effect.catchTag("ContextTooLarge", ({ error }) => Effect.fail(error))
    )
    return manifest
  }
)

/** What was sent: the recorded contents, and history as it stood when the context was built. */
export const rebuildContext = Effect.fnUntraced(
  function*(journal: Journal["Type"], builder: ContextBuilder["Type"], id: TurnId) {
    const { turn } = yield* journal.turn(id)
    const { context: manifest } = yield* journal.state(id)
    if (manifest === undefined) {
      return yield* new JournalFailure({
        operation: "rebuild context",
        retryable: false,
        reason: `turn ${id} ended before its context was built`
      })
    }
    const prefix = turn.resumedFrom === undefined
      ? ""
      : yield* Admit.prefixOf(journal, turn.resumedFrom, manifest.window)
    const built = yield* builder.build({
      sessionId: turn.sessionId,
      system: undefined,
      window: manifest.window,
      reserve: manifest.reserve,
      history: journal.history({ sessionId: turn.sessionId, before: turn.userMessageId, asOfTurn: id }),
      message: yield* journal.message(turn.sessionId, turn.userMessageId),
      prefix: prefix === "" ? undefined : prefix,
      recorded: yield* journal.contents(turn.sessionId, manifest.slots.map((slot) => slot.hash)),
      recordedManifest: manifest
    }).pipe(Effect.catchTag("ContextTooLarge", ({ error }) => Effect.fail(error)))
    return { manifest: built.manifest, system: built.system, messages: built.messages }
  }
)
