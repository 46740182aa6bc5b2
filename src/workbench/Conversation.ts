/**
 * One open session on the page: its followed events, folded, and drawn into the list.
 *
 * Events are folded as they come and drawn once per animation frame: a hundred deltas between two frames cost one
 * drawing. Only turns that changed are drawn. Listeners are told of transitions, never of tokens, and not of history.
 */
import type { TurnEvent } from "../domain/TurnEvent.ts"
import * as Follower from "./Follower.ts"
import { Refused, type Server, type Verb } from "./Server.ts"
import * as SessionMessages from "./SessionMessages.ts"
import * as SessionModel from "./SessionModel.ts"
import * as TurnList from "./TurnList.ts"
import * as TurnView from "./TurnView.ts"

export interface Options {
  readonly server: Server
  readonly sessionId: string
  readonly silentMs: number
  readonly list: HTMLElement
  readonly announce: (text: string) => void
  readonly onConnection: (connection: Follower.Connection) => void
  /** After each drawing: the number of the running turn, and whether there is nothing to see. */
  readonly onDrawn: (facts: { readonly runningTurn: number | undefined; readonly empty: boolean }) => void
  readonly onEnd: (why: "gone" | "unauthorized") => void
  readonly onRefused: (error: unknown) => void
}

export interface Conversation {
  readonly close: () => void
  /** The next drawing shows the end, wherever the view is: what this page began is seen. */
  readonly showEnd: () => void
  readonly retryNow: () => void
}

export const open = (options: Options): Conversation => {
  const { server, sessionId } = options
  let model = SessionModel.make()
  const changed = new Set<string>()
  let isClosed = false
  /** History is drawn; from here on transitions are told. */
  let isLive = false
  let runningTurn: number | undefined
  let frame = 0
  let wantsEnd = true

  const schedule = (): void => {
    if (frame === 0 && !isClosed) frame = requestAnimationFrame(draw)
  }

  const showEnd = (): void => {
    wantsEnd = true
    schedule()
  }

  const command = async (entry: SessionModel.TurnEntry, verb: Verb): Promise<void> => {
    try {
      const turn = await server.command(entry.id, verb)
      turns.note(entry.id, verb === "cancel" ? TurnView.cancelConfirmed(turn) : "")
      if (verb !== "cancel") showEnd()
    } catch (error) {
      // a refused child is in the journal: its own block says why
      if (error instanceof Refused && error.turnId === undefined && error.status !== 401) {
        turns.note(entry.id, error.message)
      } else if (!isClosed) options.onRefused(error)
    }
  }

  const messages = SessionMessages.make({
    read: (cursor) => server.messages(sessionId, cursor),
    onMessage: (message) => {
      if (isClosed) return
      // read once the history is drawn: a turn that is not in it is one that retention folded
      if (message.turnId === null || model.turn(message.turnId) === undefined) turns.drawMessage(message)
      else changed.add(message.turnId)
      schedule()
    },
    onFailed: (error) => {
      if (!isClosed) options.onRefused(error)
    }
  })

  const turns = TurnList.make({ list: options.list, command, textOf: messages.textOf })

  const draw = (): void => {
    cancelAnimationFrame(frame)
    frame = 0
    const staysAtEnd = wantsEnd || turns.isAtEnd()
    const running = model.running()
    // what is running decides which verbs every other turn offers
    const drawsAll = running?.number !== runningTurn
    runningTurn = running?.number
    const told = model.turns
      .map((entry) => drawsAll || changed.has(entry.id) ? turns.drawTurn(entry, model, running) : "")
      .filter((words) => words !== "")
    changed.clear()
    if (isLive && told.length > 0) options.announce(told.join(" "))
    options.onDrawn({ runningTurn, empty: turns.isEmpty() })
    if (staysAtEnd) turns.scrollToEnd()
    wantsEnd = false
  }

  const take = (event: TurnEvent): void => {
    if (event.type === "turn.started") turns.dropMessages(event.turnId)
    for (const entry of model.take(event)) changed.add(entry.id)
    if (isLive && event.type === "turn.started" && messages.textOf(event.data.userMessageId) === undefined) {
      void messages.refresh()
    }
    schedule()
  }

  const follower = Follower.follow({
    open: (request) => server.events(sessionId, request),
    silentMs: options.silentMs,
    onEvent: take,
    onRestart: () => {
      model = SessionModel.make()
      isLive = false
      turns.clearTurns()
      schedule()
    },
    onConnection: (connection) => {
      if (connection.state === "live") {
        if (!isLive) draw()
        isLive = true
        void messages.refresh()
      }
      options.onConnection(connection)
    },
    onEnd: options.onEnd
  })

  return {
    close: () => {
      isClosed = true
      cancelAnimationFrame(frame)
      follower.stop()
      options.list.replaceChildren()
    },
    showEnd,
    retryNow: follower.retryNow
  }
}
