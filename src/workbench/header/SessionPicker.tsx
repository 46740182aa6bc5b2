/**
 * Which session is open, and what can be done with it: a new one, a name, a file, an end. Deleting asks first, and says
 * that it cannot be undone.
 */
import { useSignal } from "@preact/signals"
import { sessionLabel } from "../composer/ComposerView.ts"
import { Action } from "../kit/Action.tsx"
import { Dialog } from "../kit/Dialog.tsx"
import * as Popover from "../kit/Popover.tsx"
import type { Workbench } from "../Workbench.ts"

const menuId = "session-menu"

/** Sessions in the list; an older one opens by its address. */
const listedMax = 200

interface Props {
  readonly workbench: Workbench
}

const nameOf = (workbench: Workbench, id: string): string => {
  const session = workbench.sessions.value.find((entry) => entry.id === id)
  return session === undefined ? id : sessionLabel(session)
}

const RenameDialog = ({ onClose, workbench }: Props & { readonly onClose: () => void }) => {
  const id = workbench.sessionId.value
  const title = useSignal(workbench.sessions.peek().find((entry) => entry.id === id)?.title ?? "")
  return (
    <Dialog title="Rename this session" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          onClose()
          void workbench.renameSession(title.value.trim())
        }}
      >
        <label for="title">Title</label>
        <input
          id="title"
          value={title.value}
          maxLength={200}
          onInput={(event) => {
            title.value = event.currentTarget.value
          }}
        />
        <div class="row">
          <button type="button" onClick={onClose}>Keep the old one</button>
          <button class="main">Rename</button>
        </div>
      </form>
    </Dialog>
  )
}

const DeleteDialog = ({ onClose, workbench }: Props & { readonly onClose: () => void }) => (
  <Dialog title="Delete this session?" onClose={onClose}>
    <p>{nameOf(workbench, workbench.sessionId.value ?? "")}</p>
    <p>Every trace of it is removed; a running turn is cancelled. This cannot be undone.</p>
    <div class="row">
      <button type="button" onClick={onClose}>Keep it</button>
      <button
        type="button"
        class="danger"
        onClick={() => {
          onClose()
          void workbench.deleteSession().then(workbench.focusComposer)
        }}
      >
        Delete the session
      </button>
    </div>
  </Dialog>
)

export const SessionPicker = ({ workbench }: Props) => {
  const asks = useSignal<"rename" | "delete" | undefined>(undefined)
  const open = workbench.sessionId.value
  const newest = workbench.sessions.value.slice(-listedMax).reverse()
  const why = open === undefined ? "No session is open: the first message makes one." : undefined
  const act = (task: () => void) => () => {
    Popover.close(menuId)
    task()
  }
  const begin = (): void => {
    workbench.openSession(undefined)
    workbench.focusComposer()
  }
  return (
    <>
      <label class="unseen" for="session">Session</label>
      <select
        id="session"
        value={open ?? ""}
        onChange={({ currentTarget: { value } }) => workbench.openSession(value === "" ? undefined : value)}
      >
        <option value="">New session</option>
        {open !== undefined && !newest.some(({ id }) => id === open) && (
          <option value={open}>{nameOf(workbench, open)}</option>
        )}
        {newest.map((session) => <option key={session.id} value={session.id}>{sessionLabel(session)}</option>)}
      </select>
      <button type="button" onClick={begin}>New</button>
      <button type="button" class="icon" aria-label="Session menu" aria-haspopup="dialog" popovertarget={menuId}>
        <span aria-hidden="true">⋯</span>
      </button>
      <Popover.Popover id={menuId} label="Session menu">
        <div class="menu">
          <Action class="plain" why={why} onClick={act(() => asks.value = "rename")}>Rename…</Action>
          <Action class="plain" why={why} onClick={act(() => void workbench.exportSession())}>Export as JSON</Action>
          <Action class="plain danger" why={why} onClick={act(() => asks.value = "delete")}>Delete…</Action>
          {why !== undefined && <p class="quiet">{why}</p>}
        </div>
      </Popover.Popover>
      {asks.value === "rename" && <RenameDialog workbench={workbench} onClose={() => asks.value = undefined} />}
      {asks.value === "delete" && <DeleteDialog workbench={workbench} onClose={() => asks.value = undefined} />}
    </>
  )
}
