/**
 * What is written and how it is sent. Each session has its draft; what comes of a message belongs to the session that it
 * was sent to, whichever is open by then. A session is made by its first message, or by the first preview of one.
 */
import { type ReadonlySignal, type Signal, signal } from "@preact/signals"
import { TurnstreamError } from "../../client/TurnstreamError.ts"
import type { Server, TurnRequest } from "../server/Server.ts"
import type { Looking } from "../session/Looking.ts"
import { titleOf } from "./ComposerView.ts"
import * as Draft from "./Draft.ts"

export interface Sending {
  /** Of the open session. */
  readonly draft: ReadonlySignal<Draft.Draft>
  readonly setDraft: (change: Partial<Draft.Draft>) => void
  readonly isSending: ReadonlySignal<boolean>
  /** Counts the messages that were sent: the conversation shows its end. */
  readonly sent: ReadonlySignal<number>
  /** Fails as the server refuses; the draft is kept then. */
  readonly send: (body: TurnRequest) => Promise<void>
  /** Fails where the session cannot be made, or a token is needed. */
  readonly preview: (body: Omit<TurnRequest, "onBusy">) => Promise<void>
  /** Another session is open now. */
  readonly opened: () => void
}

export const make = (options: {
  readonly server: Pick<Server, "createSession" | "start" | "preview">
  readonly sessionId: ReadonlySignal<string | undefined>
  readonly looking: Looking
  /** A session was made for what is written. `isOpened`: nobody went elsewhere meanwhile. */
  readonly onMade: (id: string, isOpened: boolean) => void
}): Sending => {
  const { looking, server, sessionId } = options
  const draft: Signal<Draft.Draft> = signal(Draft.read(sessionId.peek()))
  const isSending = signal(false)
  const sent = signal(0)
  let making: Promise<string> | undefined

  const draftOf = (id: string | undefined): Draft.Draft => id === sessionId.peek() ? draft.peek() : Draft.read(id)

  const change = (id: string | undefined, to: Partial<Draft.Draft>): void => {
    const next = { ...draftOf(id), ...to }
    Draft.write(id, next)
    if (id === sessionId.peek()) draft.value = next
  }

  const makeSession = async (message: string): Promise<string> => {
    const { id } = await server.createSession({ title: titleOf(message) })
    const kept = draftOf(undefined)
    change(undefined, { text: "", unanswered: undefined })
    Draft.write(id, kept)
    options.onMade(id, sessionId.peek() === undefined)
    return id
  }

  const ensureSession = (message: string): Promise<string> => {
    const open = sessionId.peek()
    if (open !== undefined) return Promise.resolve(open)
    making ??= makeSession(message).finally(() => {
      making = undefined
    })
    return making
  }

  /** The server has the message, or will never have it: its key is used up. */
  const isAnswer = (error: unknown): boolean =>
    error instanceof TurnstreamError && error.status >= 400 && error.status < 500

  return {
    draft,
    isSending,
    sent,
    opened: () => {
      draft.value = Draft.read(sessionId.peek())
    },
    setDraft: (to) => {
      change(sessionId.peek(), to)
      looking.showPreview(undefined)
    },
    send: async (body) => {
      if (isSending.peek()) return
      isSending.value = true
      try {
        const id = await ensureSession(body.message)
        const { unanswered } = Draft.sending(draftOf(id), JSON.stringify(body))
        change(id, { unanswered })
        try {
          await server.start(id, body, unanswered.key)
        } catch (error) {
          if (isAnswer(error)) change(id, { unanswered: undefined })
          throw error
        }
        // what was written meanwhile is the next message
        change(id, { unanswered: undefined, ...(draftOf(id).text === body.message ? { text: "" } : {}) })
        if (id !== sessionId.peek()) return
        looking.chooseTurn(undefined)
        looking.rewind(undefined)
        sent.value++
      } finally {
        isSending.value = false
      }
    },
    preview: async (body) => {
      const id = await ensureSession(body.message)
      const asked = draft.peek()
      const show: Looking["showPreview"] = (preview) => {
        if (draft.peek() === asked && sessionId.peek() === id) looking.showPreview(preview)
      }
      show({ state: "asking" })
      looking.showPanel("context")
      try {
        show({ state: "known", manifest: await server.preview(id, body) })
      } catch (error) {
        show(undefined)
        throw error
      }
    }
  }
}
