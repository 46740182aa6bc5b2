/** How the connection is, in words. Pure. */
import * as Words from "../kit/Words.ts"
import type { ShownConnection } from "../Workbench.ts"

/** How long a reader is told that events were replayed. */
const replayedMs = 4_000

export type Tone = "good" | "waiting" | "bad"

export interface ConnectionView {
  readonly tone: Tone
  readonly text: string
  /** Why it is not live; empty where it is. */
  readonly reason: string
  /** Whether asking again at once makes sense. */
  readonly canRetry: boolean
}

export const isBroken = (connection: ShownConnection): boolean =>
  connection.state === "reconnecting" || connection.state === "offline"

const placeText = (lastSeq: number): string => lastSeq === 0 ? "" : ` from seq ${lastSeq}`

/** `leftUntil` tells the milliseconds until a time; it is asked only where the words depend on that. */
export const view = (
  connection: ShownConnection,
  lastSeq: number,
  leftUntil: (thenMs: number) => number
): ConnectionView => {
  const calm = { reason: "", canRetry: false }
  switch (connection.state) {
    case "loading":
      return { ...calm, tone: "waiting", text: "Loading" }
    case "ready":
      return { ...calm, tone: "good", text: "Ready" }
    case "resting":
      return { ...calm, tone: "waiting", text: "Resting" }
    case "unauthorized":
      return { ...calm, tone: "bad", text: "Token needed" }
    case "live":
      return {
        ...calm,
        tone: "good",
        text: connection.replayed > 0 && leftUntil(connection.sinceMs + replayedMs) > 0
          ? `Replayed ${Words.number(connection.replayed)}`
          : lastSeq === 0
          ? "Live"
          : `Live · seq ${lastSeq}`
      }
    default: {
      const left = connection.delayMs > 0 ? leftUntil(connection.sinceMs + connection.delayMs) : 0
      const when = left > 0 ? ` in ${Words.seconds(left)}` : ""
      return {
        tone: connection.state === "offline" ? "bad" : "waiting",
        text: connection.state === "offline"
          ? `Offline${when === "" ? "" : ` · next try${when}`}`
          : `Reconnecting${when}${placeText(lastSeq)}`,
        reason: connection.reason,
        canRetry: true
      }
    }
  }
}

/** What listeners are told when one follows the other; empty where that is no news. */
export const announcement = (before: ShownConnection, now: ShownConnection): string => {
  if (before.state === now.state || !(isBroken(before) || isBroken(now))) return ""
  switch (now.state) {
    case "offline":
      return `Offline. ${now.reason}`
    case "reconnecting":
      return `Reconnecting. ${now.reason}`
    case "live":
      return "Connected again."
    default:
      return ""
  }
}
