/** What the inspector says of the turn that it shows: which one, and how much of it is here. Pure. */
import type { TurnLog } from "../session/TurnEntry.ts"
import type { TurnFacts } from "../session/TurnFacts.ts"
import * as EventText from "./EventText.ts"

/** Stands in the place of the turn while a preview is shown. */
export const previewLine = "The next message, not sent yet"

export const turnLine = (number: number, turns: number, isChosen: boolean): string =>
  `Turn ${number} of ${turns} · ${isChosen ? "chosen" : "newest"}`

export const emptyText = (session: "none" | "loading" | "loaded"): string => {
  if (session === "none") return "No session is open. Choose one or begin a new one."
  if (session === "loading") return "Reading the session …"
  return "No turn yet. Send a message: its events, its context, its checkpoints and what it used are shown here."
}

export interface LogNote {
  readonly tone: "" | "warn" | "bad"
  readonly text: string
  /** Whether reading again may help. */
  readonly isRetryable: boolean
}

const note = (tone: LogNote["tone"], text: string, isRetryable = false): LogNote => ({ tone, text, isRetryable })

const gapText = ({ from, to }: NonNullable<TurnLog["missing"]>): string =>
  `Seq ${EventText.span(from, to)} ${from === to ? "is" : "are"} not here yet; ${
    from === to ? "it is" : "they are"
  } being read.`

const brokenText = (held: number): string =>
  held === 0 ? "The events could not be read." : `The events after seq ${held.toLocaleString("en")} could not be read.`

/** What a reader should know before reading the events: what is missing of them, and why. */
export const logNotes = (log: TurnLog, facts: Pick<TurnFacts, "foldedAt">): ReadonlyArray<LogNote> => {
  switch (log.state) {
    case "broken":
      return [note("bad", `${brokenText(log.events.length)} ${log.fault ?? ""}`.trim(), true)]
    case "folded": {
      const when = facts.foldedAt === undefined ? "" : ` at ${facts.foldedAt.slice(0, 16).replace("T", " ")} UTC`
      return [note("", `Retention removed the deltas of this turn${when}. Its messages and what it used are kept.`)]
    }
    default:
      if (log.events.length === 0) return [note("", "Reading the events …")]
      return log.missing === undefined ? [] : [note("warn", gapText(log.missing))]
  }
}

/** Where the slider stands. */
export const placeText = (at: number | undefined, last: number): string =>
  `${(at ?? last).toLocaleString("en")} of ${last.toLocaleString("en")}`
