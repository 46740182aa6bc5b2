/**
 * The journal itself: sessions, messages, turns and their events.
 *
 * What: `batches` holds the events, one row a turn a commit (`tails`: the events' bytes after their seq, separated by
 * line feeds); `pos` is the order of all commits. The other tables are projections, written in the same transaction.
 * Why so: a row per delta costs eleven times as much; the rules that matter after a crash (contiguous seqs, one end,
 * nothing after it, only the owner writes) are kept by the schema, where no faulty caller gets past them.
 * Cost on a big table: none, it creates.
 */
import * as Effect from "effect/Effect"
import type { Migration } from "../Migrations.ts"

const statements = [
  `CREATE TABLE sessions (
    ord INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    title TEXT,
    provider TEXT,
    model TEXT,
    system TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    turn_count INTEGER NOT NULL DEFAULT 0
  ) STRICT`,

  // position: the order of the conversation; an answer stands after its question, also when it ends after a later one.
  `CREATE TABLE messages (
    id TEXT NOT NULL PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    turn_id TEXT,
    position INTEGER NOT NULL CHECK (position > 0),
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    parts TEXT NOT NULL CHECK (json_valid(parts)),
    state TEXT NOT NULL CHECK (state IN ('complete', 'partial')),
    created_at TEXT NOT NULL,
    UNIQUE (session_id, position)
  ) STRICT`,

  // An ended turn has an end_pos, which only the insert of its terminal batch sets.
  `CREATE TABLE turns (
    ord INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
    phase TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    options TEXT NOT NULL CHECK (json_valid(options)),
    user_message_id TEXT NOT NULL,
    message_id TEXT,
    retry_of TEXT UNIQUE,
    resumed_from TEXT UNIQUE,
    idempotency_key TEXT,
    body_hash TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_seq INTEGER NOT NULL DEFAULT 0,
    checkpoint INTEGER,
    finish_reason TEXT,
    error TEXT CHECK (error IS NULL OR json_valid(error)),
    usage TEXT CHECK (usage IS NULL OR json_valid(usage)),
    started_at TEXT NOT NULL,
    ended_at TEXT,
    start_pos INTEGER,
    end_pos INTEGER,
    UNIQUE (session_id, idempotency_key),
    CHECK ((idempotency_key IS NULL) = (body_hash IS NULL)),
    CHECK (status = 'running' OR end_pos IS NOT NULL)
  ) STRICT`,

  `CREATE TABLE batches (
    pos INTEGER PRIMARY KEY AUTOINCREMENT,
    turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL CHECK (last_seq >= first_seq),
    epoch INTEGER NOT NULL,
    terminal INTEGER NOT NULL CHECK (terminal IN (0, 1)),
    tails TEXT NOT NULL,
    UNIQUE (turn_id, first_seq)
  ) STRICT`,

  "CREATE UNIQUE INDEX batches_one_end ON batches (turn_id) WHERE terminal = 1",
  "CREATE INDEX batches_session ON batches (session_id, pos)",
  "CREATE INDEX turns_session ON turns (session_id, ord)",
  "CREATE INDEX turns_running ON turns (session_id, ord) WHERE status = 'running'",
  "CREATE INDEX turns_running_all ON turns (ord) WHERE status = 'running'",
  "CREATE INDEX turns_question ON turns (user_message_id)",

  `CREATE TRIGGER batches_rules BEFORE INSERT ON batches BEGIN
    SELECT CASE
      WHEN NEW.epoch IS NOT (SELECT epoch FROM owner WHERE id = 1) THEN RAISE(ABORT, 'fenced')
      WHEN NOT EXISTS (SELECT 1 FROM turns WHERE id = NEW.turn_id AND session_id = NEW.session_id)
        THEN RAISE(ABORT, 'no such turn in this session')
      WHEN (SELECT end_pos IS NOT NULL OR status <> 'running' FROM turns WHERE id = NEW.turn_id)
        THEN RAISE(ABORT, 'nothing follows the end of a turn')
      WHEN NEW.first_seq <> (SELECT last_seq + 1 FROM turns WHERE id = NEW.turn_id)
        THEN RAISE(ABORT, 'seq is not contiguous')
      WHEN NEW.last_seq - NEW.first_seq <> length(NEW.tails) - length(replace(NEW.tails, char(10), ''))
        THEN RAISE(ABORT, 'as many events as seqs')
      WHEN NEW.first_seq = 1 AND instr(substr(NEW.tails, 1, 80), ',"type":"turn.started",') = 0
        THEN RAISE(ABORT, 'a turn begins with turn.started')
    END;
  END`,

  `CREATE TRIGGER batches_applied AFTER INSERT ON batches BEGIN
    UPDATE turns SET
      last_seq = NEW.last_seq,
      start_pos = coalesce(start_pos, NEW.pos),
      end_pos = CASE WHEN NEW.terminal = 1 THEN NEW.pos END
    WHERE id = NEW.turn_id;
  END`,

  `CREATE TRIGGER batches_stable BEFORE UPDATE ON batches BEGIN
    SELECT RAISE(ABORT, 'a committed event never changes');
  END`
]

export const journal: Migration = {
  version: 1,
  name: "journal",
  up: (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
}
