/** A tracer that keeps every span that ended, in memory. */
import * as Cause from "effect/Cause"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

export interface EndedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string | undefined
  readonly kind: Tracer.SpanKind
  readonly attributes: Readonly<Record<string, unknown>>
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
  readonly ok: boolean
  /** What a failed span says of its failure, its stack too. */
  readonly failure: string | undefined
  readonly startNanos: bigint
  readonly endNanos: bigint
}

export const make = () => {
  const ended: Array<EndedSpan> = []
  let count = 0
  const id = (digits: number) => (++count).toString(16).padStart(digits, "0")
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      const all = [...links]
      const traceId = Option.match(parent, { onNone: () => id(32), onSome: (span) => span.traceId })
      let status: Tracer.SpanStatus = { _tag: "Started", startTime }
      const span: Tracer.Span = {
        _tag: "Span",
        name,
        traceId,
        spanId: id(16),
        parent,
        context,
        get status() {
          return status
        },
        attributes,
        links: all,
        sampled: true,
        kind,
        end: (endTime, exit) => {
          // what ends twice would be exported twice
          if (status._tag === "Ended") throw new Error(`the span ${name} ended twice`)
          status = { _tag: "Ended", startTime, endTime, exit }
          ended.push({
            name,
            traceId,
            spanId: span.spanId,
            parentId: Option.getOrUndefined(parent)?.spanId,
            kind,
            attributes: Object.fromEntries(attributes),
            links: all.map((link) => ({ traceId: link.span.traceId, spanId: link.span.spanId })),
            ok: exit._tag === "Success",
            failure: exit._tag === "Success" ? undefined : Cause.pretty(exit.cause, { renderErrorCause: true }),
            startNanos: startTime,
            endNanos: endTime
          })
        },
        attribute: (key, value) => void attributes.set(key, value),
        event: () => undefined,
        addLinks: (more) => void all.push(...more)
      }
      return span
    },
    context: (f) => f()
  })
  /** Spans of the engine by name, in the order of their ends. */
  const named = (name: string) => ended.filter((span) => span.name === name || span.name.startsWith(`${name} `))
  return { ended, named, layer: Layer.setTracer(tracer) }
}
