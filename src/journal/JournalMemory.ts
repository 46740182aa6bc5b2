/**
 * The journal without a disk: the same contract, projections, admission and followers as `JournalSql`, over maps. For
 * tests, simulations and embedding programs that need no durability. It grows until sessions are deleted.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { MessageId, SessionId, TurnId } from "../domain/Ids.ts"
import { heldCharsMax, type Message } from "../domain/Message.ts"
import { type Gone, SessionNotFound, TurnNotFound } from "../domain/RequestError.ts"
import { goneOf } from "../domain/Resources.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import * as TurnEvent from "../domain/TurnEvent.ts"
import * as TurnState from "../domain/TurnState.ts"
import * as UsageSum from "../domain/UsageSum.ts"
import * as Answers from "./Answers.ts"
import { tick } from "./EventLoop.ts"
import * as Exchanges from "./Exchanges.ts"
import * as Follow from "./Follow.ts"
import * as Imports from "./Imports.ts"
import type * as Contract from "./Journal.ts"
import { Journal } from "./Journal.ts"
import * as Live from "./Live.ts"
import * as MemoryStore from "./MemoryStore.ts"
import { cursorOf, cutPage } from "./Paging.ts"
import * as Projection from "./Projection.ts"

/** Events a follower that fell behind is given at once. */
const pageEventsMax = 512

const totalOf = (
  by: Contract.UsageTotal["by"],
  rows: ReadonlyArray<Projection.UsageRow>
): Contract.UsageTotal => {
  const priced = rows.flatMap(({ costNanos }) => costNanos === null ? [] : [costNanos])
  const percents = rows.flatMap(({ contextPercent }) => contextPercent === null ? [] : [contextPercent])
  return {
    by,
    turns: new Set(rows.map((row) => row.turnId)).size,
    attempts: rows.length,
    usage: rows.reduce((sum, row) => UsageSum.add(sum, row.usage), UsageSum.unknown),
    contextPercent: percents.length === 0 ? null : Math.max(...percents),
    costNanos: priced.length === 0 ? undefined : priced.reduce((sum, nanos) => sum + nanos, 0),
    unpriced: rows.length - priced.length
  }
}

/** All messages of an import, made a piece in a turn of the event loop. */
const gathered = (messages: Iterable<Contract.ImportedMessage>) =>
  Effect.suspend(() => {
    const pieces = Imports.piecesOf(messages)
    const all: Array<Contract.ImportedMessage> = []
    const gather: Effect.Effect<ReadonlyArray<Contract.ImportedMessage>> = Effect.suspend(() => {
      const next = pieces.next()
      if (next.done === true) return Effect.succeed(all)
      all.push(...next.value.messages)
      return next.value.last ? Effect.succeed(all) : Effect.zipRight(tick, gather)
    })
    return gather
  })

const make = () => {
  const live = Live.make()
  const store = MemoryStore.make()

  const requireSession = (id: SessionId): Effect.Effect<MemoryStore.SessionEntry, SessionNotFound> => {
    const entry = store.sessions.get(id)
    return entry === undefined ? new SessionNotFound({ sessionId: id }) : Effect.succeed(entry)
  }
  const requireTurn = (id: TurnId): Effect.Effect<MemoryStore.TurnEntry, TurnNotFound> => {
    const entry = store.turns.get(id)
    return entry === undefined ? new TurnNotFound({ turnId: id }) : Effect.succeed(entry)
  }
  /** One synchronous step: nothing runs between its look and its end. */
  const withSession = <A, E = never>(id: SessionId, f: (entry: MemoryStore.SessionEntry) => Effect.Effect<A, E>) =>
    Effect.suspend(() => Effect.flatMap(requireSession(id), f))
  const withTurn = <A, E = never>(id: TurnId, f: (entry: MemoryStore.TurnEntry) => Effect.Effect<A, E>) =>
    Effect.suspend(() => Effect.flatMap(requireTurn(id), f))

  const checkpointsOf = (turn: MemoryStore.TurnEntry) => {
    if (turn.folded !== undefined) {
      return turn.checkpoints.map((row) => ({ ...row, ...Answers.shown(Answers.saidBy(turn.state)) }))
    }
    const folding = TurnState.makeFold(undefined, heldCharsMax)
    let index = 0
    const events = store.eventsAfter(turn, 0, Number.MAX_SAFE_INTEGER)
    return turn.checkpoints.map((row) => {
      for (let event = events[index]; event !== undefined && event.seq <= row.seq; event = events[++index]) {
        folding.add(TurnEvent.parse(event.json))
      }
      const state = folding.state()
      return { ...row, ...Answers.shown(state === undefined ? Answers.saidNothing : Answers.saidBy(state)) }
    })
  }

  /** The pos at which the turn's context was built; unbounded where it was not. */
  const contextPos = (id: TurnId): number =>
    store.turns.get(id)?.batches.find((batch) => batch.events.some((event) => event.type === "context.built"))?.pos ??
      Number.MAX_SAFE_INTEGER

  const answerRead = ({ parts, turnId, whole }: Message, charsMax: number): Exchanges.AnswerRead => {
    const turn = whole === false && turnId !== null ? store.turns.get(turnId) : undefined
    if (turn === undefined) return { parts, unreadChars: 0 }
    if (turn.state.chars > charsMax) return { parts: [], unreadChars: turn.state.chars }
    const pieces = [
      ...store.partsAt(turn, "text", Number.MAX_SAFE_INTEGER),
      ...store.partsAt(turn, "tool-call", Number.MAX_SAFE_INTEGER)
    ]
    return { parts: Exchanges.merged(pieces), unreadChars: 0 }
  }

  const historyPage = (
    { asOfTurn, before, sessionId }: Parameters<Journal["Type"]["history"]>[0],
    cursor: number | undefined,
    charsMax: number
  ) => {
    const session = store.sessions.get(sessionId)
    const messages = session?.messages ?? []
    const question = messages.find((message) => message.id === before)
    if (before !== undefined && question === undefined) {
      return new JournalFailure({ operation: "history", retryable: false, reason: `no message ${before}` })
    }
    const below = cursor ?? question?.position ?? Number.MAX_SAFE_INTEGER
    const found = messages.filter((message) =>
      message.position < below && (message.role === "user" || message.turnId === null)
    ).toReversed()
    const page = Exchanges.taken(found.slice(0, Exchanges.pageMax + 1))
    const asOf = asOfTurn === undefined ? Number.MAX_SAFE_INTEGER : contextPos(asOfTurn)
    const answers = session === undefined ? [] : store.answers(session)
    const chosen = new Map(page.rows.flatMap((row) =>
      row.turnId === null
        ? []
        : [[row.id, Exchanges.choose(answers.filter((one) => one.userMessageId === row.id), asOf)]]
    ))
    const read = new Map<MessageId, Exchanges.AnswerRead>(messages.map((one) => [one.id, answerRead(one, charsMax)]))
    return Effect.succeed({ exchanges: Exchanges.pair(page.rows, chosen, read), cursor: page.cursor })
  }

  const usage = ({ by, limit, skip = 0, where = {} }: Contract.UsageQuery): ReadonlyArray<Contract.UsageTotal> => {
    const fits = ({ day, model, provider, sessionId, source, turnId }: Projection.UsageRow): boolean =>
      (where.turn ?? turnId) === turnId && (where.session ?? sessionId) === sessionId &&
      (where.provider ?? provider) === provider && (where.model ?? model) === model &&
      (where.source ?? source) === source && (where.from ?? day) <= day && day <= (where.to ?? day)
    interface Group {
      readonly by: Contract.UsageTotal["by"]
      readonly rows: Array<Projection.UsageRow>
    }
    const groups = new Map<string, Group>()
    for (const turn of store.turns.values()) {
      for (const row of turn.usages.filter(fits)) {
        const all = { turn: row.turnId, session: row.sessionId, ...row }
        const key = JSON.stringify(by.map((name) => all[name]))
        const group: Group = groups.get(key) ??
          { by: Object.fromEntries(by.map((name) => [name, all[name]])), rows: [] }
        group.rows.push(row)
        groups.set(key, group)
      }
    }
    return [...groups.entries()]
      .sort(([, a], [, b]) => {
        const first = by.find((name) => a.by[name] !== b.by[name])
        return first === undefined || (a.by[first] ?? "") < (b.by[first] ?? "") ? -1 : 1
      })
      .slice(skip, limit === undefined ? undefined : skip + limit)
      .map(([, { by, rows }]) => totalOf(by, rows))
  }

  const sessionTokens = ({ turns }: MemoryStore.SessionEntry): number =>
    turns.reduce((sum, { usages }) => usages.reduce((of, row) => of + Projection.tokensOf(row), sum), 0)

  const gone = ({ state: { messageId, sessionId, turnId } }: MemoryStore.TurnEntry, foldedAt: string) =>
    goneOf({ id: turnId, sessionId, messageId }, foldedAt)

  const pages: Follow.Pages = {
    turnPage: (id, seq) =>
      withTurn(id, (turn) =>
        turn.folded !== undefined && seq < turn.state.lastSeq
          ? gone(turn, turn.folded.at)
          : Effect.succeed({
            events: store.eventsAfter(turn, seq, pageEventsMax),
            ended: turn.state.status !== "running"
          })),
    sessionPage: (id, pos) =>
      withSession(id, (session) => {
        const batches = session.turns.flatMap((turn) =>
          turn.folded === undefined ? turn.batches.filter((batch) => batch.pos > pos) : []
        )
          .sort((a, b) => a.pos - b.pos)
        const events: Array<Contract.JournaledEvent> = []
        let last = pos
        for (const batch of batches) {
          events.push(...batch.events)
          last = batch.pos
          if (events.length >= pageEventsMax) break
        }
        return Effect.succeed({ events, pos: last })
      }),
    sessionStart: (id, { seq, turnId }) =>
      withSession(id, (session): Effect.Effect<Follow.SessionPage, TurnNotFound | Gone> => {
        const turn = session.turns.find((one) => one.state.turnId === turnId)
        if (turn?.folded !== undefined && turn.endPos !== null) {
          return seq === turn.state.lastSeq
            ? Effect.succeed({ events: [], pos: turn.endPos })
            : gone(turn, turn.folded.at)
        }
        const batch = turn?.batches.find((one) => one.events.some((event) => event.seq === seq))
        return batch === undefined
          ? new TurnNotFound({ turnId })
          : Effect.succeed({ events: batch.events.filter((event) => event.seq > seq), pos: batch.pos })
      })
  }

  const appendNow = (append: Contract.Append): Exit.Exit<void, JournalFailure> => {
    const published = store.append(append)
    if (published instanceof JournalFailure) return Exit.fail(published)
    live.publish(published)
    return Exit.void
  }

  return Journal.of({
    health: Effect.void,
    info: Effect.succeed({ kind: "memory", path: undefined, schemaVersion: 0, durability: "none", epoch: 0 }),
    createSession: (session, messages = []) =>
      Effect.flatMap(gathered(messages), (all) => {
        store.createSession(session, all)
        return Effect.map(Effect.orDie(requireSession(session.id)), store.sessionOf)
      }),
    session: (id) => withSession(id, (entry) => Effect.succeed(store.sessionOf(entry))),
    sessions: (page) =>
      Effect.map(cursorOf(page), (after) => {
        const rows = [...store.sessions.values()].filter((entry) => entry.ord > after).slice(0, page.limit + 1)
        return cutPage(rows, page.limit, (entry) => entry.ord, store.sessionOf)
      }),
    updateSession: (id, patch, at) =>
      withSession(id, (entry) => {
        const { createdAt, id, updatedAt: _, ...before } = entry.session
        entry.session = { id, ...MemoryStore.given({ ...before, ...patch }), createdAt, updatedAt: at }
        return Effect.succeed(store.sessionOf(entry))
      }),
    deleteSession: (id) => withSession(id, () => Effect.sync(() => live.deleted(id, store.deleteSession(id)))),
    messages: (id, page) =>
      Effect.flatMap(cursorOf(page), (after) =>
        withSession(id, ({ messages }) => {
          const rows = messages.filter((message) => message.position > after).slice(0, page.limit + 1)
          return Effect.succeed(
            cutPage(rows, page.limit, (row) => row.position, ({ position: _, ...message }) => message)
          )
        })),
    turns: (id, page) =>
      Effect.flatMap(cursorOf(page), (after) =>
        withSession(id, ({ turns }) => {
          const rows = turns.filter((turn) => turn.ord > after).slice(0, page.limit + 1)
          return Effect.succeed(cutPage(rows, page.limit, (turn) => turn.ord, store.turnOf))
        })),
    message: (sessionId, id) =>
      Effect.suspend(() => {
        const found = store.sessions.get(sessionId)?.messages.find((message) => message.id === id)
        if (found === undefined) {
          return new JournalFailure({ operation: "message", retryable: false, reason: `no message ${id}` })
        }
        const { position: _, ...message } = found
        return Effect.succeed(message)
      }),
    admit: (admission) =>
      Effect.suspend((): ReturnType<Journal["Type"]["admit"]> => {
        const result = store.admit(admission)
        if (result instanceof JournalFailure) return Effect.fail(result)
        const { decision, published } = result
        if (decision._tag === "Refuse") return Effect.fail(decision.error)
        if (decision._tag === "Answer") return Effect.succeed(decision.answer)
        live.publish(published)
        return Effect.succeed<Contract.Admitted>({
          _tag: "Started",
          turnId: admission.turnId,
          ahead: decision.ahead
        })
      }),
    byKey: (sessionId, key) =>
      Effect.sync(() => {
        const found = store.sessions.get(sessionId)?.turns.find((turn) => turn.idempotency?.key === key)
        return found?.idempotency === undefined
          ? undefined
          : { turnId: store.idOf(found), bodyHash: found.idempotency.bodyHash }
      }),
    append: (append) => Effect.suspend(() => appendNow(append)),
    enlist: (source) => {
      const append = source.take()
      if (append !== undefined) source.settle(appendNow(append))
    },
    appendAll: (appends) => Effect.sync(() => appends.map(appendNow)),
    turn: (id) =>
      withTurn(id, (turn) => {
        const siblings = store.sessions.get(turn.state.sessionId as SessionId)?.turns ?? []
        const resumed = siblings.find((other) => other.state.resumedFrom === id)
        const retried = siblings.find((other) => other.state.retryOf === id)
        return Effect.succeed<Contract.TurnRecord>({
          turn: store.turnOf(turn),
          options: turn.options,
          resumedBy: resumed === undefined ? undefined : store.idOf(resumed),
          retriedBy: retried === undefined ? undefined : store.idOf(retried),
          trace: turn.trace
        })
      }),
    state: (id) => withTurn(id, (turn) => Effect.succeed(turn.state)),
    states: (ids) =>
      Effect.sync(() =>
        new Map(ids.flatMap((id) => {
          const state = store.turns.get(id)?.state
          return state === undefined ? [] : [[id, state] as const]
        }))
      ),
    readAfter: (id, seq, limit) => withTurn(id, (turn) => Effect.succeed(store.eventsAfter(turn, seq, limit))),
    answer: (id, kind, upTo = Number.MAX_SAFE_INTEGER) =>
      Stream.fromIterableEffect(withTurn(id, (turn) => Effect.succeed(store.partsAt(turn, kind, upTo)))),
    checkpoints: (id) => withTurn(id, (turn) => Effect.succeed(checkpointsOf(turn))),
    runningTurns: Effect.sync(() =>
      [...store.turns.values()].filter((turn) => turn.state.status === "running").map(store.idOf)
    ),
    history: (query) => (cursor, charsMax) => Effect.suspend(() => historyPage(query, cursor, charsMax)),
    contents: (sessionId, hashes) =>
      Effect.sync(() => {
        const all = store.sessions.get(sessionId)?.contents
        return new Map(hashes.flatMap((hash) => {
          const content = all?.get(hash)
          return content === undefined ? [] : [[hash, content] as const]
        }))
      }),
    follow: (id, seq) => Follow.follow(live, pages, id, seq),
    followInto: (id, seq, sink) => Follow.followInto(live, pages, id, seq, sink),
    followSession: (id, after, open) => Follow.followSession(live, pages, id, after, open),
    endFollowers: (reason, turnId) => Effect.sync(() => live.close(reason, turnId)),
    usage: (query) => Effect.sync(() => usage({ ...query, by: [...new Set(query.by)] })),
    spent: ({ day, fullest, session }) =>
      Effect.sync(() => {
        const entry = session === undefined ? undefined : store.sessions.get(session)
        const sessions = fullest === true ? [...store.sessions.values()] : entry === undefined ? [] : [entry]
        return {
          session: Math.max(0, ...sessions.map(sessionTokens)),
          day: store.days.get(day) ?? 0,
          databaseBytes: 0
        }
      }),
    traces: (ids) =>
      Effect.sync(() =>
        new Map(ids.flatMap((id) => {
          const trace = store.turns.get(id)?.trace
          return trace === undefined ? [] : [[id, trace]]
        }))
      ),
    commits: (id, afterSeq, limit) =>
      withTurn(id, ({ batches, folded }) =>
        Effect.succeed(
          (folded === undefined ? batches : []).flatMap(({ events }) => {
            const [first, last] = [events[0], events.at(-1)]
            if (first === undefined || last === undefined || first.seq <= afterSeq) return []
            const chars = events.reduce((sum, { json }) => sum + json.length, 0)
            return [{ firstSeq: first.seq, lastSeq: last.seq, chars }]
          }).slice(0, limit)
        )),
    foldTurns: (endedBefore, at, limit) => Effect.sync(() => store.foldTurns(endedBefore, at, limit)),
    vacuum: Effect.succeed({ bytesBefore: 0, bytesAfter: 0, logEmptied: true }),
    fenced: Effect.never
  })
}

/** A journal of its own for each build of the layer. */
export const layer: Layer.Layer<Journal> = Layer.sync(Journal, make)
