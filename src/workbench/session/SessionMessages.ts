/**
 * The texts of a session's messages, which its events only name. Read page by page; asked again, it goes on at the last
 * page, as more may have come to it. One request at a time: an ask during a read makes one more read.
 */
import type { Message } from "../domain/Message.ts"
import type { Page } from "../domain/Resources.ts"

export interface SessionMessages {
  /** The text of a message; undefined while it is not known. */
  readonly textOf: (messageId: string) => string | undefined
  /** Completes when everything that the server had at this call is known, or a read failed. */
  readonly refresh: () => Promise<void>
}

export const messageText = (message: Pick<Message, "parts">): string =>
  message.parts.map((part) =>
    part.type === "text" ? part.text : part.type === "tool-result" ? `[result of tool call ${part.toolCallId}]` : ""
  ).join("")

export const make = (options: {
  readonly read: (cursor: string | undefined) => Promise<Page<Message>>
  /** Each message once, in order. */
  readonly onMessage: (message: Message) => void
  readonly onFailed: (error: unknown) => void
}): SessionMessages => {
  const texts = new Map<string, string>()
  let cursor: string | undefined
  let hasMore = false
  let reading: Promise<void> | undefined

  const take = (message: Message): void => {
    if (texts.has(message.id)) return
    texts.set(message.id, messageText(message))
    options.onMessage(message)
  }

  const readAll = async (): Promise<void> => {
    try {
      while (hasMore) {
        hasMore = false
        const page = await options.read(cursor)
        page.items.forEach(take)
        if (page.nextCursor === undefined) continue
        cursor = page.nextCursor
        hasMore = true
      }
    } catch (error) {
      options.onFailed(error)
    } finally {
      reading = undefined
    }
  }

  return {
    textOf: (messageId) => texts.get(messageId),
    refresh: () => {
      hasMore = true
      reading ??= readAll()
      return reading
    }
  }
}
