/**
 * The pages of committed events that were read last, for readers that fell behind the live feed: many readers of one turn
 * are at few places, and a page is then read, decoded and encoded once for all of them.
 *
 * A page enters only when more is committed behind it: it can never change. Deleting or folding clears everything.
 * Bounded: `pagesMax` pages of at most `StoredEvents.pageBytesMax` (or one commit).
 */
import type { TurnId } from "../domain/Ids.ts"
import type { BatchPage } from "./StoredEvents.ts"

/** 512 KiB of pages, and as much of what is encoded of them. */
const pagesMax = 8

export interface PageCache {
  readonly get: (id: TurnId, seq: number) => BatchPage | undefined
  readonly put: (id: TurnId, seq: number, page: BatchPage) => void
  readonly clear: () => void
  /** Counts them: what was read before one must not be put after it. */
  readonly clears: () => number
}

export const make = (): PageCache => {
  /** Oldest use first. */
  const pages = new Map<string, BatchPage>()
  let clears = 0
  const keyOf = (id: TurnId, seq: number) => `${id}.${seq}`
  return {
    get: (id, seq) => {
      const key = keyOf(id, seq)
      const page = pages.get(key)
      if (page !== undefined) {
        pages.delete(key)
        pages.set(key, page)
      }
      return page
    },
    put: (id, seq, page) => {
      if (page.last) return
      pages.set(keyOf(id, seq), page)
      if (pages.size <= pagesMax) return
      for (const oldest of pages.keys()) {
        pages.delete(oldest)
        break
      }
    },
    clear: () => {
      clears++
      pages.clear()
    },
    clears: () => clears
  }
}
