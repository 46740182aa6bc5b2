/**
 * What storage does to an engine, step by step, as a plan for the fault layer: locked, full, COMMITs that fail or seem to,
 * and a death, at once or at the nth statement from now, before it or right after it.
 */
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"
import * as SqlFaults from "../faults/SqlFaults.ts"

export interface Faults {
  /** BEGINs that find a lock. */
  busy: number
  full: boolean
  /** What comes of COMMITs: refused, or done and reported as failed; for so many of them. */
  commit: "works" | "refused" | "done"
  commits: number
  /** Statements until it dies; 0: it does not. */
  dieIn: number
  dieAfter: boolean
  readonly dead: () => boolean
  /** No statement gets through any more. */
  readonly kill: () => void
  /** Whether anything failed that nobody but storage is to blame for. */
  readonly failed: () => boolean
}

/** `seen` is called before each transaction: what was committed until then is to be read before it can be deleted. */
export const make = (seen: () => void) => {
  const sql = SqlFaults.make()
  let failed = false
  let killed = false

  const fate = (text: string): SqlFaults.Fate => {
    if (faults.dieIn > 0 && --faults.dieIn === 0) return { dies: faults.dieAfter ? "after" : "before" }
    if (faults.busy > 0 && text.startsWith("BEGIN")) {
      faults.busy--
      return { refused: "before", code: "SQLITE_BUSY" }
    }
    if (faults.full && /^(INSERT|UPDATE|COMMIT)/.test(text)) return { refused: "before", code: "SQLITE_FULL" }
    if (faults.commit !== "works" && text === "COMMIT") {
      const refused = faults.commit === "done" ? "after" : "before"
      if (--faults.commits <= 0) faults.commit = "works"
      return { refused, code: "SQLITE_IOERR" }
    }
    return "runs"
  }

  const faults: Faults = {
    busy: 0,
    full: false,
    commit: "works",
    commits: 0,
    dieIn: 0,
    dieAfter: false,
    dead: () => killed || sql.dead(),
    kill: () => {
      killed = true
      const dies = () => ({ dies: "before" }) as const
      sql.set({ writer: dies, reader: dies })
    },
    failed: () => failed
  }
  sql.set({
    writer: ({ text }) => {
      if (text.startsWith("BEGIN")) seen()
      const what = fate(text)
      if (what !== "runs") failed = true
      return what
    }
  })
  const layer = (dataDir: string) => sql.wrap(DatabaseSqlite.layer({ dataDir, durability: "relaxed", takeOver: false }))
  return { faults, layer }
}
