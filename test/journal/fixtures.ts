/** Turns as data for journal tests: ids, events with their envelope, and short ways to write whole turns. */
import * as Effect from "effect/Effect"
import type { MessageId, SessionId, TurnId } from "../../src/domain/Ids.ts"
import { Cancelled, toInfo, UnknownProvider } from "../../src/domain/TurnError.ts"
import type { EventBody, TurnEvent } from "../../src/domain/TurnEvent.ts"
import type { Usage } from "../../src/domain/Usage.ts"
import * as UsageSum from "../../src/domain/UsageSum.ts"
import { type Admission, type Admitted, type ImportedMessage, Journal } from "../../src/journal/Journal.ts"

export const at = "2026-01-02T03:04:05.678Z"
export const sessionId = (id: string) => id as SessionId
export const turnId = (id: string) => id as TurnId
export const messageId = (id: string) => id as MessageId

/** Bodies with their envelope, from `seq`. */
export const place = (
  turn: string,
  session: string,
  seq: number,
  bodies: ReadonlyArray<EventBody>,
  time = at
): ReadonlyArray<TurnEvent> =>
  bodies.map((body, index) =>
    ({ v: 1, turnId: turn, sessionId: session, seq: seq + index, at: time, ...body }) as TurnEvent
  )

export const started = (
  turn: string,
  link: { readonly resumedFrom?: string; readonly retryOf?: string; readonly question?: string } = {}
): EventBody => ({
  type: "turn.started",
  data: {
    provider: "deterministic",
    model: "echo",
    userMessageId: messageId(link.question ?? `${turn}-question`),
    ...(link.resumedFrom === undefined ? {} : { resumedFrom: turnId(link.resumedFrom) }),
    ...(link.retryOf === undefined ? {} : { retryOf: turnId(link.retryOf) })
  }
})

export const built: EventBody = {
  type: "context.built",
  data: { slots: [], budget: 100, reserve: 10, window: 110, total: 5, hash: "context-hash", compaction: false }
}
export const attempt = (n = 1): EventBody => ({
  type: "attempt.started",
  data: { attempt: n, provider: "deterministic", model: "echo" },
  attempt: n
})
export const delta = (text: string): EventBody => ({ type: "model.delta", data: { kind: "text", text }, attempt: 1 })
export const reasoning = (text: string): EventBody => ({
  type: "model.delta",
  data: { kind: "reasoning", text },
  attempt: 1
})
export const used = (
  known: Partial<Usage>,
  source: "reported" | "estimated" | "deterministic" = "deterministic",
  more: { readonly cost?: number; readonly contextPercent?: number | null } = {}
): EventBody => ({
  type: "telemetry.usage",
  data: { usage: UsageSum.make(known), source, contextPercent: null, ...more },
  attempt: 1
})
export const checkpoint = (n: number, seq: number): EventBody => ({
  type: "checkpoint.saved",
  data: { checkpoint: n, phase: "committing", seq }
})
export const completed = (turn: string): EventBody => ({
  type: "turn.completed",
  data: { finishReason: "stop", messageId: messageId(`${turn}-answer`), usage: null }
})
export const cancelled = (turn: string, chars: number): EventBody => ({
  type: "turn.failed",
  data: {
    error: toInfo(new Cancelled({ cause: "user_stop" })),
    ...(chars === 0 ? {} : { partial: { messageId: messageId(`${turn}-answer`), chars } })
  }
})
export const refusedAtOnce: EventBody = {
  type: "turn.failed",
  data: { error: toInfo(new UnknownProvider({ providerId: "x", known: [] })) }
}

/** What follows `turn.started` in a turn that says `text` and completes. */
export const answering = (turn: string, text: ReadonlyArray<string>): ReadonlyArray<EventBody> => [
  built,
  attempt(),
  ...text.map(delta),
  used({ inputTokens: 1, outputTokens: text.length }),
  checkpoint(1, 3 + text.length),
  completed(turn)
]
/** The same, cut by the user. */
export const cutting = (turn: string, text: ReadonlyArray<string>): ReadonlyArray<EventBody> => [
  ...answering(turn, text).slice(0, -1),
  cancelled(turn, text.join("").length)
]

export const admission = (
  turn: string,
  session: string,
  more: Partial<Admission> & {
    readonly link?: { readonly resumedFrom?: string; readonly retryOf?: string; readonly question: string }
  } = {}
): Admission => {
  const { link, ...rest } = more
  return {
    turnId: turnId(turn),
    sessionId: sessionId(session),
    events: place(turn, session, 1, [started(turn, link)]),
    message: link === undefined
      ? { id: messageId(`${turn}-question`), parts: [{ type: "text", text: `question of ${turn}` }] }
      : undefined,
    options: { temperature: 0.5 },
    onBusy: "reject",
    queueMax: 16,
    idempotency: undefined,
    ...rest
  }
}

export const createSession = (id: string) =>
  Effect.flatMap(Journal, (journal) =>
    journal.createSession({
      id: sessionId(id),
      title: undefined,
      provider: undefined,
      model: undefined,
      system: undefined,
      at
    }))

export const admit = (turn: string, session: string, more: Parameters<typeof admission>[2] = {}) =>
  Effect.flatMap(Journal, (journal) => journal.admit(admission(turn, session, more)))

export const append = (turn: string, session: string, seq: number, bodies: ReadonlyArray<EventBody>) =>
  Effect.flatMap(
    Journal,
    (journal) => journal.append({ turnId: turnId(turn), events: place(turn, session, seq, bodies) })
  )

/** A whole turn that answers. */
export const answered = (
  turn: string,
  session: string,
  text: ReadonlyArray<string>,
  more: Parameters<typeof admission>[2] = {}
): Effect.Effect<Admitted, unknown, Journal> =>
  Effect.tap(admit(turn, session, more), () => append(turn, session, 2, answering(turn, text)))

/** Messages made one after another as they are taken; `told` hears of each before it is made. */
export const imported = function*(
  session: string,
  count: number,
  told: (n: number) => void = () => {}
): Generator<ImportedMessage> {
  for (let n = 1; n <= count; n++) {
    told(n)
    yield {
      id: messageId(`${session}-${n}`),
      role: n % 2 === 1 ? "user" : "assistant",
      parts: [{ type: "text", text: `message ${n}` }]
    }
  }
}
