/**
 * A commit of deltas writes what it says, and nothing else.
 *
 * What: the writer gives a batch its `pos`, which must be above all before it; `positions.gone` keeps the highest that was
 * deleted, so that none is given twice. `turns.last_seq` is set when a turn begins and when it ends: in between, its last
 * batch says it. The rules of a batch are read in one look at its turn.
 * Why: AUTOINCREMENT and the turn's row were two pages of the five that each commit of deltas wrote; four of ten
 * microseconds went into looking for the same turn three times.
 * Cost on a big table: `batches` is copied once, in its order: about as long as a backup.
 */
import * as Effect from "effect/Effect"
import type { Migration } from "../Migrations.ts"

const statements = [
  "CREATE TABLE positions (id INTEGER PRIMARY KEY CHECK (id = 1), gone INTEGER NOT NULL) STRICT",
  `INSERT INTO positions (id, gone)
    SELECT 1, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'batches'), 0)`,

  `CREATE TABLE batches_given (
    pos INTEGER PRIMARY KEY,
    turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL CHECK (last_seq >= first_seq),
    epoch INTEGER NOT NULL,
    terminal INTEGER NOT NULL CHECK (terminal IN (0, 1)),
    tails TEXT NOT NULL,
    UNIQUE (turn_id, first_seq)
  ) STRICT`,
  `INSERT INTO batches_given (pos, turn_id, session_id, first_seq, last_seq, epoch, terminal, tails)
    SELECT pos, turn_id, session_id, first_seq, last_seq, epoch, terminal, tails FROM batches ORDER BY pos`,
  "DROP TABLE batches",
  "ALTER TABLE batches_given RENAME TO batches",
  "CREATE UNIQUE INDEX batches_one_end ON batches (turn_id) WHERE terminal = 1",
  "CREATE INDEX batches_session ON batches (session_id, pos)",

  `CREATE TRIGGER batches_rules BEFORE INSERT ON batches BEGIN
    SELECT CASE
      WHEN NEW.epoch IS NOT (SELECT epoch FROM owner WHERE id = 1) THEN RAISE(ABORT, 'fenced')
      WHEN t.id IS NULL THEN RAISE(ABORT, 'no such turn in this session')
      WHEN t.end_pos IS NOT NULL OR t.status <> 'running' THEN RAISE(ABORT, 'nothing follows the end of a turn')
      WHEN NEW.first_seq <> 1 + coalesce(
          (SELECT last_seq FROM batches WHERE turn_id = NEW.turn_id ORDER BY first_seq DESC LIMIT 1), 0)
        THEN RAISE(ABORT, 'seq is not contiguous')
      WHEN NEW.pos <= (SELECT coalesce(max(pos), 0) FROM batches)
        THEN RAISE(ABORT, 'a commit stands behind all before it')
      WHEN NEW.last_seq - NEW.first_seq <> length(NEW.tails) - length(replace(NEW.tails, char(10), ''))
        THEN RAISE(ABORT, 'as many events as seqs')
      WHEN NEW.first_seq = 1 AND instr(substr(NEW.tails, 1, 80), ',"type":"turn.started",') = 0
        THEN RAISE(ABORT, 'a turn begins with turn.started')
    END
    FROM (SELECT 1) LEFT JOIN turns t ON t.id = NEW.turn_id AND t.session_id = NEW.session_id;
  END`,

  `CREATE TRIGGER batches_applied AFTER INSERT ON batches WHEN NEW.first_seq = 1 OR NEW.terminal = 1 BEGIN
    UPDATE turns SET
      last_seq = NEW.last_seq,
      start_pos = coalesce(start_pos, NEW.pos),
      end_pos = CASE WHEN NEW.terminal = 1 THEN NEW.pos END
    WHERE id = NEW.turn_id;
  END`,

  `CREATE TRIGGER batches_stable BEFORE UPDATE ON batches BEGIN
    SELECT RAISE(ABORT, 'a committed event never changes');
  END`,

  // With its turn (whose row is gone by then) a batch may go, and once the turn is folded.
  `CREATE TRIGGER batches_kept BEFORE DELETE ON batches BEGIN
    SELECT CASE WHEN (SELECT folded_at IS NULL FROM turns WHERE id = OLD.turn_id)
      THEN RAISE(ABORT, 'a committed event stays until its turn is folded') END;
  END`,

  `CREATE TRIGGER batches_gone AFTER DELETE ON batches BEGIN
    UPDATE positions SET gone = OLD.pos WHERE id = 1 AND gone < OLD.pos;
  END`
]

export const positions: Migration = {
  version: 6,
  name: "positions",
  up: (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
}
