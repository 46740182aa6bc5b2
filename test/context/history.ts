/** Exchanges and paged history for tests. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Exchange, HistoryReader } from "../../src/domain/History.ts"
import { MessageId } from "../../src/domain/Ids.ts"
import type { PromptMessage } from "../../src/domain/Message.ts"

const messageId = Schema.decodeSync(MessageId)

export const user = (text: string): PromptMessage => ({ role: "user", parts: [{ type: "text", text }] })
export const answer = (text: string): PromptMessage => ({ role: "assistant", parts: [{ type: "text", text }] })

export const exchange = (id: string, question: string, reply?: string): Exchange => ({
  user: { id: messageId(id), ...user(question) },
  answer: reply === undefined ? undefined : answer(reply)
})

/** A reader over exchanges, newest first, that counts what it gave. */
export const pages = (exchanges: ReadonlyArray<Exchange>, size: number) => {
  let pagesRead = 0
  let exchangesRead = 0
  const reader: HistoryReader<never> = (cursor) =>
    Effect.sync(() => {
      const from = cursor ?? 0
      const page = exchanges.slice(from, from + size)
      pagesRead++
      exchangesRead += page.length
      return { exchanges: page, cursor: from + size < exchanges.length ? from + size : undefined }
    })
  return { reader, pages: () => pagesRead, exchanges: () => exchangesRead }
}
