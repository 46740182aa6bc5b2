/** The way on without the variables that are missing: a provider that needs none. */
import type { Workbench } from "../Workbench.ts"
import { offlineProvider } from "./ComposerView.ts"

export const UseDeterministic = ({ class: className, text, workbench }: {
  readonly workbench: Workbench
  /** What is written where the message is empty. */
  readonly text?: string | undefined
  readonly class?: string
}) => (
  <button
    type="button"
    class={className}
    onClick={() => {
      workbench.setDraft({
        provider: offlineProvider,
        model: undefined,
        ...(text !== undefined && workbench.draft.peek().text === "" && { text })
      })
      workbench.focusComposer()
    }}
  >
    Use {offlineProvider}
  </button>
)
