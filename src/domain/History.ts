/** Earlier turns as a later context sees them: exchanges, newest first, read no further than needed. */
import type * as Effect from "effect/Effect"
import type { Message } from "./Message.ts"

/** One exchange of earlier turns: a user message and the answer that counts, kept or dropped together. */
export interface Exchange {
  readonly user: Pick<Message, "id" | "role" | "parts">
  /**
   * The newest completed answer with its resumed prefixes joined; absent where no turn completed. `unreadChars`: of an
   * answer that is longer than the reader was told could ever fit, and whose parts are left out for that.
   */
  readonly answer: (Pick<Message, "role" | "parts"> & { readonly unreadChars?: number }) | undefined
}

/**
 * History, newest exchange first, in pages so that a long session is read only as far as the budget reaches.
 * `cursor`: undefined starts at the newest; an undefined one in the answer means that there is no more. `charsMax`: no
 * longer answer need be read, it fits nowhere.
 */
export type HistoryReader<E> = (
  cursor: number | undefined,
  charsMax: number
) => Effect.Effect<{ readonly exchanges: ReadonlyArray<Exchange>; readonly cursor: number | undefined }, E>
