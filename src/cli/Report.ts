/** How a command's failure is told: one line on stderr that says what happened and what to do, and no stack trace. */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type { Failure } from "./Program.ts"

/** A failure that was shown already; `code` is the tag that decides the exit code. */
export class Reported extends Data.TaggedError("Reported")<{ readonly code: string }> {}

/** Nothing where there is nothing left to say. A defect is a fault of this program: it shows where. */
export const lineOf = (
  cause: Cause.Cause<Failure>
): string | undefined => {
  if (Cause.isInterruptedOnly(cause)) return undefined
  const failure = Cause.failureOption(cause)
  if (failure._tag === "None") return `turnstream: unexpected: ${Cause.pretty(cause)}`
  const { _tag, message } = failure.value
  if (_tag === "Reported") return undefined
  // one line, and nothing that moves a terminal's cursor
  return `turnstream: ${(message === "" ? _tag : message).replace(/\s*[\r\n]+\s*/g, " ")}`
}
