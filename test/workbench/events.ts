/** Events of turns as a server would send them, for the tests of the page. */
import type { TurnErrorInfo } from "../../src/domain/TurnError.ts"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"

export const usage = {
  inputTokens: 3,
  outputTokens: 4,
  cacheReadTokens: null,
  cacheWriteTokens: null,
  reasoningTokens: null,
  totalTokens: 7
}

type Body = { readonly type: TurnEvent.EventType; readonly data: object }

/** The events of a turn, numbered from 1; each is checked against the schema. */
export const turn = (turnId: string, bodies: ReadonlyArray<Body>): ReadonlyArray<TurnEvent.TurnEvent> =>
  bodies.map((body, index) =>
    TurnEvent.decode({ v: 1, turnId, sessionId: "s1", seq: index + 1, at: "2026-01-01T00:00:00.000Z", ...body })
  )

export const started = (links: { readonly retryOf?: string; readonly resumedFrom?: string } = {}): Body => ({
  type: "turn.started",
  data: { provider: "deterministic", model: "echo", userMessageId: "m1", ...links }
})

export const built: Body = {
  type: "context.built",
  data: { slots: [], budget: 90, reserve: 10, window: 100, total: 5, hash: "0123456789abcdef", compaction: false }
}

export const attempt = (number: number): Body => ({
  type: "attempt.started",
  data: { attempt: number, provider: "deterministic", model: "echo" }
})

export const delta = (text: string, kind = "text"): Body => ({ type: "model.delta", data: { kind, text } })

export const used: Body = { type: "telemetry.usage", data: { usage, source: "deterministic", contextPercent: 7 } }

export const checkpoint: Body = { type: "checkpoint.saved", data: { checkpoint: 1, phase: "committing", seq: 6 } }

export const completed = (finishReason = "stop"): Body => ({
  type: "turn.completed",
  data: { finishReason, messageId: "m2", usage }
})

export const failed = (error: TurnErrorInfo): Body => ({ type: "turn.failed", data: { error } })

export const cancelled: TurnErrorInfo = {
  _tag: "Cancelled",
  cause: "user_stop",
  message: "Cancelled on request.",
  retryable: false
}

export const interrupted: TurnErrorInfo = {
  _tag: "Interrupted",
  cause: "crash",
  message: "The process died.",
  retryable: true
}

export const blocked: TurnErrorInfo = {
  _tag: "ProviderBlocked",
  providerId: "openai",
  missingEnv: ["OPENAI_API_KEY"],
  reason: "no key",
  message: 'Provider "openai" is blocked: no key. Set OPENAI_API_KEY and start again.',
  retryable: false
}

export const failure: TurnErrorInfo = {
  _tag: "ProviderFailure",
  providerId: "deterministic",
  kind: "server",
  message: "It failed. Retry the turn.",
  retryable: true
}

export const overloaded: TurnErrorInfo = {
  _tag: "ProviderFailure",
  providerId: "deterministic",
  kind: "overloaded",
  status: 529,
  detail: "the script says so",
  message: 'Provider "deterministic" failed with overloaded (HTTP 529): the script says so. Wait, then retry the turn.',
  retryable: true
}

/** A plain turn to its completion. */
export const plain = (turnId: string): ReadonlyArray<TurnEvent.TurnEvent> =>
  turn(turnId, [started(), built, attempt(1), delta("He"), delta("llo"), used, checkpoint, completed()])
