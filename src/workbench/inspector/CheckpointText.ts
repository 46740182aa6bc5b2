/** Checkpoints in words: whether a turn can go on, and from what. Pure. */
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
