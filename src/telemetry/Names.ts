/**
 * What of Effect's registries is the engine's own: only these metrics are shown and exported, and only these spans.
 * Libraries register and open others; those are for whoever embeds the engine with a registry or tracer of their own.
 */
import * as Context from "effect/Context"
import type * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

export const isOwnMetric = (name: string): boolean => /^(turnstream|gen_ai)[._]/.test(name)

/** Names of metric tags that say the unit, as Effect and OpenTelemetry have it; a unit is no label. */
export const isUnitTag = (key: string): boolean => key === "unit" || key === "time_unit"

const spanNames: ReadonlySet<string> = new Set(["turn", "context.build", "journal.commit", "recovery", "recovery.turn"])

/** `chat <model>` is one call of a provider. */
export const isOwnSpan = (name: string): boolean => spanNames.has(name) || name.startsWith("chat ")

const isSilenced = ({ context }: Tracer.Span): boolean => Context.get(context, Tracer.DisablePropagation)

/** A span's nearest one, itself included, that is the engine's own or came from another process. */
export const nearestOwnSpan = (span: Option.Option<Tracer.AnySpan>): Option.Option<Tracer.AnySpan> => {
  let at = span
  while (at._tag === "Some" && at.value._tag === "Span" && (!isOwnSpan(at.value.name) || isSilenced(at.value))) {
    at = at.value.parent
  }
  return at
}
