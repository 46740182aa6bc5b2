/**
 * The commits of a session in their order, found without an index of them: each turn's stand together, under its id.
 *
 * Turns hold their session's slot one after another, so what one of them commits between its first and its last commit never
 * lies among that of another. Only a first commit (a turn may wait) and the last of a turn that had none in between (it may
 * have ended in its line) fall anywhere. So what comes after a place is in three lists, each in the order of its commits:
 * - of turns that have the slot, what follows their first commit: ended ones by their ends, then those that are open;
 * - the last commits of turns that had none in between (`turns.brief`), by their ends;
 * - first commits, by the turns' own places. Folded turns have none, and are passed over within the index.
 * Each is read for as many as a page may hold; the first of all these, by place, are the page.
 *
 * Where turns did hold the slot at once (which the engine never writes, and `Verification` looks for) the order is still
 * that of the places, as long as no list was cut.
 *
 * Synchronous, within one transaction: between two of the statements nothing may be committed.
 */
import type { SessionId, TurnId } from "../domain/Ids.ts"
import { within } from "./Paging.ts"
import type { BatchRow } from "./Rows.ts"
import * as Statements from "./Statements.ts"

type Db = Statements.Statements

/** What a page may hold. */
export interface Bounds {
  readonly batchesMax: number
  readonly bytesMax: number
  /** The size of `batches` named `b`, unpacked, in SQL. */
  readonly size: string
}

interface Place {
  readonly turnId: TurnId
  readonly firstSeq: number
  readonly pos: number
  readonly size: number
}

/** What the index of ends holds: in these words SQLite knows it again. */
const ended = "end_pos > ord AND folded_at IS NULL"
/** Who has the slot at a place, or the first who gets it then. */
const holderText = `SELECT id, ord FROM turns
  WHERE session_id = ? AND brief = 0 AND end_pos > ? AND ${ended} ORDER BY end_pos LIMIT 1`
const openText = "SELECT id, ord FROM turns WHERE session_id = ? AND end_pos IS NULL ORDER BY ord LIMIT 1"

/** The commit that holds a seq. */
const holdingText = `SELECT first_seq AS "firstSeq", last_seq AS "lastSeq", pos FROM batches
  WHERE turn_id = ? AND first_seq <= ? ORDER BY first_seq DESC LIMIT 1`

/** The first seq of a turn whose commit comes after a place, by halves: a long turn is not read from its beginning. */
const seqAfter = (db: Db, id: string, pos: number): number => {
  const holding = (seq: number) => db.all(holdingText, [id, seq])[0]
  const last = holding(Number.MAX_SAFE_INTEGER)
  let low = 2
  let high = last === undefined ? low : Statements.integerOf(last, "lastSeq")
  while (low < high) {
    const row = holding(Math.floor((low + high) / 2))
    if (row === undefined) return low
    if (Statements.integerOf(row, "pos") > pos) high = Statements.integerOf(row, "firstSeq")
    else low = Statements.integerOf(row, "lastSeq") + 1
  }
  return low
}

/** Those of one turn stand together. */
const batchesText = `SELECT pos, first_seq AS "firstSeq", tails FROM batches
  WHERE turn_id = ? AND first_seq BETWEEN ? AND ? ORDER BY first_seq`

const batchesAt = (db: Db, sessionId: SessionId, page: ReadonlyArray<Place>): ReadonlyArray<BatchRow> => {
  const byTurn = new Map<TurnId, { readonly from: number; to: number }>()
  for (const { firstSeq, turnId } of page) {
    const known = byTurn.get(turnId)
    if (known === undefined) byTurn.set(turnId, { from: firstSeq, to: firstSeq })
    else known.to = firstSeq
  }
  return Array.from(
    byTurn,
    ([turnId, { from, to }]) =>
      db.all(batchesText, [turnId, from, to]).map((row): BatchRow => ({
        pos: Statements.integerOf(row, "pos"),
        turnId,
        sessionId,
        firstSeq: Statements.integerOf(row, "firstSeq"),
        tails: Statements.textOf(row, "tails")
      }))
  ).flat().sort((a, b) => a.pos - b.pos)
}

export const make = ({ batchesMax, bytesMax, size }: Bounds) => {
  const places = (of: string, order: string) =>
    `SELECT b.turn_id AS "turnId", b.first_seq AS "firstSeq", b.pos, ${size} AS size
    FROM turns t CROSS JOIN batches b ON b.turn_id = t.id WHERE t.session_id = ? AND ${of} ORDER BY ${order} LIMIT ${batchesMax}`
  const inSlot = "b.first_seq >= CASE t.id WHEN ? THEN ? ELSE 2 END AND b.pos > ?"
  const heldText = places(
    `t.brief = 0 AND t.end_pos > ? AND t.end_pos > t.ord AND t.folded_at IS NULL AND ${inSlot}`,
    "t.end_pos, t.ord, b.first_seq"
  )
  const holdingNowText = places(`t.end_pos IS NULL AND ${inSlot}`, "t.ord, b.first_seq")
  const briefText = places(
    `t.brief = 1 AND t.end_pos > ? AND t.end_pos <= ? AND t.end_pos > t.ord AND t.folded_at IS NULL AND b.first_seq > 1`,
    "t.end_pos, t.ord, b.first_seq"
  )
  const firstText = places("t.ord > ? AND t.ord <= ? AND t.folded_at IS NULL AND b.first_seq = 1", "t.ord")

  const placesOf = (db: Db, text: string, params: ReadonlyArray<Statements.Value>): ReadonlyArray<Place> =>
    db.all(text, params).map((row) => ({
      turnId: Statements.textOf(row, "turnId") as TurnId, // written by `admit`, from a TurnId
      firstSeq: Statements.integerOf(row, "firstSeq"),
      pos: Statements.integerOf(row, "pos"),
      size: Statements.integerOf(row, "size")
    }))

  /** What turns commit that have the slot. */
  const slotAfter = (db: Db, id: SessionId, pos: number): ReadonlyArray<Place> => {
    const [holder] = [...db.all(holderText, [id, pos]), ...db.all(openText, [id])]
    if (holder === undefined) return []
    const turn = Statements.textOf(holder, "id")
    const behind = [turn, Statements.integerOf(holder, "ord") > pos ? 2 : seqAfter(db, turn, pos), pos]
    const list = placesOf(db, heldText, [id, pos, ...behind])
    return list.length < batchesMax ? [...list, ...placesOf(db, holdingNowText, [id, ...behind])] : list
  }

  /** The next ones of each list, and of these the next ones of all. */
  const placesAfter = (db: Db, id: SessionId, pos: number): ReadonlyArray<Place> => {
    const slot = slotAfter(db, id, pos).slice(0, batchesMax)
    const upTo = slot[batchesMax - 1]?.pos ?? Number.MAX_SAFE_INTEGER
    const found = [
      ...slot,
      ...placesOf(db, briefText, [id, pos, upTo]),
      ...placesOf(db, firstText, [id, pos, upTo])
    ]
    // of a damaged row: no page leads back
    const behind = found.filter((place) => place.pos > pos)
    const page = behind.sort((a, b) => a.pos - b.pos).slice(0, batchesMax)
    return page.slice(0, within(page, bytesMax))
  }

  /** A page of whole commits behind a place; an empty one where there are none. */
  const after = (db: Db, id: SessionId, pos: number): ReadonlyArray<BatchRow> => {
    Statements.begin(db, "BEGIN")
    try {
      const rows = batchesAt(db, id, placesAfter(db, id, pos))
      db.all("COMMIT", [])
      return rows
    } catch (error) {
      Statements.rollback(db)
      throw error
    }
  }

  return { after }
}
