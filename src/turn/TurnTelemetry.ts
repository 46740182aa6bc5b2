/**
 * What an operator gets to know of a turn: one span from its acceptance to its end, one count, one line of the log. The
 * span begins before the turn is admitted, so that its ids can be kept with the turn: whoever ends it after a crash, or
 * continues it, links to them. None of it holds what was sent or said.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as LogLevel from "effect/LogLevel"
import * as Tracer from "effect/Tracer"
import { harmless } from "../domain/Harmless.ts"
import type { TurnId } from "../domain/Ids.ts"
import { refusalTags, type TurnErrorInfo } from "../domain/TurnError.ts"
import type { TurnState } from "../domain/TurnState.ts"
import * as UsageSum from "../domain/UsageSum.ts"
import type { Trace, WriteError } from "../journal/Journal.ts"
import * as GenAi from "./GenAi.ts"
import * as TurnMetrics from "./TurnMetrics.ts"
import type { TurnTelemetrySettings } from "./TurnSettings.ts"

export interface TurnFacts {
  readonly turnId: TurnId
  readonly sessionId: string
  readonly provider: string
  readonly model: string
  /** The turn that this one resumes or retries, and its span. */
  readonly link: { readonly resumedFrom?: TurnId; readonly retryOf?: TurnId }
  readonly parentTrace: Trace | undefined
}

/** A link to a span of another turn, perhaps of another process. */
export const linkTo = (trace: Trace, attributes: Record<string, unknown>): Tracer.SpanLink => ({
  _tag: "SpanLink",
  span: Tracer.externalSpan({ ...trace, sampled: true }),
  attributes
})

/** The turn's span; without a tracer one that nobody sees. It ends with `ended`. */
export const begin = (
  { link: { resumedFrom, retryOf }, model, parentTrace, provider, sessionId, turnId }: TurnFacts
): Effect.Effect<Tracer.Span> =>
  Effect.makeSpan("turn", {
    root: true,
    captureStackTrace: false,
    links: parentTrace === undefined
      ? []
      : [linkTo(parentTrace, { "turnstream.link": resumedFrom === undefined ? "retries" : "resumes" })],
    attributes: {
      "turnstream.turn.id": turnId,
      "gen_ai.conversation.id": sessionId,
      "gen_ai.provider.name": GenAi.providerName(provider),
      "gen_ai.request.model": model,
      ...(resumedFrom === undefined ? {} : { "turnstream.turn.resume_of": resumedFrom }),
      ...(retryOf === undefined ? {} : { "turnstream.turn.retry_of": retryOf })
    }
  })

/** The ids to keep; undefined where no tracer made any. */
export const traceOf = ({ spanId, traceId }: Tracer.AnySpan): Trace | undefined =>
  /^[0-9a-f]{32}$/.test(traceId) && /^[0-9a-f]{16}$/.test(spanId) ? { traceId, spanId } : undefined

const levels = {
  debug: LogLevel.Debug,
  info: LogLevel.Info,
  warning: LogLevel.Warning,
  error: LogLevel.Error,
  none: LogLevel.None
} as const

/** A line of the log, where the settings let it through. */
export const log = (
  settings: TurnTelemetrySettings,
  level: LogLevel.LogLevel,
  message: string,
  fields: () => Record<string, unknown>
): Effect.Effect<void> =>
  Effect.suspend(() =>
    settings.logLevel === "none" || LogLevel.lessThan(level, levels[settings.logLevel])
      ? Effect.void
      : withFields(Effect.logWithLevel(level, message), fields())
  )

/** As `Effect.annotateLogs`, for one line: half of its effects. */
const withFields = (line: Effect.Effect<void>, fields: Record<string, unknown>): Effect.Effect<void> =>
  Effect.flatMap(FiberRef.get(FiberRef.currentLogAnnotations), (around) => {
    let all = around
    for (const [name, value] of Object.entries(fields)) all = HashMap.set(all, name, value)
    const set = (annotations: typeof around) => FiberRef.set(FiberRef.currentLogAnnotations, annotations)
    return Effect.ensuring(Effect.zipRight(set(all), line), set(around))
  })

/** How much an ending is worth somebody's attention. */
const levelOf = (error: TurnErrorInfo | undefined): LogLevel.LogLevel => {
  if (error === undefined || error._tag === "Cancelled") return LogLevel.Info
  if (error._tag === "JournalFailure" || error._tag === "Fenced") return LogLevel.Error
  return refusalTags.has(error._tag) && error._tag !== "BudgetExceeded" ? LogLevel.Info : LogLevel.Warning
}

const millisBetween = (from: string, to: string | undefined): number | undefined =>
  // recorded times are of a clock that somebody may have set back
  to === undefined ? undefined : Math.max(0, Date.parse(to) - Date.parse(from))

/** Without what is not known. */
const known = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null))

/** What is known of the kind of a failure, beside its tag. */
const kindOf = (error: TurnErrorInfo | undefined): string | undefined => {
  if (error === undefined) return undefined
  if ("kind" in error) return error.kind
  return "cause" in error ? error.cause : undefined
}

const costOf = ({ usages }: TurnState): number | undefined => {
  const costs = usages.flatMap(({ cost }) => cost === undefined ? [] : [cost])
  return costs.length === 0 ? undefined : costs.reduce((sum, cost) => sum + cost, 0)
}

/** One line: ids, how it ended, what it took. */
const lineOf = (state: TurnState): Record<string, unknown> => {
  const usage = UsageSum.reported(state.usages)
  return known({
    turn: state.turnId,
    session: state.sessionId,
    provider: state.provider,
    model: state.model,
    outcome: state.error?._tag ?? state.status,
    kind: kindOf(state.error),
    finishReason: state.finishReason,
    attempts: state.attempts,
    events: state.lastSeq,
    inputTokens: usage?.inputTokens,
    outputTokens: usage?.outputTokens,
    cost: costOf(state),
    firstTokenMs: millisBetween(state.startedAt, state.firstDeltaAt),
    durationMs: millisBetween(state.startedAt, state.endedAt)
  })
}

const attributesOf = (state: TurnState): Record<string, unknown> => {
  const usage = UsageSum.reported(state.usages)
  return known({
    "turnstream.turn.status": state.status,
    "turnstream.turn.attempts": state.attempts,
    "turnstream.turn.events": state.lastSeq,
    "turnstream.turn.cost": costOf(state),
    "error.type": state.error === undefined ? undefined : kindOf(state.error) ?? state.error._tag,
    ...(usage === null ? {} : GenAi.usageAttributes(usage)),
    ...(state.finishReason === undefined ? {} : { "gen_ai.response.finish_reasons": [state.finishReason] })
  })
}

/** Somebody's wish is no error of the turn, and a vendor's words may quote what was sent or said. */
const exitOf = ({ error }: TurnState): Exit.Exit<void, Error> => {
  if (error === undefined || error._tag === "Cancelled") return Exit.void
  return GenAi.failed(error._tag, error._tag === "ProviderFailure" ? kindOf(error) ?? error._tag : error.message)
}

export interface EndOptions {
  readonly clock: Clock.Clock
  readonly span: Tracer.Span
  readonly settings: TurnTelemetrySettings
  /** Ended by the start after its process died: how long nobody was there is no duration of a turn. */
  readonly recovered?: boolean
}

/** Says that a turn's ending could not be written: it is not over, and the next start ends it. */
export const notEnded = (state: TurnState, error: WriteError, { clock, settings, span }: EndOptions) =>
  harmless(() => {
    span.attribute("error.type", error._tag)
    span.end(clock.unsafeCurrentTimeNanos(), GenAi.failed(error._tag, error.message))
    const facts = { turn: state.turnId, session: state.sessionId, outcome: error._tag, reason: error.message }
    const told = log(settings, LogLevel.Error, "Turn not ended", () => facts)
    return settings.spans ? Effect.withParentSpan(told, span) : told
  })

/** Says how a turn came to its end; `state` holds its terminal event, which is committed. */
export const ended = (
  state: TurnState,
  { clock, recovered = false, settings, span }: EndOptions
): Effect.Effect<void> =>
  harmless(() => {
    TurnMetrics.ended(state.error?._tag ?? state.status)
    if (!recovered) TurnMetrics.turnDuration((millisBetween(state.startedAt, state.endedAt) ?? 0) / 1000)
    const cost = costOf(state)
    if (cost !== undefined) TurnMetrics.ofCalls(GenAi.providerName(state.provider), state.model).cost(cost)
    for (const [name, value] of Object.entries(attributesOf(state))) span.attribute(name, value)
    span.end(clock.unsafeCurrentTimeNanos(), exitOf(state))
    const message = state.status === "completed" ? "Turn completed" : "Turn failed"
    const told = log(settings, levelOf(state.error), message, () => lineOf(state))
    return settings.spans ? Effect.withParentSpan(told, span) : told
  })
