/**
 * Reasoning that a model writes into its text, between `<think>` and `</think>` (DeepSeek R1 where the server does not
 * part the two). Only at the very start of an answer: later on the tags are text like any other. A tag may be cut
 * anywhere; at most one tag's characters are held back.
 */
import type { DeltaKind } from "../../domain/TurnEvent.ts"

const openTag = "<think>"
const closeTag = "</think>"

/** The length of the longest end of `text` with which `tag` may begin. */
const heldOf = (text: string, tag: string): number => {
  for (let length = Math.min(text.length, tag.length - 1); length > 0; length--) {
    if (tag.startsWith(text.slice(text.length - length))) return length
  }
  return 0
}

export interface InlineThinking {
  readonly push: (text: string) => void
  /** Gives what is held back: nothing more comes. */
  readonly flush: () => void
}

export const make = (say: (kind: Extract<DeltaKind, "text" | "reasoning">, text: string) => void): InlineThinking => {
  let place: "start" | "inside" | "behind" = "start"
  let held = ""

  const give = (kind: "text" | "reasoning", text: string) => {
    if (text !== "") say(kind, text)
  }

  const inside = (text: string): void => {
    const end = text.indexOf(closeTag)
    if (end < 0) {
      held = text.slice(text.length - heldOf(text, closeTag))
      give("reasoning", text.slice(0, text.length - held.length))
      return
    }
    place = "behind"
    give("reasoning", text.slice(0, end))
    give("text", text.slice(end + closeTag.length))
  }

  return {
    push: (text) => {
      if (place === "behind") return give("text", text)
      const all = held + text
      held = ""
      if (place === "inside") return inside(all)
      const start = all.trimStart()
      const blank = all.slice(0, all.length - start.length)
      if (start.startsWith(openTag)) {
        place = "inside"
        give("text", blank)
        return inside(start.slice(openTag.length))
      }
      if (start !== "" && openTag.startsWith(start)) {
        held = start
        return give("text", blank)
      }
      if (start !== "") place = "behind"
      give("text", all)
    },
    flush: () => {
      const rest = held
      held = ""
      give(place === "inside" ? "reasoning" : "text", rest)
    }
  }
}
