/**
 * Where a resumed answer meets its prefix. Some vendors refuse white space at the end of an answer to continue, so it is
 * cut off there, and the model says it again: what the journal holds already is taken off the beginning of the
 * continuation. Only white space is held back, and only until the first other character.
 */
import type { ProviderEvent } from "./Provider.ts"

/** Characters of `lead` that `before` ends with already. */
const overlap = (before: string, lead: string): number => {
  for (let length = Math.min(before.length, lead.length); length > 0; length--) {
    if (before.endsWith(lead.slice(0, length))) return length
  }
  return 0
}

/** `emit` for the events of an answer whose prefix lost `trimmed` at its end. */
export const make = (trimmed: string, emit: (event: ProviderEvent) => void): (event: ProviderEvent) => void => {
  if (trimmed === "") return emit
  let held: string | undefined = ""
  const settle = (text: string): void => {
    held = undefined
    const lead = text.slice(0, text.length - text.trimStart().length)
    const rest = text.slice(overlap(trimmed, lead))
    if (rest !== "") emit({ _tag: "Delta", kind: "text", text: rest })
  }
  return (event) => {
    if (held === undefined || event._tag === "Usage") return emit(event)
    if (event._tag === "Delta" && event.kind === "text") {
      held += event.text
      // nothing longer than what was cut off can repeat it
      if (held.length >= trimmed.length || held.trimStart() !== "") settle(held)
      return
    }
    if (event._tag === "Delta" && event.kind === "reasoning") return emit(event)
    if (held !== "") settle(held)
    emit(event)
  }
}
