/**
 * What every mutant is put to: a few short lives of an engine, each judged by the same checkers as the enumeration. On the
 * engine as it is, nothing is found; on an engine with a deliberate fault the probe that looks there must tell, and name
 * the promise.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import type { Violation } from "../../src/domain/Invariants.ts"
import * as Page from "../../src/http/Page.ts"
import * as Server from "../../src/http/Server.ts"
import { Database } from "../../src/journal/Database.ts"
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"
import { type Between, copyFolder, drive, engineIn, folders, onProvider, open } from "../faults/engine.ts"
import { judgeDatabase, judgeMemory, judgeService } from "../faults/judge.ts"
import { around, emptyDatabase, remainsOf } from "../faults/life.ts"
import { type Scenario, scenarios } from "../faults/scenarios.ts"
import * as SqlFaults from "../faults/SqlFaults.ts"
import { clientOf, type Witness, witness } from "../faults/witness.ts"
import { canary } from "./canary.ts"

type Probe = (between: Between) => Effect.Effect<ReadonlyArray<Violation>, unknown, Scope.Scope>

const violation = (promise: string, what: string): Violation => ({ promise, turnId: "", seq: undefined, what })

/** What an engine without faults says of a folder and of what clients remember. */
const judgeFolder = (folder: string, seen: Witness, died: boolean) =>
  Effect.gen(function*() {
    const clean = SqlFaults.make()
    const { close, context } = yield* open(engineIn(folder, { database: clean.wrap }), clean)
    const judged = Effect.gen(function*() {
      const { violations } = yield* judgeMemory(seen, { died })
      return [...violations, ...yield* judgeDatabase]
    })
    const found = yield* Effect.provide(drive(clean)(judged), context)
    yield* close
    return found
  })

/** One life on the engine under test, with its service; then an engine without faults judges the file. */
const lived = (between: Between, scenario: Scenario, plans: SqlFaults.Plans = {}) =>
  Effect.gen(function*() {
    const here = yield* folders
    copyFolder(yield* emptyDatabase, here)
    const faults = SqlFaults.make()
    const seen = witness()
    const { close, context } = yield* open(engineIn(here, around(faults, () => seen, between)), faults)
    faults.set(plans)
    const life = Effect.gen(function*() {
      yield* drive(faults)(scenario(clientOf(seen)))
      faults.set({})
      return yield* drive(faults)(judgeService(seen, new Set(seen.deletions.keys())))
    })
    // whatever a client could not do for all its patience
    const found = yield* Effect.provide(life, context).pipe(
      Effect.catchAll((error) => Effect.succeed([violation("P23", `a client was left with ${String(error)}`)]))
    )
    yield* close
    return { here, seen, found: [...found, ...yield* judgeFolder(here, seen, false)] }
  })

/** Killed at each commit of a plain turn, recovered by the engine under test. */
const died: Probe = (between) =>
  Effect.gen(function*() {
    const found: Array<Violation> = []
    const remains = yield* remainsOf(yield* emptyDatabase, scenarios.plain, witness(), false, between)
    for (const { at, folder, seen } of remains) {
      if (!at.includes("COMMIT")) continue
      const faults = SqlFaults.make()
      const { close, context } = yield* open(engineIn(folder, around(faults, () => seen, between)), faults)
      const running = yield* Effect.provide(
        Effect.flatMap(Database, ({ reader }) =>
          reader.unsafe<{ readonly id: string }>("SELECT id FROM turns WHERE status = 'running'")),
        context
      )
      for (const { id } of running) {
        found.push({ ...violation("P6", "open after a start"), turnId: id })
      }
      yield* close
      found.push(...yield* judgeFolder(folder, seen, true))
    }
    return found
  })

/** The clock goes back while the provider's first words are on their way. */
const clockSetBack = onProvider((stream) => (request) =>
  Stream.mapChunksEffect(stream(request), (words) =>
    Effect.as(
      Effect.flatMap(
        TestClock.currentTimeMillis,
        (now) => Effect.when(TestClock.setTime(now - 800), () => now > 1_000)
      ),
      words
    ))
)

/** Readers from the beginning, in the middle and after the end; the clock is set back; nobody who leaves cancels. */
const readers: Probe = (between) =>
  Effect.gen(function*() {
    const scenario: Scenario = (client) =>
      Effect.gen(function*() {
        const session = yield* client.createSession
        const script = { steps: [{ say: "one " }, { wait: 1_000 }, { say: "two " }, { wait: 500 }, { say: "three" }] }
        const id = yield* client.submit(session, "k", script, "one two three")
        const reading = yield* Effect.fork(client.follow(id))
        yield* client.follow(id, yield* client.follow(id, 0, 4))
        yield* reading.await
        yield* Effect.forEach([0, 2, 5], (after) => client.follow(id, after), { discard: true })
      })
    yield* TestClock.adjust("10 seconds")
    const { found, here } = yield* lived({
      ...between,
      registry: (layer) => clockSetBack(between.registry === undefined ? layer : between.registry(layer))
    }, scenario)
    const clean = SqlFaults.make()
    const { close, context } = yield* open(engineIn(here, { database: clean.wrap }), clean)
    const ends = yield* Effect.provide(
      Effect.flatMap(Database, ({ reader }) =>
        reader.unsafe<{ readonly id: string }>("SELECT id FROM turns WHERE status <> 'completed'")),
      context
    )
    yield* close
    return ends.length === 0 ? found : [...found, violation("P13", "a turn whose reader left did not complete")]
  })

const of = (scenario: Scenario): Probe => (between) => Effect.map(lived(between, scenario), ({ found }) => found)

/** An append that is refused once in the middle of an answer. */
const refusedOnce: Probe = (between) =>
  Effect.map(
    lived(between, scenarios.plain, { writer: SqlFaults.atWrite(18, { refused: "before", code: "SQLITE_IOERR" }) }),
    ({ found }) => found
  )

/** P7: another process takes the database over while a turn runs. */
const takeover: Probe = (between) =>
  Effect.gen(function*() {
    const here = yield* folders
    copyFolder(yield* emptyDatabase, here)
    const faults = SqlFaults.make()
    const seen = witness()
    const client = clientOf(seen)
    const { close, context } = yield* open(engineIn(here, around(faults, () => seen, between)), faults)
    yield* Effect.gen(function*() {
      const session = yield* client.createSession
      const id = yield* client.submit(
        session,
        "k",
        { steps: [{ say: "one" }, { wait: 3_000 }, { say: "two" }] },
        "onetwo"
      )
      yield* client.follow(id, 0, 4)
    }).pipe(drive(faults), Effect.provide(context))
    const other = yield* Layer.build(DatabaseSqlite.layer({ dataDir: here, durability: "relaxed", takeOver: true }))
    const foreign = yield* Effect.gen(function*() {
      const { epoch, reader } = yield* Database
      // an owner has a range of places of its own: what is new is what was not there
      const commits = reader.unsafe<{ readonly pos: number }>(`SELECT pos FROM batches WHERE epoch < ${epoch}`)
      const before = new Set((yield* commits).map(({ pos }) => pos))
      yield* drive(faults)(Effect.sleep("10 seconds"))
      return (yield* commits).filter(({ pos }) => !before.has(pos))
    }).pipe(Effect.provide(other))
    yield* close
    return foreign.map(({ pos }) => violation("P7", `commit ${pos} is of an owner that was replaced`))
  })

/** P16: over HTTP, an offset that no event has yet. */
const offset: Probe = (between) =>
  Effect.gen(function*() {
    const here = yield* folders
    copyFolder(yield* emptyDatabase, here)
    const runtime = ManagedRuntime.make(
      Server.layer.pipe(
        Layer.provide(Page.layerEmpty),
        Layer.provideMerge(engineIn(here, between)),
        Layer.provide(SettingsLoader.layerWith({ drainMs: 0 }))
      )
    )
    const ask = (url: string, method: string, body?: string) =>
      Effect.promise(() =>
        fetch(url, { method, ...(body === undefined ? {} : { body, headers: { "content-type": "application/json" } }) })
      )
    const status = yield* Effect.gen(function*() {
      const { url } = yield* Effect.promise(() => runtime.runPromise(Server.Server))
      const idOf = (response: Response) =>
        // what the service answers with is checked by its own tests
        Effect.map(Effect.promise(() => response.json()), (body) => (body as { readonly id: string }).id)
      const session = yield* Effect.flatMap(ask(`${url}/v1/sessions`, "POST", "{}"), idOf)
      const turn = yield* Effect.flatMap(
        ask(`${url}/v1/sessions/${session}/turns`, "POST", `{"message":"hello"}`),
        idOf
      )
      return (yield* ask(`${url}/v1/turns/${turn}/events?after=1000`, "GET")).status
    }).pipe(Effect.ensuring(Effect.promise(() => runtime.dispose())))
    return status === 400 ? [] : [violation("P16", `an offset of the future is answered with ${status}`)]
  })

/** P25: a secret that the provider holds is nowhere in the files. */
const secret: Probe = (between) =>
  Effect.gen(function*() {
    const { found, here } = yield* lived(between, scenarios.providerFailure)
    const leaks = Fs.readdirSync(here).filter((name) => Fs.readFileSync(Path.join(here, name)).includes(canary))
    return [...found, ...leaks.map((name) => violation("P25", `the secret stands in ${name}`))]
  })

export const probes = {
  died,
  readers,
  cancel: of(scenarios.cancel),
  retry: of(scenarios.retry),
  resume: of(scenarios.resume),
  queue: of(scenarios.queue),
  deleteSession: of(scenarios.deleteSession),
  refusedOnce,
  takeover,
  offset,
  secret
} as const satisfies Record<string, Probe>
