/** `inspect --verify` on real database files: silent on what the engine wrote, and red on each damage done to it. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as ExitCode from "../../src/cli/ExitCode.ts"
import { verifyDatabase, verifyTurn } from "../../src/cli/Verify.ts"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import { TurnId } from "../../src/domain/Ids.ts"
import type { Violation } from "../../src/domain/Invariants.ts"
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as JournalSql from "../../src/journal/JournalSql.ts"
import { inspectDatabase, layerLocal, layerReadOnly } from "../../src/layers.ts"
import type { Script } from "../../src/provider/Script.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { freshFolder, raw } from "../journal/databaseFixture.ts"
import { capture } from "./capture.ts"

/** Two sessions: one turn that answers, one that fails after text. Answers with their ids. */
const write = (dataDir: string) =>
  Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    const ask = (script: Script) =>
      Effect.gen(function*() {
        const run = yield* Effect.fork(
          Stream.runCollect(Stream.either(runtime.stream({ message: "go", options: { script } })))
        )
        yield* TestClock.adjust("1 minute")
        const [first] = Chunk.toReadonlyArray(yield* Fiber.join(run))
        return first?._tag === "Right" ? first.right.turnId : TurnId.make("none")
      })
    return {
      done: yield* ask({ deltas: 3 }),
      failed: yield* ask({ steps: [{ say: "half" }, { fail: { kind: "quota" } }] })
    }
  }).pipe(
    Effect.provide(layerLocal({ dataDir, durability: "relaxed" })),
    Effect.provide(TestContext.TestContext)
  )

const pattern = Fs.mkdtempSync(Path.join(Os.tmpdir(), "turnstream-verify-"))
let turns: { readonly done: TurnId; readonly failed: TurnId }
beforeAll(async () => {
  turns = await Effect.runPromise(write(pattern))
})
afterAll(() => Fs.rmSync(pattern, { recursive: true }))

/** A database of its own with those turns. */
const copied = Effect.map(freshFolder, (dataDir) => {
  Fs.cpSync(pattern, dataDir, { recursive: true })
  return { dataDir, ...turns }
})

const readOnly = (dataDir: string) => Layer.provideMerge(layerReadOnly, SettingsLoader.layerWith({ dataDir }))

/** What the command says, and the exit code. */
const verify = (dataDir: string, turn?: TurnId) =>
  Effect.gen(function*() {
    const out = capture()
    const layer = Layer.merge(out.layer, readOnly(dataDir))
    const exit = yield* turn === undefined
      ? Effect.exit(Effect.provide(verifyDatabase({ inspect: inspectDatabase }, true), layer))
      : Effect.exit(Effect.provide(verifyTurn(turn, true), layer))
    const lines = out.stdout().trimEnd().split("\n").map((line): unknown => JSON.parse(line))
    return {
      code: ExitCode.fromExit(exit, 0),
      counts: lines.at(-1),
      // what the command prints before its last line
      violations: lines.slice(0, -1) as ReadonlyArray<Violation>
    }
  })

/** Statements of another program, with the rules of the schema out of the way. */
const damage = (dataDir: string, ...statements: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    const sql = yield* raw(Path.join(dataDir, "turnstream.db"))
    yield* sql.unsafe("PRAGMA foreign_keys = OFF")
    yield* sql.unsafe("DROP TRIGGER IF EXISTS batches_stable")
    yield* sql.unsafe("DROP TRIGGER IF EXISTS batches_kept")
    for (const statement of statements) yield* sql.unsafe(statement)
  }))

describe("inspect --verify", () => {
  it.scoped("finds nothing in what the engine wrote, says how much was checked, and exits with 0", () =>
    Effect.gen(function*() {
      const { dataDir, done, failed } = yield* copied
      const all = yield* verify(dataDir)
      assert.deepStrictEqual(all, {
        code: 0,
        counts: { sessions: 2, turns: 2, events: 17, violations: 0 },
        violations: []
      })
      for (const [turn, events] of [[done, 9], [failed, 8]] as const) {
        assert.deepStrictEqual(yield* verify(dataDir, turn), {
          code: 0,
          counts: { sessions: 1, turns: 1, events, violations: 0 },
          violations: []
        })
      }
      const out = capture()
      const command = verifyDatabase({ inspect: inspectDatabase }, false)
      yield* Effect.provide(command, Layer.merge(out.layer, readOnly(dataDir)))
      assert.strictEqual(out.stdout(), "2 sessions, 2 turns, 17 events checked: all is as promised.\n")
    }))

  it.scoped("judges a turn that retention folded by what must be left of it", () =>
    Effect.gen(function*() {
      const { dataDir, done } = yield* copied
      const journal = Layer.provideMerge(
        JournalSql.layer,
        DatabaseSqlite.layer({ dataDir, durability: "relaxed", takeOver: false })
      )
      yield* Effect.flatMap(Journal, ({ foldTurns }) => foldTurns("2999-01-01T00:00:00.000Z", "now", 10)).pipe(
        Effect.provide(journal)
      )
      const all = yield* verify(dataDir)
      assert.deepStrictEqual(all, {
        code: 0,
        counts: { sessions: 2, turns: 2, events: 13, violations: 0 },
        violations: []
      })
      yield* damage(dataDir, `DELETE FROM folded_events WHERE turn_id = '${done}' AND seq = 9`)
      const { code, violations } = yield* verify(dataDir, done)
      assert.notStrictEqual(code, 0)
      assert.sameMembers(violations.map(({ promise }) => promise), ["P2", "P3"])
    }))

  it.scoped("an unknown turn is not found, as everywhere", () =>
    Effect.gen(function*() {
      const { dataDir } = yield* copied
      const out = capture()
      const command = verifyTurn(TurnId.make("t_none"), false)
      const exit = yield* Effect.exit(Effect.provide(command, Layer.merge(out.layer, readOnly(dataDir))))
      assert.strictEqual(ExitCode.fromExit(exit, 0), 3)
      assert.isTrue(Exit.isFailure(exit))
    }))

  /** Each damage, done to the turn that answered, and the promises whose violation is told. */
  const damages: ReadonlyArray<
    readonly [what: string, promises: ReadonlyArray<string>, statements: ReadonlyArray<string>]
  > = [
    // the one that ends it: all that its events said of the end is gone with it
    ["P2: a commit that is gone", ["P2", "P3", "P5", "P6", "P14", "projection"], [
      "DELETE FROM batches WHERE turn_id = $turn AND first_seq = 4"
    ]],
    ["P3: a row that says another ending", ["P3"], ["UPDATE turns SET status = 'failed' WHERE id = $turn"]],
    ["P5: a message cut short", ["P5"], [
      `UPDATE messages SET parts = '[{"type":"text","text":"00"}]' WHERE turn_id = $turn AND role = 'assistant'`
    ]],
    ["P5: a message that is gone", ["P5"], ["DELETE FROM messages WHERE turn_id = $turn AND role = 'assistant'"]],
    ["P6: a checkpoint's row that is gone", ["P6"], ["DELETE FROM checkpoints WHERE turn_id = $turn"]],
    ["P14: a ledger that counts less", ["P14"], ["UPDATE usage SET output_tokens = 1 WHERE turn_id = $turn"]],
    ["P4: a turn of which no event is left", ["P4", "P14"], ["DELETE FROM batches WHERE turn_id = $turn"]],
    ["P30: an event that is no event", ["P30"], [
      // every line as if it were the bytes of an event
      "UPDATE batches SET tails = char(31) || replace(tails, char(10), char(10) || char(31)) WHERE turn_id = $turn"
    ]],
    ["P14: a usage event of another count", ["P14", "P6"], [
      `UPDATE batches SET tails = replace(tails, char(8) || '3', ',"outputTokens":4') WHERE turn_id = $turn AND terminal = 1`
    ]]
  ]

  for (const [what, promises, statements] of damages) {
    it.scoped(`${what}: told, with an exit code of its own, and the other turn still checked`, () =>
      Effect.gen(function*() {
        const { dataDir, done: turn, failed: other } = yield* copied
        yield* damage(dataDir, ...statements.map((statement) => statement.replaceAll("$turn", `'${turn}'`)))
        const found = yield* verify(dataDir)
        assert.strictEqual(found.code, 9)
        const told = new Set(found.violations.map(({ promise }) => promise))
        assert.deepStrictEqual([...told].filter((promise) => !promises.includes(promise)), [], JSON.stringify(found))
        assert.isTrue(told.has(promises[0] ?? ""), JSON.stringify(found))
        assert.deepInclude(found.counts, { violations: found.violations.length })
        assert.strictEqual((yield* verify(dataDir, other)).code, 0)
      }))
  }

  it.scoped("P10: two turns of one session at once", () =>
    Effect.gen(function*() {
      const { dataDir, done: turn, failed: other } = yield* copied
      // the first turn's session gets the events of the other one, committed before its own began to answer
      yield* damage(
        dataDir,
        `UPDATE batches SET pos = -pos WHERE turn_id = '${other}'`,
        `UPDATE batches SET pos = pos + 100 WHERE turn_id = '${turn}' AND first_seq > 2`,
        `UPDATE batches SET pos = 50 - pos WHERE turn_id = '${other}'`,
        `UPDATE turns SET session_id = (SELECT session_id FROM turns WHERE id = '${turn}'),
          ord = (SELECT min(pos) FROM batches WHERE turn_id = '${other}'),
          end_pos = (SELECT max(pos) FROM batches WHERE turn_id = '${other}') WHERE id = '${other}'`,
        `UPDATE turns SET end_pos = (SELECT max(pos) FROM batches WHERE turn_id = '${turn}') WHERE id = '${turn}'`
      )
      const found = yield* verify(dataDir)
      assert.strictEqual(found.code, 9)
      assert.include(found.violations.map(({ promise }) => promise), "P10")
    }))
})
