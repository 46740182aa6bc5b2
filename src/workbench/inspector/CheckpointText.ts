/** Checkpoints in words: whether a turn can go on, and from what. Pure. */
import type { Checkpoint } from "../../domain/Resources.ts"
import type { TurnFacts } from "../session/TurnFacts.ts"
import * as TurnView from "../turn/TurnView.ts"

interface Children {
  readonly retriedIn: number | undefined
  readonly resumedIn: number | undefined
}

const characters = (count: number): string =>
  `${count.toLocaleString("en")} ${count === 1 ? "character" : "characters"}`

/** Whether the turn can be resumed, and why. */
export const resumeText = (facts: TurnFacts, children: Children): string => {
  if (facts.status === "running") return "Not while it runs: cancel it first."
  if (facts.status === "completed") return "Not needed: the answer is complete."
  if (children.resumedIn !== undefined) return `Already resumed, in turn ${children.resumedIn}.`
  if (!TurnView.verbsOf(facts, children).includes("resume")) {
    return "Not offered: nothing of an answer was kept. Retry sends the message again."
  }
  return facts.textChars > 0
    ? `Possible: the answer goes on after the ${characters(facts.textChars)} that are kept.`
    : "Possible: no text had come, so the model is asked from the beginning."
}

/** How much of the answer there is. */
export const partialText = (facts: TurnFacts): string => {
  const length = facts.textChars === 0 && !facts.whole ? "more than one answer may hold" : characters(facts.textChars)
  return facts.status === "completed" ? `${length}, the whole answer` : length
}

export const savedText = ({ text, whole }: Pick<Checkpoint, "text" | "whole">): string =>
  whole === false
    ? "Its text is longer than the server holds as one."
    : `${characters(text.length)} of text at that seq.`

export const noCheckpoint = (facts: TurnFacts): string => {
  if (facts.foldedAt !== undefined) return "Retention removed the marks of its checkpoints."
  return facts.status === "running" ? "No checkpoint is saved yet." : "The turn ended before a checkpoint was saved."
}
