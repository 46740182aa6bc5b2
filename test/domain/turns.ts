/** Random legal journals of a turn, as event bodies: every path that the protocol allows. */
import * as FastCheck from "effect/FastCheck"
import { type MessageId, type SessionId, type TurnId } from "../../src/domain/Ids.ts"
import { Cancelled, providerFailure, toInfo } from "../../src/domain/TurnError.ts"
import type { EventBody, TurnEvent } from "../../src/domain/TurnEvent.ts"
import * as UsageSum from "../../src/domain/UsageSum.ts"

export const ids = { turnId: "turn" as TurnId, sessionId: "session" as SessionId, messageId: "m" as MessageId }

const text = FastCheck.string({ unit: "binary", maxLength: 40 })

const said: FastCheck.Arbitrary<EventBody> = FastCheck.oneof(
  {
    weight: 5,
    arbitrary: FastCheck.record({ kind: FastCheck.constantFrom("text" as const, "reasoning" as const), text }).map((
      data
    ): EventBody => ({
      type: "model.delta",
      data
    }))
  },
  {
    weight: 1,
    arbitrary: text.map((input): EventBody => ({
      type: "model.delta",
      data: { kind: "tool-input", text: input, toolCallId: "c", toolName: "f" }
    }))
  },
  {
    weight: 1,
    arbitrary: FastCheck.jsonValue().map((value): EventBody => ({
      type: "model.tool-call",
      data: { toolCallId: "c", toolName: "f", arguments: value }
    }))
  }
)

/** What an attempt says, its usage, and whether another follows: a failed one, with its visible output taken back. */
const attempt = FastCheck.record({
  said: FastCheck.array(said, { maxLength: 12 }),
  outputTokens: FastCheck.option(FastCheck.nat(1000)),
  source: FastCheck.constantFrom("reported" as const, "estimated" as const)
})

export const bodies: FastCheck.Arbitrary<ReadonlyArray<EventBody>> = FastCheck.record({
  attempts: FastCheck.array(attempt, { minLength: 1, maxLength: 3 }),
  ending: FastCheck.constantFrom("completed", "cancelled", "open")
}).map(({ attempts, ending }) => {
  const usages: Array<Parameters<typeof UsageSum.reported>[0][number]> = []
  const events: Array<EventBody> = [
    { type: "turn.started", data: { provider: "p", model: "m", userMessageId: ids.messageId } },
    {
      type: "context.built",
      data: { slots: [], budget: 1, reserve: 1, window: 2, total: 1, hash: "h", compaction: false }
    }
  ]
  attempts.forEach((one, index) => {
    events.push({
      type: "attempt.started",
      data: { attempt: index + 1, provider: "p", model: "m" },
      attempt: index + 1
    })
    events.push(...one.said)
    if (ending === "open" && index === attempts.length - 1) return
    const usage = UsageSum.make({ outputTokens: one.outputTokens })
    usages.push({ usage, source: one.source })
    events.push({ type: "telemetry.usage", data: { usage, source: one.source, contextPercent: 12.5 } })
    if (index === attempts.length - 1) return
    const error = toInfo(providerFailure("p", "overloaded"))
    events.push({ type: "attempt.failed", data: { attempt: index + 1, error, retryInMs: 5 } })
    if (one.said.length > 0) events.push({ type: "model.reset", data: { fromSeq: 3, toSeq: events.length } })
  })
  if (ending === "open") return events
  events.push({ type: "checkpoint.saved", data: { checkpoint: 1, phase: "committing", seq: events.length } })
  const chars = (attempts.at(-1)?.said ?? [])
    .reduce((sum, { data }) => "kind" in data && data.kind === "text" ? sum + data.text.length : sum, 0)
  events.push(
    ending === "completed"
      ? {
        type: "turn.completed",
        data: { finishReason: "stop", messageId: ids.messageId, usage: UsageSum.reported(usages) }
      }
      : {
        type: "turn.failed",
        data: {
          error: toInfo(new Cancelled({ cause: "user_stop" })),
          checkpoint: 1,
          ...(chars === 0 ? {} : { partial: { messageId: ids.messageId, chars } })
        }
      }
  )
  return events
})

export const place = (all: ReadonlyArray<EventBody>): ReadonlyArray<TurnEvent> =>
  // A body and an envelope make an event; the union's members cannot be matched up by the compiler.
  all.map((body, index) =>
    ({
      v: 1,
      turnId: ids.turnId,
      sessionId: ids.sessionId,
      seq: index + 1,
      at: "2026-01-02T03:04:05.678Z",
      ...body
    }) as TurnEvent
  )

export const journals = bodies.map(place)
