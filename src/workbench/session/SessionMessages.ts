/**
 * The texts of a session's messages, which its events only name. Read page by page; asked again, it goes on at the last
 * page, as more may have come to it. One request at a time: an ask during a read makes one more read.
 */
import { type ReadonlySignal, signal } from "@preact/signals"
import type { Message, Page } from "../../client/Resources.ts"
import type { ToolCallPart } from "../../domain/Protocol.ts"

export interface SessionMessages {
  /** The text of a user's message, as a signal would give it; undefined while it is not known. */
  readonly textOf: (messageId: string) => string | undefined
  /** The calls of tools in a turn's answer, for a turn whose events do not tell them any more. */
  readonly callsOf: (turnId: string) => ReadonlyArray<ToolCallPart>
  /** Messages of no turn: they were imported. */
  readonly imported: ReadonlySignal<ReadonlyArray<Message>>
  /** True once everything that the server had at this call is known; false where a read failed. */
  readonly refresh: () => Promise<boolean>
}

export const messageText = (message: Pick<Message, "parts">): string =>
  message.parts.map((part) =>
    part.type === "text" ? part.text : part.type === "tool-result" ? `[result of tool call ${part.toolCallId}]` : ""
  ).join("")

export const make = (options: {
  readonly read: (cursor: string | undefined) => Promise<Page<Message>>
  readonly onFailed: (error: unknown) => void
}): SessionMessages => {
  const known = new Set<string>()
  /** Maps that grow in place, in a signal that is set for each page. */
  const texts = signal({ byId: new Map<string, string>(), calls: new Map<string, ReadonlyArray<ToolCallPart>>() })
  const imported = signal<ReadonlyArray<Message>>([])
  let cursor: string | undefined
  let hasMore = false
  let reading: Promise<boolean> | undefined

  const take = (page: Page<Message>): void => {
    const fresh = page.items.filter(({ id }) => !known.has(id))
    for (const message of fresh) {
      known.add(message.id)
      const { byId, calls } = texts.peek()
      // the text of an answer comes with its turn
      if (message.role === "user") byId.set(message.id, messageText(message))
      else if (message.turnId !== null) {
        calls.set(message.turnId, message.parts.filter((part) => part.type === "tool-call"))
      }
    }
    const loose = fresh.filter(({ turnId }) => turnId === null)
    if (loose.length > 0) imported.value = [...imported.value, ...loose]
    if (fresh.length > 0) texts.value = { ...texts.peek() }
  }

  const readAll = async (): Promise<boolean> => {
    try {
      while (hasMore) {
        hasMore = false
        const page = await options.read(cursor)
        take(page)
        if (page.nextCursor === undefined) continue
        cursor = page.nextCursor
        hasMore = true
      }
      return true
    } catch (error) {
      options.onFailed(error)
      return false
    } finally {
      reading = undefined
    }
  }

  return {
    // who asks for what is not there yet is told when it comes
    textOf: (messageId) => texts.peek().byId.get(messageId) ?? texts.value.byId.get(messageId),
    callsOf: (turnId) => texts.value.calls.get(turnId) ?? [],
    imported,
    refresh: () => {
      hasMore = true
      reading ??= readAll()
      return reading
    }
  }
}
