/** How what is kept of histories learns what is committed: from what followers are told, before they are. */
import type { MessageId, SessionId } from "../domain/Ids.ts"
import type { HistoryCache } from "./HistoryCache.ts"
import type { Live } from "./Live.ts"

export const watching = (live: Live, cache: HistoryCache): Live => ({
  ...live,
  publish: (commits) => {
    for (const { state } of commits) {
      cache.committed(state.sessionId as SessionId, state.userMessageId as MessageId) // checked where the event was decoded
    }
    live.publish(commits)
  },
  forget: (turns) => {
    cache.clear()
    live.forget(turns)
  },
  deleted: (session, turns) => {
    cache.deleted(session)
    live.deleted(session, turns)
  }
})
