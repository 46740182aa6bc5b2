/** What a reader should know beside the answer of a turn, and what is not here of its events. */
import type { ComponentChildren } from "preact"
import { Named } from "../kit/Named.tsx"
import type { OpenSession } from "../session/OpenSession.ts"
import type { TurnEntry } from "../session/TurnEntry.ts"
import * as TurnView from "./TurnView.ts"

export const Note = ({ children, note: { names = [], text, title, tone } }: {
  readonly note: TurnView.Note
  readonly children: ComponentChildren
}) => (
  <div class={`note ${tone}`}>
    <b>{title}</b>
    <p>
      <Named text={text} names={names} />
    </p>
    {children}
  </div>
)

/** `all`: also what belongs to reading an old turn, and is no fault. */
export const LogNotes = ({ all, entry, session }: {
  readonly all: boolean
  readonly entry: TurnEntry
  readonly session: OpenSession
}) => (
  <>
    {TurnView.logNotes(entry.log.value, entry.facts.value, all).map((note) => (
      <Note key={note.title} note={note}>
        {note.tone === "bad" && (
          <button type="button" onClick={() => session.readEvents(entry)}>Read the events again</button>
        )}
      </Note>
    ))}
  </>
)
