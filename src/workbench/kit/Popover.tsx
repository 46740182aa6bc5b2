/**
 * A panel that a button opens (`popovertarget` names it) and that Escape, a click elsewhere or `close` shuts; the browser
 * puts it above everything and gives the focus back. It stands beside its button; on a phone it is a sheet at the bottom.
 */
import type { ComponentChildren } from "preact"
import "./kit.css"

/** Pixels between the button and the panel, and between the panel and the edge of the window. */
const gap = 6

const place = (panel: HTMLElement): void => {
  const button = document.querySelector(`[popovertarget="${panel.id}"]`)
  if (button === null) return
  const { bottom, left, top } = button.getBoundingClientRect()
  const isAbove = top > innerHeight / 2
  const { style } = panel
  style.left = `${Math.max(gap, Math.min(left, innerWidth - panel.offsetWidth - gap))}px`
  style.top = isAbove ? "auto" : `${bottom + gap}px`
  style.bottom = isAbove ? `${innerHeight - top + gap}px` : "auto"
}

export const close = (id: string): void => {
  document.getElementById(id)?.hidePopover()
}

export const Popover = (
  { children, id, label }: { readonly id: string; readonly label: string; readonly children: ComponentChildren }
) => (
  <div
    id={id}
    popover="auto"
    role="dialog"
    aria-label={label}
    class="popover"
    onToggle={(event) => {
      if (event.newState === "open") place(event.currentTarget)
    }}
  >
    {children}
  </div>
)
