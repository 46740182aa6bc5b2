/** What is not here of a turn's events, and what is done about it. */
import * as TurnView from "../turn/TurnView.ts"
import type { OpenSession } from "./OpenSession.ts"
import type { TurnEntry } from "./TurnEntry.ts"

/** `all`: also what belongs to reading an old turn, and is no fault. */
export const LogNotes = ({ all, entry, session }: {
  readonly all: boolean
  readonly entry: TurnEntry
  readonly session: OpenSession
}) => (
  <>
    {TurnView.logNotes(entry.log.value, entry.facts.value, all).map(({ text, title, tone }) => (
      <div key={title} class={`note ${tone}`}>
        <b>{title}</b>
        <p>{text}</p>
        {tone === "bad" && (
          <button
            type="button"
            onClick={() => session.readEvents(entry)}
          >
            Read the events again
          </button>
        )}
      </div>
    ))}
  </>
)
