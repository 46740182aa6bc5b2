/**
 * The list on the page: messages without a turn first (imported ones, and those whose turn retention folded), then a block
 * for each turn, in the order of the session.
 */
import type { Message } from "../domain/Message.ts"
import * as Dom from "./Dom.ts"
import type { Verb } from "./Server.ts"
import { messageText } from "./SessionMessages.ts"
import type { SessionModel, TurnEntry } from "./SessionModel.ts"
import * as TurnBlock from "./TurnBlock.ts"
import * as TurnView from "./TurnView.ts"

export interface TurnList {
  /** Brings a turn's block up to date. Answers what a listener is to be told of it; empty where nothing. */
  readonly drawTurn: (entry: TurnEntry, model: SessionModel, running: TurnEntry | undefined) => string
  readonly drawMessage: (message: Message) => void
  /** Takes a turn's messages away: it has a block of its own after all. */
  readonly dropMessages: (turnId: string) => void
  /** Says in a turn's block what became of a command. */
  readonly note: (turnId: string, text: string) => void
  readonly isEmpty: () => boolean
  /** Takes the turns away and keeps the messages before them. */
  readonly clearTurns: () => void
  readonly isAtEnd: () => boolean
  readonly scrollToEnd: () => void
}

/** Nearer to the end than this (pixels), the view stays at the end while text arrives. */
const nearEnd = 120

export const make = (options: {
  readonly list: HTMLElement
  readonly command: (entry: TurnEntry, verb: Verb) => Promise<void>
  readonly textOf: (messageId: string) => string | undefined
}): TurnList => {
  const { command, list, textOf } = options
  const scroller = list.parentElement ?? list
  const drawn = new Map<string, { readonly block: TurnBlock.TurnBlock; told: string }>()
  /** Messages before the first block. */
  let loose = 0
  const earlier = new Map<string, ReadonlyArray<HTMLElement>>()

  const blockOf = (entry: TurnEntry) => {
    const known = drawn.get(entry.id)
    if (known !== undefined) return known
    const made = { block: TurnBlock.make(entry.id, (verb) => command(entry, verb)), told: "" }
    drawn.set(entry.id, made)
    list.append(made.block.element)
    return made
  }

  return {
    drawTurn: (entry, model, running) => {
      const view = TurnView.view(entry, running !== undefined && running !== entry, (id) => model.turn(id)?.number)
      const known = blockOf(entry)
      known.block.update({
        entry,
        view,
        message: textOf(entry.state.userMessageId),
        busy: running === undefined ? "" : `Turn ${running.number} is running: wait for it or cancel it.`
      })
      const words = TurnView.announcement(entry, view)
      const isNew = words !== known.told
      known.told = words
      return isNew ? words : ""
    },
    drawMessage: (message) => {
      const element = Dom.fromTemplate("imported")
      const who = message.role === "user" ? "You" : "Assistant"
      const whence = message.turnId === null ? "imported" : "earlier"
      Dom.show(Dom.part(element, "role", HTMLElement), `${who}, ${whence}`)
      Dom.show(Dom.part(element, "text", HTMLElement), messageText(message))
      list.insertBefore(element, list.children[loose] ?? null)
      loose++
      if (message.turnId !== null) earlier.set(message.turnId, [...(earlier.get(message.turnId) ?? []), element])
    },
    dropMessages: (turnId) => {
      for (const element of earlier.get(turnId) ?? []) {
        element.remove()
        loose--
      }
      earlier.delete(turnId)
    },
    note: (turnId, text) => drawn.get(turnId)?.block.note(text),
    isEmpty: () => drawn.size === 0 && loose === 0,
    clearTurns: () => {
      for (const { block } of drawn.values()) block.element.remove()
      drawn.clear()
    },
    isAtEnd: () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < nearEnd,
    scrollToEnd: () => {
      scroller.scrollTop = scroller.scrollHeight
    }
  }
}
