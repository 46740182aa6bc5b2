/**
 * A whole database, or one turn, against what must hold of it (`domain/Invariants.ts`): events, their rows, the turns of a
 * session side by side, the usage ledger. Reads only, by the `Journal` contract, so that any process may do it while the
 * owner writes: a turn that runs is judged as it stood when its row was read.
 *
 * Memory: a page of events, the text of one turn (a few copies), the ids of one session's turns, and a line a session for
 * the ledger. A row that cannot be read is reported as a violation, and the others are still checked.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Cost from "../domain/Cost.ts"
import type { TurnId } from "../domain/Ids.ts"
import * as Invariants from "../domain/Invariants.ts"
import type { Gone, SessionNotFound, TurnNotFound } from "../domain/RequestError.ts"
import type { Session, Turn } from "../domain/Resources.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import * as TurnEvent from "../domain/TurnEvent.ts"
import type * as Usage from "../domain/Usage.ts"
import * as UsageSum from "../domain/UsageSum.ts"
import type { FollowEnded, Journal } from "./Journal.ts"

/** Events, or sessions, read at a time. */
const pageSize = 1_000

/** What usage events add up to, estimates too, as the ledger counts. */
interface Used {
  readonly attempts: number
  readonly usage: Usage.Usage
  readonly costNanos: number | undefined
}

const nothingUsed: Used = { attempts: 0, usage: UsageSum.unknown, costNanos: undefined }

const plus = (a: Used, b: Used): Used => ({
  attempts: a.attempts + b.attempts,
  usage: UsageSum.add(a.usage, b.usage),
  costNanos: a.costNanos === undefined ? b.costNanos : a.costNanos + (b.costNanos ?? 0)
})

export interface Verified {
  readonly events: number
  readonly used: Used
  readonly violations: ReadonlyArray<Invariants.Violation>
}

export interface Counts {
  readonly sessions: number
  readonly turns: number
  readonly events: number
  readonly violations: number
}

type Reader = Journal["Type"]
type Report = (violation: Invariants.Violation) => Effect.Effect<void>

const unreadable = (turnId: string, seq: number | undefined, why: string, promise = "P30"): Invariants.Violation => ({
  promise,
  turnId,
  seq,
  what: `it cannot be read: ${why}`
})

/** A fault that passes is the caller's to try again; one that stays is what is looked for. */
const isLasting = (error: { readonly _tag: string }): error is JournalFailure =>
  error instanceof JournalFailure && !error.retryable

const decode = (json: string): TurnEvent.TurnEvent | undefined => {
  try {
    return TurnEvent.decode(JSON.parse(json))
  } catch {
    return undefined
  }
}

const messageOf = (journal: Reader, { messageId, sessionId }: Turn) =>
  messageId === undefined ? Effect.succeed(undefined) : journal.message(sessionId, messageId).pipe(
    // missing or unreadable: either way there is none to compare with
    Effect.catchIf(isLasting, () => Effect.succeed(undefined))
  )

/** What a turn's rows are judged with, as far as they can be read. */
interface Rows {
  /** Where retention folded the turn: its events have gaps, and are judged by what must be left of them. */
  readonly folded: Invariants.TurnRows | undefined
  /** The last event that the rows know of. */
  readonly upTo: number
  readonly checkers: ReadonlyArray<Pick<ReturnType<typeof Invariants.journalChecker>, "add" | "end">>
  readonly violations: ReadonlyArray<Invariants.Violation>
}

const rowsOf = (journal: Reader, id: TurnId): Effect.Effect<Rows, TurnNotFound | JournalFailure> =>
  Effect.gen(function*() {
    const { turn } = yield* journal.turn(id)
    const message = yield* messageOf(journal, turn)
    const all = yield* Effect.catchIf(journal.checkpoints(id), isLasting, () => Effect.succeed(undefined))
    // a turn that runs: none that was written since its row was read
    const checkpoints = turn.status === "running"
      ? all?.filter(({ checkpoint }) => checkpoint <= (turn.checkpoint ?? 0))
      : all
    const rows = { turn, message, ...(checkpoints === undefined ? {} : { checkpoints }) }
    return {
      folded: turn.foldedAt === undefined ? undefined : rows,
      upTo: turn.status === "running" ? turn.lastSeq : Number.MAX_SAFE_INTEGER,
      checkers: turn.foldedAt === undefined ? [Invariants.projectionChecker(rows)] : [],
      violations: all === undefined ? [unreadable(id, undefined, "its checkpoints", "P6")] : []
    }
  }).pipe(
    Effect.catchIf(isLasting, (error) =>
      Effect.succeed({
        folded: undefined,
        upTo: Number.MAX_SAFE_INTEGER,
        checkers: [],
        violations: [unreadable(id, undefined, error.message)]
      }))
  )

/** Every event of the turn up to `upTo`, in pages; answers with why it cannot be read to its end. */
const readEvents = (
  journal: Reader,
  id: TurnId,
  upTo: number,
  take: (event: TurnEvent.TurnEvent) => void
): Effect.Effect<Invariants.Violation | undefined, TurnNotFound | JournalFailure> =>
  Effect.gen(function*() {
    let last = 0
    while (last < upTo) {
      const page = yield* Effect.either(journal.readAfter(id, last, pageSize))
      if (page._tag === "Left") {
        return isLasting(page.left) ? unreadable(id, last + 1, page.left.message) : yield* page.left
      }
      if (page.right.length === 0) return undefined
      for (const { json, seq } of page.right) {
        if (seq > upTo) return undefined
        const event = decode(json)
        if (event === undefined) return unreadable(id, seq, "it does not have the expected shape")
        take(event)
        last = seq
      }
    }
    return undefined
  })

export const verifyTurn = (journal: Reader, id: TurnId): Effect.Effect<Verified, TurnNotFound | JournalFailure> =>
  Effect.gen(function*() {
    const found = yield* verifyOnce(journal, id)
    if (found.folded || found.violations.length === 0) return found
    // retention may have folded it while it was read
    const now = yield* Effect.catchIf(journal.turn(id), isLasting, () => Effect.succeed(undefined))
    return now?.turn.foldedAt === undefined ? found : yield* verifyOnce(journal, id)
  })

const verifyOnce = (journal: Reader, id: TurnId) =>
  Effect.gen(function*() {
    const rows = yield* rowsOf(journal, id)
    const checkers = rows.folded === undefined ? [Invariants.journalChecker(), ...rows.checkers] : []
    const left: Array<TurnEvent.TurnEvent> = []
    let used = nothingUsed
    let events = 0
    const broken = yield* readEvents(journal, id, rows.upTo, (event) => {
      events += 1
      if (event.type === "telemetry.usage") {
        const { cost, usage } = event.data
        used = plus(used, { attempts: 1, usage, costNanos: cost === undefined ? undefined : Cost.toNanos(cost) })
      }
      for (const checker of checkers) checker.add(event)
      if (rows.folded !== undefined) left.push(event)
    })
    return {
      folded: rows.folded !== undefined,
      events,
      used,
      violations: [
        ...rows.violations,
        ...(broken === undefined ? [] : [broken]),
        ...checkers.flatMap((checker) => checker.end()),
        ...(rows.folded === undefined ? [] : Invariants.checkFolded(left, rows.folded))
      ]
    }
  })

/** Exact as far as a number is. */
const sameCost = (a: number | undefined, b: number | undefined) =>
  a === b || (a !== undefined && b !== undefined && !Number.isSafeInteger(a) && Math.abs(a - b) <= a * 1e-9)

const sameUsed = (a: Used, b: Used) =>
  a.attempts === b.attempts && JSON.stringify(a.usage) === JSON.stringify(b.usage) && sameCost(a.costNanos, b.costNanos)

/** The ledger by session, with the fields in one order. */
const ledgerOf = (journal: Reader) =>
  Effect.map(
    journal.usage({ by: ["session"] }),
    (totals) =>
      new Map(
        totals.map((
          { attempts, by, costNanos, usage }
        ) => [by.session, plus(nothingUsed, { attempts, usage, costNanos })])
      )
  )

/** Its turns, in the order of their begin, with what is wrong between them. */
const turnsOf = (journal: Reader, { id }: Session) => {
  const order = Invariants.sessionChecker()
  const turns = new Set<TurnId>()
  return journal.followSession(id, undefined, false).pipe(
    Stream.runForEachChunk((events) =>
      Effect.sync(() => {
        for (const { seq, turnId, type } of events) {
          turns.add(turnId)
          order.add({ sessionId: id, turnId, seq, type })
        }
      })
    ),
    Effect.map(() => ({ turns, violations: order.end() }))
  )
}

/** A page of turns holds their answers, each up to a million characters. */
const turnsAtOnce = 10

/** Those that a session's stream passes over, because retention folded them. */
const foldedOf = (journal: Reader, { id }: Session) =>
  Effect.gen(function*() {
    const folded: Array<TurnId> = []
    let cursor: string | undefined
    do {
      const page = yield* journal.turns(id, { cursor, limit: turnsAtOnce })
      for (const turn of page.items) if (turn.foldedAt !== undefined) folded.push(turn.id)
      cursor = page.nextCursor
    } while (cursor !== undefined)
    return folded
  })

type SessionError = SessionNotFound | TurnNotFound | Gone | JournalFailure | FollowEnded

interface SessionVerified {
  readonly turns: number
  readonly events: number
  readonly used: Used
}

const verifySession = (
  journal: Reader,
  session: Session,
  report: Report
): Effect.Effect<SessionVerified, SessionError> =>
  Effect.gen(function*() {
    const { turns, violations } = yield* turnsOf(journal, session)
    if (turns.size < session.turnCount) { for (const id of yield* foldedOf(journal, session)) turns.add(id) }
    let events = 0
    let used = nothingUsed
    yield* Effect.forEach(violations, report, { discard: true })
    for (const id of turns) {
      const turn = yield* verifyTurn(journal, id)
      events += turn.events
      used = plus(used, turn.used)
      yield* Effect.forEach(turn.violations, report, { discard: true })
    }
    // a turn is counted in the transaction that begins it, so those begun since only add to what was found
    if (turns.size < session.turnCount) {
      yield* report(ofSession("P4", session.id, `counts ${session.turnCount} turns, its events are of ${turns.size}`))
    }
    return { turns: turns.size, events, used }
  })

const ofSession = (promise: string, id: string, what: string): Invariants.Violation => ({
  promise,
  turnId: "",
  seq: undefined,
  what: `session ${id}: ${what}`
})

/** Undefined for a session that was deleted meanwhile, or that cannot be read, which is a violation. */
const ifThere = (report: Report, session: Session) =>
(
  found: Effect.Effect<SessionVerified, SessionError>
): Effect.Effect<SessionVerified | undefined, JournalFailure> =>
  Effect.catchAll(found, (error) =>
    error._tag !== "JournalFailure"
      ? Effect.succeed(undefined)
      : isLasting(error)
      ? Effect.as(report(ofSession("P30", session.id, `it cannot be read: ${error.message}`)), undefined)
      : Effect.fail(error))

/** Every turn of every session. Each violation is reported as it is found. */
export const verifyAll = (journal: Reader, report: Report): Effect.Effect<Counts, JournalFailure> =>
  Effect.gen(function*() {
    const total = { sessions: 0, turns: 0, events: 0, violations: 0 }
    const say: Report = (violation) => {
      total.violations += 1
      return report(violation)
    }
    const before = yield* ledgerOf(journal)
    const spent = new Map<string, Used>()
    let cursor: string | undefined
    do {
      const page = yield* journal.sessions({ cursor, limit: pageSize })
      for (const session of page.items) {
        const found = yield* ifThere(say, session)(verifySession(journal, session, say))
        if (found === undefined) continue
        total.sessions += 1
        total.turns += found.turns
        total.events += found.events
        spent.set(session.id, found.used)
      }
      cursor = page.nextCursor
    } while (cursor !== undefined)
    const after = yield* ledgerOf(journal)
    for (const [id, used] of spent) {
      const [was, is] = [before.get(id) ?? nothingUsed, after.get(id) ?? nothingUsed]
      // not the same twice: a session at work, of which the events were read between the two
      if (sameUsed(was, is) && !sameUsed(is, used)) {
        yield* say(ofSession("P14", id, "the ledger's sum is not that of its events"))
      }
    }
    return total
  })
