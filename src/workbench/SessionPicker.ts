/**
 * The list of sessions, newest first, and the commands on the open one. The first entry is the session that the next
 * message makes. Deleting asks first, and says that it cannot be undone.
 */
import type { Session } from "../domain/Resources.ts"
import { sessionLabel } from "./ComposerView.ts"
import * as Dom from "./Dom.ts"
import type { Server } from "./Server.ts"

/** More are not listed; an older one opens by its address. */
const listedMax = 200

export interface SessionPicker {
  readonly reload: () => Promise<void>
  readonly select: (id: string | undefined) => void
}

export const make = (options: {
  readonly server: Server
  readonly onOpen: (id: string | undefined) => void
  readonly onDelete: (id: string) => void
}): SessionPicker => {
  const picker = Dom.byId("session", HTMLSelectElement)
  const deleteButton = Dom.byId("delete", HTMLButtonElement)
  const dialog = Dom.byId("delete-dialog", HTMLDialogElement)
  let sessions: ReadonlyArray<Session> = []
  let selected: string | undefined

  const label = (id: string): string => {
    const session = sessions.find((entry) => entry.id === id)
    return session === undefined ? id : sessionLabel(session)
  }

  const show = (): void => {
    const listed: Array<string> = sessions.slice(-listedMax).map(({ id }) => id).reverse()
    if (selected !== undefined && !listed.includes(selected)) listed.push(selected)
    picker.replaceChildren(Dom.option("", "New session"), ...listed.map((id) => Dom.option(id, label(id))))
    picker.value = selected ?? ""
    deleteButton.hidden = selected === undefined
  }

  picker.addEventListener("change", () => options.onOpen(picker.value === "" ? undefined : picker.value))
  Dom.byId("new", HTMLButtonElement).addEventListener("click", () => options.onOpen(undefined))
  deleteButton.addEventListener("click", () => {
    Dom.show(Dom.byId("delete-name", HTMLElement), selected === undefined ? "" : label(selected))
    dialog.showModal()
  })
  Dom.byId("delete-keep", HTMLButtonElement).addEventListener("click", () => dialog.close())
  Dom.byId("delete-confirm", HTMLButtonElement).addEventListener("click", () => {
    dialog.close()
    if (selected !== undefined) options.onDelete(selected)
  })

  return {
    reload: async () => {
      sessions = await options.server.sessions()
      show()
    },
    select: (id) => {
      selected = id
      show()
    }
  }
}
