/**
 * Whether an engine that was opened on what is left is as promised, and as its clients remember: every rule of
 * `Verification`, everything that was acknowledged, seen or answered, one turn a key, no row of a deleted session; and
 * whether it serves.
 */
import * as Effect from "effect/Effect"
import type { SessionId, TurnId } from "../../src/domain/Ids.ts"
import * as Invariants from "../../src/domain/Invariants.ts"
import type { Turn } from "../../src/domain/Resources.ts"
import { Database } from "../../src/journal/Database.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as Verification from "../../src/journal/Verification.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { type Client, clientOf, type Witness } from "./witness.ts"

type Report = (promise: string, what: string, turnId?: string) => void

const all = { cursor: undefined, limit: 10_000 }

/** Rows that name a session, in every table that could. */
const rowsOf = (id: SessionId) =>
  Effect.gen(function*() {
    const { reader } = yield* Database
    const counts = yield* Effect.forEach(
      [
        `SELECT count(*) AS n FROM sessions WHERE id = '${id}'`,
        ...["messages", "turns", "usage", "context_contents"].map((table) =>
          `SELECT count(*) AS n FROM ${table} WHERE session_id = '${id}'`
        ),
        ...["batches", "checkpoints", "folded_events"].map((table) =>
          `SELECT count(*) AS n FROM ${table} WHERE turn_id NOT IN (SELECT id FROM turns)`
        ),
        "SELECT count(*) AS n FROM message_pieces WHERE message_id NOT IN (SELECT id FROM messages)"
      ],
      (text) => Effect.map(reader.unsafe<{ readonly n: number }>(text), ([row]) => row?.n ?? 0)
    )
    return counts.reduce((sum, n) => sum + n, 0)
  })

const turnOf = (id: TurnId) =>
  Effect.flatMap(Journal, (journal) =>
    journal.turn(id).pipe(
      Effect.map(({ turn }) => turn),
      Effect.catchTag("TurnNotFound", () => Effect.succeed(undefined))
    ))

const judgeDeletions = (seen: Witness, report: Report) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const gone = new Set<SessionId>()
    for (const [id, acknowledged] of seen.deletions) {
      const there = (yield* Effect.either(journal.session(id)))._tag === "Right"
      if (there && !acknowledged) continue
      gone.add(id)
      if (there) report("P4", `session ${id} is back after its deletion was acknowledged`)
      const left = yield* rowsOf(id)
      if (left > 0) report("P25", `${left} rows are left of the deleted session ${id}`)
    }
    return gone
  })

/** P4, P9: a key has the turn of its acknowledgement, and no other; nobody else asked for a turn. */
const judgeSubmits = (seen: Witness, gone: ReadonlySet<SessionId>, report: Report) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const found: Array<{ readonly turn: Turn; readonly fullText: string }> = []
    for (const sent of seen.sent) {
      if (gone.has(sent.sessionId)) continue
      const known = yield* journal.byKey(sent.sessionId, sent.key)
      if (sent.turnId !== undefined && known === undefined) {
        report("P4", `the acknowledged turn of key ${sent.key} is lost`, sent.turnId)
      } else if (sent.turnId !== undefined && known?.turnId !== sent.turnId) {
        report("P9", `key ${sent.key} has another turn than its acknowledgement said`, sent.turnId)
      }
      const turn = known === undefined ? undefined : yield* turnOf(known.turnId)
      if (turn !== undefined) found.push({ turn, fullText: sent.fullText })
    }
    return found
  })

/** P8: a retry begins again, a resume goes on where its parent stopped; neither repeats nor leaves out. */
const judgeChildren = (
  seen: Witness,
  roots: ReadonlyArray<{ readonly turn: Turn; readonly fullText: string }>,
  report: Report
) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const turns: Array<Turn> = []
    const check = (turn: Turn, before: string, fullText: string) => {
      turns.push(turn)
      const text = before + turn.text
      const promise = before === "" ? "P5" : "P8"
      if (!fullText.startsWith(text)) report(promise, "its text is not the beginning of what was said", turn.id)
      if (turn.status === "completed" && text !== fullText) {
        report(promise, "completed, without all that was said", turn.id)
      }
      return text
    }
    for (const { fullText, turn } of roots) {
      const text = check(turn, "", fullText)
      const { resumedBy, retriedBy } = yield* journal.turn(turn.id)
      for (const [id, before] of [[resumedBy, text], [retriedBy, ""]] as const) {
        const child = id === undefined ? undefined : yield* turnOf(id)
        if (child !== undefined) {
          check(child, before, fullText)
        }
      }
    }
    for (const { kind, turnId } of seen.children) {
      if (!turns.some(({ id }) => id === turnId)) report("P4", `an acknowledged ${kind} is lost`, turnId)
    }
    return turns
  })

/** P1, P5, P15: what readers saw is committed, in the same bytes, and they saw all of it, once. */
const judgeReadings = (seen: Witness, known: ReadonlySet<TurnId>, report: (found: Invariants.Violation) => void) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    for (const { after, ended, seen: events, turnId } of seen.readings) {
      if (!known.has(turnId)) continue
      const committed = yield* journal.readAfter(turnId, 0, 10_000)
      const { turn } = yield* journal.turn(turnId)
      if (turn.foldedAt === undefined) {
        for (const found of Invariants.checkFollower(events, committed, { after, complete: ended })) report(found)
        continue
      }
      // what retention takes from the events it leaves in the message, which is judged by its text
      const left = new Map(committed.map(({ json, seq }) => [seq, json]))
      for (const { json, seq } of events) {
        if (json.includes('"type":"model.') || left.get(seq) === json) continue
        report({ promise: "P1", turnId, seq, what: "an event that retention keeps was seen, and is not there" })
      }
    }
  })

/** P3, P12: what a command said of an end is the end. */
const judgeEndings = (seen: Witness, turns: ReadonlyArray<Turn>, report: Report) => {
  for (const ending of seen.endings) {
    const now = turns.find(({ id }) => id === ending.id)
    if (now === undefined) continue
    if (ending.status === "running") report("P12", "a cancel was answered before the turn had ended", ending.id)
    else if (ending.status !== now.status || ending.error?._tag !== now.error?._tag) {
      report("P12", `said to have ended as ${ending.error?._tag ?? ending.status}, and it ended otherwise`, ending.id)
    }
  }
}

/** P9: the same key and body again is the same turn; another body is refused. P23: every session takes a new turn. */
const serves = (client: Client, seen: Witness, gone: ReadonlySet<SessionId>, report: Report) =>
  Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    for (const { body, key, sessionId, turnId } of seen.sent) {
      if (gone.has(sessionId) || turnId === undefined) continue
      const again = yield* runtime.submit({ ...body, sessionId, idempotencyKey: key })
      if (!again.existing || again.turn.id !== turnId) report("P9", `key ${key} made a second turn`, again.turn.id)
      const other = runtime.submit({ ...body, message: "another question", sessionId, idempotencyKey: key })
      const refusal = yield* Effect.either(other)
      if (refusal._tag === "Right" || refusal.left._tag !== "IdempotencyConflict") {
        report("P9", `key ${key} took another body`)
      }
    }
    for (const id of seen.sessions) {
      if (gone.has(id)) continue
      const next = yield* client.submit(id, "afterwards", { deltas: 2 }, "0000000 0000001 ")
      yield* client.follow(next)
      if ((yield* turnOf(next))?.status !== "completed") report("P23", "a new turn does not complete", next)
    }
  })

/** What was found of some clients' turns. */
export interface Judgement {
  readonly violations: ReadonlyArray<Invariants.Violation>
  /** Sessions that are not there any more. */
  readonly gone: ReadonlySet<SessionId>
}

/**
 * What clients remember, against what is. `died`: the process that they talked to did, and may have journaled an attempt
 * without calling anyone.
 */
export const judgeMemory = (
  seen: Witness,
  options: { readonly died: boolean }
): Effect.Effect<Judgement, unknown, Journal | Database> =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const violations: Array<Invariants.Violation> = []
    const report: Report = (promise, what, turnId = "") => violations.push({ promise, turnId, seq: undefined, what })
    const gone = new Set(yield* judgeDeletions(seen, report))
    for (const id of seen.sessions) {
      if (gone.has(id) || (yield* Effect.either(journal.session(id)))._tag === "Right") continue
      report("P4", `the acknowledged session ${id} is lost`)
      gone.add(id)
    }
    const turns = yield* judgeChildren(seen, yield* judgeSubmits(seen, gone, report), report)
    for (const { id, status } of turns) {
      if (status === "running") report(options.died ? "P6" : "P23", "it has no end", id)
    }
    yield* judgeReadings(seen, new Set(turns.map(({ id }) => id)), (violation) => violations.push(violation))
    judgeEndings(seen, turns, report)
    let attempts = 0
    for (const id of seen.sessions) {
      if (gone.has(id)) continue
      for (const turn of (yield* journal.turns(id, all)).items) {
        attempts += turn.attempts
        if (!turns.some((known) => known.id === turn.id)) report("P9", "a turn that nobody asked for", turn.id)
      }
    }
    if (seen.deletions.size === 0) {
      if (seen.calls > attempts) report("P4", `${seen.calls} calls of a provider, ${attempts} of them journaled`)
      // a turn that was cut short may have journaled a call that it did not come to make
      const cut = turns.filter(({ status }) => status === "failed").length
      if (seen.calls < attempts - cut) report("P9", `${attempts} attempts journaled, ${seen.calls} calls`)
    }
    return { violations, gone }
  })

/** Whether the engine still serves those clients, who remember that too. */
export const judgeService = (
  seen: Witness,
  gone: ReadonlySet<SessionId>
): Effect.Effect<ReadonlyArray<Invariants.Violation>, unknown, TurnRuntime | Journal> =>
  Effect.gen(function*() {
    const violations: Array<Invariants.Violation> = []
    const report: Report = (promise, what, turnId = "") => violations.push({ promise, turnId, seq: undefined, what })
    yield* serves(clientOf(seen), { ...seen, sent: [...seen.sent] }, gone, report)
    return violations
  })

/** Every rule of `Verification`, for the whole database. */
export const judgeDatabase: Effect.Effect<ReadonlyArray<Invariants.Violation>, unknown, Journal> = Effect.gen(
  function*() {
    const violations: Array<Invariants.Violation> = []
    yield* Verification.verifyAll(yield* Journal, (found) => Effect.sync(() => void violations.push(found)))
    return violations
  }
)
