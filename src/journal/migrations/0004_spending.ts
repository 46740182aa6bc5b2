/**
 * What is spent: the cost of an attempt and how full its window was; a session's tokens and a day's, for budgets; the span
 * of a turn, for whoever ends it after a crash.
 *
 * What: columns on `usage`, `sessions` and `turns`, one row a day in `usage_days`, and a trigger that counts each row of
 * the ledger into its session and its day.
 * Why: a budget is looked at before every turn, so it must not cost a sum over the session or the day. The day's row
 * stays when a session is deleted: what was spent is spent.
 * Cost on a big table: one pass over the ledger; new columns are added without rewriting a row.
 */
import * as Effect from "effect/Effect"
import type { Migration } from "../Migrations.ts"

/** As `Projection.tokensOf` counts. */
const tokens = (row: string) =>
  `coalesce(${row}total_tokens, coalesce(${row}input_tokens, 0) + coalesce(${row}output_tokens, 0))`

const statements = [
  "ALTER TABLE usage ADD COLUMN context_percent REAL CHECK (context_percent >= 0)",
  "ALTER TABLE usage ADD COLUMN cost_nanos INTEGER CHECK (cost_nanos >= 0)",
  "ALTER TABLE turns ADD COLUMN trace TEXT",
  "ALTER TABLE sessions ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0",
  "CREATE TABLE usage_days (day TEXT PRIMARY KEY, tokens INTEGER NOT NULL) STRICT, WITHOUT ROWID",
  `UPDATE sessions SET tokens = spent.tokens
    FROM (SELECT session_id, sum(${tokens("")}) AS tokens FROM usage GROUP BY session_id) AS spent
    WHERE spent.session_id = sessions.id`,
  `INSERT INTO usage_days (day, tokens) SELECT day, sum(${tokens("")}) FROM usage GROUP BY day`,
  `CREATE TRIGGER usage_spends AFTER INSERT ON usage BEGIN
    UPDATE sessions SET tokens = tokens + ${tokens("NEW.")} WHERE id = NEW.session_id;
    INSERT INTO usage_days (day, tokens) VALUES (NEW.day, ${tokens("NEW.")})
      ON CONFLICT (day) DO UPDATE SET tokens = tokens + excluded.tokens;
  END`
]

export const spending: Migration = {
  version: 4,
  name: "spending",
  up: (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
}
