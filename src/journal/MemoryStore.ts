/**
 * The tables of a journal in memory, and what is written to and looked up in them. Synchronous: one call is one
 * transaction, and it checks before it changes anything. Times and ids come from callers, so that a simulation repeats.
 */
import type { SessionId, TurnId } from "../domain/Ids.ts"
import type { Message, Part } from "../domain/Message.ts"
import type { Session, Turn } from "../domain/Resources.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import type { TurnState } from "../domain/TurnState.ts"
import * as Admission from "./Admission.ts"
import * as Answers from "./Answers.ts"
import * as Journal from "./Journal.ts"
import type { Published } from "./Live.ts"
import * as Projection from "./Projection.ts"
import type { AnswerRow } from "./Rows.ts"

export interface Batch {
  readonly pos: number
  readonly events: ReadonlyArray<Journal.JournaledEvent>
}

export interface TurnEntry {
  readonly ord: number
  readonly options: Journal.TurnOptions
  readonly idempotency: Journal.Admission["idempotency"]
  state: TurnState
  batches: Array<Batch>
  checkpoints: Array<Projection.CheckpointRow>
  readonly usages: Array<Projection.UsageRow>
  readonly trace: Journal.Trace | undefined
  endPos: number | null
  /** Set by retention; `said` is what its events said, which are gone then. */
  folded: { readonly at: string; readonly said: ReadonlyArray<Part> } | undefined
}

export interface MessageEntry extends Message {
  readonly position: number
}

export interface SessionEntry {
  readonly ord: number
  session: Omit<Session, "running" | "turnCount">
  readonly turns: Array<TurnEntry>
  /** By position. */
  readonly messages: Array<MessageEntry>
  readonly contents: Map<string, string>
}

const refused = (operation: string, reason: string) => new JournalFailure({ operation, retryable: false, reason })

export const make = () => {
  const sessions = new Map<SessionId, SessionEntry>()
  const turns = new Map<TurnId, TurnEntry>()
  /** Tokens of each day, those of deleted sessions too. */
  const days = new Map<string, number>()
  let pos = 0
  let ord = 0

  const running = (session: SessionEntry): ReadonlyArray<TurnEntry> =>
    session.turns.filter((turn) => turn.state.status === "running")

  const idOf = (turn: TurnEntry): TurnId => turn.state.turnId as TurnId // checked where the event was decoded

  const sessionOf = (entry: SessionEntry): Session => {
    const holder = running(entry)[0]
    return { ...entry.session, turnCount: entry.turns.length, running: holder === undefined ? null : idOf(holder) }
  }

  const turnOf = (entry: TurnEntry): Turn => {
    const session = sessions.get(entry.state.sessionId as SessionId)
    const ahead = session === undefined ? [] : running(session).filter((other) => other.ord < entry.ord)
    return Projection.turnOf(Projection.summary(entry.state), Answers.saidBy(entry.state), {
      place: ahead.length,
      foldedAt: entry.folded?.at ?? null
    })
  }

  const endPosition = ({ messages }: SessionEntry): number => {
    const last = messages.at(-1)
    return last === undefined ? 1 : last.position + (last.role === "user" && last.turnId !== null ? 2 : 1)
  }

  const insertMessage = (session: SessionEntry, message: MessageEntry): void => {
    const index = session.messages.findLastIndex((other) => other.position < message.position) + 1
    session.messages.splice(index, 0, message)
  }

  const write = (session: SessionEntry, turn: TurnEntry, projected: Projection.Projected): Published => {
    const { events, message, state } = projected
    pos++
    turn.state = state
    turn.batches.push({ pos, events })
    turn.checkpoints.push(...projected.checkpoints)
    turn.usages.push(...projected.usages)
    for (const row of projected.usages) days.set(row.day, (days.get(row.day) ?? 0) + Projection.tokensOf(row))
    if (state.status !== "running") {
      turn.endPos = pos
      session.session = { ...session.session, updatedAt: state.endedAt ?? state.startedAt }
    }
    if (message !== undefined) {
      const question = session.messages.find((other) => other.id === state.userMessageId)
      const own = question !== undefined && question.turnId === state.turnId
      insertMessage(session, {
        id: message.id as Message["id"], // from a decoded event
        turnId: idOf(turn),
        role: "assistant",
        parts: message.parts,
        ...(message.inEvents === undefined ? {} : { whole: false }),
        state: message.state,
        createdAt: message.createdAt,
        position: own ? question.position + 1 : endPosition(session)
      })
    }
    return { state, events, pos }
  }

  const facts = (admission: Journal.Admission): Admission.AdmissionFacts => {
    const session = sessions.get(admission.sessionId)
    const all = session?.turns ?? []
    const keyed = all.find((turn) =>
      turn.idempotency !== undefined && turn.idempotency.key === admission.idempotency?.key
    )
    const of = Admission.parentOf(admission.events)
    const parent = all.find((turn) => turn.state.turnId === of?.turnId)
    const child = all.find((turn) =>
      of !== undefined && of.turnId === (of.kind === "resume" ? turn.state.resumedFrom : turn.state.retryOf)
    )
    return {
      sessionExists: session !== undefined,
      turnExists: all.some((turn) => turn.state.turnId === admission.turnId),
      keyed: keyed?.idempotency === undefined
        ? undefined
        : { turnId: idOf(keyed), bodyHash: keyed.idempotency.bodyHash },
      parent: parent === undefined
        ? undefined
        : { status: parent.state.status, child: child === undefined ? undefined : idOf(child) },
      running: session === undefined ? [] : running(session).map(idOf)
    }
  }

  const keep = (session: SessionEntry, contents: NonNullable<Journal.Append["contents"]>): void => {
    for (const { content, hash } of contents) if (!session.contents.has(hash)) session.contents.set(hash, content)
  }

  /** Writes the turn where the decision is to admit it. */
  const admit = (
    admission: Journal.Admission
  ): { readonly decision: Admission.Decision; readonly published: ReadonlyArray<Published> } | JournalFailure => {
    const decision = Admission.decide(admission, facts(admission))
    const session = sessions.get(admission.sessionId)
    if (decision._tag !== "Admit" || session === undefined) return { decision, published: [] }
    const projected = Projection.project(undefined, admission.events)
    if (typeof projected === "string") return refused("admit", projected)
    const { state } = projected
    if (admission.message !== undefined) {
      insertMessage(session, {
        id: admission.message.id,
        turnId: admission.turnId,
        role: "user",
        parts: admission.message.parts,
        state: "complete",
        createdAt: state.startedAt,
        position: endPosition(session)
      })
    }
    const turn: TurnEntry = {
      ord: ++ord,
      options: admission.options,
      idempotency: admission.idempotency,
      state,
      batches: [],
      checkpoints: [],
      usages: [],
      trace: admission.trace,
      endPos: null,
      folded: undefined
    }
    turns.set(admission.turnId, turn)
    session.turns.push(turn)
    session.session = { ...session.session, updatedAt: state.startedAt }
    keep(session, admission.contents ?? [])
    return { decision, published: [write(session, turn, projected)] }
  }

  const eventsAfter = (turn: TurnEntry, seq: number, max: number): ReadonlyArray<Journal.JournaledEvent> => {
    const events: Array<Journal.JournaledEvent> = []
    for (const batch of turn.batches) {
      if ((batch.events.at(-1)?.seq ?? 0) <= seq) continue
      for (const event of batch.events) if (event.seq > seq && events.length < max) events.push(event)
      if (events.length >= max) break
    }
    return events
  }

  const append = ({ contents = [], events, turnId }: Journal.Append): ReadonlyArray<Published> | JournalFailure => {
    const turn = turns.get(turnId)
    const session = turn === undefined ? undefined : sessions.get(turn.state.sessionId as SessionId)
    if (turn === undefined || session === undefined) return refused("append", `no turn ${turnId}`)
    const { repeated, rest } = Projection.split(turn.state, events)
    const known = eventsAfter(turn, (repeated[0]?.seq ?? 1) - 1, repeated.length)
    if (!Projection.isRepeat(repeated, known)) return refused("append", Projection.otherContent(repeated))
    if (rest.length === 0) return []
    const projected = Projection.project(turn.state, rest)
    if (typeof projected === "string") return refused("append", projected)
    keep(session, contents)
    return [write(session, turn, projected)]
  }

  /** What its events say of one kind up to `upTo`. */
  const partsAt = (turn: TurnEntry, kind: Journal.AnswerKind, upTo: number): ReadonlyArray<Part> => {
    if (turn.folded !== undefined) return turn.folded.said.filter((part) => part.type === kind)
    const events = eventsAfter(turn, 0, Number.MAX_SAFE_INTEGER).filter((event) => event.seq <= upTo)
    const from = events.findLast((event) => event.type === "model.reset")?.seq ?? 0
    return Answers.partsIn(events.filter((event) => event.seq > from), kind)
  }

  const foldTurns = (endedBefore: string, at: string, limit: number): number => {
    const due = [...turns.values()]
      .filter(({ folded, state: { endedAt } }) =>
        folded === undefined && endedAt !== undefined && endedAt < endedBefore
      )
      .sort((a, b) => (a.endPos ?? 0) - (b.endPos ?? 0))
      .slice(0, limit)
    for (const turn of due) {
      const said = Journal.answerKinds.flatMap((kind) => partsAt(turn, kind, turn.state.lastSeq))
      turn.folded = { at, said }
      turn.batches = turn.batches.map(({ events, pos }) => ({
        pos,
        events: events.filter((event) => Answers.isLifecycle(event.type))
      }))
      turn.checkpoints = turn.checkpoints.slice(-1)
    }
    return due.length
  }

  const createSession = (session: Journal.NewSession, messages: ReadonlyArray<Journal.ImportedMessage>): void => {
    if (sessions.has(session.id)) return
    const { at, id, ...defaults } = session
    sessions.set(id, {
      ord: ++ord,
      session: { id, ...given(defaults), createdAt: at, updatedAt: at },
      turns: [],
      messages: messages.map((message, index) => ({
        id: message.id,
        turnId: null,
        role: message.role,
        parts: message.parts,
        state: "complete",
        createdAt: at,
        position: index + 1
      })),
      contents: new Map()
    })
  }

  const deleteSession = (id: SessionId): ReadonlyArray<TurnId> => {
    const ids = (sessions.get(id)?.turns ?? []).map(idOf)
    for (const turn of ids) turns.delete(turn)
    sessions.delete(id)
    return ids
  }

  const answers = (session: SessionEntry): ReadonlyArray<AnswerRow> =>
    session.turns.map((turn) => {
      const { error, id, messageId, resumedFrom, status, userMessageId } = Projection.summary(turn.state)
      return {
        id,
        userMessageId,
        status,
        errorTag: error?._tag ?? null,
        messageId,
        resumedFrom,
        startPos: turn.batches[0]?.pos ?? null,
        endPos: turn.endPos
      }
    })

  return {
    sessions,
    turns,
    days,
    sessionOf,
    turnOf,
    idOf,
    admit,
    append,
    createSession,
    deleteSession,
    eventsAfter,
    partsAt,
    foldTurns,
    answers
  }
}

/** Without what is undefined or null, as a resource shows it. */
export const given = <A extends Readonly<Record<string, string | null | undefined>>>(
  fields: A
): { readonly [K in keyof A]?: string } => {
  const result: { [K in keyof A]?: string } = {}
  for (const key in fields) {
    const value = fields[key]
    if (typeof value === "string") result[key] = value
  }
  return result
}
