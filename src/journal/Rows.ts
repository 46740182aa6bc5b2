/** Rows as they come from the database, decoded: a row is untrusted input. Columns are named by `AS` in the queries. */
import * as Schema from "effect/Schema"
import { MessageId, SessionId, TurnId } from "../domain/Ids.ts"
import { Message, Part } from "../domain/Message.ts"
import { TurnErrorInfo } from "../domain/TurnError.ts"
import * as TurnEvent from "../domain/TurnEvent.ts"
import { Usage } from "../domain/Usage.ts"
import type { Trace } from "./Journal.ts"
import { rows } from "./Storage.ts"

/** A span's ids in one column. */
export const traceText = ({ spanId, traceId }: Trace): string => `${traceId}-${spanId}`
export const traceOf = (text: string | null): Trace | undefined => {
  const [, traceId, spanId] = /^([0-9a-f]{1,64})-([0-9a-f]{1,32})$/.exec(text ?? "") ?? []
  return traceId === undefined || spanId === undefined ? undefined : { traceId, spanId }
}

const json = <A, I>(schema: Schema.Schema<A, I>) => Schema.parseJson(schema)
const nullable = Schema.NullOr
const Parts = Schema.Array(Part)

export const SessionRow = Schema.Struct({
  ord: Schema.Int,
  id: SessionId,
  title: nullable(Schema.String),
  provider: nullable(Schema.String),
  model: nullable(Schema.String),
  system: nullable(Schema.String),
  createdAt: Schema.String,
  updatedAt: Schema.String,
  turnCount: Schema.Int,
  running: nullable(TurnId)
})
export type SessionRow = typeof SessionRow.Type

export const TurnRow = Schema.Struct({
  ord: Schema.Int,
  id: TurnId,
  sessionId: SessionId,
  status: Schema.Literal("running", "completed", "failed"),
  phase: TurnEvent.Phase,
  provider: Schema.String,
  model: Schema.String,
  userMessageId: MessageId,
  messageId: nullable(MessageId),
  retryOf: nullable(TurnId),
  resumedFrom: nullable(TurnId),
  attempts: Schema.Int,
  lastSeq: Schema.Int,
  checkpoint: nullable(Schema.Int),
  finishReason: nullable(TurnEvent.FinishReason),
  error: nullable(json(TurnErrorInfo)),
  usage: nullable(json(Usage)),
  startedAt: Schema.String,
  endedAt: nullable(Schema.String),
  options: json(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
  /** Running turns of the session before it. */
  place: Schema.Int,
  /** Of its message; null where it has none. */
  parts: nullable(json(Parts)),
  answerAfter: nullable(Schema.Int),
  foldedAt: nullable(Schema.String),
  resumedBy: nullable(TurnId),
  retriedBy: nullable(TurnId),
  /** Trace and span id, with a dash between them. */
  trace: nullable(Schema.String)
})
export type TurnRow = typeof TurnRow.Type

export const MessageRow = Schema.Struct({
  id: MessageId,
  turnId: nullable(TurnId),
  position: Schema.Int,
  role: Message.fields.role,
  parts: json(Parts),
  /** Of an answer that is too long for `parts`: the seq after which the turn's events hold it. */
  answerAfter: nullable(Schema.Int),
  state: Message.fields.state,
  createdAt: Schema.String
})
export type MessageRow = typeof MessageRow.Type
export const selectMessage =
  `SELECT id, turn_id AS "turnId", position, role, parts, answer_after AS "answerAfter", state, created_at AS "createdAt" FROM messages`

/** The seq of a turn's last event, for a query whose `turns` are named `t`: its row knows it once the turn has ended. */
export const lastSeqOfT =
  `CASE WHEN t.end_pos IS NULL THEN coalesce((SELECT b.last_seq FROM batches b WHERE b.turn_id = t.id ORDER BY b.first_seq DESC LIMIT 1), t.last_seq) ELSE t.last_seq END AS "lastSeq"`

/** What history needs of a turn. */
export const AnswerRow = Schema.Struct({
  id: TurnId,
  userMessageId: MessageId,
  status: Schema.Literal("running", "completed", "failed"),
  errorTag: nullable(Schema.String),
  messageId: nullable(MessageId),
  resumedFrom: nullable(TurnId),
  startPos: nullable(Schema.Int),
  endPos: nullable(Schema.Int)
})
export type AnswerRow = typeof AnswerRow.Type

/** An answer for a later context; `chars`: its size where it is too long for `parts`. */
export const PartsRow = Schema.Struct({
  id: MessageId,
  turnId: nullable(TurnId),
  parts: json(Parts),
  chars: nullable(Schema.Int)
})
export type PartsRow = typeof PartsRow.Type

/** Where an answer is. */
export const AnswerPlaceRow = Schema.Struct({
  lastSeq: Schema.Int,
  foldedAt: nullable(Schema.String),
  messageId: nullable(MessageId),
  parts: nullable(json(Parts)),
  answerAfter: nullable(Schema.Int)
})

export const BatchRow = Schema.Struct({
  pos: Schema.Int,
  turnId: TurnId,
  sessionId: SessionId,
  firstSeq: Schema.Int,
  tails: Schema.String
})
export type BatchRow = typeof BatchRow.Type

export const CheckpointRow = Schema.Struct({
  checkpoint: Schema.Int,
  turnId: TurnId,
  phase: TurnEvent.Phase,
  seq: Schema.Int,
  usage: nullable(json(Usage)),
  contextHash: nullable(Schema.String)
})

/** Over a ledger it may pass what an integer holds exactly. */
const Sum = nullable(Schema.Number)

export const UsageTotalRow = Schema.Struct({
  turn: Schema.optional(Schema.String),
  session: Schema.optional(Schema.String),
  provider: Schema.optional(Schema.String),
  model: Schema.optional(Schema.String),
  day: Schema.optional(Schema.String),
  source: Schema.optional(Schema.String),
  turns: Schema.Int,
  attempts: Schema.Int,
  contextPercent: nullable(Schema.Number),
  costUnits: Sum,
  costRest: Sum,
  unpriced: Schema.Int,
  inputTokens: Sum,
  outputTokens: Sum,
  cacheReadTokens: Sum,
  cacheWriteTokens: Sum,
  reasoningTokens: Sum,
  totalTokens: Sum
})

export const sessionRows = rows(SessionRow)
export const turnRows = rows(TurnRow)
export const messageRows = rows(MessageRow)
export const answerPlaceRows = rows(AnswerPlaceRow)
export const pieceRows = rows(Schema.Struct({ n: Schema.Int, part: json(Part) }))
export const placeRows = rows(Schema.Struct({ place: Schema.Int, size: Schema.Int }))
export const batchRows = rows(BatchRow)
export const checkpointRows = rows(CheckpointRow)
export const usageTotalRows = rows(UsageTotalRow)
export const epochRows = rows(Schema.Struct({ epoch: Schema.Int }))
export const traceRows = rows(Schema.Struct({ id: TurnId, trace: Schema.String }))
export const spentRows = rows(
  Schema.Struct({ session: nullable(Schema.Int), day: nullable(Schema.Int), databaseBytes: Schema.Int })
)
export const commitRows = rows(Schema.Struct({ firstSeq: Schema.Int, lastSeq: Schema.Int, chars: Schema.Int }))
export const sessionIdRows = rows(Schema.Struct({ id: SessionId }))
export const openRows = rows(Schema.Struct({ id: TurnId, ord: Schema.Int }))
export const countRows = rows(Schema.Struct({ n: Schema.Int }))
export const contentRows = rows(Schema.Struct({ hash: Schema.String, content: Schema.String }))
const StandingRow = Schema.Struct({
  status: Schema.Literal("running", "completed", "failed"),
  lastSeq: Schema.Int,
  sessionId: SessionId,
  messageId: nullable(MessageId),
  foldedAt: nullable(Schema.String),
  endPos: nullable(Schema.Int)
})
export type StandingRow = typeof StandingRow.Type
export const standingRows = rows(StandingRow)
/** A closed turn whose events may be folded. */
const DueRow = Schema.Struct({
  id: TurnId,
  messageId: nullable(MessageId),
  answerAfter: nullable(Schema.Int)
})
export type DueRow = typeof DueRow.Type
export const dueRows = rows(DueRow)
export const foldedRows = rows(
  Schema.Struct({ turnId: TurnId, sessionId: SessionId, seq: Schema.Int, pos: Schema.Int, tail: Schema.String })
)
export const sizeOfDatabaseRows = rows(Schema.Struct({ bytes: Schema.Int }))
export const checkpointedRows = rows(Schema.Struct({ busy: Schema.Int }))
export const keyedRows = rows(Schema.Struct({ turnId: TurnId, bodyHash: Schema.String }))
export const sizeRows = rows(
  Schema.Struct({ firstSeq: Schema.Int, lastSeq: Schema.Int, size: Schema.Int })
)
