/**
 * The exchanges that contexts were built from last, so that the next turn of a session reads what is new, not all that was
 * ever said: per session one run without a gap, in the pages in which the rows would give it.
 *
 * Why it cannot be wrong. An exchange is made of its question's rows: the question, the turns that answer it, their
 * answers. They change in this process alone (whoever reads checks the epoch beside its question), and only by a commit
 * that names question and session when it is published, or by the session's deletion. So a commit takes the exchange of
 * its question away, with all newer ones, and what was being read when a commit of the session was published does not
 * enter. Folding changes none of these rows. A COMMIT of unknown outcome clears everything (`forget`). Between COMMIT and
 * publication an exchange is as before it, as it is for every reader that was a moment earlier.
 *
 * Bounded by `costMax`; the session that was used longest ago goes first, of a session alone the oldest exchanges. An
 * answer that is read from its events is never held.
 */
import type { Exchange } from "../domain/History.ts"
import type { MessageId, SessionId } from "../domain/Ids.ts"
import { pageMax, type Unit } from "./Exchanges.ts"

/**
 * UTF-16 units, with what an exchange costs beside its text: 8 MiB are a session of 9,000 messages of 130 characters, all
 * of whose objects, and the bodies made of them, take some 20 MB.
 */
export const costMax = 8 * 1024 * 1024
/** Objects, ids and places in tables of one exchange. */
const unitCost = 1_500
const runCost = 1_000
/** An exchange of more than this part of it all is read each time: a few of them would drive out every session. */
const unitShare = 1 / 32

const costOf = ({ exchange }: Unit): number => {
  let cost = unitCost
  for (const message of [exchange?.user, exchange?.answer]) {
    for (const part of message?.parts ?? []) {
      cost += part.type === "text" || part.type === "reasoning" ? part.text.length : JSON.stringify(part).length
    }
  }
  return cost
}

/** Every stored position is below it: the whole session. */
export const endless = Number.MAX_SAFE_INTEGER

interface Held {
  readonly unit: Unit
  readonly cost: number
}

/** All that stands between its oldest unit and `upTo`, oldest first. */
interface Run {
  readonly held: Array<Held>
  readonly questions: Map<MessageId, number>
  upTo: number
  /** Nothing is older. */
  isWhole: boolean
  cost: number
  /** Commits of the session since the run began. */
  changes: number
}

/** Rows are being read that are to enter. */
export interface Reading {
  readonly id: SessionId
  readonly run: Run
  readonly changes: number
  /** Below this position all is held, down to the oldest; undefined where nothing is held. */
  readonly upTo: number | undefined
}

export interface Page {
  readonly exchanges: ReadonlyArray<Exchange>
  readonly cursor: number | undefined
}

export interface HistoryCache {
  /** Under which this process writes. */
  readonly epoch: number
  /** The page below a position, where all of it is held. */
  readonly page: (id: SessionId, below: number) => Page | undefined
  /** Before the first row is read. */
  readonly begin: (id: SessionId) => Reading
  /**
   * All units between what is held and a position, newest first. Answers up to where all is held now, or undefined where
   * they did not enter.
   */
  readonly newer: (reading: Reading, units: ReadonlyArray<Unit>, below: number) => number | undefined
  /** The units of a page below a position, newest first; `isLast` where nothing is older. */
  readonly older: (reading: Reading, units: ReadonlyArray<Unit>, below: number, isLast: boolean) => void
  /** After the commit of an event of a turn that answers this question. */
  readonly committed: (id: SessionId, question: MessageId) => void
  readonly deleted: (id: SessionId) => void
  readonly clear: () => void
  /** Of everything that is held. */
  readonly cost: () => number
}

/** How many units stand below a position. */
const countBelow = ({ held }: Run, below: number): number => {
  let low = 0
  let high = held.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((held[middle]?.unit.top ?? below) < below) low = middle + 1
    else high = middle
  }
  return low
}

/** As `Exchanges.taken` cuts rows. Undefined where more is needed than is held. */
const pageOf = (run: Run, below: number): Page | undefined => {
  if (run.held.length === 0 || below > run.upTo) return undefined
  const exchanges: Array<Exchange> = []
  let rows = 0
  let cursor: number | undefined
  for (let index = countBelow(run, below) - 1; index >= 0; index--) {
    const unit = run.held[index]?.unit
    if (unit === undefined) return undefined
    const isEdge = unit.isImportedAnswer && rows + 1 === pageMax && !(run.isWhole && index === 0)
    if (rows + unit.rows > pageMax || isEdge) return { exchanges, cursor }
    if (unit.isLong) return undefined
    if (unit.exchange !== undefined) exchanges.push(unit.exchange)
    rows += unit.rows
    cursor = unit.position
  }
  if (run.isWhole) return { exchanges, cursor: undefined }
  return rows === pageMax ? { exchanges, cursor } : undefined
}

const heldOf = (unit: Unit, unitCostMax: number): Held => {
  const cost = unit.isLong ? Number.POSITIVE_INFINITY : costOf(unit)
  return cost <= unitCostMax ? { unit, cost } : { unit: { ...unit, isLong: true, exchange: undefined }, cost: unitCost }
}

/** `max`: another bound, for tests. */
export const make = (epoch: number, max = costMax): HistoryCache => {
  /** Oldest use first. */
  const runs = new Map<SessionId, Run>()
  let total = 0

  const use = (id: SessionId, run: Run): void => {
    runs.delete(id)
    runs.set(id, run)
  }
  const remove = (id: SessionId): void => {
    total -= runs.get(id)?.cost ?? 0
    runs.delete(id)
  }
  const pay = (run: Run, cost: number): void => {
    run.cost += cost
    total += cost
  }
  const lose = (run: Run, held: Held | undefined): void => {
    if (held === undefined) return
    pay(run, -held.cost)
    if (held.unit.question !== undefined) run.questions.delete(held.unit.question)
  }

  /** Room for `cost` beside this run, where there is any. */
  const makeRoom = (run: Run, cost: number): void => {
    for (const [id, other] of runs) {
      if (total + cost <= max) return
      if (other !== run) remove(id)
    }
  }

  /** Whether what was read is still so, and the run still the session's. */
  const isCurrent = ({ changes, id, run }: Reading): boolean => runs.get(id) === run && run.changes === changes

  /** Oldest first, of units that come newest first. */
  const holding = (units: ReadonlyArray<Unit>) => units.toReversed().map((unit) => heldOf(unit, max * unitShare))

  const enter = (run: Run, held: Held): void => {
    pay(run, held.cost)
    if (held.unit.question !== undefined) run.questions.set(held.unit.question, held.unit.position)
  }

  return {
    epoch,
    page: (id, below) => {
      const run = runs.get(id)
      if (run === undefined) return undefined
      use(id, run)
      return pageOf(run, below)
    },
    begin: (id) => {
      const run = runs.get(id) ?? { held: [], questions: new Map(), upTo: 0, isWhole: false, cost: 0, changes: 0 }
      if (!runs.has(id)) {
        makeRoom(run, runCost)
        pay(run, runCost)
      }
      use(id, run)
      return { id, run, changes: run.changes, upTo: run.held.length === 0 ? undefined : run.upTo }
    },
    newer: (reading, units, below) => {
      const { run } = reading
      if (!isCurrent(reading) || run.upTo !== reading.upTo) return undefined
      for (const held of holding(units)) {
        run.held.push(held)
        enter(run, held)
      }
      // no later question is put before one that is there
      run.upTo = below === endless ? (units[0]?.top ?? run.upTo - 1) + 1 : below
      makeRoom(run, 0)
      let count = 0
      while (total > max && count < run.held.length) lose(run, run.held[count++])
      run.held.splice(0, count)
      run.isWhole &&= count === 0
      return run.upTo
    },
    older: (reading, units, below, isLast) => {
      const { run } = reading
      if (!isCurrent(reading)) return
      const oldest = run.held[0]?.unit
      const [newest] = units
      if (oldest === undefined && newest === undefined) return remove(reading.id)
      // read again from the middle of what is held, or with a gap between
      if (oldest !== undefined && (below < oldest.position || below > run.upTo)) return
      const added = holding(oldest === undefined ? units : units.filter(({ top }) => top < oldest.position))
      const cost = added.reduce((sum, held) => sum + held.cost, 0)
      makeRoom(run, cost)
      if (total + cost > max) return
      if (oldest === undefined && newest !== undefined) run.upTo = Math.min(below, newest.top + 1)
      for (const held of added) enter(run, held)
      run.held.unshift(...added)
      run.isWhole ||= isLast
    },
    committed: (id, question) => {
      const run = runs.get(id)
      if (run === undefined) return
      run.changes++
      const position = run.questions.get(question)
      if (position === undefined) return
      while ((run.held.at(-1)?.unit.top ?? 0) >= position && run.held.length > 0) lose(run, run.held.pop())
      run.upTo = position
      run.isWhole &&= run.held.length > 0
    },
    deleted: remove,
    clear: () => {
      runs.clear()
      total = 0
    },
    cost: () => total
  }
}
