/**
 * Places in the one order of what is written: of commits (`pos`), and of turns and sessions, which stand where they began.
 *
 * They only rise, also across restarts and deletions, and cost no page a commit: the table `positions` says up to where
 * they are reserved, and memory counts within that. Why that is enough:
 * - a range is reserved in the transaction that first uses it, so whoever reads `reserved` stands behind all that is
 *   committed; a transaction that is undone takes its range back with it;
 * - a start uses nothing of the range before: it reserves another. So does a new owner, and the one before it writes no
 *   more (the epoch);
 * - the schema refuses a place beyond what is reserved, and one that is not behind its turn's last (`batches_rules`).
 *
 * A million at once: a process at 5,000 commits a second writes that page every three minutes, and 2^33 starts, or commands
 * that each open the database, leave every place a number that JavaScript holds exactly. (Half of a number for the epoch
 * and half for a count would be used up by one or the other: 2^32 commits are ten days at that rate.)
 */
import * as Statements from "./Statements.ts"

const reservedAtOnce = 2 ** 20

export interface Positions {
  /** So many places in a row, the first of them; within a transaction that writes. */
  readonly take: (db: Statements.Statements, count: number) => number
  /** The transaction that took the last of them is committed. */
  readonly committed: () => void
}

const reservedIn = (rows: ReadonlyArray<unknown>): number => Statements.integerOf(rows[0], "reserved")

export const make = (): Positions => {
  /** Beyond everything until the first range is known. */
  let next = Number.POSITIVE_INFINITY
  /** The last place that is reserved by the present transaction, and by one that is committed. */
  let end = 0
  let safeEnd = 0

  /** What is not known to be committed may have been undone: the row says. */
  const reserve = (db: Statements.Statements, count: number): void => {
    end = reservedIn(db.all("SELECT reserved FROM positions WHERE id = 1", []))
    if (next + count - 1 <= end) return
    const more = "UPDATE positions SET reserved = reserved + ? WHERE id = 1 RETURNING reserved"
    next = end + 1
    end = reservedIn(db.all(more, [Math.max(reservedAtOnce, count)]))
  }

  return {
    take: (db, count) => {
      if (next + count - 1 > safeEnd) reserve(db, count)
      const first = next
      next += count
      return first
    },
    committed: () => {
      safeEnd = end
    }
  }
}
