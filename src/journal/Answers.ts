/**
 * An answer as it is held and shown: whole where it is short enough for one string and one row, else only in its events.
 * Pure.
 */
import { type Part, textOf } from "../domain/Message.ts"
import { type EventType, parse } from "../domain/TurnEvent.ts"
import type * as TurnState from "../domain/TurnState.ts"
import type { AnswerKind, JournaledEvent } from "./Journal.ts"

/** Reasoning, text (where there is any) and complete tool calls, in the order in which a provider takes them back. */
export const partsOfState = (
  state: Pick<TurnState.TurnState, "text" | "reasoning" | "toolCalls">
): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  if (state.reasoning !== "") parts.push({ type: "reasoning", text: state.reasoning })
  if (state.text !== "") parts.push({ type: "text", text: state.text })
  parts.push(...state.toolCalls)
  return parts
}

/** What is shown of an answer: `whole` is false where it is too long to be held, and empty then. */
export type Said =
  | { readonly text: string; readonly reasoning: string; readonly whole: true }
  | { readonly text: ""; readonly reasoning: ""; readonly whole: false }

export const saidNothing: Said = { text: "", reasoning: "", whole: true }
/** An answer that only its events, or its pieces, hold. */
export const saidElsewhere: Said = { text: "", reasoning: "", whole: false }

/** What is shown of a state. */
export const saidBy = ({ reasoning, text, whole }: TurnState.TurnState): Said =>
  whole ? { text, reasoning, whole } : saidElsewhere

/** Text and reasoning of an answer's parts. */
export const saidIn = (parts: ReadonlyArray<Part>): Said => ({
  text: textOf(parts),
  reasoning: parts.map((part) => part.type === "reasoning" ? part.text : "").join(""),
  whole: true
})

/** The members that a Turn or Checkpoint has of it. */
export const shown = ({ reasoning, text, whole }: Said) => ({ text, reasoning, ...(whole ? {} : { whole }) })

/** Whether retention keeps events of this type: all but what the model said. */
export const isLifecycle = (type: EventType): boolean => !type.startsWith("model.")

/** An event of a folded turn at its place among those that are left: without the gaps a fold takes it. */
export const closedUp = <E extends JournaledEvent>(event: E, index: number): E => ({
  ...event,
  json: event.json.replace(`"seq":${event.seq},`, `"seq":${index + 1},`)
})

/** What these events say of one kind, as one piece; tool calls one by one. */
export const partsIn = (
  events: Iterable<Pick<JournaledEvent, "json" | "type">>,
  kind: AnswerKind
): ReadonlyArray<Part> => {
  let text = ""
  const calls: Array<Part> = []
  for (const { json, type } of events) {
    if (type === "model.delta" && kind !== "tool-call") {
      const event = parse(json)
      if (event.type === "model.delta" && event.data.kind === kind) text += event.data.text
    } else if (type === "model.tool-call" && kind === "tool-call") {
      const event = parse(json)
      if (event.type === "model.tool-call") calls.push({ type: "tool-call", ...event.data })
    }
  }
  return kind === "tool-call" ? calls : text === "" ? [] : [{ type: kind, text }]
}
