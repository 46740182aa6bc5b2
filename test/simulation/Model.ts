/**
 * What the outside world was told, and what must therefore be true: every acknowledged submit, cancel and deletion, every
 * event that a follower was shown, every call that a provider got. Checked at the moment of the telling, against what
 * another program reads in the file; `FinalChecks` looks at the whole once more.
 */
import type { Turn } from "../../src/domain/Resources.ts"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import * as TurnState from "../../src/domain/TurnState.ts"
import type { JournaledEvent, SessionCursor } from "../../src/journal/Journal.ts"
import type { SubmitRequest, Submitted } from "../../src/turn/TurnRuntime.ts"
import type { JournalView, SeenEvent } from "./JournalView.ts"
import type { Call } from "./SteeredProvider.ts"

export interface Ask {
  readonly number: number
  readonly sessionId: string
  /** Undefined for a resume or a retry. */
  readonly request: SubmitRequest | undefined
  readonly parent: { readonly id: string; readonly kind: "resume" | "retry" } | undefined
  state: "waiting" | "answered" | "refused" | "lost"
  turnId: string | undefined
}

export interface Follower {
  readonly number: number
  readonly of: { readonly turnId: string; readonly after: number } | {
    readonly sessionId: string
    readonly after: SessionCursor | undefined
  }
  readonly seen: Array<SeenEvent>
  /** Reads only when it is let. */
  readonly slow: boolean
  state: "joined" | "ended" | "broken" | "left" | "lost"
}

interface SessionFacts {
  deleteAsked: boolean
  deleted: boolean
  superseded: boolean
}

export interface Violation {
  readonly promise: string
  readonly turnId: string
  readonly seq: number | undefined
  readonly what: string
}

/** What may refuse a submit, a resume or a retry in this world. */
const refusals = new Set([
  "TurnConflict",
  "Overloaded",
  "Draining",
  "JournalFailure",
  "IdempotencyConflict",
  "SessionNotFound",
  "TurnNotFound"
])

const stateOf = (events: ReadonlyArray<SeenEvent>): TurnState.TurnState | undefined =>
  TurnState.fold(events.map(({ json }) => TurnEvent.parse(json)))

export const make = (view: JournalView) => {
  const violations: Array<Violation> = []
  const sessions = new Map<string, SessionFacts>()
  const asks: Array<Ask> = []
  const followers: Array<Follower> = []
  const calls = new Map<string, Call>()
  const cancelled = new Set<string>()
  /** Answered cancels that found, or made, the turn cancelled. */
  const endedAs = new Map<string, string>()
  const byKey = new Map<string, { readonly turnId: string; readonly body: string }>()
  const had = { crash: false, shutdown: false }
  const counts = new Map<string, number>()

  const violate = (promise: string, turnId: string, what: string, seq?: number): void => {
    violations.push({ promise, turnId, seq, what })
  }
  /** What came about, to see that a run of seeds reaches everything that it is to check. */
  const count = (what: string): void => {
    counts.set(what, (counts.get(what) ?? 0) + 1)
  }
  const session = (id: string): SessionFacts => {
    const known = sessions.get(id) ?? { deleteAsked: false, deleted: false, superseded: false }
    sessions.set(id, known)
    return known
  }
  const committed = (turnId: string, seq: number): SeenEvent | undefined => {
    if (view.turn(turnId).length < seq) view.catchUp()
    return view.turn(turnId)[seq - 1]
  }
  const sessionOf = (turnId: string): string => committed(turnId, 1)?.sessionId ?? ""

  /** Everything a chain of resumed turns said, oldest first. */
  const chainText = (turnId: string): string => {
    const state = stateOf(view.turn(turnId))
    if (state === undefined) return ""
    return (state.resumedFrom === undefined ? "" : chainText(state.resumedFrom)) + state.text
  }

  const checkPrefix = (call: Call, turnId: string, resumedFrom: string | null): void => {
    const last = call.request.messages.at(-1)
    const given = last?.role === "assistant"
      ? last.parts.map((part) => (part.type === "text" ? part.text : "")).join("")
      : ""
    const due = resumedFrom === null ? "" : chainText(resumedFrom)
    count(due === "" ? "call" : "call with a prefix")
    if (given !== due) {
      violate(
        "P8",
        turnId,
        `the provider was given ${JSON.stringify(given)}, not what was said: ${JSON.stringify(due)}`
      )
    }
  }

  /** A provider was called: for a turn that is committed, attempt and all, alone in its session. */
  const called = (call: Call): void => {
    view.catchUp()
    const question = call.request.messages.findLast(({ role }) => role === "user")
    const found = view.rows<{ id: string; session_id: string; resumed_from: string | null }>(
      `SELECT t.id, t.session_id, t.resumed_from FROM turns t JOIN messages m ON m.id = t.user_message_id
       WHERE m.parts = ? AND t.status = 'running'`,
      [JSON.stringify(question?.parts)]
    ).filter(({ id }) => stateOf(view.turn(id))?.phase === "calling-model")
    const turn = found[0]
    if (
      turn === undefined || found.length > 1 || stateOf(view.turn(turn.id))?.attempts !== call.request.attempt
    ) {
      violate("P4", turn?.id ?? "", `call ${call.number} was made before its turn and attempt were committed`)
      return
    }
    call.turnId = turn.id
    const key = `${turn.id}:${call.request.attempt}`
    if (calls.has(key)) violate("P9", turn.id, `attempt ${call.request.attempt} called the provider twice`)
    calls.set(key, call)
    const active = view.rows<{ id: string }>(
      "SELECT id FROM turns WHERE session_id = ? AND status = 'running'",
      [turn.session_id]
    ).filter(({ id }) => stateOf(view.turn(id))?.phase !== "accepted")
    if (active.length !== 1) violate("P10", turn.id, "another turn of the session is under way")
    checkPrefix(call, turn.id, turn.resumed_from)
  }

  const answered = (ask: Ask, { existing, turn }: Submitted): void => {
    ask.state = "answered"
    count(`${ask.parent?.kind ?? "submit"} answered${existing ? " with a turn that was there" : ""}`)
    ask.turnId = turn.id
    const gone = session(ask.sessionId).deleteAsked
    if (committed(turn.id, 1) === undefined && !gone) {
      violate("P4", turn.id, "an acknowledged submit is not in the journal")
    }
    const key = ask.request?.idempotencyKey
    if (ask.parent !== undefined) {
      const linked = ask.parent.kind === "resume" ? turn.resumedFrom : turn.retryOf
      if (linked !== ask.parent.id) {
        violate("P9", turn.id, `${ask.parent.kind} of ${ask.parent.id} answered with another turn`)
      }
    } else if (key !== undefined) {
      const scoped = `${ask.sessionId}/${key}`
      const body = JSON.stringify(ask.request)
      const known = byKey.get(scoped)
      if (known === undefined) byKey.set(scoped, { turnId: turn.id, body })
      else if (known.turnId !== turn.id) violate("P9", turn.id, `key ${key} made ${known.turnId} before`)
      else if (known.body !== body) violate("P9", turn.id, `key ${key} answered another body`)
    }
  }

  const refused = (ask: Ask, tag: string): void => {
    ask.state = "refused"
    count(`refused: ${tag}`)
    if (!refusals.has(tag)) violate("P19", ask.turnId ?? "", `ask ${ask.number} was refused with ${tag}`)
    const known = byKey.get(`${ask.sessionId}/${ask.request?.idempotencyKey ?? ""}`)
    if (tag === "IdempotencyConflict" && known !== undefined && known.body === JSON.stringify(ask.request)) {
      violate("P9", known.turnId, `ask ${ask.number} repeats its key with its own body and is told of a conflict`)
    }
  }

  const cancelAnswered = (turn: Turn): void => {
    if (turn.status === "running") {
      violate("P12", turn.id, "cancel answered before the turn ended")
      return
    }
    view.catchUp()
    const last = view.turn(turn.id).at(-1)
    const ended = last === undefined ? undefined : TurnEvent.parse(last.json)
    const told = turn.status === "completed" ? "turn.completed" : turn.error?._tag ?? ""
    const stands = ended?.type === "turn.failed" ? ended.data.error._tag : ended?.type
    if (told !== stands) violate("P12", turn.id, `cancel answered ${told}, the journal says ${stands}`)
    endedAs.set(turn.id, told)
    count(`cancel answered ${told}`)
  }

  const delivered = (follower: Follower, event: JournaledEvent): void => {
    const stands = committed(event.turnId, event.seq)
    if (stands === undefined) violate("P1", event.turnId, "a follower saw it before its commit", event.seq)
    else if (stands.json !== event.json) violate("P15", event.turnId, "a follower saw other bytes", event.seq)
    follower.seen.push({ turnId: event.turnId, sessionId: sessionOf(event.turnId), seq: event.seq, json: event.json })
  }

  const followerEnded = (follower: Follower, why: string | undefined, failedBefore: boolean): void => {
    follower.state = why === undefined ? "ended" : "broken"
    count(`follower ended: ${why ?? "with its turn"}`)
    const sessionId = "turnId" in follower.of ? sessionOf(follower.of.turnId) : follower.of.sessionId
    const { deleteAsked } = session(sessionId)
    const fair = why === undefined ||
      (why === "deleted" && deleteAsked) || (why === "TurnNotFound" && deleteAsked) ||
      (why === "SessionNotFound" && deleteAsked) || (why === "storage" && failedBefore) ||
      (why === "shutdown" && had.shutdown)
    if (!fair) violate("P15", "", `follower ${follower.number} ended with ${why}`)
  }

  const sessionDeleted = (id: string): void => {
    session(id).deleted = true
    view.catchUp()
    count("session deleted")
    const turns = view.events.filter(({ sessionId }) => sessionId === id).map(({ turnId }) => turnId)
    const left = view.traces(id, [...new Set(turns)])
    if (left.length > 0) violate("P23", "", `session ${id} was deleted and has rows in ${left.join(", ")}`)
  }

  /** Before a recovered process is ready: no turn of the dead one is open. */
  const recovered = (before: ReadonlySet<string>, callsMade: number, resumes: boolean): void => {
    const open = view.rows<{ id: string }>("SELECT id FROM turns WHERE status = 'running'").filter(({ id }) =>
      before.has(id)
    )
    for (const { id } of open) violate("P6", id, "an orphan is still open when the process is ready")
    if (callsMade > 0 && !resumes) violate("P6", "", `${callsMade} calls of a provider at the start`)
  }

  return {
    violations,
    violate,
    sessions,
    session,
    asks,
    followers,
    calls,
    cancelled,
    endedAs,
    byKey,
    had,
    counts,
    count,
    stateOf,
    sessionOf,
    called,
    answered,
    refused,
    cancelAnswered,
    delivered,
    followerEnded,
    sessionDeleted,
    recovered
  }
}

export type Model = ReturnType<typeof make>
