/**
 * Why a request or command was refused, outside any turn. `http/Problem.ts` gives each its status; the command line its
 * exit code. Fields are facts, `message` says what to do next.
 */
import * as Schema from "effect/Schema"

const tag = <const T extends string>(name: T) => `turnstream/${name}` as const

export class InvalidRequest extends Schema.TaggedError<InvalidRequest>(tag("InvalidRequest"))("InvalidRequest", {
  /** Where in the request, for example `message.parts[0].text`; empty for the whole. */
  path: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return this.path === "" ? this.reason : `${this.path}: ${this.reason}`
  }
}

export class SessionNotFound extends Schema.TaggedError<SessionNotFound>(tag("SessionNotFound"))("SessionNotFound", {
  sessionId: Schema.String
}) {
  override get message() {
    return `No session "${this.sessionId}". List them with "turnstream sessions" or GET /v1/sessions.`
  }
}

export class TurnNotFound extends Schema.TaggedError<TurnNotFound>(tag("TurnNotFound"))("TurnNotFound", {
  turnId: Schema.String
}) {
  override get message() {
    return `No turn "${this.turnId}". A session's turns are at GET /v1/sessions/{id}/turns.`
  }
}

export class Gone extends Schema.TaggedError<Gone>(tag("Gone"))("Gone", {
  turnId: Schema.String,
  sessionId: Schema.String,
  /** Absent where the turn has no answer. */
  messageId: Schema.optional(Schema.String),
  foldedAt: Schema.String
}) {
  override get message() {
    const where = this.messageId === undefined
      ? "It has no answer."
      : `Its answer is message "${this.messageId}": GET /v1/sessions/${this.sessionId}/messages, or GET /v1/turns/${this.turnId}.`
    return `The events of turn "${this.turnId}" are not kept any more (folded ${this.foldedAt}). ${where}`
  }
}

export class TurnConflict extends Schema.TaggedError<TurnConflict>(tag("TurnConflict"))("TurnConflict", {
  reason: Schema.Literal("session-busy", "queue-full", "parent-running", "parent-completed"),
  /** The turn that stands in the way. */
  turnId: Schema.String
}) {
  override get message() {
    switch (this.reason) {
      case "session-busy":
        return `Turn "${this.turnId}" is running in this session. Wait for it, cancel it, or send onBusy "queue" or "supersede".`
      case "queue-full":
        return `This session's queue is full behind turn "${this.turnId}". Wait for a turn to end.`
      case "parent-running":
        return `Turn "${this.turnId}" is still running. Wait for it or cancel it first.`
      case "parent-completed":
        return `Turn "${this.turnId}" completed; there is nothing to resume. Use retry for another answer.`
    }
  }
}

export class IdempotencyConflict
  extends Schema.TaggedError<IdempotencyConflict>(tag("IdempotencyConflict"))("IdempotencyConflict", {
    turnId: Schema.String
  })
{
  override get message() {
    return `This Idempotency-Key was used with another body, for turn "${this.turnId}". Use a new key for a new message.`
  }
}

export class Overloaded extends Schema.TaggedError<Overloaded>(tag("Overloaded"))("Overloaded", {
  what: Schema.Literal("runningTurns", "eventStreams"),
  limit: Schema.Int,
  retryAfterMs: Schema.Int
}) {
  override get message() {
    return `The limit of ${this.limit} ${this.what} is reached. Try again later or raise limits.${this.what}.`
  }
}

export class Draining extends Schema.TaggedError<Draining>(tag("Draining"))("Draining", { retryAfterMs: Schema.Int }) {
  override get message() {
    return "The service is shutting down and takes no new turns. Try again shortly."
  }
}
