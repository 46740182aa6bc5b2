/**
 * Turns as `turn`, `chat` and `import` use them: of an engine in this process (`TurnClientLocal.ts`) or of a running
 * server (`TurnClientHttp.ts`). Both give the same events in the same bytes, and fail with the same tags.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { SessionId, TurnId } from "../domain/Ids.ts"
import type { Gone } from "../domain/RequestError.ts"
import type { Session, Turn } from "../domain/Resources.ts"
import type { FollowEnded, JournaledEvent, Vacuumed } from "../journal/Journal.ts"
import type { Pieced } from "../journal/Transcript.ts"
import type { CommandError, SubmitBody, SubmitError } from "../turn/TurnRuntime.ts"

/** The server answered, and said no. `code` is the error's tag there. */
export class ServerRefused extends Schema.TaggedError<ServerRefused>("turnstream/cli/ServerRefused")("ServerRefused", {
  code: Schema.String,
  status: Schema.Int,
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** Nobody answered, or what answered is not this service. */
export class ServerUnreachable
  extends Schema.TaggedError<ServerUnreachable>("turnstream/cli/ServerUnreachable")("ServerUnreachable", {
    url: Schema.String,
    detail: Schema.String
  })
{
  override get message() {
    return `No turnstream server answers at ${this.url} (${this.detail}). Start one with "turnstream serve", or correct --url.`
  }
}

export type ClientError = SubmitError | CommandError | FollowEnded | Gone | ServerRefused | ServerUnreachable

export class TurnClient extends Context.Tag("turnstream/cli/TurnClient")<TurnClient, {
  readonly createSession: Effect.Effect<Session, ClientError>
  readonly session: (id: SessionId) => Effect.Effect<Session, ClientError>
  readonly importSession: (transcript: Pieced) => Effect.Effect<Session, ClientError>
  /** A turn refused before a call is a Turn that failed, not an error. */
  readonly submit: (id: SessionId, body: SubmitBody) => Effect.Effect<Turn, ClientError>
  /** Every event of the turn from the first, live, to the terminal one. */
  readonly follow: (id: TurnId) => Stream.Stream<JournaledEvent, ClientError>
  /** Rewrites the database file without what was deleted. */
  readonly vacuum: Effect.Effect<Vacuumed, ClientError>
  /** Completes after the turn has ended. */
  readonly cancel: (id: TurnId) => Effect.Effect<Turn, ClientError>
}>() {}
