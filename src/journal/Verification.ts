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
import type { TurnId } from "../domain/Ids.ts"
import * as Invariants from "../domain/Invariants.ts"
import type { Gone, SessionNotFound, TurnNotFound } from "../domain/RequestError.ts"
import type { Session } from "../domain/Resources.ts"
import type { JournalFailure } from "../domain/TurnError.ts"
import * as Usage from "../domain/Usage.ts"
import type { FollowEnded } from "./Journal.ts"
import { isLasting, type Reader, verifyTurn } from "./TurnVerification.ts"

export { verifyTurn }

/** Sessions read at a time. */
const pageSize = 1_000

export interface Counts {
  readonly sessions: number
  readonly turns: number
  readonly events: number
  readonly violations: number
}

type Report = (violation: Invariants.Violation) => Effect.Effect<void>

const sameUsage = (a: Usage.Usage | null, b: Usage.Usage | null) => JSON.stringify(a) === JSON.stringify(b)

/** The ledger by session, with the fields in one order. */
const ledgerOf = (journal: Reader) =>
  Effect.map(
    journal.usage(["session"]),
    (totals) => new Map(totals.map(({ by, usage }) => [by.session, Usage.add(Usage.unknown, usage)]))
  )

/** The turns whose events are there, in the order of their begin, with what is wrong between them. */
const streamedTurns = (journal: Reader, { id }: Session) => {
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

/** A page of turns holds their answers. */
const turnsAtOnce = 10

/** Those and the folded ones. A list that cannot be read is told, and those with events are checked all the same. */
const turnsOf = (journal: Reader, session: Session, report: Report) =>
  Effect.gen(function*() {
    const { turns, violations } = yield* streamedTurns(journal, session)
    yield* Effect.forEach(violations, report, { discard: true })
    const list = Effect.gen(function*() {
      let cursor: string | undefined
      do {
        const page = yield* journal.turns(session.id, { cursor, limit: turnsAtOnce })
        for (const { id } of page.items) turns.add(id)
        cursor = page.nextCursor
      } while (cursor !== undefined)
    })
    yield* Effect.catchIf(list, isLasting, (error) =>
      report(ofSession("P30", session.id, `its turns cannot be listed: ${error.message}`)))
    return turns
  })

type SessionError = SessionNotFound | TurnNotFound | Gone | JournalFailure | FollowEnded

interface SessionVerified {
  readonly turns: number
  readonly events: number
  readonly used: Usage.Usage | null
}

const verifySession = (
  journal: Reader,
  session: Session,
  report: Report
): Effect.Effect<SessionVerified, SessionError> =>
  Effect.gen(function*() {
    const turns = yield* turnsOf(journal, session, report)
    let events = 0
    let used: Usage.Usage | null = null
    for (const id of turns) {
      const turn = yield* verifyTurn(journal, id)
      events += turn.events
      if (turn.used !== null) used = Usage.add(used ?? Usage.unknown, turn.used)
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
    const spent = new Map<string, Usage.Usage | null>()
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
      const [was, is] = [before.get(id) ?? null, after.get(id) ?? null]
      // not the same twice: a session at work, of which the events were read between the two
      if (sameUsage(was, is) && !sameUsage(is, used)) {
        yield* say(ofSession("P14", id, "the ledger's sum is not that of its events"))
      }
    }
    return total
  })
