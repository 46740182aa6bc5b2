/** What HTTP, command line and library show: sessions, turns and pages of them, in the form `docs/protocol` fixes. */
import * as Schema from "effect/Schema"
import { MessageId, SessionId, TurnId } from "./Ids.ts"
import { whole } from "./Message.ts"
import { Gone } from "./RequestError.ts"
import { TurnErrorInfo } from "./TurnError.ts"
import { FinishReason, Phase } from "./TurnEvent.ts"
import { Usage } from "./Usage.ts"

export const Session = Schema.Struct({
  id: SessionId,
  title: Schema.optional(Schema.String),
  provider: Schema.optional(Schema.String),
  model: Schema.optional(Schema.String),
  system: Schema.optional(Schema.String),
  createdAt: Schema.String,
  updatedAt: Schema.String,
  turnCount: Schema.Int,
  /** The turn that holds the session's slot. */
  running: Schema.NullOr(TurnId)
}).annotations({ identifier: "Session" })
export type Session = typeof Session.Type

export const Turn = Schema.Struct({
  id: TurnId,
  sessionId: SessionId,
  status: Schema.Literal("running", "completed", "failed"),
  phase: Phase,
  text: Schema.String,
  reasoning: Schema.String,
  whole,
  finishReason: Schema.optional(FinishReason),
  error: Schema.optional(TurnErrorInfo),
  /** What providers reported (or the deterministic provider counted) over all attempts; null where nobody did. */
  usage: Schema.NullOr(Usage),
  lastSeq: Schema.Int,
  provider: Schema.String,
  model: Schema.String,
  attempts: Schema.Int,
  /** 1 for the next to run; absent once it runs. */
  queuePosition: Schema.optional(Schema.Int),
  userMessageId: MessageId,
  messageId: Schema.optional(MessageId),
  retryOf: Schema.optional(TurnId),
  resumedFrom: Schema.optional(TurnId),
  startedAt: Schema.String,
  endedAt: Schema.optional(Schema.String),
  /** The last checkpoint's number, for `/checkpoints/{n}`. */
  checkpoint: Schema.optional(Schema.Int),
  /** When retention folded its events to the lifecycle ones; absent while all of them are there. */
  foldedAt: Schema.optional(Schema.String)
}).annotations({ identifier: "Turn" })
export type Turn = typeof Turn.Type

/** Its events are not kept any more. */
export const goneOf = (
  { id, messageId, sessionId }: {
    readonly id: string
    readonly sessionId: string
    readonly messageId?: string | null | undefined
  },
  foldedAt: string
): Gone =>
  new Gone({ turnId: id, sessionId, foldedAt, ...(messageId === null || messageId === undefined ? {} : { messageId }) })

export const Checkpoint = Schema.Struct({
  checkpoint: Schema.Int,
  turnId: TurnId,
  phase: Phase,
  /** The last seq it covers. */
  seq: Schema.Int,
  /** The partial text at that seq. */
  text: Schema.String,
  reasoning: Schema.String,
  whole,
  /** Known usage so far; null where nobody reported any. */
  usage: Schema.NullOr(Usage),
  /** Hash of the context manifest; null before the context was built. */
  contextHash: Schema.NullOr(Schema.String)
}).annotations({ identifier: "Checkpoint" })
export type Checkpoint = typeof Checkpoint.Type

/** A page, ascending. `nextCursor` is there while there is more. */
export const page = <A, I>(item: Schema.Schema<A, I>) =>
  Schema.Struct({ items: Schema.Array(item), nextCursor: Schema.optional(Schema.String) })
export interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly nextCursor?: string
}
