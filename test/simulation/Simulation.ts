/**
 * One history: an engine on a file, steps drawn from a seed, and at the end everything that was promised is checked.
 *
 * Safety mode ends with a crash and a recovery in the middle of whatever goes on: nothing acknowledged may be lost, no rule
 * broken. Liveness mode stops all faults and waits: within 60 virtual seconds every turn must have ended.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Clients from "./Clients.ts"
import * as FinalChecks from "./FinalChecks.ts"
import * as JournalView from "./JournalView.ts"
import * as Model from "./Model.ts"
import * as Readers from "./Readers.ts"
import * as SimRuntime from "./SimRuntime.ts"
import * as Speech from "./Speech.ts"
import type { Step } from "./Steps.ts"
import * as World from "./World.ts"

export type Mode = "safety" | "liveness"

export interface Options {
  readonly seed: number
  readonly mode: Mode
  readonly steps: ReadonlyArray<Step>
  /** A database that has just been made; each history begins with a copy of it. */
  readonly template: string
  /** False: wall time goes on undisturbed. */
  readonly clockJumps?: boolean
}

export interface Result {
  readonly violations: ReadonlyArray<Model.Violation>
  readonly history: ReadonlyArray<string>
  readonly crashes: number
  readonly turns: number
  readonly events: number
  /** What came about, and how often. */
  readonly counts: ReadonlyMap<string, number>
  /** Every row at the end. */
  readonly dump: string
}

/** Memory where there is such a folder: nothing here pulls the plug. */
export const workFolder = (): string =>
  Fs.mkdtempSync(Path.join(Fs.existsSync("/dev/shm") ? "/dev/shm" : Os.tmpdir(), "turnstream-sim-"))

/** Virtual time within which everything ends once faults have stopped (P23). */
const livenessMs = 60_000

interface Stage {
  readonly view: JournalView.JournalView
  readonly sim: SimRuntime.SimRuntime
  readonly world: World.World
  readonly clients: Clients.Clients
  readonly readers: Readers.Readers
  readonly model: Model.Model
  readonly clockJumps: boolean
}

const speechSteps = {
  chunk: Speech.chunk,
  finish: Speech.finish,
  fail: Speech.fail,
  misbehave: Speech.misbehave
} as const

/** What needs no engine that runs. */
const withoutEngine = async (
  { clockJumps, sim }: Stage,
  { name, picks: [pick] }: Step
): Promise<string | undefined> => {
  if (name === "time") {
    const ms = [5, 50, 300, 1_500, 6_000, 20_000][pick % 6] ?? 5
    await sim.advance(ms)
    return `${ms} ms pass`
  }
  if (name === "setClock") {
    const ms = (pick % 7_200_000) - 5_400_000
    if (clockJumps) sim.setWall(ms)
    return `the wall clock is set by ${ms} ms`
  }
  return undefined
}

const onStorage = (life: World.Life, { name, picks: [pick, more] }: Step): string | undefined => {
  switch (name) {
    case "busy":
      life.faults.busy = 1 + pick % 8
      return `storage is locked ${life.faults.busy} times`
    case "full":
      life.faults.full = true
      return "the disk is full"
    case "healed":
      life.faults.full = false
      life.faults.busy = 0
      return "storage works"
    case "commitFault":
      life.faults.commit = pick % 2 === 0 ? "refused" : "done"
      life.faults.commits = 1 + more % 3
      return `the next ${life.faults.commits} COMMITs are ${
        life.faults.commit === "done" ? "done and reported as failed" : "refused"
      }`
    case "crashAt":
      life.faults.dieIn = 1 + pick % 25
      life.faults.dieAfter = pick % 3 === 0
      return `the process will die ${life.faults.dieAfter ? "after" : "before"} statement ${life.faults.dieIn}`
    default:
      return undefined
  }
}

const onEngine = async (stage: Stage, life: World.Life, step: Step): Promise<string> => {
  const { clients, readers, world } = stage
  switch (step.name) {
    case "submit":
      return clients.submit(life, step)
    case "duplicate":
      return clients.duplicate(life, step)
    case "resume":
    case "retry":
      return clients.child(life, step.name, step)
    case "cancel":
      return clients.cancel(life, step)
    case "deleteSession":
      return clients.deleteSession(life, step)
    case "join":
      return readers.join(life, step)
    case "leave":
      return readers.leave(step)
    case "page":
      return readers.page(life, step)
    case "crash":
      await world.crash()
      return "crash"
    case "crashInRecovery":
      await world.crash()
      await world.open(1 + step.picks[0] % 40, step.picks[1] % 3 === 0)
      return "crash, and another during recovery"
    case "shutdown":
      await world.shutdown()
      return "shutdown"
    case "chunk":
    case "finish":
    case "fail":
    case "misbehave": {
      const calls = world.calls().filter((call) => !call.stalled)
      const call = calls[step.picks[0] % calls.length]
      return call === undefined ? "no call to steer" : speechSteps[step.name](call, step)
    }
    default:
      return ""
  }
}

/** What a dead process still had in hand is dropped. */
const noticeDeath = async (world: World.World): Promise<void> => {
  if (world.life()?.faults.dead() === true) await world.crash()
}

const take = async (stage: Stage, step: Step): Promise<string> => {
  const { sim, view, world } = stage
  view.catchUp()
  const simple = await withoutEngine(stage, step)
  if (simple !== undefined) {
    await noticeDeath(world)
    return simple
  }
  if (world.life() === undefined) await world.open(0, false)
  const life = world.life()
  if (life === undefined) return "no engine"
  const said = onStorage(life, step) ?? await onEngine(stage, life, step)
  if (step.settle === undefined) await sim.settle()
  else sim.run(step.settle)
  await noticeDeath(world)
  return said
}

const heal = async ({ world }: Stage): Promise<World.Life | undefined> => {
  if (world.life() === undefined) await world.open(0, false)
  const life = world.life()
  if (life !== undefined) Object.assign(life.faults, { busy: 0, full: false, commit: "works", dieIn: 0 })
  return life
}

/** Faults stop: every turn ends, every reader gets to its end, and the engine closes. */
const endInPeace = async (stage: Stage, view: JournalView.JournalView): Promise<void> => {
  const { model, readers, sim, world } = stage
  const life = await heal(stage)
  if (life === undefined) return model.violate("P6", "", "no recovery without a fault")
  world.answerAll()
  readers.openAll()
  await sim.advance(livenessMs)
  for (const { id } of view.rows<{ id: string }>("SELECT id FROM turns WHERE status = 'running'")) {
    model.violate("P23", id, `still running ${livenessMs / 1000} s after the last fault`)
  }
  for (const ask of model.asks) {
    if (ask.state === "waiting") model.violate("P23", "", `ask ${ask.number} is not answered`)
  }
  for (const { number, of, state } of model.followers) {
    if (state === "joined" && "turnId" in of) {
      model.violate("P15", of.turnId, `follower ${number} does not get to the end`)
    }
  }
  await FinalChecks.checkRows(sim, view, model, life)
  await world.shutdown()
}

/** A crash in the middle, and a recovery without a fault. */
const endInCrash = async (stage: Stage, view: JournalView.JournalView): Promise<void> => {
  const { model, sim, world } = stage
  await world.crash()
  const life = await heal(stage)
  if (life === undefined) return model.violate("P6", "", "no recovery without a fault")
  await FinalChecks.checkRows(sim, view, model, life)
  await world.crash()
}

export const run = async (options: Options): Promise<Result> => {
  const { clockJumps = true, mode, seed, steps, template } = options
  const dataDir = Fs.mkdtempSync(Path.join(Path.dirname(template), "run-"))
  Fs.copyFileSync(template, Path.join(dataDir, "turnstream.db"))
  const history: Array<string> = []
  let taken: Array<string> = []
  const sim = SimRuntime.make({ seed, shuffle: seed % 4 === 3 })
  const view = JournalView.open(Path.join(dataDir, "turnstream.db"))
  try {
    const model = Model.make(view)
    const note = (line: () => string) => {
      taken.push(line())
    }
    const onRestart = seed % 5 === 4 ? "resume" : "interrupt"
    const world = World.make({ sim, view, model, dataDir, onRestart, note })
    const clients = Clients.make({ sim, view, model, note })
    const readers = Readers.make({ sim, view, model, note }, clients.targets)
    const stage: Stage = { sim, view, world, model, clients, readers, clockJumps }
    for (const step of steps) {
      const said = await take(stage, step)
      history.push(said, ...taken)
      taken = []
      if (model.violations.length > 0) break
    }
    if (model.violations.length === 0) {
      await (mode === "liveness" ? endInPeace : endInCrash)(stage, view)
      history.push(mode === "liveness" ? "faults stop" : "the end: crash and recovery", ...taken)
      FinalChecks.check(view, model, { ended: mode === "liveness" || onRestart === "interrupt", failedStorage: true })
    }
    await world.end()
    return {
      violations: model.violations,
      history,
      crashes: world.crashes(),
      turns: view.turns().size,
      events: view.events.length,
      counts: model.counts,
      dump: view.dump()
    }
  } finally {
    view.close()
    Fs.rmSync(dataDir, { recursive: true, force: true })
  }
}
