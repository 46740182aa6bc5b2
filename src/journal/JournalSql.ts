/**
 * The journal on a SQL database. Writes go through `Writer` (one fiber, group commit, fenced by the owner's epoch),
 * reads through the connection that never writes, followers through `Follow` (live feed first, rows behind it).
 *
 * A database opened for reading only has no writer: its writes are refused, and its followers get what is committed, then
 * `FollowEnded{fenced}`, because nothing would wake them.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type { TurnId } from "../domain/Ids.ts"
import { SessionNotFound } from "../domain/RequestError.ts"
import { type Fenced, JournalFailure } from "../domain/TurnError.ts"
import { Database, type DatabaseShape } from "./Database.ts"
import * as Follow from "./Follow.ts"
import * as HistoryCache from "./HistoryCache.ts"
import { watching } from "./HistoryWatch.ts"
import { Journal } from "./Journal.ts"
import * as Live from "./Live.ts"
import * as PageCache from "./PageCache.ts"
import * as Positions from "./Positions.ts"
import * as SqlCommands from "./SqlCommands.ts"
import * as SqlImports from "./SqlImports.ts"
import * as SqlReads from "./SqlReads.ts"
import * as SqlRetention from "./SqlRetention.ts"
import * as SqlWrites from "./SqlWrites.ts"
import * as Storage from "./Storage.ts"
import * as StoredEvents from "./StoredEvents.ts"
import * as Writer from "./Writer.ts"

const forReadingOnly = (operation: string) =>
  new JournalFailure({ operation, retryable: false, reason: "opened for reading only" })

const readOnly: Omit<Writer.Writer, "fenced"> = {
  append: () => forReadingOnly("append"),
  enlist: (source) => {
    if (source.take() !== undefined) source.settle(Exit.fail(forReadingOnly("append")))
  },
  appendAll: () => forReadingOnly("append"),
  submit: forReadingOnly,
  maintain: forReadingOnly,
  trouble: () => undefined
}

const make = Effect.fn("JournalSql.make")(function*(database: DatabaseShape) {
  const scope = yield* Effect.scope
  const history = HistoryCache.make(database.epoch)
  const live = watching(Live.make(), history)
  const pages = PageCache.make()
  const sql = database.writer ?? database.reader
  const reads = SqlReads.make({
    sql: database.reader,
    live,
    stored: StoredEvents.make(database.reader),
    pages,
    owned: database.writer !== undefined,
    history: database.writer === undefined ? undefined : history
  })
  const positions = Positions.make()
  const writes = SqlWrites.make({
    epoch: database.epoch,
    positions,
    live,
    read: Storage.reading(database.reader),
    stored: StoredEvents.make(database.reader)
  })
  const commands = SqlCommands.make({ epoch: database.epoch, positions, live })
  const fenced = yield* Deferred.make<Fenced>()

  const open = Effect.gen(function*() {
    const writer = yield* Writer.make({
      sql,
      epoch: database.epoch,
      look: writes.look,
      appendAll: writes.appendAll,
      readEpoch: SqlCommands.readEpoch,
      forget: live.forget
    })
    yield* Effect.race(writer.fenced, database.fenced).pipe(
      Effect.tap((error) =>
        Effect.sync(() => live.close("fenced")).pipe(Effect.zipRight(Deferred.succeed(fenced, error)))
      ),
      Effect.forkScoped
    )
    return writer
  })
  if (database.writer === undefined) live.close("fenced")
  const writer = database.writer === undefined ? readOnly : yield* open

  const imports = SqlImports.make({ submit: writer.submit, positions, scope })
  if (database.writer !== undefined) {
    // a fault here is met again by whoever writes next; what is left is seen by nobody
    yield* Effect.ignoreLogged(Effect.flatMap(SqlImports.unfinished(database.reader), imports.sweep))
  }

  const retention = SqlRetention.make({
    sql,
    read: reads.read,
    stored: StoredEvents.make(database.reader),
    answer: reads.answer,
    writer,
    pages
  })

  /** Whether storage takes writes again: its own failure is what `trouble` says next. One at a time. */
  let probing = false
  const probe = Effect.suspend(() => {
    if (probing) return Effect.void
    probing = true
    const write = writer.submit(
      Writer.probe,
      SqlCommands.touchOwner
    )
    const done = Effect.sync(() => {
      probing = false
    })
    return Effect.asVoid(Effect.forkIn(Effect.ensuring(Effect.interruptible(Effect.ignore(write)), done), scope))
  }).pipe(Effect.uninterruptible)

  return Journal.of({
    health: Effect.suspend(() => {
      const trouble = writer.trouble()
      return trouble === undefined ? reads.answers : Effect.zipRight(probe, trouble)
    }),
    foldTurns: retention.foldTurns,
    vacuum: retention.vacuum,
    info: Effect.succeed({
      kind: database.kind,
      path: database.path,
      schemaVersion: database.schemaVersion,
      durability: database.durability,
      epoch: database.epoch
    }),
    session: reads.session,
    sessions: reads.sessions,
    messages: reads.messages,
    turns: reads.turns,
    message: reads.message,
    turn: reads.turn,
    byKey: reads.byKey,
    state: reads.state,
    states: reads.states,
    readAfter: reads.readAfter,
    answer: reads.answer,
    checkpoints: reads.checkpoints,
    runningTurns: reads.runningTurns,
    history: reads.history,
    contents: reads.contents,
    usage: reads.usage,
    spent: reads.spent,
    traces: reads.traces,
    commits: reads.commits,
    createSession: (session, messages = []) =>
      Effect.zipRight(
        imports.create(session, messages),
        Effect.catchTag(reads.session(session.id), "SessionNotFound", () => SqlImports.vanished())
      ),
    updateSession: Effect.fnUntraced(function*(id, patch, at) {
      yield* writer.submit(
        "updateSession",
        (db) => SqlCommands.updateSession(db, id, patch, at)
      )
      return yield* reads.session(id)
    }),
    deleteSession: (id) => {
      // What a first run found: it may have been deleted by a commit that was reported as failed.
      let found: ReadonlyArray<TurnId> | undefined
      return writer.submit("deleteSession", (db) => {
        const deleted = SqlCommands.deleteSession(db, id)
        const turns = deleted instanceof SessionNotFound ? found : deleted
        if (turns === undefined) return Either.left(new SessionNotFound({ sessionId: id }))
        found = turns
        return Either.right({
          value: undefined,
          publish: () => {
            pages.clear()
            live.deleted(id, turns)
          }
        })
      })
    },
    admit: (admission) => writer.submit("admit", (db) => commands.admit(db, admission)),
    append: writer.append,
    enlist: writer.enlist,
    appendAll: writer.appendAll,
    follow: (id, seq) => Follow.follow(live, reads.pages, id, seq),
    followInto: (id, seq, sink) => Follow.followInto(live, reads.pages, id, seq, sink),
    followSession: (id, after, open) => Follow.followSession(live, reads.pages, id, after, open),
    endFollowers: (reason, turnId) => Effect.sync(() => live.close(reason, turnId)),
    fenced: Deferred.await(fenced)
  })
})

export const layer: Layer.Layer<Journal, never, Database> = Layer.scoped(Journal, Effect.flatMap(Database, make))
