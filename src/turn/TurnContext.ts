/** The build of a turn's context, with what a tracer sees of it. */
import * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import type { BuiltContext, ContextBuilder, ContextRequest, ContextTooLarge } from "../context/ContextBuilder.ts"
import type { JournalFailure } from "../domain/TurnError.ts"
import type { TurnTelemetrySettings } from "./TurnSettings.ts"

const told = ({ manifest, messages }: BuiltContext) =>
  Effect.annotateCurrentSpan({
    "turnstream.context.tokens": manifest.total,
    "turnstream.context.budget": manifest.budget,
    "turnstream.context.messages": messages.length
  })

export const build = (
  { builder, telemetry }: { readonly builder: ContextBuilder["Type"]; readonly telemetry: TurnTelemetrySettings },
  { span }: { readonly span: Tracer.Span },
  request: ContextRequest<JournalFailure>
): Effect.Effect<BuiltContext, ContextTooLarge | JournalFailure> =>
  telemetry.spans
    ? builder.build(request).pipe(
      Effect.tap(told),
      Effect.withSpan("context.build", { captureStackTrace: false, parent: span })
    )
    : builder.build(request)
