/**
 * What one log call says, as data: plain, bounded, without secrets and without anything that could pass for a second
 * entry. The same entry is written to stderr (`Log`) and exported (`Otlp`).
 *
 * Bounds: 8 KiB as a line of JSON; what is longer is cut, field by field, and says so by `"cut": true`. Of an object 4
 * levels and 64 values are looked at. The first 32 KiB of a text are: the rest cannot come to stand in the line.
 *
 * `time`, `level`, `message` and `cut` are the entry's; an annotation of that name is not shown. A cause is `error`. The
 * ids are those of the nearest span that is the engine's own, unless annotations bring some: Effect's other spans are
 * nowhere to be found by them.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import type * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { mask } from "../domain/Secrets.ts"
import { nearestOwnSpan } from "./Names.ts"
import type { Redaction } from "./Redaction.ts"

export type Plain = string | number | boolean | null | ReadonlyArray<Plain> | { readonly [name: string]: Plain }

export interface LogEntry {
  readonly date: Date
  readonly level: LogLevel.LogLevel
  readonly message: string
  /** Annotations by name, in alphabetical order: a map of them keeps none. */
  readonly fields: ReadonlyArray<readonly [name: string, value: Plain]>
  readonly traceId: string | undefined
  readonly spanId: string | undefined
  /** The cause, several lines. */
  readonly error: string | undefined
  readonly cut: boolean
}

export const lineBytesMax = 8_192
const textCharsMax = 32_768
const depthMax = 4
const valuesMax = 64
const fieldsMax = 64

const cutTo = (text: string, chars: number): string => text.length <= chars ? text : `${text.slice(0, chars)}...`

/** Redacted, then cut: a secret that the first cut broke stands in what the second takes away. */
const cleanText = (text: string, redaction: Redaction): string =>
  text.length <= textCharsMax
    ? redaction.text(text)
    : `${redaction.text(text.slice(0, textCharsMax)).slice(0, -redaction.longest())}...`

/** Names of fields that hold a secret, whatever stands in them. */
const secretName = /^(proxy-)?authorization$|^(x-)?api[-_]?key$|^(set-)?cookie$|^password$/i

const cleanValue = (given: unknown, redaction: Redaction): Plain => {
  let left = valuesMax
  const clean = (value: unknown, depth: number): Plain => {
    if (typeof value === "string") return cleanText(value, redaction)
    if (typeof value === "boolean" || value === null) return value
    if (typeof value === "number") return Number.isFinite(value) ? value : String(value)
    if (value === undefined) return "undefined"
    if (typeof value !== "object") return cleanText(String(value), redaction)
    if (value instanceof Error) return cleanText(`${value.name}: ${value.message}`, redaction)
    if (depth >= depthMax) return "..."
    if (Array.isArray(value)) {
      const items: Array<Plain> = []
      for (const item of value) {
        if (left-- <= 0) return [...items, "..."]
        items.push(clean(item, depth + 1))
      }
      return items
    }
    if ("toJSON" in value && typeof value.toJSON === "function") return clean(value.toJSON(), depth + 1)
    const fields: Array<readonly [string, Plain]> = []
    for (const name of Object.keys(value)) {
      if (left-- <= 0) {
        fields.push(["...", "..."])
        break
      }
      const field: unknown = Reflect.get(value, name)
      fields.push([cleanText(name, redaction), secretName.test(name) ? mask : clean(field, depth + 1)])
    }
    return Object.fromEntries(fields)
  }
  try {
    return clean(given, 0)
  } catch {
    // a getter or a toJSON that throws must not take the line with it
    return "(not to be shown)"
  }
}

const asText = (value: Plain): string => typeof value === "string" ? value : JSON.stringify(value)

/** One line whatever it holds: JSON escapes line ends; other controls, and what turns the writing direction, are here. */
const controls = /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g
const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
export const toJson = (value: unknown): string => JSON.stringify(value).replace(controls, escaped)

/** The entry as one line of JSON, without its end. */
export const toLine = ({ cut, date, error, fields, level, message, spanId, traceId }: LogEntry): string =>
  toJson({
    time: date.toISOString(),
    level: level.label.toLowerCase(),
    message,
    ...Object.fromEntries(fields),
    ...(traceId === undefined ? {} : { traceId }),
    ...(spanId === undefined ? {} : { spanId }),
    ...(error === undefined ? {} : { error }),
    ...(cut ? { cut } : {})
  })

const fits = (entry: LogEntry): boolean => {
  const line = toLine(entry)
  return line.length * 3 <= lineBytesMax || Buffer.byteLength(line) <= lineBytesMax
}

/** The longest text that is allowed, halved until the line fits; objects become the text of their JSON. */
const shrunk = (entry: LogEntry): LogEntry => {
  for (let chars = lineBytesMax / 2; chars >= 16; chars /= 2) {
    const smaller: LogEntry = {
      ...entry,
      message: cutTo(entry.message, chars),
      fields: entry.fields.map(([name, value]) => [
        cutTo(name, chars),
        typeof value === "number" || typeof value === "boolean" ? value : cutTo(asText(value), chars)
      ]),
      traceId: entry.traceId === undefined ? undefined : cutTo(entry.traceId, chars),
      spanId: entry.spanId === undefined ? undefined : cutTo(entry.spanId, chars),
      error: entry.error === undefined ? undefined : cutTo(entry.error, chars),
      cut: true
    }
    if (fits(smaller)) return smaller
  }
  return {
    ...entry,
    message: cutTo(entry.message, 64),
    fields: [],
    traceId: undefined,
    spanId: undefined,
    error: undefined,
    cut: true
  }
}

const own: ReadonlySet<string> = new Set(["time", "level", "message", "cut", "traceId", "spanId"])

export const make = (options: Logger.Logger.Options<unknown>, redaction: Redaction): LogEntry => {
  const { annotations, cause, context, date, logLevel, message } = options
  const messages = Array.isArray(message) ? message : [message]
  const fields: Array<readonly [string, Plain]> = []
  const ids: { traceId?: string; spanId?: string } = {}
  let all = 0
  for (const [name, value] of HashMap.entries(annotations)) {
    if ((name === "traceId" || name === "spanId") && typeof value === "string") ids[name] = cleanText(value, redaction)
    if (own.has(name) || all++ >= fieldsMax) continue
    fields.push([cleanText(name, redaction), secretName.test(name) ? mask : cleanValue(value, redaction)])
  }
  const span = nearestOwnSpan(
    Context.getOption(FiberRefs.getOrDefault(context, FiberRef.currentContext), Tracer.ParentSpan)
  )
  const entry: LogEntry = {
    date,
    level: logLevel,
    message: messages.map((part) => asText(cleanValue(part, redaction))).join(" "),
    fields: fields.sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0),
    traceId: ids.traceId ?? Option.getOrUndefined(Option.map(span, ({ traceId }) => traceId)),
    spanId: ids.spanId ?? Option.getOrUndefined(Option.map(span, ({ spanId }) => spanId)),
    error: Cause.isEmpty(cause) ? undefined : cleanText(Cause.pretty(cause, { renderErrorCause: true }), redaction),
    cut: all > fieldsMax
  }
  return fits(entry) ? entry : shrunk(entry)
}
