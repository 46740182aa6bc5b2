/**
 * Answers beside their events: very long ones, and those whose events are gone.
 *
 * What: a message that is too long for one row names the events that hold it (`answer_after`, `chars`). Retention folds
 * a closed turn: its lifecycle events move to `folded_events` under their seqs (`pos`: of the commit they came in), its
 * batches go, and a long answer is kept in `message_pieces`.
 * Why: no row and no string holds a whole long answer; a journal need not keep every delta for ever.
 * Cost on a big table: columns are added without a rewrite; the index reads `turns` once.
 */
import * as Effect from "effect/Effect"
import type { Migration } from "../Migrations.ts"

const statements = [
  "ALTER TABLE messages ADD COLUMN answer_after INTEGER CHECK (answer_after >= 0)",
  "ALTER TABLE messages ADD COLUMN chars INTEGER CHECK ((chars IS NULL) = (answer_after IS NULL))",
  "ALTER TABLE turns ADD COLUMN folded_at TEXT CHECK (folded_at IS NULL OR end_pos IS NOT NULL)",

  `CREATE TABLE message_pieces (
    message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    part TEXT NOT NULL CHECK (json_valid(part)),
    PRIMARY KEY (message_id, n)
  ) STRICT`,

  `CREATE TABLE folded_events (
    turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    pos INTEGER NOT NULL,
    tail TEXT NOT NULL,
    PRIMARY KEY (turn_id, seq)
  ) STRICT`,

  "CREATE INDEX turns_unfolded ON turns (ended_at) WHERE folded_at IS NULL AND ended_at IS NOT NULL",

  // With its turn (whose row is gone by then) a batch may go, and once the turn is folded.
  `CREATE TRIGGER batches_kept BEFORE DELETE ON batches BEGIN
    SELECT CASE WHEN (SELECT folded_at IS NULL FROM turns WHERE id = OLD.turn_id)
      THEN RAISE(ABORT, 'a committed event stays until its turn is folded') END;
  END`
]

export const answers: Migration = {
  version: 3,
  name: "answers",
  up: (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
}
