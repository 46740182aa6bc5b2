/** The few shapes of answers that handlers give, and the limits under which they read. */
import type { Limits } from "../config/Settings.ts"
import type { TurnId } from "../domain/Ids.ts"
import type { Session } from "../domain/Resources.ts"
import type { Submitted } from "../turn/TurnRuntime.ts"
import * as Answer from "./Answer.ts"
import type { BodyLimits } from "./Body.ts"
import * as LongJson from "./LongJson.ts"
import * as Problem from "./Problem.ts"

export const bodyLimits = (limits: Limits): BodyLimits => ({
  bytes: limits.bodyBytes,
  setting: "limits.bodyBytes",
  depth: limits.jsonDepth
})

export const importLimits = (limits: Limits): BodyLimits => ({
  bytes: limits.importBytes,
  setting: "limits.importBytes",
  depth: limits.jsonDepth
})

export const createdSession = (session: Session) =>
  Answer.json(session, { status: 201, headers: { location: `/v1/sessions/${session.id}` } })

export const locationOf = (id: TurnId): string => `/v1/turns/${id}`

/** A turn that was started, resumed or retried: 202, or 422 where it was refused before a call. */
export const submitted = (
  journal: Parameters<typeof LongJson.turn>[0],
  { turn }: Submitted,
  url: string
) =>
  Problem.isRefused(turn)
    ? Problem.refusedTurn(turn, url)
    : LongJson.answer(LongJson.turn(journal)(turn), { status: 202, headers: { location: locationOf(turn.id) } })
