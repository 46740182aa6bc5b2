/** Checkpoints in words: whether a turn can go on, and from what. Pure. */
import type { Checkpoint } from "../../domain/Resources.ts"
import * as Words from "../kit/Words.ts"
import type { TurnFacts } from "../session/TurnFacts.ts"
import * as TurnView from "../turn/TurnView.ts"

/** Whether the turn can be resumed, and why. */
export const resumeText = (facts: TurnFacts, children: TurnView.Children): string => {
  if (facts.status === "running") return "Not while it runs: cancel it first."
  if (facts.status === "completed") return "Not needed: the answer is complete."
  if (children.resumedIn !== undefined) return `Already resumed, in turn ${children.resumedIn}.`
  if (!TurnView.verbsOf(facts, children).includes("resume")) {
    return "Not offered: nothing of an answer was kept."
  }
  return facts.textChars > 0
    ? `Possible: the answer goes on after the ${Words.characters(facts.textChars)} that are kept.`
    : "Possible: from the beginning, as no text had come."
}

/** How much of the answer there is. */
export const partialText = (facts: TurnFacts): string => {
  const length = facts.textChars === 0 && !facts.whole
    ? "more than one answer may hold"
    : Words.characters(facts.textChars)
  return facts.status === "completed" ? `${length}, the whole answer` : length
}

export const savedText = ({ text, whole }: Pick<Checkpoint, "text" | "whole">): string =>
  whole === false
    ? "Its text is longer than the server holds as one."
    : `${Words.characters(text.length)} of text at that seq.`

export const noCheckpoint = (facts: TurnFacts): string => {
  if (facts.foldedAt !== undefined) return "Retention removed the marks of its checkpoints."
  return facts.status === "running" ? "No checkpoint is saved yet." : "The turn ended before a checkpoint was saved."
}
