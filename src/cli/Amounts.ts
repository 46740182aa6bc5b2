/**
 * Tokens, costs and windows for people: thousands grouped, what nobody knows as `unknown` and never as 0, and `~` before
 * whatever an estimate went into, so that it never looks like a reported number.
 */
import type { Usage } from "../domain/Usage.ts"

const unknown = "unknown"

/** Digits after the point of a cost. */
const costDigits = 6
const costMin = 10 ** -costDigits

const grouped = (digits: string): string => digits.replace(/\B(?=(\d{3})+$)/g, ",")

export const whole = (value: number): string => grouped(String(value))

const mark = (text: string, estimated: boolean): string => estimated && text !== unknown ? `~${text}` : text

export const tokens = (count: number | null, estimated = false): string =>
  count === null ? unknown : mark(whole(count), estimated)

/** In currency units, with as many of six digits after the point as say something. */
export const cost = (value: number | undefined, estimated = false): string => {
  if (value === undefined) return unknown
  if (value > 0 && value < costMin) return mark(`<${costMin.toFixed(costDigits)}`, estimated)
  const [units = "", rest = ""] = value.toFixed(costDigits).split(".")
  const digits = rest.replace(/0+$/, "")
  return mark(digits === "" ? grouped(units) : `${grouped(units)}.${digits}`, estimated)
}

/** Of a context window. */
export const percent = (value: number | null | undefined, estimated = false): string => {
  if (value === null || value === undefined) return unknown
  return mark(value > 0 && value < 0.1 ? "<0.1%" : `${value.toFixed(1)}%`, estimated)
}

export const usage = (used: Usage, estimated = false): string =>
  `${tokens(used.inputTokens, estimated)} in, ${tokens(used.outputTokens, estimated)} out, ${
    tokens(used.totalTokens, estimated)
  } in all`
