/**
 * Whether a turn may begin, decided from facts that were read in the transaction that writes it. Pure, so that every
 * journal decides alike. The order of the checks is the protocol's: a repeat is answered before a busy session is.
 */
import type { TurnId } from "../domain/Ids.ts"
import { IdempotencyConflict, SessionNotFound, TurnConflict, TurnNotFound } from "../domain/RequestError.ts"
import type { Turn } from "../domain/Resources.ts"
import type { TurnEvent } from "../domain/TurnEvent.ts"
import type { Admission, Admitted } from "./Journal.ts"

export interface AdmissionFacts {
  readonly sessionExists: boolean
  /** The turn itself is there: its commit succeeded but was reported as failed. */
  readonly turnExists: boolean
  /** The turn made with this idempotency key. */
  readonly keyed: { readonly turnId: TurnId; readonly bodyHash: string } | undefined
  /** The turn that is resumed or retried, where it belongs to the session. */
  readonly parent: { readonly status: Turn["status"]; readonly child: TurnId | undefined } | undefined
  /** Running and waiting turns of the session, oldest first. */
  readonly running: ReadonlyArray<TurnId>
}

export type Decision =
  | { readonly _tag: "Admit"; readonly ahead: ReadonlyArray<TurnId> }
  | { readonly _tag: "Answer"; readonly answer: Admitted }
  | {
    readonly _tag: "Refuse"
    readonly error: SessionNotFound | TurnNotFound | TurnConflict | IdempotencyConflict
  }

export type Parent = { readonly kind: "resume" | "retry"; readonly turnId: TurnId }

/** The turn that this one continues or repeats. */
export const parentOf = (events: ReadonlyArray<TurnEvent>): Parent | undefined => {
  const first = events[0]
  if (first?.type !== "turn.started") return undefined
  if (first.data.resumedFrom !== undefined) return { kind: "resume", turnId: first.data.resumedFrom }
  return first.data.retryOf === undefined ? undefined : { kind: "retry", turnId: first.data.retryOf }
}

const refuse = (error: Extract<Decision, { readonly _tag: "Refuse" }>["error"]): Decision => ({ _tag: "Refuse", error })
const existing = (turnId: TurnId): Decision => ({ _tag: "Answer", answer: { _tag: "Existing", turnId } })

export const decide = (admission: Admission, facts: AdmissionFacts): Decision => {
  const { alone, events, idempotency, onBusy, queueMax, sessionId, turnId } = admission
  if (!facts.sessionExists) return refuse(new SessionNotFound({ sessionId }))
  if (facts.turnExists) {
    const place = facts.running.indexOf(turnId)
    const ahead = place < 0 ? [] : facts.running.slice(0, place)
    return { _tag: "Answer", answer: { _tag: "Started", turnId, ahead } }
  }
  if (facts.keyed !== undefined && idempotency !== undefined) {
    return facts.keyed.bodyHash === idempotency.bodyHash
      ? existing(facts.keyed.turnId)
      : refuse(new IdempotencyConflict({ turnId: facts.keyed.turnId }))
  }
  const parent = parentOf(events)
  if (parent !== undefined) {
    if (facts.parent === undefined) return refuse(new TurnNotFound({ turnId: parent.turnId }))
    if (facts.parent.child !== undefined) return existing(facts.parent.child)
    if (facts.parent.status === "running") {
      return refuse(new TurnConflict({ reason: "parent-running", turnId: parent.turnId }))
    }
    if (parent.kind === "resume" && facts.parent.status === "completed") {
      return refuse(new TurnConflict({ reason: "parent-completed", turnId: parent.turnId }))
    }
  }
  const holder = facts.running[0]
  if (holder !== undefined) {
    if (alone === true) return { _tag: "Answer", answer: { _tag: "Occupied" } }
    if (onBusy === "reject") return refuse(new TurnConflict({ reason: "session-busy", turnId: holder }))
    // A turn that was refused at once needs no slot, so that it cannot find the queue full.
    const needsSlot = !events.some((event) => event.type === "turn.failed")
    if (onBusy === "queue" && needsSlot && facts.running.length - 1 >= queueMax) {
      return refuse(new TurnConflict({ reason: "queue-full", turnId: holder }))
    }
  }
  return { _tag: "Admit", ahead: facts.running }
}
