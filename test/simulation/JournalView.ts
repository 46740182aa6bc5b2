/**
 * The journal's file as another program sees it: a connection of its own that reads committed rows, and remembers every
 * batch, because a committed event stays as it is. Synchronous, so that a reader's claim is checked when it is made.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import * as Batch from "../../src/journal/Batch.ts"
import * as SqliteClient from "../../src/journal/SqliteClient.ts"

type Row = { readonly [column: string]: string | number | null }

interface BatchRow {
  readonly pos: number
  readonly turn_id: string
  readonly session_id: string
  readonly first_seq: number
  readonly tails: string
}

export interface SeenEvent {
  readonly turnId: string
  readonly sessionId: string
  readonly seq: number
  readonly json: string
}

/** Tables that a session's rows are in, with the column that names the session or the turn. */
const tablesOf = [
  ["sessions", "id", "session"],
  ["messages", "session_id", "session"],
  ["turns", "session_id", "session"],
  ["usage", "session_id", "session"],
  ["context_contents", "session_id", "session"],
  ["batches", "turn_id", "turn"],
  ["checkpoints", "turn_id", "turn"]
] as const

/** Every table, and the order of its rows: of their writing, or of their keys where it has none. */
const tablesInOrder = [
  ["sessions", "rowid"],
  ["messages", "session_id, position"],
  ["turns", "rowid"],
  ["batches", "pos"],
  ["usage", "turn_id, attempt"],
  ["checkpoints", "turn_id, n"],
  ["context_contents", "session_id, hash"]
] as const

/** A packed batch with its events as readers get them. */
const shown = ({ tails, ...row }: Row): object =>
  typeof tails === "string" ? { ...row, tails: Batch.unpack(tails) } : row

export const open = (path: string) => {
  const scope = Effect.runSync(Scope.make())
  const connection = Effect.runSync(
    SqliteClient.make({ filename: path, readonly: true }).pipe(
      Effect.flatMap((sql) => sql.reserve),
      Scope.extend(scope)
    )
  )
  /** In commit order. */
  const events: Array<SeenEvent> = []
  const byTurn = new Map<string, Array<SeenEvent>>()
  let pos = 0

  // rows of our own tables, asked for by the columns that the reader names
  const rows = <R = Row>(text: string, params: ReadonlyArray<string | number> = []): ReadonlyArray<R> =>
    Effect.runSync(connection.execute(text, params, undefined)) as ReadonlyArray<R>

  const unpack = (batch: BatchRow): ReadonlyArray<SeenEvent> => {
    const head = TurnEvent.head(batch.turn_id, batch.session_id)
    return Batch.unpack(batch.tails).map((tail, index) => ({
      turnId: batch.turn_id,
      sessionId: batch.session_id,
      seq: batch.first_seq + index,
      json: TurnEvent.json(head, batch.first_seq + index, tail)
    }))
  }

  const batchesAfter = (after: number) =>
    rows<BatchRow>(
      `SELECT b.pos, b.turn_id, t.session_id, b.first_seq, b.tails
       FROM batches b JOIN turns t ON t.id = b.turn_id WHERE b.pos > ? ORDER BY b.pos`,
      [after]
    )

  /** Reads what was committed since; answers with it. */
  const catchUp = (): ReadonlyArray<SeenEvent> => {
    const fresh: Array<SeenEvent> = []
    for (const batch of batchesAfter(pos)) {
      pos = batch.pos
      for (const event of unpack(batch)) {
        fresh.push(event)
        events.push(event)
        const turn = byTurn.get(event.turnId)
        if (turn === undefined) byTurn.set(event.turnId, [event])
        else turn.push(event)
      }
    }
    return fresh
  }

  return {
    rows,
    catchUp,
    events,
    turn: (id: string): ReadonlyArray<SeenEvent> => byTurn.get(id) ?? [],
    turns: () => byTurn,
    /** Every committed event as it stands now, read anew. */
    reread: (): ReadonlyArray<SeenEvent> => batchesAfter(0).flatMap(unpack),
    /** Names of the tables that still hold something of a session. */
    traces: (sessionId: string, turns: ReadonlyArray<string>): ReadonlyArray<string> =>
      tablesOf.flatMap(([table, column, of]) =>
        (of === "session" ? [sessionId] : turns).some((id) =>
            rows(`SELECT 1 FROM ${table} WHERE ${column} = ? LIMIT 1`, [id]).length > 0
          )
          ? [table]
          : []
      ),
    /** Every row of the journal and its projections, as text: two runs are the same where this is. */
    dump: (): string =>
      tablesInOrder.map(([table, order]) =>
        `${table}\n${
          rows(`SELECT * FROM ${table} ORDER BY ${order}`).map((row) => JSON.stringify(shown(row))).join("\n")
        }`
      ).join("\n"),
    close: () => Effect.runSync(Scope.close(scope, Exit.void))
  }
}

export type JournalView = ReturnType<typeof open>
