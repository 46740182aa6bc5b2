/**
 * What an operator gets to know of the writer: how long its transactions take and what they carry, spans of those with
 * which a turn begins or ends, and whether storage is in trouble. What a turn says between opens no span unless its
 * transaction was slow, so that nothing is done for a delta.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import { harmless } from "../domain/Harmless.ts"
import type { JournalFailure } from "../domain/TurnError.ts"
import * as JournalMetrics from "./JournalMetrics.ts"
import * as Storage from "./Storage.ts"

/** Longer than a flush to a disk takes. */
const slowNanos = 100_000_000n
/** Turns that a span names: a collector drops a span with thousands of links. */
const linksMax = 32

interface Committed {
  /** Nanoseconds of `Clock`: before BEGIN, and after the callers were told. */
  readonly begun: bigint
  readonly ended: bigint
  readonly events: number
  readonly writes: number
  readonly isTold: boolean
  /** Whether anything is known to have been written: a command that only looked commits on a full disk too. */
  readonly isWritten: boolean
  /** Of whoever asked for the writes. */
  readonly spans: () => ReadonlyArray<Tracer.AnySpan | undefined>
}

export interface CommitWatch {
  /** Writes that wait now. */
  readonly queued: (depth: number) => void
  /** A transaction takes all that waited. */
  readonly taken: (writes: number) => void
  /** Undefined where there is nothing to tell but numbers. */
  readonly committed: (committed: Committed) => Effect.Effect<void> | undefined
  /** Storage itself refused a transaction. */
  readonly refused: (fault: Storage.StorageFault) => Effect.Effect<void>
  /** Another process owns the database. */
  readonly fenced: (writes: number) => void
  /** Why storage refused the last transaction; undefined once one succeeded. */
  readonly trouble: () => JournalFailure | undefined
}

const linkTo = (span: Tracer.AnySpan): Tracer.SpanLink => ({ _tag: "SpanLink", span, attributes: {} })

/** A child of the one span that asked for it, or a span of its own that links to the several. */
const trace = ({ begun, ended, events, spans, writes }: Committed) =>
  Effect.zipWith(Effect.tracer, FiberRef.get(FiberRef.currentTracerEnabled), (tracer, enabled) => {
    if (!enabled) return
    const asked = [...new Set(spans())].filter((span) => span !== undefined)
    const [only] = asked
    const parent = asked.length === 1 ? Option.fromNullable(only) : Option.none()
    const links = asked.length === 1 ? [] : asked.slice(0, linksMax).map(linkTo)
    const span = tracer.span("journal.commit", parent, Context.empty(), links, begun, "internal")
    span.attribute("turnstream.commit.writes", writes)
    span.attribute("turnstream.commit.events", events)
    span.end(ended, Exit.void)
  })

/** `traced`: whether spans are made. */
export const make = (traced: boolean): CommitWatch => {
  let trouble: JournalFailure | undefined

  /** Said once when storage takes writes again, as when it began to refuse them. */
  const recovered = Effect.suspend(() => {
    if (trouble === undefined) return Effect.void
    trouble = undefined
    return Effect.logInfo("Storage takes writes again")
  })

  return {
    queued: JournalMetrics.queueDepth,
    taken: (writes) => {
      if (writes > 0) JournalMetrics.commitWrites(writes)
      JournalMetrics.queueDepth(0)
    },
    committed: (committed) => {
      const { begun, ended, events, isTold, isWritten } = committed
      JournalMetrics.commitDuration(Number(ended - begun) / 1e9)
      JournalMetrics.commitEvents(events)
      const isTraced = traced && (isTold || ended - begun >= slowNanos)
      const recovers = isWritten && trouble !== undefined
      return isTraced || recovers
        ? harmless(() => Effect.zipRight(recovers ? recovered : Effect.void, isTraced ? trace(committed) : Effect.void))
        : undefined
    },
    refused: (fault) =>
      harmless(() => {
        JournalMetrics.failures({ code: Storage.codeLabel(fault) })(1)
        const isNew = trouble === undefined
        trouble = Storage.failure("commit", fault)
        return isNew ? Effect.logError(`Storage refuses writes: ${trouble.message}`) : Effect.void
      }),
    fenced: JournalMetrics.fenced,
    trouble: () => trouble
  }
}
