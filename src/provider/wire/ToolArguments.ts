/** Arguments of a tool call, gathered from the wire as text. Cut or unparsable ones never become a call. */
import type { FinishReason } from "../../domain/TurnEvent.ts"
import type { Fault } from "./Fault.ts"
import { isObject, parse } from "./Json.ts"

/** The arguments of a call that the wire said is complete. No text at all is a call without arguments. */
export const complete = (text: string): { readonly value: unknown } | undefined =>
  text.trim() === "" ? { value: {} } : parse(text)

/** The arguments of a call that nobody said is complete: only an object that closes can be told from a cut one. */
export const unlessCut = (text: string): { readonly value: unknown } | undefined => {
  const parsed = parse(text)
  return parsed !== undefined && isObject(parsed.value) ? parsed : undefined
}

/** Whether this end of an answer explains a call that was cut, so that the call is left out and the answer stands. */
export const explainsCut = (reason: FinishReason): boolean => reason === "length" || reason === "content-filter"

export const cutFault = (toolName: string): Fault => ({
  kind: "protocol",
  detail: `the arguments of its call of "${toolName}" are not complete JSON`
})
