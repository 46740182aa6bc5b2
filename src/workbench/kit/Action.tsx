/**
 * A button that says why it cannot be used. It stays focusable then, so that the reason can be read and no focus is lost
 * when the reason comes while it has the focus.
 */
import type { ComponentChildren } from "preact"

export const Action = (
  { children, class: className, describedBy, label, onClick, submits, why }: {
    readonly children: ComponentChildren
    readonly onClick?: () => void
    /** Why it is disabled; undefined where it is not. */
    readonly why?: string | undefined
    /** The element that shows the reason. */
    readonly describedBy?: string
    readonly class?: string
    readonly label?: string
    readonly submits?: boolean
  }
) => (
  <button
    type={submits === true ? "submit" : "button"}
    class={className}
    aria-label={label}
    aria-disabled={why === undefined ? undefined : "true"}
    aria-describedby={why === undefined ? undefined : describedBy}
    title={why ?? label}
    onClick={(event) => {
      if (why !== undefined) event.preventDefault()
      else onClick?.()
    }}
  >
    {children}
  </button>
)
