/**
 * As few pages a commit as there can be: one for deltas, two thirds as many as before for a turn.
 *
 * What: rows stand under the keys by which they are asked for (`batches`, `messages`, `context_contents`: WITHOUT ROWID),
 * and an index holds what is looked up in it, not an entry for every NULL. `pos` comes from `positions`, which hands out a
 * range at a time (`Positions.ts`), and is also the place of a turn (`ord`, instead of `start_pos`) and of a new session:
 * no AUTOINCREMENT, whose counter is a page of its own. `turns.brief` is 1 for a turn that had no commit between its first
 * and its last; `turns_ends` keeps those and the others apart, each in the order of their ends, and leaves out what ended
 * where it began, so that a session is read in the order of its commits without an index of them (`SessionCommits.ts`).
 * `turns_session` says which turns are folded: a reader of commits passes over them within the index.
 * Why: what a commit costs is the pages that it changes. Of three for one delta two were indexes of `pos` and of keys.
 * Cost on a big table: the five big tables are copied once, the old ones dropped, in one transaction: some three times as
 * long as a backup (3 s for 100 MB), and the log grows to twice the file. The room of the old tables stays in the file.
 */
import * as Effect from "effect/Effect"
import type { Migration } from "../Migrations.ts"

/** As `Projection.tokensOf` counts. */
const tokens = "coalesce(NEW.total_tokens, coalesce(NEW.input_tokens, 0) + coalesce(NEW.output_tokens, 0))"

const tables = [
  `CREATE TABLE sessions_by_place (
    ord INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    title TEXT,
    provider TEXT,
    model TEXT,
    system TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    turn_count INTEGER NOT NULL DEFAULT 0,
    tokens INTEGER NOT NULL DEFAULT 0
  ) STRICT`,

  `CREATE TABLE turns_by_place (
    ord INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
    phase TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    options TEXT NOT NULL CHECK (json_valid(options)),
    user_message_id TEXT NOT NULL,
    message_id TEXT,
    retry_of TEXT,
    resumed_from TEXT,
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
    end_pos INTEGER,
    brief INTEGER NOT NULL DEFAULT 0 CHECK (brief IN (0, 1)),
    folded_at TEXT CHECK (folded_at IS NULL OR end_pos IS NOT NULL),
    trace TEXT,
    CHECK ((idempotency_key IS NULL) = (body_hash IS NULL)),
    CHECK (status = 'running' OR end_pos IS NOT NULL)
  ) STRICT`,

  `CREATE TABLE messages_by_key (
    id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    turn_id TEXT,
    position INTEGER NOT NULL CHECK (position > 0),
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    state TEXT NOT NULL CHECK (state IN ('complete', 'partial')),
    created_at TEXT NOT NULL,
    answer_after INTEGER CHECK (answer_after >= 0),
    chars INTEGER CHECK ((chars IS NULL) = (answer_after IS NULL)),
    parts TEXT NOT NULL CHECK (json_valid(parts)),
    PRIMARY KEY (session_id, position)
  ) STRICT, WITHOUT ROWID`,

  `CREATE TABLE batches_by_key (
    turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL CHECK (last_seq >= first_seq),
    pos INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    terminal INTEGER NOT NULL CHECK (terminal IN (0, 1)),
    tails TEXT NOT NULL,
    PRIMARY KEY (turn_id, first_seq)
  ) STRICT, WITHOUT ROWID`,

  `CREATE TABLE context_contents_by_key (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (session_id, hash)
  ) STRICT, WITHOUT ROWID`
]

/** In the order of the new keys, by the indexes that the old tables have of them. */
const copies = [
  `INSERT INTO sessions_by_place (ord, id, title, provider, model, system, created_at, updated_at, turn_count, tokens)
    SELECT ord, id, title, provider, model, system, created_at, updated_at, turn_count, tokens FROM sessions ORDER BY ord`,
  `INSERT INTO messages_by_key (id, session_id, turn_id, position, role, state, created_at, answer_after, chars, parts)
    SELECT id, session_id, turn_id, position, role, state, created_at, answer_after, chars, parts
    FROM messages INDEXED BY sqlite_autoindex_messages_2 ORDER BY session_id, position`,
  `INSERT INTO batches_by_key (turn_id, first_seq, last_seq, pos, epoch, terminal, tails)
    SELECT turn_id, first_seq, last_seq, pos, epoch, terminal, tails
    FROM batches INDEXED BY sqlite_autoindex_batches_1 ORDER BY turn_id, first_seq`,
  `INSERT INTO context_contents_by_key (session_id, hash, content)
    SELECT session_id, hash, content
    FROM context_contents INDEXED BY sqlite_autoindex_context_contents_1 ORDER BY session_id, hash`,
  // a turn stands where its first commit does: in the same order as before
  `INSERT INTO turns_by_place (ord, id, session_id, status, phase, provider, model, options, user_message_id, message_id,
      retry_of, resumed_from, idempotency_key, body_hash, attempts, last_seq, checkpoint, finish_reason, error, usage,
      started_at, ended_at, end_pos, brief, folded_at, trace)
    SELECT start_pos, id, session_id, status, phase, provider, model, options, user_message_id, message_id,
      retry_of, resumed_from, idempotency_key, body_hash, attempts, last_seq, checkpoint, finish_reason, error, usage,
      started_at, ended_at, end_pos,
      end_pos IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM batches_by_key b WHERE b.turn_id = turns.id AND b.first_seq > 1 AND b.terminal = 0),
      folded_at, trace
    FROM turns ORDER BY ord`,
  // before everything that is dropped, and above every number that was ever given for a place
  `CREATE TABLE places (id INTEGER PRIMARY KEY CHECK (id = 1), reserved INTEGER NOT NULL) STRICT`,
  `INSERT INTO places (id, reserved)
    SELECT 1, max(coalesce((SELECT max(pos) FROM batches), 0), (SELECT gone FROM positions WHERE id = 1),
      coalesce((SELECT max(seq) FROM sqlite_sequence), 0), coalesce((SELECT max(ord) FROM turns_by_place), 0))`
]

const replaced = [
  ["sessions", "sessions_by_place"],
  ["turns", "turns_by_place"],
  ["messages", "messages_by_key"],
  ["batches", "batches_by_key"],
  ["context_contents", "context_contents_by_key"],
  ["positions", "places"]
] as const

const indexes = [
  // of a retry and of a resume there is one each; entries for these turns alone
  "CREATE UNIQUE INDEX turns_retry ON turns (retry_of) WHERE retry_of IS NOT NULL",
  "CREATE UNIQUE INDEX turns_resume ON turns (resumed_from) WHERE resumed_from IS NOT NULL",
  "CREATE UNIQUE INDEX turns_key ON turns (session_id, idempotency_key) WHERE idempotency_key IS NOT NULL",
  // the turn that asked a question is named by its message
  "CREATE INDEX turns_question ON turns (user_message_id) WHERE retry_of IS NOT NULL OR resumed_from IS NOT NULL",
  "CREATE INDEX turns_session ON turns (session_id, ord, folded_at)",
  "CREATE INDEX turns_running ON turns (session_id, ord) WHERE end_pos IS NULL",
  "CREATE INDEX turns_ends ON turns (session_id, brief, end_pos) WHERE end_pos > ord AND folded_at IS NULL",
  "CREATE INDEX turns_unfolded ON turns (ended_at) WHERE folded_at IS NULL AND ended_at IS NOT NULL"
]

const triggers = [
  `CREATE TRIGGER batches_rules BEFORE INSERT ON batches BEGIN
    SELECT CASE
      WHEN NEW.epoch IS NOT (SELECT epoch FROM owner WHERE id = 1) THEN RAISE(ABORT, 'fenced')
      WHEN t.id IS NULL THEN RAISE(ABORT, 'no such turn')
      WHEN t.end_pos IS NOT NULL OR t.status <> 'running' OR b.terminal = 1
        THEN RAISE(ABORT, 'nothing follows the end of a turn')
      WHEN NEW.first_seq <> 1 + coalesce(b.last_seq, 0) THEN RAISE(ABORT, 'seq is not contiguous')
      WHEN NEW.pos <= b.pos OR NEW.pos > (SELECT reserved FROM positions WHERE id = 1)
        THEN RAISE(ABORT, 'a commit stands behind all before it, at a place that is reserved')
      WHEN NEW.last_seq - NEW.first_seq <> length(NEW.tails) - length(replace(NEW.tails, char(10), ''))
        THEN RAISE(ABORT, 'as many events as seqs')
      WHEN NEW.first_seq = 1 AND NEW.pos <> t.ord THEN RAISE(ABORT, 'a turn stands where it begins')
      WHEN NEW.first_seq = 1 AND instr(substr(NEW.tails, 1, 80), ',"type":"turn.started",') = 0
        THEN RAISE(ABORT, 'a turn begins with turn.started')
    END
    FROM (SELECT 1) LEFT JOIN turns t ON t.id = NEW.turn_id
    LEFT JOIN batches b ON b.turn_id = NEW.turn_id
      AND b.first_seq = (SELECT max(first_seq) FROM batches WHERE turn_id = NEW.turn_id);
  END`,

  `CREATE TRIGGER batches_applied AFTER INSERT ON batches WHEN NEW.terminal = 1 BEGIN
    UPDATE turns SET last_seq = NEW.last_seq, end_pos = NEW.pos, brief = NOT EXISTS
        (SELECT 1 FROM batches WHERE turn_id = NEW.turn_id AND first_seq > 1 AND terminal = 0)
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

  `CREATE TRIGGER usage_spends AFTER INSERT ON usage BEGIN
    UPDATE sessions SET tokens = tokens + ${tokens} WHERE id = NEW.session_id;
    INSERT INTO usage_days (day, tokens) VALUES (NEW.day, ${tokens})
      ON CONFLICT (day) DO UPDATE SET tokens = tokens + excluded.tokens;
  END`
]

const statements = [
  ...tables,
  ...copies,
  // a table is renamed only where every trigger finds its tables; those of `batches` go with it
  "DROP TRIGGER usage_spends",
  ...replaced.map(([old]) => `DROP TABLE ${old}`),
  ...replaced.map(([name, made]) => `ALTER TABLE ${made} RENAME TO ${name}`),
  ...indexes,
  ...triggers
]

export const pages: Migration = {
  version: 7,
  name: "pages",
  replacesParents: true,
  up: (sql) => Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
}
