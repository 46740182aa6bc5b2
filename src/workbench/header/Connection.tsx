/** The state of the connection in the header; counts down to the next attempt. */
import { effect } from "@preact/signals"
import { useEffect } from "preact/hooks"
import * as Clock from "../kit/Clock.ts"
import type { Workbench } from "../Workbench.ts"
import * as ConnectionView from "./ConnectionView.ts"

const useAnnouncements = (workbench: Workbench): void => {
  useEffect(() => {
    let before = workbench.connection.peek()
    return effect(() => {
      const now = workbench.connection.value
      const words = ConnectionView.announcement(before, now)
      before = now
      if (words !== "") workbench.say(words)
    })
  }, [workbench])
}

export const Connection = ({ workbench }: { readonly workbench: Workbench }) => {
  useAnnouncements(workbench)
  const lastSeq = workbench.session.value?.lastSeq.value ?? 0
  const shown = ConnectionView.view(workbench.connection.value, lastSeq, Clock.leftUntil)
  return (
    <div class={`connection ${shown.tone}`}>
      <i aria-hidden="true" />
      <span class="number" title={shown.reason}>
        <span class="unseen">Connection:</span> {shown.text}
      </span>
      {shown.canRetry && <button type="button" class="plain" onClick={workbench.retryNow}>Try now</button>}
    </div>
  )
}
