/**
 * What is measured and traced of one call of a provider. Its span is `chat <model>`, with the attributes of the GenAI
 * conventions; what was sent and said is in it only where the operator asked for it. Per chunk: one histogram update.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import { harmless } from "../domain/Harmless.ts"
import type { Part } from "../domain/Message.ts"
import type { ProviderFailure } from "../domain/TurnError.ts"
import type { EventBody } from "../domain/TurnEvent.ts"
import type { ProviderRequest } from "../provider/Provider.ts"
import * as GenAi from "./GenAi.ts"
import type { Finish, Heard } from "./Intake.ts"
import * as TurnMetrics from "./TurnMetrics.ts"

export interface CallTelemetry {
  /** A chunk of the answer came, at this time of the clock in nanoseconds. */
  readonly chunk: (nanos: bigint) => void
  /** The provider's stream is over and its connection let go. */
  readonly closed: (nanos: bigint) => void
  /** Where content is captured: what was pushed to the log. */
  readonly said: ((body: EventBody) => void) | undefined
  /** The call in its span, measured however it ends. */
  readonly traced: (
    run: Effect.Effect<Finish, ProviderFailure>,
    heard: Heard
  ) => Effect.Effect<Finish, ProviderFailure>
}

export interface CallOptions {
  readonly clock: Clock.Clock
  readonly providerId: string
  readonly sessionId: string
  readonly request: ProviderRequest
  /** Whether anybody is told of spans. */
  readonly spans: boolean
  /** How content is shown; undefined: not at all. */
  readonly redact: ((text: string) => string) | undefined
  /** When and why the turn was interrupted, if it was. */
  readonly stopped: () => { readonly atNanos: bigint; readonly cause: string } | undefined
}

const secondsOf = (nanos: bigint): number => Number(nanos) / 1e9

/** What was said, as far as an attribute can hold it. */
const makeContent = () => {
  let text = ""
  let reasoning = ""
  const calls: Array<Part> = []
  const add = (body: EventBody): void => {
    if (body.type === "model.delta" && body.data.kind === "text" && text.length < GenAi.contentMax) {
      text += body.data.text
    } else if (body.type === "model.delta" && body.data.kind === "reasoning" && reasoning.length < GenAi.contentMax) {
      reasoning += body.data.text
    } else if (body.type === "model.tool-call") calls.push({ ...body.data, type: "tool-call" })
  }
  const parts = (): ReadonlyArray<Part> => [
    ...(reasoning === "" ? [] : [{ type: "reasoning" as const, text: reasoning }]),
    ...(text === "" ? [] : [{ type: "text" as const, text }]),
    ...calls
  ]
  return { add, parts }
}

export const make = (
  { clock, providerId, redact, request, sessionId, spans, stopped }: CallOptions
): CallTelemetry => {
  const metrics = TurnMetrics.ofCalls(GenAi.providerName(providerId), request.model)
  const content = redact === undefined ? undefined : makeContent()
  let begun = 0n
  let first: bigint | undefined
  let last = 0n
  let overBefore = false

  const chunk = (nanos: bigint): void => {
    if (first === undefined) {
      first = nanos
      metrics.firstChunk(secondsOf(nanos - begun))
    } else metrics.chunk(secondsOf(nanos - last))
    last = nanos
  }

  /** The kind of failure, or why it was interrupted. */
  const errorTypeOf = (exit: Exit.Exit<Finish, ProviderFailure>): string | undefined => {
    if (Exit.isSuccess(exit)) return undefined
    const failure = Cause.failureOption(exit.cause)
    return failure._tag === "Some" ? failure.value.kind : stopped()?.cause ?? "interrupted"
  }

  const openSpan = Effect.suspend(() =>
    Effect.makeSpan(`chat ${request.model}`, {
      kind: "client",
      captureStackTrace: false,
      attributes: {
        ...GenAi.requestAttributes(providerId, sessionId, request),
        ...(redact === undefined ? {} : GenAi.promptAttributes(request, redact))
      }
    })
  )

  const ended = (span: Tracer.Span | undefined, exit: Exit.Exit<Finish, ProviderFailure>, heard: Heard): void => {
    overBefore = stopped() === undefined
    const errorType = errorTypeOf(exit)
    const usage = heard.reported()?.usage
    const now = clock.unsafeCurrentTimeNanos()
    metrics.ended(secondsOf(now - begun), errorType)
    if (errorType === "stalled" || (errorType === "timeout" && first === undefined)) metrics.stalled(errorType)
    if (usage?.inputTokens !== undefined && usage.inputTokens !== null) metrics.inputTokens(usage.inputTokens)
    if (usage?.outputTokens !== undefined && usage.outputTokens !== null) metrics.outputTokens(usage.outputTokens)
    if (span === undefined) return
    const finish = heard.finish()
    const model = heard.model()
    const attributes = {
      ...(usage === undefined ? {} : GenAi.usageAttributes(usage)),
      ...(first === undefined ? {} : { "gen_ai.response.time_to_first_chunk": secondsOf(first - begun) }),
      ...(finish === undefined ? {} : { "gen_ai.response.finish_reasons": [finish.reason] }),
      ...(model === undefined ? {} : { "gen_ai.response.model": model }),
      ...(errorType === undefined ? {} : { "error.type": errorType }),
      ...(content === undefined || redact === undefined
        ? {}
        : GenAi.answerAttributes(content.parts(), finish?.reason ?? errorType ?? "unknown", redact))
    }
    for (const [name, value] of Object.entries(attributes)) span.attribute(name, value)
    // the vendor's own words may quote what was sent or said
    const failure = Exit.isFailure(exit) ? Cause.failureOption(exit.cause) : undefined
    span.end(now, failure?._tag === "Some" ? GenAi.failed("ProviderFailure", failure.value.kind) : Exit.void)
  }

  return {
    chunk,
    closed: (nanos) => {
      const stop = stopped()
      // a call that was over by itself has nothing to do with who stops its turn later
      if (stop !== undefined && !overBefore) TurnMetrics.cancelToClose(secondsOf(nanos - stop.atNanos))
    },
    said: content?.add,
    traced: (run, heard) =>
      Effect.suspend(() => {
        begun = clock.unsafeCurrentTimeNanos()
        const done = (span: Tracer.Span | undefined) => (exit: Exit.Exit<Finish, ProviderFailure>) =>
          harmless(() => Effect.sync(() => ended(span, exit, heard)))
        return spans
          ? Effect.acquireUseRelease(
            openSpan,
            (span) => Effect.withParentSpan(run, span),
            (span, exit) => done(span)(exit)
          )
          : Effect.onExit(run, done(undefined))
      })
  }
}
