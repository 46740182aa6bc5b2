/**
 * What a turn sends to its model. Ordered sources as data: instructions, memory, skills, team, history, attachments,
 * this message. Budget = window - reserve; whole exchanges of history are dropped oldest first, a tool call is never
 * parted from its result, this message is never dropped. The result's manifest is journaled; its hash is the same each
 * time the same content is built.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type { ContextManifest, SlotName } from "../domain/Context.ts"
import type { HistoryReader } from "../domain/History.ts"
import type { Message, PromptMessage } from "../domain/Message.ts"
import type { ContextOverflow } from "../domain/TurnError.ts"

/**
 * Characters a token, at the most, by the builder's own count: a text of more than `window * charsPerToken` characters
 * fits into no context, so that nobody need read it whole to know.
 */
export const charsPerToken = 3

export interface ContextRequest<E> {
  readonly sessionId: string
  readonly system: string | undefined
  /** Tokens. */
  readonly window: number
  readonly reserve: number
  readonly history: HistoryReader<E>
  readonly message: Pick<Message, "role" | "parts">
  /** The parent's partial answer, for a resumed turn. */
  readonly prefix: string | undefined
  /**
   * A rebuild gives both: contents by slot hash from an earlier build, used instead of asking the sources, and its
   * manifest, whose window and reserve count then.
   */
  readonly recorded?: ReadonlyMap<string, string>
  readonly recordedManifest?: ContextManifest
}

export interface BuiltContext {
  readonly manifest: ContextManifest
  readonly system: string | undefined
  readonly messages: ReadonlyArray<PromptMessage>
  /** Content of the slots that the journal does not hold elsewhere, by hash. */
  readonly contents: ReadonlyArray<{ readonly hash: string; readonly content: string }>
}

export class ContextBuilder extends Context.Tag("turnstream/context/ContextBuilder")<ContextBuilder, {
  /**
   * Whether a build asks nobody but the history: then it is tried before its turn is admitted, so that both are one commit,
   * and again behind it where the turn finds that it is not alone. Absent: no.
   */
  readonly isPrompt?: boolean
  /** Fails with `ContextOverflow` where the message alone (with instructions) does not fit, carrying the manifest. */
  readonly build: <E>(
    request: ContextRequest<E>
  ) => Effect.Effect<BuiltContext, ContextTooLarge | E>
}>() {}

/** `ContextOverflow` with the manifest that shows it, so that the journal records both. */
export class ContextTooLarge extends Data.TaggedError("ContextTooLarge")<{
  readonly error: ContextOverflow
  readonly manifest: ContextManifest
}> {
  override get message() {
    return this.error.message
  }
}

/** A middle source (memory, skills, team, attachments): text for its slot, or undefined for nothing. */
export interface ContextSource {
  readonly slot: Exclude<SlotName, "instructions" | "history" | "message">
  readonly source: string
  readonly read: (sessionId: string) => Effect.Effect<string | undefined>
}

/** The middle sources, in any order; `ContextBuilder` puts them into theirs. Empty in this phase's default Layer. */
export class ContextSources extends Context.Tag("turnstream/context/ContextSources")<
  ContextSources,
  ReadonlyArray<ContextSource>
>() {}
