/** Engines with one deliberate fault each, and the promise that the fault breaks. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { MessageId, SessionId, type TurnId } from "../../src/domain/Ids.ts"
import { providerFailure } from "../../src/domain/TurnError.ts"
import { tick } from "../../src/journal/EventLoop.ts"
import type { TurnRecord } from "../../src/journal/Journal.ts"
import { onProvider } from "../faults/engine.ts"
import { canary } from "./canary.ts"
import { type Mutant, reading } from "./readers.ts"
import { behind, blind, onDatabase, onJournal, onRuntime, raw, whenEnded, writing } from "./tools.ts"

const stored: ReadonlyArray<Mutant> = [
  {
    name: "a seq is left out",
    promise: "P2",
    probe: "readers",
    between: {
      journal: whenEnded((database, id) =>
        raw(
          database,
          `UPDATE batches SET first_seq = first_seq + 1, last_seq = last_seq + 1 WHERE turn_id = '${id}' AND terminal = 1`,
          `UPDATE turns SET last_seq = last_seq + 1 WHERE id = '${id}'`
        )
      )
    }
  },
  {
    name: "turn.started twice",
    promise: "P3",
    probe: "readers",
    between: { journal: writing((events) => behind(events, "turn.started", (found) => [found])) }
  },
  {
    name: "two terminal events",
    promise: "P3",
    probe: "readers",
    between: { journal: writing((events) => behind(events, "turn.completed", (found) => [found])) }
  },
  {
    name: "completed after cancelled",
    promise: "P3",
    probe: "cancel",
    between: {
      journal: writing((events) =>
        behind(events, "turn.failed", (found) => [{
          ...found,
          type: "turn.completed",
          // the id of any message does
          data: { finishReason: "stop", messageId: found.turnId as string as never, usage: null }
        }])
      )
    }
  },
  {
    name: "usage twice",
    promise: "P14",
    probe: "readers",
    between: { journal: writing((events) => behind(events, "telemetry.usage", (found) => [found])) }
  },
  {
    name: "no usage when a turn is cancelled",
    promise: "P14",
    probe: "cancel",
    between: {
      journal: writing((events) =>
        events.at(-1)?.type === "turn.failed" ? events.filter(({ type }) => type !== "telemetry.usage") : undefined
      )
    }
  },
  {
    name: "usage that does not reach the ledger",
    promise: "P14",
    probe: "readers",
    between: { journal: whenEnded((database, id) => raw(database, `DELETE FROM usage WHERE turn_id = '${id}'`)) }
  },
  {
    name: "a partial message shorter than what was seen",
    promise: "P5",
    probe: "cancel",
    between: {
      journal: whenEnded((database, id) =>
        raw(
          database,
          `UPDATE messages SET parts = '[{"type":"text","text":"o"}]' WHERE turn_id = '${id}' AND state = 'partial'`
        )
      )
    }
  },
  {
    name: "two turns of one session at once",
    promise: "P10",
    probe: "queue",
    between: {
      journal: whenEnded((database, id) =>
        raw(
          database,
          `UPDATE batches SET pos = pos + 1000 WHERE terminal = 1 AND (SELECT count(*) FROM turns t WHERE t.end_pos IS NOT NULL
            AND t.session_id = (SELECT session_id FROM turns WHERE id = '${id}')) = 2`,
          "UPDATE turns SET end_pos = (SELECT max(pos) FROM batches WHERE turn_id = turns.id) WHERE end_pos IS NOT NULL"
        )
      )
    }
  },
  {
    name: "a retry goes on although something was said, and says it again",
    promise: "P8",
    probe: "readers",
    between: {
      journal: writing((events) => {
        const started = events.find(({ type }) => type === "attempt.started")
        return started === undefined ? undefined : behind(events, "model.delta", (found) => [started, found])
      })
    }
  }
]

/** A turn that is told of before there is one. */
const promised = (id: TurnId): TurnRecord => ({
  turn: {
    id,
    sessionId: SessionId.make("s"),
    status: "running",
    phase: "accepted",
    text: "",
    reasoning: "",
    usage: null,
    lastSeq: 1,
    provider: "deterministic",
    model: "echo",
    attempts: 0,
    userMessageId: MessageId.make("m"),
    startedAt: "2026-01-01T00:00:00.000Z"
  },
  options: {},
  resumedBy: undefined,
  retriedBy: undefined,
  trace: undefined
})

/** The journal as recovery sees it: what a start does to orphans. */
const recovering: ReadonlyArray<Mutant> = [
  {
    name: "an orphan is not closed",
    promise: "P6",
    probe: "died",
    between: { journal: onJournal(() => ({ runningTurns: Effect.succeed([]) })) }
  },
  {
    name: "an orphan is closed without a checkpoint",
    promise: "P6",
    probe: "died",
    between: {
      journal: writing((events) => {
        const last = events.at(-1)
        return last?.type === "turn.failed" && last.data.error._tag === "Interrupted"
          ? events.filter(({ type }) => type !== "checkpoint.saved")
          : undefined
      })
    }
  },
  {
    name: "a submit is acknowledged before it is committed",
    promise: "P4",
    probe: "died",
    between: {
      journal: onJournal((journal) => ({
        follow: (id, seq) => Stream.retry(journal.follow(id, seq), Schedule.spaced("50 millis")),
        admit: (admission) =>
          Effect.as(Effect.forkDaemon(Effect.zipRight(Effect.repeatN(tick, 5), journal.admit(admission))), {
            _tag: "Started",
            turnId: admission.turnId,
            ahead: []
          }),
        turn: (id) => Effect.catchTag(journal.turn(id), "TurnNotFound", () => Effect.succeed(promised(id)))
      }))
    }
  },
  {
    name: "a refused append is taken for written",
    promise: "P23",
    probe: "refusedOnce",
    between: {
      journal: onJournal((journal) => ({
        append: (append) => Effect.catchTag(journal.append(append), "JournalFailure", () => Effect.void)
      }))
    }
  }
]

const commands: ReadonlyArray<Mutant> = [
  {
    name: "the idempotency key is ignored",
    promise: "P9",
    probe: "readers",
    between: {
      journal: onJournal((journal) => ({
        admit: (admission) => journal.admit({ ...admission, idempotency: undefined })
      }))
    }
  },
  {
    name: "the body of an idempotency key is ignored",
    promise: "P9",
    probe: "readers",
    between: {
      journal: onJournal((journal) => ({
        admit: (admission) =>
          journal.admit({
            ...admission,
            idempotency: admission.idempotency === undefined
              ? undefined
              : { ...admission.idempotency, bodyHash: "same" }
          })
      }))
    }
  },
  {
    name: "a resume begins its answer again",
    promise: "P8",
    probe: "resume",
    between: {
      registry: onProvider((stream) => (request) =>
        stream({
          ...request,
          messages: request.messages.at(-1)?.role === "assistant" ? request.messages.slice(0, -1) : request.messages
        })
      )
    }
  },
  {
    name: "a cancel is answered before the turn has ended",
    promise: "P12",
    probe: "cancel",
    between: {
      runtime: onRuntime((runtime, journal) => ({
        cancel: (id) =>
          Effect.zipRight(
            Effect.forkDaemon(Effect.delay(runtime.cancel(id), "10 millis")),
            Effect.map(journal.turn(id), ({ turn }) => turn)
          )
      }))
    }
  },
  {
    name: "a turn that went on is said to be cancelled",
    promise: "P12",
    probe: "cancel",
    between: {
      runtime: onRuntime((_, journal) => ({
        cancel: (id) => Effect.map(journal.turn(id), ({ turn }) => ({ ...turn, status: "failed" as const }))
      }))
    }
  },
  {
    name: "a delete leaves rows",
    promise: "P25",
    probe: "deleteSession",
    between: { database: onDatabase((database) => raw(database, "PRAGMA foreign_keys = OFF")) }
  },
  {
    name: "the epoch is not checked",
    promise: "P7",
    probe: "takeover",
    between: { database: blind }
  },
  {
    name: "an offset beyond the end is accepted",
    promise: "P16",
    probe: "offset",
    between: {
      journal: onJournal((journal) => ({
        turn: (id) =>
          Effect.map(journal.turn(id), (record) => ({ ...record, turn: { ...record.turn, lastSeq: 1_000_000 } }))
      }))
    }
  },
  {
    name: "a secret stands in an error",
    promise: "P25",
    probe: "secret",
    between: {
      registry: onProvider(() => () =>
        Stream.fail(providerFailure("deterministic", "authentication", { detail: `the key ${canary} was refused` }))
      )
    }
  }
]

export const mutants: ReadonlyArray<Mutant> = [...reading, ...stored, ...recovering, ...commands]
