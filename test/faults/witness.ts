/**
 * A client of an engine that may fail or die, and its memory: what was acknowledged, what readers saw, how commands said
 * that turns ended. Whatever it remembers must still be so afterwards (`judge.ts`).
 *
 * It behaves as clients are told to: a refused request is sent again with the same idempotency key, a reader that broke
 * off comes back with its last id.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { SessionId, TurnId } from "../../src/domain/Ids.ts"
import type { SeenEvent } from "../../src/domain/Invariants.ts"
import type { Turn } from "../../src/domain/Resources.ts"
import { type FollowEnded, Journal } from "../../src/journal/Journal.ts"
import type { Script } from "../../src/provider/Script.ts"
import { type SubmitBody, TurnRuntime } from "../../src/turn/TurnRuntime.ts"

/** A submit as it was sent, and sent again. */
export interface Sent {
  readonly sessionId: SessionId
  readonly key: string
  readonly body: SubmitBody
  /** All that its answer can say. */
  readonly fullText: string
  /** The turn of its acknowledgement. */
  turnId: TurnId | undefined
}

export interface Reading {
  readonly turnId: TurnId
  readonly after: number
  readonly seen: Array<SeenEvent>
  /** The stream ended rightly: the reader saw the end of the turn. */
  ended: boolean
}

export interface Witness {
  readonly sessions: Set<SessionId>
  /** Sessions whose deletion was asked for, and whether it was acknowledged. */
  readonly deletions: Map<SessionId, boolean>
  readonly sent: Array<Sent>
  /** Children by the command that made them. */
  readonly children: Array<{ readonly parent: TurnId; readonly kind: "resume" | "retry"; readonly turnId: TurnId }>
  readonly readings: Array<Reading>
  /** Turns that a command said had ended. */
  readonly endings: Array<Turn>
  /** Calls of a provider. */
  calls: number
}

export const witness = (): Witness => ({
  sessions: new Set(),
  deletions: new Map(),
  sent: [],
  children: [],
  readings: [],
  endings: [],
  calls: 0
})

/** A copy of what is remembered now. */
export const remember = (seen: Witness): Witness => structuredClone(seen)

/** A client asks again after a while, some 20 s long: longer than any outage of these tests. */
const again = Schedule.intersect(Schedule.spaced("500 millis"), Schedule.recurs(40))

const refused = (error: unknown) =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "JournalFailure"

const persist = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.retry(effect, { schedule: again, while: refused })

export const clientOf = (seen: Witness) => {
  const createSession = Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    const { id } = yield* persist(runtime.createSession({}))
    seen.sessions.add(id)
    return id
  })

  const submit = (
    sessionId: SessionId,
    key: string,
    script: Script,
    fullText: string,
    onBusy: SubmitBody["onBusy"] = "reject"
  ) =>
    Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const body: SubmitBody = { message: `question ${key}`, options: { script }, onBusy }
      const sent: Sent = { sessionId, key, body, fullText, turnId: undefined }
      seen.sent.push(sent)
      const { turn } = yield* persist(runtime.submit({ ...body, sessionId, idempotencyKey: key }))
      sent.turnId = turn.id
      return turn.id
    })

  const child = (parent: TurnId, kind: "resume" | "retry") =>
    Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const { turn } = yield* persist(runtime[kind](parent))
      seen.children.push({ parent, kind, turnId: turn.id })
      return turn.id
    })

  const cancel = (id: TurnId) =>
    Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      const turn = yield* persist(runtime.cancel(id))
      seen.endings.push(turn)
      return turn
    })

  const deleteSession = (id: SessionId) =>
    Effect.gen(function*() {
      const runtime = yield* TurnRuntime
      seen.deletions.set(id, false)
      yield* persist(runtime.deleteSession(id)).pipe(
        // an earlier try that was refused may have done it
        Effect.catchTag("SessionNotFound", () => Effect.void)
      )
      seen.deletions.set(id, true)
    })

  /** Reads on to the end of the turn, or until `most` events have come. A reader that broke off comes back. */
  const follow = (turnId: TurnId, after = 0, most = Number.MAX_SAFE_INTEGER): Effect.Effect<number, unknown, Journal> =>
    Effect.gen(function*() {
      const journal = yield* Journal
      const reading: Reading = { turnId, after, seen: [], ended: false }
      seen.readings.push(reading)
      const stream = most === Number.MAX_SAFE_INTEGER
        ? journal.follow(turnId, after)
        : Stream.take(journal.follow(turnId, after), most)
      const broken = yield* stream.pipe(
        Stream.runForEachChunk((events) =>
          Effect.sync(() => {
            for (const { json, seq } of events) reading.seen.push({ seq, json })
          })
        ),
        Effect.flip,
        Effect.option
      )
      const last = reading.seen.at(-1)?.seq ?? after
      if (broken._tag === "None") {
        reading.ended = most === Number.MAX_SAFE_INTEGER
        return last
      }
      if (!comesBack(broken.value)) return yield* Effect.fail(broken.value)
      return yield* Effect.delay(follow(turnId, last, most), "500 millis")
    })

  return { createSession, submit, child, cancel, deleteSession, follow }
}

/** Whether a reader may connect again: not where its turn is gone. */
const comesBack = (error: FollowEnded | { readonly _tag: string }): boolean =>
  error._tag === "JournalFailure" || ("reason" in error && error.reason === "storage")

export type Client = ReturnType<typeof clientOf>
