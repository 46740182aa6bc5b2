/**
 * The inside of one turn: its events, what it was sent, its checkpoints, what it used. It shows the turn that is looked
 * at (`Looking`) and has its events read where only its summary is here.
 */
import { type Signal, useSignal } from "@preact/signals"
import { useEffect } from "preact/hooks"
import * as Words from "../kit/Words.ts"
import type { Server } from "../server/Server.ts"
import { type Looking, type Panel, panels } from "../session/Looking.ts"
import type { OpenSession } from "../session/OpenSession.ts"
import type { TurnEntry } from "../session/TurnEntry.ts"
import { LogNotes } from "../turn/Notes.tsx"
import { CheckpointPanel } from "./CheckpointPanel.tsx"
import { ContextPanel } from "./ContextPanel.tsx"
import * as EventRows from "./EventRows.ts"
import { EventsPanel } from "./EventsPanel.tsx"
import "./inspector.css"
import * as InspectorText from "./InspectorText.ts"
import { UsagePanel } from "./UsagePanel.tsx"

const panelId = "inspector-panel"
const tabId = (panel: Panel): string => `inspector-${panel}`

/** The tab to go to by this key; undefined where it is no such key. */
export const tabByKey = (key: string, from: Panel): Panel | undefined => {
  const index = panels.indexOf(from)
  const count = panels.length
  switch (key) {
    case "ArrowRight":
      return panels[(index + 1) % count]
    case "ArrowLeft":
      return panels[(index + count - 1) % count]
    case "Home":
      return panels[0]
    case "End":
      return panels[count - 1]
    default:
      return undefined
  }
}

const Tabs = ({ looking }: { readonly looking: Looking }) => {
  const shown = looking.panel.value
  const onKeyDown = (event: KeyboardEvent) => {
    const next = tabByKey(event.key, looking.panel.peek())
    if (next === undefined || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault()
    looking.showPanel(next)
    document.getElementById(tabId(next))?.focus()
  }
  return (
    <div role="tablist" aria-label="Turn inspector" onKeyDown={onKeyDown}>
      {panels.map((panel) => (
        <button
          key={panel}
          id={tabId(panel)}
          type="button"
          role="tab"
          aria-selected={panel === shown}
          aria-controls={panelId}
          tabIndex={panel === shown ? 0 : -1}
          onClick={() => looking.showPanel(panel)}
        >
          {Words.capital(panel)}
        </button>
      ))}
    </div>
  )
}

const isPreviewed = ({ panel, preview }: Looking): boolean => panel.value === "context" && preview.value !== undefined

const WhichTurn = ({ entry, looking, session }: {
  readonly looking: Looking
  readonly session: OpenSession
  readonly entry: TurnEntry
}) => {
  const isChosen = looking.isChosen.value
  if (isPreviewed(looking)) return <p class="which quiet">{InspectorText.previewLine}</p>
  return (
    <div class="which row">
      <p class="quiet number grow">
        {InspectorText.turnLine(entry.number, session.turns.value.length, isChosen)}
      </p>
      {isChosen && (
        <button type="button" class="small" onClick={() => looking.chooseTurn(undefined)}>Follow newest</button>
      )}
    </div>
  )
}

const TurnPanel = ({ choice, entry, looking, server, session }: {
  readonly looking: Looking
  readonly server: Server
  readonly session: OpenSession
  readonly entry: TurnEntry
  readonly choice: Signal<EventRows.Choice>
}) => {
  // the fold changes in place: each new log draws it again
  const log = entry.log.value
  const panel = looking.panel.value
  const facts = looking.factsOf(entry)
  // of a folded turn the note above says what is not there
  const isRead = log.state === "whole"
  return (
    <>
      {!isPreviewed(looking) && <LogNotes all entry={entry} session={session} />}
      {panel === "events" && (
        <EventsPanel looking={looking} log={log} isRunning={facts.status === "running"} choice={choice} />
      )}
      {panel === "context" && <ContextPanel looking={looking} facts={facts} isRead={isRead} />}
      {panel === "checkpoint" && (
        <CheckpointPanel
          looking={looking}
          server={server}
          session={session}
          entry={entry}
          facts={facts}
          isRead={isRead}
        />
      )}
      {panel === "usage" && (
        <UsagePanel looking={looking} server={server} session={session} facts={facts} isRead={isRead} />
      )}
    </>
  )
}

export interface Props {
  readonly looking: Looking
  readonly server: Server
}

export const Inspector = ({ looking, server }: Props) => {
  const session = looking.session.value
  const entry = looking.turn.value
  const panel = looking.panel.value
  const choice = useSignal(EventRows.everything)
  const isSummary = entry?.log.value.state === "summary"

  // also where the events are here: the turn that is looked at is the last to be let go
  useEffect(() => {
    if (entry !== undefined) session?.readEvents(entry)
  }, [session, entry, isSummary])

  return (
    <aside class="inspector" aria-label="Turn inspector" tabIndex={-1}>
      <h2 class="unseen">Turn inspector</h2>
      {session !== undefined && entry !== undefined && <WhichTurn looking={looking} session={session} entry={entry} />}
      <Tabs looking={looking} />
      <div
        id={panelId}
        class={`of-${panel}`}
        role="tabpanel"
        aria-labelledby={tabId(panel)}
        tabIndex={panel === "events" && entry !== undefined ? undefined : 0}
      >
        {session !== undefined && entry !== undefined
          ? (
            <TurnPanel
              key={entry.id}
              looking={looking}
              server={server}
              session={session}
              entry={entry}
              choice={choice}
            />
          )
          : isPreviewed(looking)
          ? <ContextPanel looking={looking} facts={undefined} isRead={false} />
          : (
            <p class="none">
              {InspectorText.emptyText(
                session === undefined ? "none" : session.isLoaded.value ? "loaded" : "loading"
              )}
            </p>
          )}
      </div>
    </aside>
  )
}
