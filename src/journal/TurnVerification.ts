/**
 * One turn against what must hold of it: its events by `Invariants.journalChecker`, its rows by their fold. Reads only; a
 * turn that runs is judged as it stood when its row was read. A row that cannot be read is a violation, and what can be
 * read is still checked.
 *
 * Memory: a page of events and, for answers that rows hold, the text of one turn, a few copies.
 */
import * as Effect from "effect/Effect"
import type { TurnId } from "../domain/Ids.ts"
import * as Invariants from "../domain/Invariants.ts"
import type { TurnNotFound } from "../domain/RequestError.ts"
import type { Turn } from "../domain/Resources.ts"
import { JournalFailure } from "../domain/TurnError.ts"
import * as TurnEvent from "../domain/TurnEvent.ts"
import * as Usage from "../domain/Usage.ts"
import { heldCharsMax } from "./Answers.ts"
import type { Journal } from "./Journal.ts"

/** Events read at a time. */
const pageSize = 1_000

export interface Verified {
  readonly events: number
  /** All that its usage events say, estimates too, as the ledger counts; null where there is none. */
  readonly used: Usage.Usage | null
  readonly violations: ReadonlyArray<Invariants.Violation>
}

export type Reader = Journal["Type"]

const unreadable = (turnId: string, seq: number | undefined, why: string, promise = "P30"): Invariants.Violation => ({
  promise,
  turnId,
  seq,
  what: `it cannot be read: ${why}`
})

/** A fault that passes is the caller's to try again; one that stays is what is looked for. */
export const isLasting = (error: { readonly _tag: string }): error is JournalFailure =>
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
  readonly folded: boolean
  /** The last event that the rows know of. */
  readonly upTo: number
  readonly checkers: ReadonlyArray<Pick<ReturnType<typeof Invariants.journalChecker>, "add" | "end">>
  readonly violations: ReadonlyArray<Invariants.Violation>
}

const rowsOf = (journal: Reader, id: TurnId): Effect.Effect<Rows, TurnNotFound | JournalFailure> =>
  Effect.gen(function*() {
    const { turn } = yield* journal.turn(id)
    // its deltas are gone: the rows say what they said
    if (turn.foldedAt !== undefined) {
      return { folded: true, upTo: Number.MAX_SAFE_INTEGER, checkers: [], violations: [] }
    }
    const message = yield* messageOf(journal, turn)
    const all = yield* Effect.catchIf(journal.checkpoints(id), isLasting, () => Effect.succeed(undefined))
    // a turn that runs: none that was written since its row was read
    const checkpoints = turn.status === "running"
      ? all?.filter(({ checkpoint }) => checkpoint <= (turn.checkpoint ?? 0))
      : all
    return {
      folded: false,
      upTo: turn.status === "running" ? turn.lastSeq : Number.MAX_SAFE_INTEGER,
      checkers: [
        Invariants.projectionChecker({
          turn,
          message,
          heldMax: heldCharsMax,
          ...(checkpoints === undefined ? {} : { checkpoints })
        })
      ],
      violations: all === undefined ? [unreadable(id, undefined, "its checkpoints", "P6")] : []
    }
  }).pipe(
    Effect.catchIf(isLasting, (error) =>
      Effect.succeed({
        folded: false,
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
    const { turn } = yield* Effect.catchIf(journal.turn(id), isLasting, () => Effect.succeed({ turn: undefined }))
    return turn?.foldedAt === undefined ? found : yield* verifyOnce(journal, id)
  })

const verifyOnce = (journal: Reader, id: TurnId) =>
  Effect.gen(function*() {
    const rows = yield* rowsOf(journal, id)
    const checkers = [Invariants.journalChecker({ folded: rows.folded }), ...rows.checkers]
    let used: Usage.Usage | null = null
    let events = 0
    const broken = yield* readEvents(journal, id, rows.upTo, (event) => {
      events += 1
      if (event.type === "telemetry.usage") used = Usage.add(used ?? Usage.unknown, event.data.usage)
      for (const checker of checkers) checker.add(event)
    })
    return {
      folded: rows.folded,
      events,
      used,
      violations: [
        ...rows.violations,
        ...(broken === undefined ? [] : [broken]),
        ...checkers.flatMap((checker) => checker.end())
      ]
    }
  })
