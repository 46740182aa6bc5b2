/**
 * A button that says why it cannot be used: to who points at it, who reads it, and who presses it all the same. It stays
 * focusable then, so that no focus is lost when the reason comes while it has the focus.
 */
import { useSignal } from "@preact/signals"
import type { ComponentChildren } from "preact"

export const Action = (
  { children, class: className, describedBy, label, onClick, submits, why }: {
    readonly children: ComponentChildren
    readonly onClick?: () => void
    /** Why it is disabled; undefined where it is not. */
    readonly why?: string | undefined
    /** The element that shows the reason. */
    readonly describedBy?: string
    readonly class?: string | undefined
    readonly label?: string
    readonly submits?: boolean
  }
) => {
  const wasPressed = useSignal(false)
  return (
    <>
      <button
        type={submits === true ? "submit" : "button"}
        class={className}
        aria-label={label}
        aria-disabled={why === undefined ? undefined : "true"}
        aria-describedby={why === undefined ? undefined : describedBy}
        title={why ?? label}
        onClick={(event) => {
          wasPressed.value = why !== undefined
          if (why !== undefined) event.preventDefault()
          else onClick?.()
        }}
      >
        {children}
      </button>
      {wasPressed.value && why !== undefined && describedBy === undefined && <span class="quiet">{why}</span>}
    </>
  )
}
