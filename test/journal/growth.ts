/**
 * One session that grows turn by turn, with a context budget that a few turns fill, and what each stretch of it costs:
 * bytes in the file, processor time, statements, rows read. For P33: the cost of a turn does not know its number.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import { UnknownProvider } from "../../src/domain/TurnError.ts"
import * as UsageSum from "../../src/domain/UsageSum.ts"
import { Database } from "../../src/journal/Database.ts"
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as JournalSql from "../../src/journal/JournalSql.ts"
import * as Statements from "../../src/journal/Statements.ts"
import { layerContext, layerRuntime } from "../../src/layers.ts"
import type { ProviderEvent } from "../../src/provider/Provider.ts"
import { ProviderRegistry } from "../../src/provider/ProviderRegistry.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { at, messageId, sessionId } from "./fixtures.ts"

/** Some 200 tokens an exchange in a window of 1,500: full after the seventh turn. */
const window = 1_500
const question = "What comes next, and why? ".repeat(16)
const answer: ReadonlyArray<ProviderEvent> = [
  ...Array.from({ length: 20 }, (): ProviderEvent => ({ _tag: "Delta", kind: "text", text: "as many words as" })),
  { _tag: "Usage", usage: UsageSum.make({ inputTokens: 1_000, outputTokens: 20 }) },
  { _tag: "Finish", reason: "stop" }
]

const layerRegistry = Layer.succeed(ProviderRegistry, {
  defaults: { provider: "told", model: () => "only" },
  resolve: (id) =>
    id === "told"
      ? Effect.succeed({
        provider: { id, usageSource: "reported", stream: () => Stream.fromIterable(answer) },
        model: { id: "only", contextWindow: window, contextWindowFrom: "configured", maxOutputTokens: 200 },
        capabilities: { streaming: true, tools: false, reasoning: false, prefix: true },
        generation: {}
      })
      : Effect.fail(new UnknownProvider({ providerId: id, known: ["told"] })),
  prices: () => undefined,
  diagnostics: Effect.succeed([])
})

/** What was asked of a database. */
export interface Counter {
  statements: number
  rows: number
  /** Each text once. */
  readonly texts: Set<string>
}

const counting = (counter: Counter, sql: SqlClient.SqlClient): SqlClient.SqlClient => {
  const count = (text: string, rows: ReadonlyArray<unknown>) => {
    counter.statements++
    counter.rows += rows.length
    counter.texts.add(text)
  }
  const reserve = Effect.map(sql.reserve, (connection) => ({
    ...connection,
    ...Statements.changed(connection, (statements) => ({
      all: (text, params) => {
        const rows = statements.all(text, params)
        count(text, rows)
        return rows
      }
    })),
    execute: (text: string, params: ReadonlyArray<unknown>, transform: Parameters<typeof connection.execute>[2]) =>
      Effect.tap(connection.execute(text, params, transform), (rows) => Effect.sync(() => count(text, rows)))
  }))
  return new Proxy(sql, {
    get: (target, key, receiver): unknown => key === "reserve" ? reserve : Reflect.get(target, key, receiver)
  })
}

/** A journal on a file in `dataDir` whose statements are counted. */
export const layerCounted = (dataDir: string, counter: Counter) =>
  Layer.provideMerge(
    JournalSql.layer,
    Layer.provide(
      Layer.effect(
        Database,
        Effect.map(Database, (opened) => ({
          ...opened,
          reader: counting(counter, opened.reader),
          writer: opened.writer === undefined ? undefined : counting(counter, opened.writer)
        }))
      ),
      DatabaseSqlite.layer({ dataDir, durability: "relaxed", takeOver: false })
    )
  )

/** An engine on such a journal. */
export const layerGrowing = (dataDir: string, counter: Counter) =>
  layerRuntime.pipe(
    Layer.provideMerge(Layer.mergeAll(layerCounted(dataDir, counter), layerRegistry, layerContext)),
    Layer.provide(SettingsLoader.layerWith())
  )

export const makeCounter = (): Counter => ({ statements: 0, rows: 0, texts: new Set() })

/** What one turn of a stretch cost, on average. */
export interface Stretch {
  /** The middle of the stretch. */
  readonly turn: number
  readonly bytes: number
  readonly cpuMs: number
  readonly statements: number
  readonly rows: number
}

const fileBytes = Effect.gen(function*() {
  const { path, reader, writer } = yield* Database
  // what the log holds belongs to the file
  yield* (writer ?? reader).unsafe("PRAGMA wal_checkpoint(TRUNCATE)").unprepared
  return Fs.statSync(path).size
})

const cpuMs = () => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1_000
}

/** Runs `turns` turns in a new session; one answer for each stretch of `length` turns. */
export const grow = (turns: number, length: number, counter: Counter, asked = question) =>
  Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    const journal = yield* Journal
    const { id: sessionId } = yield* runtime.createSession({})
    const stretches: Array<Stretch> = []
    for (let done = 0; done < turns; done += length) {
      const before = { ...counter, bytes: yield* fileBytes, cpu: cpuMs() }
      for (let index = 0; index < length; index++) {
        const { turn } = yield* runtime.submit({ sessionId, message: asked })
        yield* Stream.runDrain(journal.follow(turn.id, 0))
      }
      const cpu = cpuMs()
      stretches.push({
        turn: done + length / 2,
        bytes: ((yield* fileBytes) - before.bytes) / length,
        cpuMs: (cpu - before.cpu) / length,
        statements: (counter.statements - before.statements) / length,
        rows: (counter.rows - before.rows) / length
      })
    }
    return stretches
  })

/** Rows that the first turn and the next one read of a session with so many messages before them. */
export const rowsOfTurns = (messages: number, counter: Counter) =>
  Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    const journal = yield* Journal
    const id = sessionId(`of-${messages}`)
    yield* journal.createSession(
      { id, title: undefined, provider: undefined, model: undefined, system: undefined, at },
      Array.from({ length: messages }, (_, index) => ({
        id: messageId(`of-${messages}-${index}`),
        role: index % 2 === 0 ? "user" as const : "assistant" as const,
        parts: [{ type: "text" as const, text: question }]
      }))
    )
    return yield* Effect.forEach([1, 2], () =>
      Effect.gen(function*() {
        const before = counter.rows
        const { turn } = yield* runtime.submit({ sessionId: id, message: question })
        yield* Stream.runDrain(journal.follow(turn.id, 0))
        return counter.rows - before
      }))
  })

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

/**
 * What a line through a measure of the stretches says of the last turn over what it says of turn 10. The line is the one
 * of the median slope between any two stretches (Theil and Sen): what else the machine did for a while does not bend it.
 */
export const growthOf = (stretches: ReadonlyArray<Stretch>, measure: (stretch: Stretch) => number): number => {
  const slopes = stretches.flatMap((one, index) =>
    stretches.slice(index + 1).map((other) => (measure(other) - measure(one)) / (other.turn - one.turn))
  )
  const slope = median(slopes)
  const start = median(stretches.map((stretch) => measure(stretch) - slope * stretch.turn))
  return (start + slope * (stretches.at(-1)?.turn ?? 0)) / (start + slope * 10)
}
