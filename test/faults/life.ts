/**
 * The lives of an engine under faults, and the life after, judged.
 *
 * `deaths`: one life, and at each of its writes a copy of the files and of what clients knew in that instant: what a kill
 * -9 there would leave. Each copy is opened, recovered, judged, and made to serve.
 *
 * `refusals`: one engine; for each write of the scenario new clients run it while that write fails, until it runs to its end
 * untouched. When the fault has passed everything must have ended, and the engine must serve. In the end the file is opened
 * by another engine, and all that the clients remember is judged again.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Violation } from "../../src/domain/Invariants.ts"
import { Journal } from "../../src/journal/Journal.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { type Between, copyFolder, drive, engineIn, folders, onProvider, open } from "./engine.ts"
import { judgeDatabase, judgeMemory, judgeService } from "./judge.ts"
import type { Scenario } from "./scenarios.ts"
import * as SqlFaults from "./SqlFaults.ts"
import { clientOf, remember, type Witness, witness } from "./witness.ts"

/** Counts the calls of the registry's providers for whoever is served now. */
const counting = (served: () => Witness) =>
  onProvider((stream) => (request) => {
    served().calls += 1
    return stream(request)
  })

/** Faults around the storage and counting around the providers, with what a test puts between closest to the engine's parts. */
export const around = (faults: SqlFaults.SqlFaults, served: () => Witness, between: Between = {}): Between => ({
  ...between,
  database: (layer) => faults.wrap(between.database === undefined ? layer : between.database(layer)),
  registry: (layer) => counting(served)(between.registry === undefined ? layer : between.registry(layer))
})

/** A violation, and the fault under which it was seen. */
export interface Found extends Violation {
  readonly fault: string
}

export interface Enumerated {
  /** The last write at which the fault struck. */
  readonly points: number
  readonly found: ReadonlyArray<Found>
}

const violation = (promise: string, what: string): Violation => ({ promise, turnId: "", seq: undefined, what })

const idle = Effect.gen(function*() {
  const runtime = yield* TurnRuntime
  while ((yield* runtime.running) > 0) yield* Effect.sleep("1 second")
})

/** What an effect found; where it fails, that is what is found. */
const orBroken = <R>(promise: string, effect: Effect.Effect<ReadonlyArray<Violation>, unknown, R>) =>
  Effect.catchAllCause(effect, (cause) => Effect.succeed([violation(promise, Cause.pretty(cause))]))

/** Memory and service of one engine for these clients. */
const judgeHere = (seen: Witness, options: { readonly died: boolean }) =>
  Effect.gen(function*() {
    const { gone, violations } = yield* judgeMemory(seen, options)
    return [...violations, ...yield* judgeService(seen, gone)]
  })

/** Opens a folder with an engine that nothing disturbs, judges, closes. */
const judgeLeft = (folder: string, seen: Witness, options: { readonly died: boolean }) =>
  orBroken(
    "P6",
    Effect.scoped(Effect.gen(function*() {
      const clean = SqlFaults.make()
      const { close, context } = yield* open(engineIn(folder, { database: clean.wrap }), clean)
      const found = yield* drive(clean)(Effect.zipWith(judgeHere(seen, options), judgeDatabase, (a, b) => [...a, ...b]))
        .pipe(Effect.provide(context))
      yield* close
      return found
    }))
  )

/** A folder with a database in which nothing has happened. */
export const emptyDatabase = Effect.gen(function*() {
  const folder = yield* folders
  const clean = SqlFaults.make()
  const { close } = yield* open(engineIn(folder, { database: clean.wrap }), clean)
  yield* close
  return folder
})

/** Copies of a folder, with what was known then. */
export interface Remains {
  readonly folder: string
  readonly seen: Witness
  readonly at: string
}

/** Runs the scenario and keeps what each of its writes would leave. `opened`: the engine's start is part of it. */
export const remainsOf = (
  template: string,
  scenario: Scenario,
  seen: Witness,
  opened: boolean,
  between: Between = {}
) =>
  Effect.gen(function*() {
    const [here, copies] = [yield* folders, yield* folders]
    copyFolder(template, here)
    const remains: Array<Remains> = []
    const faults = SqlFaults.make()
    const plans: SqlFaults.Plans = {
      writer: ({ isWrite, text }) => {
        if (isWrite) {
          const folder = `${copies}/${remains.length}`
          copyFolder(here, folder)
          remains.push({
            folder,
            seen: remember(seen),
            at: `killed before write ${remains.length + 1}: ${text.slice(0, 40)}`
          })
        }
        return "runs"
      }
    }
    if (opened) faults.set(plans)
    const { close, context } = yield* open(engineIn(here, around(faults, () => seen, between)), faults)
    if (!opened) faults.set(plans)
    yield* drive(faults)(scenario(clientOf(seen))).pipe(Effect.provide(context))
    faults.set({})
    const folder = `${copies}/end`
    copyFolder(here, folder)
    remains.push({ folder, seen: remember(seen), at: "killed after the last write" })
    yield* close
    return remains
  })

export const deaths = (
  template: string,
  scenario: Scenario,
  options: { readonly seen?: Witness; readonly opened?: boolean; readonly from?: number } = {}
): Effect.Effect<Enumerated, unknown> =>
  Effect.scoped(Effect.gen(function*() {
    const remains = yield* remainsOf(template, scenario, options.seen ?? witness(), options.opened ?? false)
    const found: Array<Found> = []
    for (const { at, folder, seen } of remains.slice((options.from ?? 1) - 1)) {
      for (const one of yield* judgeLeft(folder, seen, { died: true })) found.push({ ...one, fault: at })
    }
    return { points: remains.length, found }
  }))

/** A fault at the nth write of a scenario, or at its nth of some kind. */
export interface Refusal {
  readonly name: string
  readonly plans: (n: number) => SqlFaults.Plans
  /** Virtual time from its first strike until it passes; without it the plan ends by itself. */
  readonly liftedAfterMs?: number
}

/** One run of the scenario by new clients, with the nth fault. */
const onceRefused = (faults: SqlFaults.SqlFaults, scenario: Scenario, seen: Witness, refusal: Refusal, n: number) =>
  Effect.gen(function*() {
    const found: Array<Violation> = []
    const plans = refusal.plans(n)
    const struck = Effect.unsafeMakeLatch(false)
    let strikes = 0
    const lift = Effect.sync(() => faults.set({}))
    faults.set({
      ...plans,
      writer: (statement) => {
        const fate = plans.writer?.(statement) ?? "runs"
        if (fate !== "runs") {
          strikes += 1
          struck.unsafeOpen()
        }
        return fate
      }
    })
    if (refusal.liftedAfterMs !== undefined) {
      yield* Effect.forkScoped(Effect.zipRight(struck.await, Effect.delay(lift, refusal.liftedAfterMs)))
    }
    const lived = yield* Effect.exit(drive(faults)(scenario(clientOf(seen))))
    if (Exit.isFailure(lived)) found.push(violation("P19", `a client was left with ${Cause.pretty(lived.cause)}`))
    // turns that clients no longer wait for meet the fault too
    const ended = yield* Effect.exit(drive(faults)(idle))
    yield* lift
    if (Exit.isFailure(ended)) found.push(violation("P23", "turns do not end although the fault has passed"))
    found.push(...yield* orBroken("P23", drive(faults)(judgeHere(seen, { died: false }))))
    return { struck: strikes > 0, found }
  }).pipe(Effect.scoped)

/** Beyond every scenario's writes: an enumeration that comes here is endless. */
const pointsMax = 200

export const refusals = (
  template: string,
  scenario: Scenario,
  refusal: Refusal,
  from = 1
): Effect.Effect<Enumerated, unknown> =>
  Effect.scoped(Effect.gen(function*() {
    const here = yield* folders
    copyFolder(template, here)
    const faults = SqlFaults.make()
    let served = witness()
    const all: Array<Witness> = []
    const found: Array<Found> = []
    const { close, context } = yield* open(
      engineIn(here, around(faults, () => served)),
      faults
    )
    let points = 0
    for (let n = from; n <= pointsMax; n++) {
      served = witness()
      all.push(served)
      const once = yield* Effect.provide(onceRefused(faults, scenario, served, refusal, n), context)
      for (const one of once.found) found.push({ ...one, fault: `${refusal.name} at write ${n}` })
      if (!once.struck) break
      points = n
    }
    yield* close
    const clean = SqlFaults.make()
    const after = yield* open(engineIn(here, { database: clean.wrap }), clean)
    const judged = Effect.gen(function*() {
      const memories = yield* Effect.forEach(all, (seen) => judgeMemory(seen, { died: true }))
      return [...memories.flatMap(({ violations }) => violations), ...yield* judgeDatabase]
    })
    for (const one of yield* orBroken("P6", Effect.provide(drive(clean)(judged), after.context))) {
      found.push({ ...one, fault: `${refusal.name}, after the restart` })
    }
    yield* after.close
    return { points, found }
  }))

/**
 * Starts on what a dead process left, with the nth write of the recovery refused: the start is refused, or it has closed
 * every orphan; once the fault has passed the next one has.
 */
export const refusedStarts = (left: Remains, code: string): Effect.Effect<Enumerated, unknown> =>
  Effect.scoped(Effect.gen(function*() {
    const found: Array<Found> = []
    let points = 0
    for (let n = 1; n <= pointsMax; n++) {
      const here = yield* folders
      copyFolder(left.folder, here)
      const faults = SqlFaults.make()
      faults.set({ writer: SqlFaults.atWrite(n, { refused: "before", code }) })
      const fault = `a start whose write ${n} is refused`
      const first = yield* Effect.either(open(engineIn(here, { database: faults.wrap }), faults))
      if (first._tag === "Left" && !("message" in first.left)) {
        found.push({ ...violation("P19", "the start failed with something untyped"), fault })
      }
      if (first._tag === "Right") {
        const { close, context } = first.right
        const open = Effect.flatMap(Journal, (journal) => journal.runningTurns)
        const running = yield* Effect.provide(drive(faults)(open), context)
        if (running.length > 0) {
          found.push({ ...violation("P6", `${running.length} orphans in a started engine`), fault })
        }
        yield* close
      }
      for (const one of yield* judgeLeft(here, remember(left.seen), { died: true })) found.push({ ...one, fault })
      if (!faults.struck()) break
      points = n
    }
    return { points, found }
  }))
