/**
 * One open session: the server's summaries of its turns, then its event stream from there on, and the commands on its
 * turns. Nothing is shown before the server has it: a cancel ends a card only when the end is in the stream.
 *
 * A turn that ended is held as its summary until somebody looks at it (`readEvents`); one that runs is always folded
 * from its first event. Where events are missing, whatever the reason, they are read and put in their place.
 */
import { batch, type ReadonlySignal, signal } from "@preact/signals"
import type { Command } from "../../client/Api.ts"
import * as Follower from "../../client/Follower.ts"
import type { Turn } from "../../client/Resources.ts"
import { TurnstreamError } from "../../client/TurnstreamError.ts"
import type { TurnEvent } from "../../domain/Protocol.ts"
import * as Clock from "../kit/Clock.ts"
import * as Frames from "../kit/Frames.ts"
import { isRecorded, type Server } from "../server/Server.ts"
import * as TurnView from "../turn/TurnView.ts"
import * as EventReads from "./EventReads.ts"
import * as SessionMessages from "./SessionMessages.ts"
import * as SessionModel from "./SessionModel.ts"
import type { TurnEntry } from "./TurnEntry.ts"

/** A request that waits for longer may be waiting for a connection: a browser has six to a host, for all its pages. */
const crowdedMs = 1_000

/** Until messages that could not be read are read again. */
const messagesAgainMs = 3_000

/** As a session's connection is shown: what is missing of it comes while it loads, or is opened again. */
export type Connection =
  | { readonly state: "loading" }
  | Extract<Follower.Connection, { readonly state: "live" | "resting" }>
  | Omit<Extract<Follower.Connection, { readonly delayMs: number }>, "from">

/**
 * A session that is gone, or cannot be, is no more asked for, nor one that a token is refused for. A place that the server
 * does not know, or does not keep any more, is given up: from the beginning.
 */
const judge: Follower.Options["judge"] = ({ status }, _, hasBegun) => {
  if (status === 401 || status === 404 || (status === 400 && !hasBegun)) return "end"
  return status === 400 || status === 410 ? "anew" : "again"
}

/** What was asked of a turn, and what came of it. */
export interface Asked {
  /** The command that the server has not answered yet. */
  readonly pending: Command | undefined
  readonly note: string
}

export interface OpenSession {
  readonly id: string
  readonly turns: ReadonlySignal<ReadonlyArray<TurnEntry>>
  readonly turn: (id: string) => TurnEntry | undefined
  readonly imported: SessionMessages.SessionMessages["imported"]
  readonly textOf: SessionMessages.SessionMessages["textOf"]
  readonly callsOf: SessionMessages.SessionMessages["callsOf"]
  /** What is there is shown: an empty session is empty, and not just unknown. */
  readonly isLoaded: ReadonlySignal<boolean>
  /** `sinceMs`: when it became so, by this machine's clock. */
  readonly connection: ReadonlySignal<Connection & { readonly sinceMs: number }>
  /** The seq of the event that came last; 0 before any. */
  readonly lastSeq: ReadonlySignal<number>
  /** The turn that holds the session. */
  readonly running: ReadonlySignal<TurnEntry | undefined>
  /** Turns that have not ended and come before this one. */
  readonly before: (entry: TurnEntry) => number
  readonly asked: (entry: TurnEntry) => Asked
  readonly command: (entry: TurnEntry, verb: Command) => Promise<void>
  /**
   * Somebody looks at this turn: its events are read where only its summary is here, or reading them failed. The answer
   * takes that back.
   */
  readonly readEvents: (entry: TurnEntry) => () => void
  readonly retryNow: () => void
  /** Makes a request, and where it finds no connection leaves it that of the stream, which comes back after it. */
  readonly withRoom: <A>(ask: () => Promise<A>) => Promise<A>
  /** Nobody sees the page, until `retryNow`. */
  readonly rest: () => void
  readonly close: () => void
}

export interface Options {
  readonly server: Server
  readonly sessionId: string
  readonly silentMs: number
  readonly announce: (text: string) => void
  readonly onEnd: (why: "gone" | "unauthorized") => void
  readonly onRefused: (error: unknown) => void
}

const notAsked: Asked = { pending: undefined, note: "" }

/** The place after which to follow: all that is not ended comes again from its beginning. */
const placeAfter = (turns: ReadonlyArray<Turn>): string => {
  const open = turns.findIndex(({ status }) => status === "running")
  const last = open === -1 ? turns.at(-1) : turns[open - 1]
  return last === undefined ? "" : `${last.id}.${last.lastSeq}`
}

export const open = (options: Options): OpenSession => {
  const { server, sessionId } = options
  const model = SessionModel.make()
  const isLoaded = signal(false)
  const connection = signal<Connection & { readonly sinceMs: number }>({
    state: "loading",
    sinceMs: Clock.nowMs()
  })
  const lastSeq = signal(0)
  const unfinished = signal<ReadonlyArray<TurnEntry>>([])
  const running = signal<TurnEntry | undefined>(undefined)
  const asked = signal<ReadonlyMap<string, Asked>>(new Map())
  /** What listeners were told of a turn. */
  const told = new Map<string, string>()
  let isClosed = false
  let isLive = false
  let seq = 0

  const refused = (error: unknown): void => {
    if (!isClosed) options.onRefused(error)
  }

  const messages = SessionMessages.make({
    read: (cursor) => server.messages(sessionId, cursor),
    onFailed: (error) => {
      refused(error)
      Clock.timer(messagesAgainMs, () => isClosed || void messages.refresh())
    }
  })

  const announcementOf = (entry: TurnEntry): string => {
    const facts = entry.facts.peek()
    const status = TurnView.statusOf(facts, {
      before: before(entry),
      nowMs: 0,
      lastEventMs: undefined,
      limits: undefined
    })
    const words = TurnView.announcement(entry.number, facts, status)
    const isNew = words !== (told.get(entry.id) ?? "")
    told.set(entry.id, words)
    return isNew ? words : ""
  }

  const publish = (): void => {
    batch(() => {
      const changed = model.publish()
      const fresh = changed.filter((entry) =>
        entry.facts.peek().status === "running" && !unfinished.peek().includes(entry)
      )
      const open = [...unfinished.peek(), ...fresh].filter((entry) => entry.facts.peek().status === "running")
      if (fresh.length > 0 || open.length !== unfinished.peek().length) unfinished.value = open
      running.value = open[0]
      lastSeq.value = seq
      for (const entry of changed) {
        if (entry.facts.peek().status !== "running" && entry.heldSeq() > 0) reads.keep(entry)
      }
      const words = changed.map(announcementOf).filter((text) => text !== "")
      if (isLive && words.length > 0) options.announce(words.join(" "))
    })
  }

  const frames = Frames.make(publish)
  const before = (entry: TurnEntry): number => Math.max(0, unfinished.value.indexOf(entry))

  const reads = EventReads.make({
    server,
    onChanged: (entry) => {
      model.touch(entry)
      frames.request()
    }
  })

  const discovering = new Set<string>()

  /** A turn whose beginning this page never saw. */
  const discover = async (turnId: string): Promise<void> => {
    if (discovering.has(turnId)) return
    discovering.add(turnId)
    try {
      model.addSummaries([await server.turn(turnId)])
      publish()
      const entry = model.turn(turnId)
      if (entry !== undefined) reads.read(entry)
      void messages.refresh()
    } catch (error) {
      refused(error)
    } finally {
      discovering.delete(turnId)
    }
  }

  // --- the session's stream

  const take = (event: TurnEvent): void => {
    seq = event.seq
    const behind = model.take(event)
    if (typeof behind === "string") void discover(behind)
    else if (behind !== undefined) reads.read(behind)
    if (event.type === "turn.started" && messages.textOf(event.data.userMessageId) === undefined) {
      void messages.refresh()
    }
    frames.request()
  }

  const follower = Follower.follow({
    begin: async (signal) => {
      const turns = await server.turns(sessionId, signal)
      model.addSummaries(turns)
      seq = Math.max(seq, turns.at(-1)?.lastSeq ?? 0)
      // imported ones belong to no turn
      if (turns.length === 0 && !await messages.refresh()) throw new Error("The messages could not be read.")
      publish()
      isLoaded.value = true
      // begun again: of turns that were here already the stream brings only what is not ended
      for (const entry of model.turns.peek()) if (entry.heldSeq() > 0 && entry.isBehind()) reads.read(entry)
      return placeAfter(turns)
    },
    open: (request) => server.events(sessionId, request),
    isTwoStep: true,
    judge,
    silentMs: options.silentMs,
    onEvent: take,
    onConnection: (now) => {
      if (isClosed || now.state === "connecting" || now.state === "replaying") return
      if (now.state === "ended") return options.onEnd(now.error?.status === 401 ? "unauthorized" : "gone")
      if (now.state === "live") {
        publish()
        isLive = true
        reads.retry()
        void messages.refresh()
      }
      connection.value = { ...now, sinceMs: Clock.nowMs() }
    }
  })

  const withRoom = async <A>(ask: () => Promise<A>): Promise<A> => {
    let isCrowded = false
    const calm = Clock.timer(crowdedMs, () => {
      isCrowded = true
      follower.rest()
    })
    try {
      return await ask()
    } finally {
      calm()
      if (isCrowded) follower.retryNow()
    }
  }

  const setAsked = (entry: TurnEntry, now: Asked): void => {
    asked.value = new Map(asked.peek()).set(entry.id, now)
  }

  return {
    id: sessionId,
    turns: model.turns,
    turn: model.turn,
    imported: messages.imported,
    textOf: messages.textOf,
    callsOf: messages.callsOf,
    isLoaded,
    connection,
    lastSeq,
    running,
    before,
    asked: (entry) => asked.value.get(entry.id) ?? notAsked,
    command: async (entry, verb) => {
      setAsked(entry, { pending: verb, note: "" })
      try {
        const turn = await withRoom(() => server.command(entry.id, verb))
        setAsked(entry, { pending: undefined, note: verb === "cancel" ? TurnView.cancelConfirmed(turn) : "" })
      } catch (error) {
        // a refused child is in the journal: its own card says why
        const refusal = error instanceof TurnstreamError ? error : undefined
        const isShown = refusal !== undefined && isRecorded(refusal)
        const note = error instanceof Error && !isShown ? error.message : ""
        setAsked(entry, { pending: undefined, note })
        if (refusal?.status === 401) refused(error)
      }
    },
    readEvents: reads.look,
    retryNow: follower.retryNow,
    withRoom,
    rest: follower.rest,
    close: () => {
      isClosed = true
      frames.stop()
      reads.close()
      follower.stop()
    }
  }
}
