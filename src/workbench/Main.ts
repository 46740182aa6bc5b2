/**
 * The page at `/`: it follows one session through the public HTTP API and nothing else. No framework, no bundler: these
 * modules are served as compiled, beside `domain/TurnState.js`, which is the same fold that the server uses.
 *
 * The open session is in the address (`?session=`), so that a reload comes back to it. A new session is made by its
 * first message. A token is kept in the tab's session storage and sent with each request.
 */
import * as Composer from "./Composer.ts"
import { titleOf } from "./ComposerView.ts"
import * as Conversation from "./Conversation.ts"
import * as Dom from "./Dom.ts"
import { delayMs } from "./Follower.ts"
import * as Server from "./Server.ts"
import * as SessionPicker from "./SessionPicker.ts"

const tokenKey = "turnstream.token"

/** A stream is dead when it misses this many heartbeats. */
const heartbeatsMissed = 3

type ConnectionState = "loading" | "ready" | "live" | "reconnecting" | "offline" | "unauthorized"

const connectionWords: Readonly<Record<ConnectionState, string>> = {
  loading: "Loading",
  ready: "Ready",
  live: "Live",
  reconnecting: "Reconnecting",
  offline: "Offline",
  unauthorized: "Token needed"
}

const isBroken = (state: ConnectionState): boolean => state === "reconnecting" || state === "offline"

const announcer = Dom.byId("announcer", HTMLElement)
const connectionElement = Dom.byId("connection", HTMLElement)
const retryButton = Dom.byId("retry-now", HTMLButtonElement)
const notice = Dom.byId("notice", HTMLElement)
const empty = Dom.byId("empty", HTMLElement)
const list = Dom.byId("conversation", HTMLElement)
const tokenDialog = Dom.byId("token-dialog", HTMLDialogElement)
const tokenInput = Dom.byId("token", HTMLInputElement)

const server = Server.make(() => sessionStorage.getItem(tokenKey))

let sessionId: string | undefined
let conversation: Conversation.Conversation | undefined
let connection: ConnectionState = "loading"
let runningTurn: number | undefined
let silentMs = 0
let failedStarts = 0
let startTimer: ReturnType<typeof setTimeout> | undefined

const announce = (text: string): void => {
  announcer.textContent = text
}

const showConnection = (state: ConnectionState, reason = ""): void => {
  const isTold = state !== connection && (isBroken(state) || isBroken(connection))
  connection = state
  connectionElement.dataset["state"] = state
  connectionElement.title = reason
  Dom.show(Dom.byId("connection-text", HTMLElement), connectionWords[state])
  retryButton.hidden = !isBroken(state) && state !== "unauthorized"
  if (isTold) announce(`Connection: ${connectionWords[state]}. ${reason}`.trim())
  composer.setFacts({ runningTurn, connection })
}

const askForToken = (): void => {
  conversation?.close()
  conversation = undefined
  showConnection("unauthorized")
  const tried = sessionStorage.getItem(tokenKey) !== null
  sessionStorage.removeItem(tokenKey)
  Dom.show(Dom.byId("token-error", HTMLElement), tried ? "The server did not accept this token." : "")
  tokenInput.value = ""
  if (!tokenDialog.open) tokenDialog.showModal()
}

const showRefusal = (error: unknown): void => {
  if (error instanceof Server.Refused && error.status === 401) askForToken()
  // a refused turn is in the journal: its own block says why
  else if (!(error instanceof Server.Refused) || error.turnId === undefined) {
    Dom.show(notice, error instanceof Error ? error.message : "The page failed. Reload it.")
  }
}

const attempt = async (task: () => Promise<void>): Promise<boolean> => {
  try {
    Dom.show(notice, "")
    await task()
    return true
  } catch (error) {
    showRefusal(error)
    return error instanceof Server.Refused && error.turnId !== undefined
  }
}

const openSession = (id: string | undefined): void => {
  conversation?.close()
  conversation = undefined
  sessionId = id
  runningTurn = undefined
  empty.hidden = id !== undefined
  picker.select(id)
  history.replaceState(null, "", id === undefined ? "/" : `/?session=${id}`)
  if (id === undefined) return showConnection("ready")
  conversation = Conversation.open({
    server,
    sessionId: id,
    silentMs,
    list,
    announce,
    onConnection: (now) => showConnection(now.state, "reason" in now ? now.reason : ""),
    onDrawn: (facts) => {
      runningTurn = facts.runningTurn
      empty.hidden = !facts.empty
      composer.setFacts({ runningTurn, connection })
    },
    onEnd: (why) => {
      if (why === "unauthorized") return askForToken()
      openSession(undefined)
      void attempt(picker.reload).then(() => Dom.show(notice, "That session is not on this server (any more)."))
    },
    onRefused: showRefusal
  })
}

const composer = Composer.make((request, idempotencyKey) =>
  attempt(async () => {
    let id = sessionId
    if (id === undefined) {
      id = (await server.createSession(titleOf(request.message))).id
      await picker.reload()
      openSession(id)
    }
    await server.start(id, request, idempotencyKey).finally(() => conversation?.showEnd())
  })
)

const picker = SessionPicker.make({
  server,
  onOpen: (id) => {
    Dom.show(notice, "")
    openSession(id)
    if (id === undefined) composer.focus()
  },
  onDelete: (id) => {
    // closed first: a stream that ends because of this is no news
    openSession(undefined)
    void attempt(async () => {
      await server.deleteSession(id)
      announce("The session was deleted.")
    }).then(() => attempt(picker.reload))
  }
})

const start = async (): Promise<void> => {
  clearTimeout(startTimer)
  try {
    const bootstrap = await server.bootstrap()
    silentMs = bootstrap.limits.heartbeatMs * heartbeatsMissed
    composer.setProviders(bootstrap)
    await picker.reload()
    failedStarts = 0
    openSession(sessionId ?? new URLSearchParams(location.search).get("session") ?? undefined)
  } catch (error) {
    if (error instanceof Server.Refused && error.status === 401) return askForToken()
    failedStarts++
    showConnection("offline", error instanceof Error ? error.message : "")
    startTimer = setTimeout(() => void start(), delayMs(failedStarts))
  }
}

const retryNow = (): void => {
  if (conversation === undefined) void start()
  else conversation.retryNow()
}

Dom.byId("token-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault()
  sessionStorage.setItem(tokenKey, tokenInput.value.trim())
  tokenDialog.close()
  void start()
})
retryButton.addEventListener("click", retryNow)
window.addEventListener("online", () => {
  if (isBroken(connection)) retryNow()
})
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && conversation !== undefined) void picker.reload().catch(() => {})
})
void start()
