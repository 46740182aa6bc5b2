/**
 * Fewer bytes a turn: packed events, and no second copy of the keys of the ledger and of checkpoints.
 *
 * What: `usage` and `checkpoints` are kept in the order of their keys (WITHOUT ROWID) instead of beside an index of them.
 * `batches` stays as it is: from this version on its `tails` are written packed (`Batch.ts`), and old rows are read as
 * they are. A session whose import is under way stands at `ord < 0` (`SqlImports.ts`). The version number keeps programs
 * away that do not know.
 * Why: a turn of 20 deltas took twice the bytes; each index is also one more page to write and to sync at a turn's end.
 * Cost on a big table: `usage` and `checkpoints` are copied once, some 400 bytes a turn; events are not touched.
 */
import * as Effect from "effect/Effect"
import type { Migration } from "../Migrations.ts"

/** As `Projection.tokensOf` counts. */
const tokens = "coalesce(NEW.total_tokens, coalesce(NEW.input_tokens, 0) + coalesce(NEW.output_tokens, 0))"

const statements = [
  `CREATE TABLE checkpoints_by_key (
    turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    phase TEXT NOT NULL,
    usage TEXT CHECK (usage IS NULL OR json_valid(usage)),
    context_hash TEXT,
    PRIMARY KEY (turn_id, n)
  ) STRICT, WITHOUT ROWID`,
  `INSERT INTO checkpoints_by_key (turn_id, n, seq, phase, usage, context_hash)
    SELECT turn_id, n, seq, phase, usage, context_hash FROM checkpoints ORDER BY turn_id, n`,
  "DROP TABLE checkpoints",
  "ALTER TABLE checkpoints_by_key RENAME TO checkpoints",

  `CREATE TABLE usage_by_key (
    turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    day TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('reported', 'estimated', 'deterministic')),
    input_tokens INTEGER CHECK (input_tokens >= 0),
    output_tokens INTEGER CHECK (output_tokens >= 0),
    cache_read_tokens INTEGER CHECK (cache_read_tokens >= 0),
    cache_write_tokens INTEGER CHECK (cache_write_tokens >= 0),
    reasoning_tokens INTEGER CHECK (reasoning_tokens >= 0),
    total_tokens INTEGER CHECK (total_tokens >= 0),
    context_percent REAL CHECK (context_percent >= 0),
    cost_nanos INTEGER CHECK (cost_nanos >= 0),
    PRIMARY KEY (turn_id, attempt)
  ) STRICT, WITHOUT ROWID`,
  `INSERT INTO usage_by_key (turn_id, attempt, session_id, provider, model, day, source, input_tokens, output_tokens,
      cache_read_tokens, cache_write_tokens, reasoning_tokens, total_tokens, context_percent, cost_nanos)
    SELECT turn_id, attempt, session_id, provider, model, day, source, input_tokens, output_tokens,
      cache_read_tokens, cache_write_tokens, reasoning_tokens, total_tokens, context_percent, cost_nanos
    FROM usage ORDER BY turn_id, attempt`,
  "DROP TABLE usage",
  "ALTER TABLE usage_by_key RENAME TO usage",

  // It goes with the table that it was on, and what was copied is counted already.
  `CREATE TRIGGER usage_spends AFTER INSERT ON usage BEGIN
    UPDATE sessions SET tokens = tokens + ${tokens} WHERE id = NEW.session_id;
    INSERT INTO usage_days (day, tokens) VALUES (NEW.day, ${tokens})
      ON CONFLICT (day) DO UPDATE SET tokens = tokens + excluded.tokens;
  END`
]

export const packed: Migration = {
  version: 5,
  name: "packed",
  up: (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
}
