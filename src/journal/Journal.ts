/**
 * The journal: the ordered events of every turn, the only source of truth, and the projections (sessions, messages,
 * turn rows, checkpoints, usage) that are written in the same transaction as the events they follow from.
 *
 * What every implementation keeps (`test/journal/contract.ts` runs on each):
 * - events are published to followers after their commit, never before;
 * - seq is 1..n per turn without a gap; `turn.started` first and once; one terminal event, last; both enforced where
 *   the rows are, so that a faulty caller is refused with `JournalFailure{retryable: false}`;
 * - `pos` orders all commits of a database and never depends on the clock;
 * - only the owner of the current epoch writes; anyone else gets `Fenced`;
 * - a write that the storage refused may be tried again: the same seqs are never written twice.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import type { HistoryReader } from "../domain/History.ts"
import type { MessageId, SessionId, TurnId } from "../domain/Ids.ts"
import type { Message, Part, UserPart } from "../domain/Message.ts"
import type { Gone, IdempotencyConflict, SessionNotFound, TurnConflict, TurnNotFound } from "../domain/RequestError.ts"
import type { Checkpoint, Page, Session, Turn } from "../domain/Resources.ts"
import type { Fenced, JournalFailure } from "../domain/TurnError.ts"
import type { EventType, TurnEvent } from "../domain/TurnEvent.ts"
import type { TurnState } from "../domain/TurnState.ts"
import type { Usage, UsageSource } from "../domain/Usage.ts"

/** Storage said no, or another process owns the database. */
export type WriteError = JournalFailure | Fenced

/** A committed event in the bytes that every reader gets. */
export interface JournaledEvent {
  readonly turnId: TurnId
  readonly seq: number
  readonly type: EventType
  /** The whole envelope as JSON. */
  readonly json: string
}

export interface NewSession {
  readonly id: SessionId
  readonly title: string | undefined
  readonly provider: string | undefined
  readonly model: string | undefined
  readonly system: string | undefined
  readonly at: string
}

/** A message of an import, in order. */
export interface ImportedMessage {
  readonly id: MessageId
  readonly role: Message["role"]
  readonly parts: Message["parts"]
}

/** `null` clears a setting, absent leaves it. */
export interface SessionPatch {
  readonly title?: string | null
  readonly provider?: string | null
  readonly model?: string | null
  readonly system?: string | null
}

/** What a turn was asked with, kept so that a resume, a retry or a rebuild asks the same. Plain JSON. */
export type TurnOptions = { readonly [key: string]: unknown }

/** A submit: everything that must be true at once for a turn to exist. */
export interface Admission {
  readonly turnId: TurnId
  readonly sessionId: SessionId
  /**
   * `turn.started`; for a turn that is refused at once also `turn.failed`; for one that begins at once also its context and
   * its first attempt.
   */
  readonly events: ReadonlyArray<TurnEvent>
  /** Contents of the context slots in `events`. */
  readonly contents?: Append["contents"]
  /** Only where no other turn of the session runs or waits: `events` holds a context that was built without it. */
  readonly alone?: boolean
  /** A new user message, or undefined where the turn answers a message that is there (resume, retry). */
  readonly message: { readonly id: MessageId; readonly parts: ReadonlyArray<UserPart> } | undefined
  readonly options: TurnOptions
  readonly onBusy: "reject" | "queue" | "supersede"
  /** Waiting turns that a session may have. */
  readonly queueMax: number
  readonly idempotency: { readonly key: string; readonly bodyHash: string } | undefined
  /** The turn's span, kept with it for whoever goes on with it in another process. */
  readonly trace?: Trace | undefined
}

/** The ids of a span: 32 and 16 hexadecimal digits. */
export interface Trace {
  readonly traceId: string
  readonly spanId: string
}

export type Admitted =
  /** The turn is committed. `ahead`: running or waiting turns of the session before it, oldest first. */
  | { readonly _tag: "Started"; readonly turnId: TurnId; readonly ahead: ReadonlyArray<TurnId> }
  /** Nothing was written: the same key and body (or the same resume or retry) made this turn before. */
  | { readonly _tag: "Existing"; readonly turnId: TurnId }
  /** Nothing was written: it was to be alone, and is not. */
  | { readonly _tag: "Occupied" }

export interface Append {
  readonly turnId: TurnId
  /** In order, following on what is committed. */
  readonly events: ReadonlyArray<TurnEvent>
  /** Contents of context slots (`ContextBuilder`), stored once per session and hash. */
  readonly contents?: ReadonlyArray<{ readonly hash: string; readonly content: string }>
}

/**
 * A running turn whose events gather while the transaction before is under way: the next one takes all there are then, so
 * that a tick's events of every turn share one commit and no fiber is woken for any of them. All synchronous.
 */
export interface AppendSource {
  /** Asked once, when the transaction begins; undefined where nothing is to be written any more. */
  readonly take: () => Append | undefined
  /** Told once what became of what it gave; after a success, when followers have been told. */
  readonly settle: (exit: Exit.Exit<void, WriteError>) => void
  /** Of the turn. */
  readonly span: Tracer.AnySpan | undefined
}

/** What a rewrite of the file gave back. */
export interface Vacuumed {
  readonly bytesBefore: number
  readonly bytesAfter: number
  /** False where somebody, a backup perhaps, still reads the log: then it may hold deleted text until the next time. */
  readonly logEmptied: boolean
}

/** What a model says, by kind: an answer is all of its reasoning, then all of its text, then its calls. */
export const answerKinds = ["reasoning", "text", "tool-call"] as const
export type AnswerKind = (typeof answerKinds)[number]

/** What a turn was asked, beside its state. */
export interface TurnRecord {
  readonly turn: Turn
  readonly options: TurnOptions
  /** Children: at most one each. */
  readonly resumedBy: TurnId | undefined
  readonly retriedBy: TurnId | undefined
  readonly trace: Trace | undefined
}

export interface PageRequest {
  /** The `nextCursor` of the page before. */
  readonly cursor: string | undefined
  /** 1 to 10,000. */
  readonly limit: number
}

/** Where a follower of a session stands: after this event. Undefined: from the beginning. */
export interface SessionCursor {
  readonly turnId: TurnId
  readonly seq: number
}

/** Why a live stream of events broke off without a terminal event. */
export class FollowEnded extends Schema.TaggedError<FollowEnded>("turnstream/FollowEnded")("FollowEnded", {
  reason: Schema.Literal("deleted", "storage", "fenced", "shutdown")
}) {
  override get message() {
    switch (this.reason) {
      case "deleted":
        return "The session was deleted."
      case "storage":
        return "Storage refused; the turn is not finished. Reconnect from the last id."
      case "fenced":
        return "Another process owns the database now. Reconnect from the last id."
      case "shutdown":
        return "The service is shutting down. Reconnect from the last id."
    }
  }
}

/** Where a follower's events go. */
export interface EventSink {
  /** Takes committed events. Undefined: ready for more; else the effect completes once it is. Synchronous. */
  readonly write: (events: ReadonlyArray<JournaledEvent>) => Effect.Effect<void> | undefined
}

export const usageGroups = ["turn", "session", "provider", "model", "day", "source"] as const
export type UsageGroup = (typeof usageGroups)[number]

/** Which rows of the ledger, and how they are grouped. Absent conditions hold for all. */
export interface UsageQuery {
  readonly by: ReadonlyArray<UsageGroup>
  readonly where?: {
    readonly turn?: string | undefined
    readonly session?: string | undefined
    readonly provider?: string | undefined
    readonly model?: string | undefined
    readonly source?: UsageSource | undefined
    /** First and last day (UTC), inclusive, as `2026-01-31`. */
    readonly from?: string | undefined
    readonly to?: string | undefined
  }
  /** Groups to pass over, and to answer with at most; absent: all. */
  readonly skip?: number
  readonly limit?: number
}

export interface UsageTotal {
  readonly by: { readonly [G in UsageGroup]?: string }
  readonly turns: number
  readonly attempts: number
  readonly usage: Usage
  /** The fullest that a context window of the group was, 0 to 100; null where nobody knows. */
  readonly contextPercent: number | null
  /** Billionths of the currency unit: the sum of what is known, undefined where no attempt's cost is. */
  readonly costNanos: number | undefined
  /** Attempts whose cost is not known. */
  readonly unpriced: number
}

/** What is spent of each budget. */
export interface Spent {
  /** Tokens of the session that was asked for, or of the fullest. */
  readonly session: number
  /** Tokens of the day that was asked for, those of deleted sessions too. */
  readonly day: number
  /** Bytes in use in the database file; 0 where there is none. */
  readonly databaseBytes: number
}

/** One commit's part of a turn. */
export interface CommitInfo {
  readonly firstSeq: number
  readonly lastSeq: number
  /** Characters of events as stored. */
  readonly chars: number
}

/** Facts for `bootstrap`, `doctor` and `/health/ready`. */
export interface StorageInfo {
  readonly kind: "sqlite" | "memory"
  readonly path: string | undefined
  readonly schemaVersion: number
  readonly durability: "full" | "relaxed" | "none"
  readonly epoch: number
}

export class Journal extends Context.Tag("turnstream/journal/Journal")<Journal, {
  readonly info: Effect.Effect<StorageInfo, JournalFailure>
  /**
   * Fails where storage is in trouble: it cannot be read, or refused the last write and has taken none since. Answers at
   * once; in trouble it has a write tried meanwhile, so that a service nobody writes to learns that the trouble is over.
   */
  readonly health: Effect.Effect<void, JournalFailure>

  // sessions
  /**
   * The messages are taken some at a time, while other writes go on. Nobody sees the session before it is whole; where it
   * does not become that, nothing of it is left (after a crash: from the next start on).
   */
  readonly createSession: (
    session: NewSession,
    messages?: Iterable<ImportedMessage>
  ) => Effect.Effect<Session, WriteError>
  readonly session: (id: SessionId) => Effect.Effect<Session, SessionNotFound | JournalFailure>
  /** Ascending by creation. */
  readonly sessions: (page: PageRequest) => Effect.Effect<Page<Session>, JournalFailure>
  readonly updateSession: (
    id: SessionId,
    patch: SessionPatch,
    at: string
  ) => Effect.Effect<Session, SessionNotFound | WriteError>
  /** Every row of the session, in one transaction. Followers end with `FollowEnded{deleted}`. Its turns have ended. */
  readonly deleteSession: (id: SessionId) => Effect.Effect<void, SessionNotFound | WriteError>
  readonly messages: (
    id: SessionId,
    page: PageRequest
  ) => Effect.Effect<Page<Message>, SessionNotFound | JournalFailure>
  readonly turns: (id: SessionId, page: PageRequest) => Effect.Effect<Page<Turn>, SessionNotFound | JournalFailure>
  readonly message: (
    sessionId: SessionId,
    id: MessageId
  ) => Effect.Effect<Message, JournalFailure>

  // turns
  /** One transaction: the checks of idempotency, parents and slot, the user message, the turn and its first events. */
  readonly admit: (
    admission: Admission
  ) => Effect.Effect<Admitted, SessionNotFound | TurnNotFound | TurnConflict | IdempotencyConflict | WriteError>
  /** The turn that an idempotency key made, without writing anything. */
  readonly byKey: (
    sessionId: SessionId,
    key: string
  ) => Effect.Effect<{ readonly turnId: TurnId; readonly bodyHash: string } | undefined, JournalFailure>
  /**
   * Completes when the events and their projections are committed; group-committed with whatever else is waiting.
   * Appends of one turn must not overlap. A repeat of events that are committed already succeeds without writing.
   */
  readonly append: (append: Append) => Effect.Effect<void, WriteError>
  /** Has the next transaction take what the source has gathered; again for what gathers after that. */
  readonly enlist: (source: AppendSource) => void
  /**
   * Appends of different turns at once, for a restart with thousands to close: what each came to, in their order. As
   * many as a transaction may hold (some hundreds).
   */
  readonly appendAll: (
    appends: ReadonlyArray<Append>
  ) => Effect.Effect<ReadonlyArray<Exit.Exit<void, WriteError>>, WriteError>
  /** Reflects committed events only. */
  readonly turn: (id: TurnId) => Effect.Effect<TurnRecord, TurnNotFound | JournalFailure>
  /** The fold of the committed events; of a folded turn, what its lifecycle events say of it. */
  readonly state: (id: TurnId) => Effect.Effect<TurnState, TurnNotFound | JournalFailure>
  /** The same of many turns at once, for a restart. One that is not there or cannot be read is left out: `state` says why. */
  readonly states: (ids: ReadonlyArray<TurnId>) => Effect.Effect<ReadonlyMap<TurnId, TurnState>, JournalFailure>
  /** Up to `limit` events after `seq`, ascending; fewer where they are large, none at the end. Of a folded turn: its lifecycle events, whose seqs have gaps. */
  readonly readAfter: (
    id: TurnId,
    seq: number,
    limit: number
  ) => Effect.Effect<ReadonlyArray<JournaledEvent>, TurnNotFound | JournalFailure>
  /**
   * What the model said of one kind (at `upTo`, or so far), in pieces of bounded size: for answers that a Turn, Message or
   * Checkpoint marks with `whole: false`, because no string should hold them.
   */
  readonly answer: (
    id: TurnId,
    kind: AnswerKind,
    upTo?: number
  ) => Stream.Stream<Part, TurnNotFound | JournalFailure>
  readonly checkpoints: (id: TurnId) => Effect.Effect<ReadonlyArray<Checkpoint>, TurnNotFound | JournalFailure>
  /** Turns without a terminal event, oldest first: what a crash left behind. */
  readonly runningTurns: Effect.Effect<ReadonlyArray<TurnId>, JournalFailure>
  /** The spans of these turns, as far as they have one; at most some hundreds. */
  readonly traces: (ids: ReadonlyArray<TurnId>) => Effect.Effect<ReadonlyMap<TurnId, Trace>, JournalFailure>
  /** How a turn came to disk, ascending, at most `limit`; none of a folded turn. */
  readonly commits: (
    id: TurnId,
    afterSeq: number,
    limit: number
  ) => Effect.Effect<ReadonlyArray<CommitInfo>, TurnNotFound | JournalFailure>

  // context
  /**
   * Exchanges before a user message, newest first. Of sibling answers the newest completed counts; turns refused before
   * a call do not. `asOfTurn`: as it stood when that turn was admitted, for a rebuild.
   */
  readonly history: (query: {
    readonly sessionId: SessionId
    /** Undefined: the whole session (a preview). */
    readonly before: MessageId | undefined
    readonly asOfTurn: TurnId | undefined
  }) => HistoryReader<JournalFailure>
  /** Slot contents recorded by `append`. */
  readonly contents: (
    sessionId: SessionId,
    hashes: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, string>, JournalFailure>

  // followers
  /**
   * The events after `seq`, live, in the order of their commit; ends after the terminal event. Chunks as they come.
   * Holds a cursor only: a slow reader costs no memory.
   */
  readonly follow: (
    id: TurnId,
    seq: number
  ) => Stream.Stream<JournaledEvent, TurnNotFound | Gone | JournalFailure | FollowEnded>
  /** The same, given to `sink` where it is committed: for a socket. Ends when the sink was given the terminal event. */
  readonly followInto: (
    id: TurnId,
    seq: number,
    sink: EventSink
  ) => Effect.Effect<void, TurnNotFound | Gone | JournalFailure | FollowEnded>
  /**
   * Every event of the session's turns after the cursor; stays open between turns unless `live` is false. Folded turns are
   * passed over.
   */
  readonly followSession: (
    id: SessionId,
    after: SessionCursor | undefined,
    live: boolean
  ) => Stream.Stream<JournaledEvent, SessionNotFound | TurnNotFound | Gone | JournalFailure | FollowEnded>
  /** Ends every follower with `FollowEnded{reason}`: at shutdown, or one turn's when storage refuses its ending. */
  readonly endFollowers: (reason: FollowEnded["reason"], turnId?: TurnId) => Effect.Effect<void>

  /**
   * Folds turns that ended before `endedBefore` (UTC, ISO-8601), the oldest first, at most `limit`, and answers how many:
   * their model events go, the lifecycle events keep their seqs; message, usage and last checkpoint stay. Following one is
   * `Gone` from then on.
   */
  readonly foldTurns: (endedBefore: string, at: string, limit: number) => Effect.Effect<number, WriteError>
  /**
   * Rewrites the file without what was deleted and empties the write-ahead log: nothing of a deleted text is left in
   * either. Writes wait meanwhile, and so does the whole process while the file is rewritten (some 100 MB a second).
   */
  readonly vacuum: Effect.Effect<Vacuumed, WriteError>

  /** Sums of usage rows, estimates included, grouped and in the order of the groups. Reads the whole ledger. */
  readonly usage: (query: UsageQuery) => Effect.Effect<ReadonlyArray<UsageTotal>, JournalFailure>
  /**
   * Lookups by key for a session that is named; a pass over all of them for the `fullest`. A session that is not there has
   * spent nothing.
   */
  readonly spent: (of: {
    readonly session: SessionId | undefined
    readonly fullest?: boolean
    readonly day: string
  }) => Effect.Effect<Spent, JournalFailure>

  /** Completes when another process took the database over. */
  readonly fenced: Effect.Effect<Fenced>
}>() {}
