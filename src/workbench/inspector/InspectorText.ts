/** What the inspector says of the turn that it shows: which one, and how much of it is here. Pure. */
import * as Words from "../kit/Words.ts"

/** Stands in the place of the turn while a preview is shown. */
export const previewLine = "The next message, not sent yet"

export const turnLine = (number: number, turns: number, isChosen: boolean): string =>
  `Turn ${number} of ${turns} · ${isChosen ? "chosen" : "newest"}`

export const emptyText = (session: "none" | "loading" | "loaded"): string => {
  if (session === "none") return "No session is open. Choose one or begin a new one."
  if (session === "loading") return "Reading the session …"
  return "No turn yet. Send a message: its events, context, checkpoints and usage are shown here."
}

/** Where the slider stands. */
export const placeText = (at: number | undefined, last: number): string =>
  `${Words.number(at ?? last)} of ${Words.number(last)}`
