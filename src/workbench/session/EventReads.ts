/**
 * Reads the events of turns from the journal: of those that somebody looks at, and wherever some are missing. A few at a
 * time, what was asked for last first. Of ended turns a bounded number of events is held; those that were looked at
 * longest ago are let go, their cards keep what they show.
 */
import * as Words from "../kit/Words.ts"
import type { Server } from "../server/Server.ts"
import type { TurnEntry } from "./TurnEntry.ts"

/** Events of ended turns that are held. */
const heldEventsMax = 100_000

/** Turns that are read at the same time. */
const readsMax = 4

export interface EventReads {
  /** Somebody looks at this turn: what only its events tell is read. The answer takes that back where it has not begun. */
  readonly look: (entry: TurnEntry) => () => void
  /** Events of it are missing. */
  readonly read: (entry: TurnEntry) => void
  /** It ended, and its events are here. */
  readonly keep: (entry: TurnEntry) => void
  /** What could not be read is tried again. */
  readonly retry: () => void
  readonly close: () => void
}

export const make = (options: {
  readonly server: Pick<Server, "turn" | "turnEvents">
  /** The entry has to be shown anew. */
  readonly onChanged: (entry: TurnEntry) => void
}): EventReads => {
  const { onChanged, server } = options
  const reading = new Set<TurnEntry>()
  const waiting: Array<TurnEntry> = []
  const failed = new Set<TurnEntry>()
  /** Those that were looked at last at the end. */
  const held = new Set<TurnEntry>()
  let isClosed = false

  const letGo = (): void => {
    let events = [...held].reduce((sum, entry) => sum + entry.heldSeq(), 0)
    for (const entry of held) {
      if (events <= heldEventsMax || held.size === 1) return
      if (reading.has(entry)) continue
      events -= entry.heldSeq()
      held.delete(entry)
      entry.release()
      onChanged(entry)
    }
  }

  const keep = (entry: TurnEntry): void => {
    held.delete(entry)
    held.add(entry)
    letGo()
  }

  /** Until nothing is missing, or what is missing does not come. */
  const readAll = async (entry: TurnEntry): Promise<void> => {
    for (let before = -1; entry.isBehind() && entry.heldSeq() !== before;) {
      before = entry.heldSeq()
      const { items } = await server.turnEvents(entry.id, before)
      if (isClosed) return
      items.forEach(entry.take)
    }
    // retention may have removed them since the page read of this turn
    if (entry.isBehind()) entry.summarize(await server.turn(entry.id))
    if (entry.isBehind()) throw new Error("The server does not have the events that it told of.")
  }

  const begin = async (entry: TurnEntry): Promise<void> => {
    reading.add(entry)
    failed.delete(entry)
    entry.setReading()
    onChanged(entry)
    try {
      await readAll(entry)
    } catch (error) {
      entry.setBroken(Words.messageOf(error))
      failed.add(entry)
    }
    reading.delete(entry)
    if (isClosed) return
    if (entry.facts.peek().status !== "running") keep(entry)
    onChanged(entry)
    pump()
  }

  const pump = (): void => {
    while (reading.size < readsMax && !isClosed) {
      const entry = waiting.pop()
      if (entry === undefined) return
      // its events may have come by the stream meanwhile
      if (entry.isBehind()) void begin(entry)
    }
  }

  const read = (entry: TurnEntry): void => {
    if (reading.has(entry) || waiting.includes(entry)) return
    // from the first event again: what does not fold may not be what the server has
    if (entry.log.peek().state === "broken") entry.release()
    waiting.push(entry)
    pump()
  }

  return {
    look: (entry) => {
      if (held.has(entry)) keep(entry)
      const isRunning = entry.facts.peek().status === "running"
      // a running turn comes with the stream
      if (!isRunning || entry.log.peek().state === "broken") read(entry)
      return () => {
        const at = waiting.indexOf(entry)
        if (at !== -1 && !isRunning) waiting.splice(at, 1)
      }
    },
    read,
    keep,
    retry: () => [...failed].forEach(read),
    close: () => {
      isClosed = true
    }
  }
}
