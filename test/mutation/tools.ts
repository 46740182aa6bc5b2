/** How a fault is put into an engine from outside: behind its layers, without a hook in its source. */
import type { Connection } from "@effect/sql/SqlConnection"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { TurnId } from "../../src/domain/Ids.ts"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import * as Batch from "../../src/journal/Batch.ts"
import { Database } from "../../src/journal/Database.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as Statements from "../../src/journal/Statements.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import type { Between } from "../faults/engine.ts"
import { appendingBy } from "../journal/appending.ts"

type JournalShape = Journal["Type"]
type DatabaseShape = Database["Type"]
type RuntimeShape = TurnRuntime["Type"]

export const onJournal = (
  change: (journal: JournalShape, database: DatabaseShape) => Partial<JournalShape>
): NonNullable<Between["journal"]> =>
(layer) =>
  Layer.provide(
    Layer.effect(
      Journal,
      Effect.map(
        Effect.all([Journal, Database]),
        ([journal, database]) => {
          const changed = change(journal, database)
          return { ...journal, ...changed, ...(changed.append === undefined ? {} : appendingBy(changed.append)) }
        }
      )
    ),
    layer
  )

export const onRuntime = (
  change: (runtime: RuntimeShape, journal: JournalShape) => Partial<RuntimeShape>
): NonNullable<Between["runtime"]> =>
(layer) =>
  Layer.provide(
    Layer.effect(
      TurnRuntime,
      Effect.map(
        Effect.all([TurnRuntime, Journal]),
        ([runtime, journal]) => ({ ...runtime, ...change(runtime, journal) })
      )
    ),
    layer
  )

/** Once the database is open, before anybody uses it. */
export const onDatabase = (
  then: (database: DatabaseShape) => Effect.Effect<void>
): NonNullable<Between["database"]> =>
(layer) => Layer.tap(layer, (context) => then(Context.get(context, Database)))

/** A writer that always finds its own epoch, on a schema that does not ask for it. */
export const blind: NonNullable<Between["database"]> = (layer) =>
  Layer.map(
    onDatabase((database) => raw(database, "DROP TRIGGER batches_rules"))(layer),
    (context) => {
      const database = Context.get(context, Database)
      const { writer } = database
      if (writer === undefined) return context
      const reserve = Effect.map(writer.reserve, (connection): Connection => ({
        ...connection,
        ...Statements.changed(connection, (statements) => ({
          all: (text, params) =>
            text.startsWith("SELECT epoch FROM owner")
              ? [{ epoch: database.epoch }]
              : statements.all(text, params)
        }))
      }))
      // a client is a function with properties: everything but `reserve` stays as it is
      const seeing = new Proxy(writer, {
        get: (target, key, receiver): unknown => key === "reserve" ? reserve : Reflect.get(target, key, receiver)
      })
      return Context.make(Database, { ...database, writer: seeing })
    }
  )

/** Rules of the schema that stand in the way of a change of what is committed. */
const guards = ["batches_stable", "batches_kept"]

/** Statements on the writing connection, past those rules. */
export const raw = (database: DatabaseShape, ...statements: ReadonlyArray<string>) =>
  Effect.orDie(Effect.forEach(
    [...guards.map((name) => `DROP TRIGGER IF EXISTS ${name}`), ...statements],
    (statement) => database.writer?.unsafe(statement) ?? Effect.void,
    { discard: true }
  ))

const isEnd = (events: ReadonlyArray<TurnEvent.TurnEvent>) => TurnEvent.isTerminalType(events.at(-1)?.type ?? "")

/** Something is done with the rows of each turn when its end has been committed. */
export const whenEnded = (
  then: (database: DatabaseShape, turnId: TurnId) => Effect.Effect<void>
): NonNullable<Between["journal"]> =>
  onJournal((journal, database) => ({
    append: (append) =>
      Effect.zipLeft(journal.append(append), isEnd(append.events) ? then(database, append.turnId) : Effect.void),
    appendAll: (appends) =>
      Effect.zipLeft(
        journal.appendAll(appends),
        Effect.forEach(appends, ({ events, turnId }) => isEnd(events) ? then(database, turnId) : Effect.void)
      )
  }))

/** The journal of a turn as an engine would have written it that puts `change` where it writes. Undefined leaves it. */
export const writing = (
  change: (events: ReadonlyArray<TurnEvent.TurnEvent>) => ReadonlyArray<TurnEvent.TurnEvent> | undefined
): NonNullable<Between["journal"]> =>
  whenEnded((database, turnId) =>
    Effect.gen(function*() {
      const batches = yield* Effect.orDie(database.reader.unsafe<{ readonly pos: number; readonly tails: string }>(
        `SELECT pos, tails FROM batches WHERE turn_id = '${turnId}' ORDER BY pos`
      ))
      const tails = batches.flatMap((batch) => Batch.unpack(batch.tails))
      const events = tails.map((tail, index) =>
        TurnEvent.parse(TurnEvent.json(TurnEvent.head(turnId, "s"), index + 1, tail))
      )
      const changed = change(events)
      const last = batches.at(-1)
      if (changed === undefined || last === undefined) return
      const stored = changed.map(TurnEvent.tail).join("\n").replaceAll("'", "''")
      yield* raw(
        database,
        `DELETE FROM batches WHERE turn_id = '${turnId}' AND pos < ${last.pos}`,
        `UPDATE batches SET first_seq = 1, last_seq = ${changed.length}, tails = '${stored}' WHERE pos = ${last.pos}`,
        `UPDATE turns SET last_seq = ${changed.length} WHERE id = '${turnId}'`
      )
    })
  )

/** The events with some put in behind the first of a type. */
export const behind = (
  events: ReadonlyArray<TurnEvent.TurnEvent>,
  type: TurnEvent.EventType,
  more: (found: TurnEvent.TurnEvent) => ReadonlyArray<TurnEvent.TurnEvent>
): ReadonlyArray<TurnEvent.TurnEvent> | undefined => {
  const at = events.findIndex((event) => event.type === type)
  const found = events[at]
  return found === undefined ? undefined : [...events.slice(0, at + 1), ...more(found), ...events.slice(at + 1)]
}
