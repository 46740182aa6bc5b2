/**
 * What is looked up beside the conversation: checkpoints, the usage ledger, contents of context slots.
 *
 * What: one row a checkpoint (without its text, which the events hold), one row an attempt's usage (a count that nobody
 * knows is NULL, never 0), slot contents once per session and hash.
 * Why: usage totals and checkpoints are asked for without reading a turn's events; contents are not in any event.
 * Cost on a big table: none, it creates. Turns from before it have no rows here; no released version wrote any.
 */
import * as Effect from "effect/Effect"
import type { Migration } from "../Migrations.ts"

const statements = [
  `CREATE TABLE checkpoints (
    turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    phase TEXT NOT NULL,
    usage TEXT CHECK (usage IS NULL OR json_valid(usage)),
    context_hash TEXT,
    PRIMARY KEY (turn_id, n)
  ) STRICT`,

  `CREATE TABLE usage (
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
    PRIMARY KEY (turn_id, attempt)
  ) STRICT`,

  `CREATE TABLE context_contents (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (session_id, hash)
  ) STRICT`
]

export const ledger: Migration = {
  version: 2,
  name: "ledger",
  up: (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
}
