/**
 * What the page knows and can do, apart from how it is drawn: the server, its sessions, the one that is open, what is
 * looked at. It uses the public HTTP interface and nothing else.
 *
 * The open session is in the address (`?session=`), so that a reload comes back to it. A new session is made by its
 * first message. A token is kept in the tab's session storage and sent with each request.
 */
import { computed, type ReadonlySignal, signal } from "@preact/signals"
import * as Backoff from "../client/Backoff.ts"
import * as ClientClock from "../client/Clock.ts"
import type { Bootstrap, Session } from "../client/Resources.ts"
import { TurnstreamError } from "../client/TurnstreamError.ts"
import * as Draft from "./composer/Draft.ts"
import * as Sending from "./composer/Sending.ts"
import * as Clock from "./kit/Clock.ts"
import * as Kept from "./kit/Kept.ts"
import * as Words from "./kit/Words.ts"
import * as Server from "./server/Server.ts"
import * as Looking from "./session/Looking.ts"
import * as OpenSession from "./session/OpenSession.ts"

const tokenKey = "token"

/** A stream is dead when it misses this many heartbeats. */
const heartbeatsMissed = 3

/** A connection as it is shown: `sinceMs` is when it became so, by this machine's clock. */
export type ShownConnection = (OpenSession.Connection | { readonly state: "ready" | "unauthorized" }) & {
  readonly sinceMs: number
}

export interface Workbench extends Omit<Sending.Sending, "opened"> {
  readonly server: Server.Server
  readonly bootstrap: ReadonlySignal<Bootstrap | undefined>
  readonly sessions: ReadonlySignal<ReadonlyArray<Session>>
  /** Undefined: the session that the next message makes. */
  readonly sessionId: ReadonlySignal<string | undefined>
  readonly session: ReadonlySignal<OpenSession.OpenSession | undefined>
  readonly connection: ReadonlySignal<ShownConnection>
  readonly looking: Looking.Looking
  /** Milliseconds since 1970 by the server's clock, in steps of half a second. */
  readonly serverNowMs: () => number
  /** What went wrong with the last thing that was asked; empty where nothing did. */
  readonly notice: ReadonlySignal<string>
  readonly dismissNotice: () => void
  /** What listeners are told. */
  readonly said: ReadonlySignal<string>
  readonly say: (text: string) => void
  /** Undefined: no token is asked for. */
  readonly tokenWanted: ReadonlySignal<{ readonly wasRefused: boolean } | undefined>
  readonly giveToken: (token: string) => void
  /** The message box wants the focus: counts up each time. */
  readonly wantsFocus: ReadonlySignal<number>
  readonly focusComposer: () => void
  readonly openSession: (id: string | undefined) => void
  readonly renameSession: (title: string) => Promise<void>
  readonly deleteSession: () => Promise<void>
  readonly exportSession: () => Promise<void>
  readonly retryNow: () => void
}

const download = (content: Blob, name: string): void => {
  const address = URL.createObjectURL(content)
  const link = document.createElement("a")
  link.href = address
  link.download = name
  link.click()
  URL.revokeObjectURL(address)
}

export const make = (): Workbench => {
  const server = Server.make(() => Kept.tab.read(tokenKey))
  const bootstrap = signal<Bootstrap | undefined>(undefined)
  const sessions = signal<ReadonlyArray<Session>>([])
  const sessionId = signal<string | undefined>(new URLSearchParams(location.search).get("session") ?? undefined)
  const session = signal<OpenSession.OpenSession | undefined>(undefined)
  /** Before there is a session to follow, and where none is open. */
  const own = signal<ShownConnection>({ state: "loading", sinceMs: Clock.nowMs() })
  const notice = signal("")
  const said = signal("")
  const tokenWanted = signal<{ readonly wasRefused: boolean } | undefined>(undefined)
  const wantsFocus = signal(0)
  const looking = Looking.make(session)
  let clockAheadMs = 0
  let failedStarts = 0
  /** Ends the wait for the next start. */
  let wake = (): void => {}
  let listings = 0

  const setOwn = (connection: OpenSession.Connection | { readonly state: "ready" | "unauthorized" }): void => {
    own.value = { ...connection, sinceMs: Clock.nowMs() }
  }

  const connection = computed<ShownConnection>(() => session.value?.connection.value ?? own.value)

  const say = (text: string): void => {
    // the same words again are news as well
    said.value = text === said.peek() ? `${text}\u00a0` : text
  }

  const askForToken = (): void => {
    session.value?.close()
    session.value = undefined
    setOwn({ state: "unauthorized" })
    const wasRefused = Kept.tab.read(tokenKey) !== undefined
    Kept.tab.write(tokenKey, undefined)
    tokenWanted.value = { wasRefused }
  }

  const tell = (text: string): void => {
    notice.value = text
    say(text)
  }

  const showRefusal = (error: unknown): void => {
    if (error instanceof TurnstreamError && error.status === 401) return askForToken()
    // a refused turn is in the journal: its own card says why
    if (error instanceof TurnstreamError && Server.isRecorded(error)) return
    tell(Words.messageOf(error))
  }

  /** Runs what a person asked for; true where it worked. */
  const attempt = async (task: () => Promise<void>): Promise<boolean> => {
    try {
      notice.value = ""
      await task()
      return true
    } catch (error) {
      showRefusal(error)
      return false
    }
  }

  const reloadSessions = async (): Promise<void> => {
    const listing = ++listings
    const list = await server.sessions()
    // answers may overtake each other
    if (listing === listings) sessions.value = list
  }

  const follow = (id: string): OpenSession.OpenSession =>
    OpenSession.open({
      server,
      sessionId: id,
      silentMs: (bootstrap.peek()?.limits.heartbeatMs ?? 0) * heartbeatsMissed,
      announce: say,
      onEnd: (why) => {
        if (why === "unauthorized") return askForToken()
        const { text } = sending.draft.peek()
        openSession(undefined)
        // what was written goes along
        if (text !== "" && sending.draft.peek().text === "") sending.setDraft({ text })
        void attempt(reloadSessions).then(() =>
          tell("That session is not on this server. Choose one or begin a new one.")
        )
      },
      onRefused: showRefusal
    })

  const openSession = (id: string | undefined): void => {
    session.peek()?.close()
    looking.chooseTurn(undefined)
    looking.rewind(undefined)
    looking.showPreview(undefined)
    sessionId.value = id
    sending.opened()
    notice.value = ""
    history.replaceState(null, "", id === undefined ? "/" : `/?session=${encodeURIComponent(id)}`)
    // before the first answer of the server it is not known how to follow, nor whether there is one
    const isStarted = bootstrap.peek() !== undefined
    session.value = id === undefined || !isStarted ? undefined : follow(id)
    if (document.visibilityState === "hidden") session.peek()?.rest()
    if (id === undefined && isStarted) setOwn({ state: "ready" })
  }

  const sending = Sending.make({
    server: {
      ...server,
      start: (...start) => {
        const ask = () => server.start(...start)
        return session.peek()?.withRoom(ask) ?? ask()
      }
    },
    sessionId,
    looking,
    onMade: (id, isOpened) => {
      if (isOpened) openSession(id)
      void reloadSessions().catch(showRefusal)
    }
  })

  const start = async (): Promise<void> => {
    wake = () => {}
    try {
      const { ahead, answer } = await server.bootstrap()
      bootstrap.value = answer
      clockAheadMs = ahead
      await reloadSessions()
      failedStarts = 0
      openSession(sessionId.peek())
    } catch (error) {
      if (error instanceof TurnstreamError && error.status === 401) return askForToken()
      failedStarts++
      const wait = Backoff.delayMs(failedStarts, ClientClock.random)
      setOwn({ state: "offline", reason: Words.messageOf(error), delayMs: wait })
      const calm = Clock.timer(wait, () => void start())
      wake = () => {
        calm()
        void start()
      }
    }
  }

  const retryNow = (): void => {
    const open = session.peek()
    if (open === undefined) wake()
    else open.retryNow()
  }

  window.addEventListener("online", retryNow)
  document.addEventListener("visibilitychange", () => {
    const open = session.peek()
    if (open === undefined) return
    if (document.visibilityState === "hidden") return open.rest()
    open.retryNow()
    // other pages may have made sessions meanwhile
    void reloadSessions().catch(() => {})
  })
  void start()

  return {
    server,
    bootstrap,
    sessions,
    sessionId,
    session,
    connection,
    looking,
    serverNowMs: () => Clock.ticks.value - clockAheadMs,
    notice,
    dismissNotice: () => {
      notice.value = ""
    },
    said,
    say,
    tokenWanted,
    giveToken: (token) => {
      Kept.tab.write(tokenKey, token)
      tokenWanted.value = undefined
      setOwn({ state: "loading" })
      void start()
    },
    wantsFocus,
    focusComposer: () => {
      looking.showPane("chat")
      wantsFocus.value++
    },
    draft: sending.draft,
    setDraft: sending.setDraft,
    isSending: sending.isSending,
    sent: sending.sent,
    send: async (body) => {
      await attempt(() => sending.send(body))
    },
    preview: async (body) => {
      await attempt(() => sending.preview(body))
    },
    openSession,
    renameSession: async (title) => {
      await attempt(async () => {
        const id = sessionId.peek()
        if (id === undefined) return
        await server.updateSession(id, { title: title === "" ? null : title })
        await reloadSessions()
        say("The session was renamed.")
      })
    },
    deleteSession: async () => {
      const id = sessionId.peek()
      if (id === undefined) return
      // closed first: a stream that ends because of this is no news
      openSession(undefined)
      const isDeleted = await attempt(async () => {
        await server.deleteSession(id)
        Draft.forget(id)
        say("The session was deleted.")
      })
      if (isDeleted) return void await attempt(reloadSessions)
      if (tokenWanted.peek() !== undefined) {
        sessionId.value = id
        return
      }
      const why = notice.peek()
      openSession(id)
      notice.value = why
    },
    exportSession: async () => {
      await attempt(async () => {
        const id = sessionId.peek()
        if (id !== undefined) download(await server.exportSession(id, (response) => response.blob()), `${id}.json`)
      })
    },
    retryNow
  }
}
