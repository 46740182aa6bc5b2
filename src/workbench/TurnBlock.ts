/**
 * The block of one turn: made once from the template, then brought up to date with what `TurnView` says. Text grows in
 * place. The list of events exists only while it is open.
 */
import * as Dom from "./Dom.ts"
import { seqText } from "./EventLog.ts"
import type { Verb } from "./Server.ts"
import type { TurnEntry } from "./SessionModel.ts"
import type { TurnView } from "./TurnView.ts"

export interface Shown {
  readonly entry: TurnEntry
  readonly view: TurnView
  /** The user's message; undefined while it is not known. */
  readonly message: string | undefined
  /** Why no verb but cancel can be used now; empty where they can. */
  readonly busy: string
}

export interface TurnBlock {
  readonly element: HTMLElement
  readonly update: (shown: Shown) => void
  /** Says what became of a command. */
  readonly note: (text: string) => void
}

const verbs: ReadonlyArray<Verb> = ["cancel", "resume", "retry"]

const textNode = (parent: HTMLElement): Text => parent.appendChild(document.createTextNode(""))

const toolCalls = (entry: TurnEntry): string =>
  entry.state.toolCalls.map((call) => `${call.toolName} ${JSON.stringify(call.arguments)}`).join("\n")

export const make = (id: string, command: (verb: Verb) => Promise<void>): TurnBlock => {
  const element = Dom.fromTemplate("turn")
  const part = (name: string) => Dom.part(element, name, HTMLElement)
  element.dataset["turnId"] = id
  part("number").id = `number-${id}`
  const text = textNode(part("text"))
  const reasoning = textNode(part("reasoning"))
  const details = Dom.part(element, "events", HTMLDetailsElement)
  const buttons = verbs.map((verb) => ({ verb, button: Dom.part(element, verb, HTMLButtonElement) }))
  /** A command that waits for its answer. */
  let waiting: Verb | undefined
  let last: Shown | undefined

  const showEvents = (entry: TurnEntry): void => {
    const rows = part("rows")
    if (!details.open) return rows.replaceChildren()
    entry.rows.forEach((row, index) => {
      const known = rows.children[index]
      const line = known instanceof HTMLElement ? known : rows.appendChild(Dom.fromTemplate("event"))
      Dom.part(line, "seq", HTMLElement).textContent = seqText(row)
      Dom.part(line, "type", HTMLElement).textContent = row.type
      Dom.part(line, "detail", HTMLElement).textContent = row.detail
    })
  }

  const showVerbs = ({ busy, view }: Shown): void => {
    const hadFocus = buttons.some(({ button }) => button === document.activeElement)
    for (const { button, verb } of buttons) {
      button.hidden = !view.verbs.includes(verb)
      button.disabled = verb !== "cancel" && busy !== "" && waiting === undefined
      // not disabled: that would take the focus away from whoever pressed it
      button.ariaDisabled = String(waiting !== undefined)
    }
    Dom.show(part("why"), waiting !== undefined ? "Waiting for the server." : view.verbs.includes("cancel") ? "" : busy)
    if (!hadFocus || buttons.some(({ button }) => button === document.activeElement && !button.hidden)) return
    const next = buttons.find(({ button }) => !button.hidden && !button.disabled)?.button ?? element
    next.focus({ preventScroll: true })
  }

  const update = (shown: Shown): void => {
    last = shown
    const { entry, message, view } = shown
    element.dataset["tone"] = view.tone
    Dom.show(part("number"), `Turn ${entry.number}`)
    Dom.show(
      part("message"),
      entry.state.retryOf !== undefined || entry.state.resumedFrom !== undefined ? "" : message ?? ""
    )
    Dom.show(part("status"), view.status)
    Dom.show(part("source"), view.source)
    Dom.show(part("relation"), view.relation)
    Dom.show(part("error"), view.error)
    Dom.show(part("usage"), view.usage)
    Dom.show(part("tools"), toolCalls(entry))
    Dom.show(part("events-label"), `Events 1–${entry.state.lastSeq}`)
    Dom.grow(text, entry.state.text)
    Dom.grow(reasoning, entry.state.reasoning)
    part("text").hidden = entry.state.text === ""
    part("thoughts").hidden = entry.state.reasoning === ""
    showEvents(entry)
    showVerbs(shown)
  }

  const refresh = (): void => {
    if (last !== undefined) update(last)
  }

  details.addEventListener("toggle", refresh)
  for (const { button, verb } of buttons) {
    button.setAttribute("aria-describedby", `number-${id}`)
    button.addEventListener("click", () => {
      if (waiting !== undefined) return
      waiting = verb
      refresh()
      void command(verb).finally(() => {
        waiting = undefined
        refresh()
      })
    })
  }
  return { element, update, note: (note) => Dom.show(part("note"), note) }
}
