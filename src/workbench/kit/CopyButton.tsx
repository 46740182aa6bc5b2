/** Copies a text and says on itself whether that worked: a page that is not served securely may not. */
import { useSignal } from "@preact/signals"
import { useEffect } from "preact/hooks"
import * as Clock from "./Clock.ts"

const saidMs = 2_000

export interface Props {
  /** What is copied, for who does not see it beside the button; absent where it is what the button belongs to. */
  readonly what?: string
  readonly text: () => string
  /** Instead, where the page may not. */
  readonly select?: () => void
}

export const CopyButton = ({ select, text, what }: Props) => {
  const said = useSignal("")
  useEffect(() => said.value === "" ? undefined : Clock.timer(saidMs, () => said.value = ""), [said.value])

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text())
      said.value = "Copied"
    } catch {
      select?.()
      said.value = select === undefined ? "Not allowed here; select it instead" : "Selected"
    }
  }

  return (
    <button
      type="button"
      class="small"
      aria-label={said.value === "" && what !== undefined ? `Copy ${what}` : undefined}
      onClick={copy}
    >
      {said.value === "" ? "Copy" : said.value}
    </button>
  )
}
