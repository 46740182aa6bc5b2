/**
 * The turn engine's public face: submit, follow, cancel, resume, retry, inspect, and `stream`, the turn as one Stream.
 *
 * A turn runs in a fiber of its own under a supervisor; whoever submits or follows only reads the journal. One turn a
 * session runs at a time. Cancel is a command; a client that leaves changes nothing. The exception is `stream`: its
 * consumer owns the turn, and leaving before the end cancels it.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { BudgetLevel } from "../domain/Budget.ts"
import type { ContextManifest } from "../domain/Context.ts"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import { type PromptMessage, UserPart } from "../domain/Message.ts"
import type {
  Draining,
  IdempotencyConflict,
  InvalidRequest,
  Overloaded,
  SessionNotFound,
  TurnConflict,
  TurnNotFound
} from "../domain/RequestError.ts"
import type { Session, Turn } from "../domain/Resources.ts"
import type { JournalFailure, TurnError } from "../domain/TurnError.ts"
import type { TurnEvent } from "../domain/TurnEvent.ts"
import type { ImportedMessage, SessionPatch, WriteError } from "../journal/Journal.ts"
import { GenerationOptions } from "../provider/Provider.ts"
import { Script } from "../provider/Script.ts"

/** Per-request options; absent ones come from the session, then the provider, then the defaults. */
export const SubmitOptions = Schema.Struct({
  ...GenerationOptions.fields,
  system: Schema.optional(Schema.String),
  /** Milliseconds from acceptance; the turn ends as `Cancelled{deadline}`. */
  deadlineMs: Schema.optional(Schema.Int.pipe(Schema.between(1, 86_400_000))),
  /** Deterministic provider only. */
  script: Schema.optional(Script)
}).annotations({ identifier: "TurnOptions" })
export type SubmitOptions = typeof SubmitOptions.Type

export const MessageInput = Schema.Union(
  Schema.String.pipe(Schema.minLength(1)),
  Schema.Struct({ parts: Schema.Array(UserPart).pipe(Schema.minItems(1), Schema.maxItems(256)) })
).annotations({ identifier: "MessageInput" })

/** The body of a submit. */
export const SubmitBody = Schema.Struct({
  message: MessageInput,
  provider: Schema.optional(Schema.String.pipe(Schema.minLength(1), Schema.maxLength(128))),
  model: Schema.optional(Schema.String.pipe(Schema.minLength(1), Schema.maxLength(256))),
  options: Schema.optional(SubmitOptions),
  onBusy: Schema.optional(Schema.Literal("reject", "queue", "supersede"))
}).annotations({ identifier: "SubmitBody" })
export type SubmitBody = typeof SubmitBody.Type

export interface SubmitRequest extends SubmitBody {
  readonly sessionId: SessionId
  readonly idempotencyKey?: string | undefined
}

/** In process: without a session id, a session of its own is made. */
export interface StreamRequest extends SubmitBody {
  readonly sessionId?: SessionId
}

export type SubmitError =
  | SessionNotFound
  | InvalidRequest
  | TurnConflict
  | IdempotencyConflict
  | Overloaded
  | Draining
  | WriteError
export type CommandError = TurnNotFound | WriteError
export type ChildError = CommandError | SubmitError

export interface NewSessionInput {
  readonly title?: string | undefined
  readonly provider?: string | undefined
  readonly model?: string | undefined
  readonly system?: string | undefined
}

/** What a submit gave: `existing` where the same key, resume or retry made the turn before. */
export interface Submitted {
  readonly turn: Turn
  readonly existing: boolean
}

export interface Begun {
  readonly id: TurnId
  /** Undefined while it runs or waits. */
  readonly ended: Turn | undefined
}

export class TurnRuntime extends Context.Tag("turnstream/turn/TurnRuntime")<TurnRuntime, {
  /** The messages are taken as they are written, some at a time (`Journal.createSession`). */
  readonly createSession: (
    input: NewSessionInput,
    messages?: Iterable<Pick<ImportedMessage, "role" | "parts">>
  ) => Effect.Effect<Session, WriteError>
  readonly updateSession: (id: SessionId, patch: SessionPatch) => Effect.Effect<Session, SessionNotFound | WriteError>
  /** Cancels what runs in it, waits for the endings, deletes every row. */
  readonly deleteSession: (id: SessionId) => Effect.Effect<void, SessionNotFound | WriteError>

  /**
   * Completes when the turn is committed and either past its context build, waiting in the queue, or ended. A turn
   * refused before a call is a Turn with `status: "failed"` and an error of `refusalTags`.
   */
  readonly submit: (request: SubmitRequest) => Effect.Effect<Submitted, SubmitError>
  /** The same, for whoever follows its events: the turn is read only where it has ended by then. */
  readonly begin: (request: SubmitRequest) => Effect.Effect<Begun, SubmitError>
  /** The child continues the parent's partial. Repeating it answers with the same child. */
  readonly resume: (id: TurnId) => Effect.Effect<Submitted, ChildError>
  /** The child answers the same message again. Repeating it answers with the same child. */
  readonly retry: (id: TurnId) => Effect.Effect<Submitted, ChildError>
  /** Completes after the terminal event is committed; the Turn says what ended it. A finished turn is unchanged. */
  readonly cancel: (id: TurnId) => Effect.Effect<Turn, CommandError>

  /** The turn as one Stream: its events, then its end or its typed error. Leaving before the end cancels it. */
  readonly stream: (request: StreamRequest) => Stream.Stream<TurnEvent, TurnError | SubmitError>

  /** The manifest of what would be sent now. Fails like a submit, or like a turn that is refused. */
  readonly preview: (
    request: SubmitRequest
  ) => Effect.Effect<ContextManifest, SubmitError | TurnError>
  /** The context of a turn, built again from its checkpoint: same bytes, same hash. */
  readonly rebuildContext: (
    id: TurnId
  ) => Effect.Effect<
    {
      readonly manifest: ContextManifest
      readonly system: string | undefined
      readonly messages: ReadonlyArray<PromptMessage>
    },
    TurnError | TurnNotFound
  >

  /** Turns that run or wait now. */
  readonly running: Effect.Effect<number>
  /** Every configured budget, and how much of it is used. */
  readonly budgets: Effect.Effect<ReadonlyArray<BudgetLevel>, JournalFailure>
  /** Brings gauges up to date whose values nobody announces: budgets, size of the database. For whoever reads metrics. */
  readonly measure: Effect.Effect<void>
  readonly draining: Effect.Effect<boolean>
  /** No new turns; waits up to `drainMs`; interrupts the rest as `Interrupted{shutdown}` with checkpoints. */
  readonly drain: Effect.Effect<void>
}>() {}
