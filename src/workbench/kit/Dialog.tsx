/** A modal dialog: the browser keeps the focus in it and gives it back; Escape closes it. */
import type { ComponentChildren } from "preact"
import { useId, useLayoutEffect, useRef } from "preact/hooks"
import "./kit.css"

export const Dialog = (
  { children, onClose, title }: {
    readonly title: string
    readonly onClose: () => void
    readonly children: ComponentChildren
  }
) => {
  const element = useRef<HTMLDialogElement>(null)
  const isRemoved = useRef(false)
  const titleId = useId()
  useLayoutEffect(() => {
    const dialog = element.current
    dialog?.showModal()
    // gives the focus back, which a dialog that is only removed does not; it must still be in the page then
    return () => {
      isRemoved.current = true
      dialog?.close()
    }
  }, [])
  return (
    <dialog ref={element} aria-labelledby={titleId} onClose={() => isRemoved.current || onClose()}>
      <h2 id={titleId}>{title}</h2>
      {children}
    </dialog>
  )
}
