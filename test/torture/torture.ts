/**
 * The kill loop. An era is a database of its own and a seed: its cycles start the service on it, let clients talk for a
 * moment, kill the process, sometimes kill its successor while that recovers, start it again, and hold everything that the
 * clients know against it. The seed fixes what is drawn; what the machine makes of the times is new in each run.
 *
 * An era whose promises did not hold keeps its database and ends the run.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { Violation } from "../../src/domain/Invariants.ts"
import { open, type Program, readyOf, run as runCommand, type Settings } from "../process/harness.ts"
import { check } from "./check.ts"
import { follow, goOn, send, talk } from "./clients.ts"
import { request, World } from "./world.ts"

const cyclesPerEra = 20
/** Sessions that are talked in at a time; each cycle one is new. */
const activeMax = 4
const drainMs = 200
/** A start or an end that takes longer hangs. */
const hangMs = 30_000

export interface Figures {
  cycles: number
  kills: number
  /** Of the kills, those of a start that had not said that it is ready. */
  killsBeforeReady: number
  terminations: number
  /** Turns that a kill left without an end. */
  orphans: number
  turns: number
  submits: number
  unanswered: number
  eventsSeen: number
  violations: number
  slowestReadyMs: number
}

export interface Report {
  readonly figures: Figures
  readonly violations: ReadonlyArray<Violation>
  /** Where the first violations were found. */
  readonly failed: { readonly seed: number; readonly cycle: number; readonly dataDir: string } | undefined
}

const noFigures = (): Figures => ({
  cycles: 0,
  kills: 0,
  killsBeforeReady: 0,
  terminations: 0,
  orphans: 0,
  turns: 0,
  submits: 0,
  unanswered: 0,
  eventsSeen: 0,
  violations: 0,
  slowestReadyMs: 0
})

/** Processes of this run; whoever ends the run in the middle ends them too. */
const alive = new Set<Program>()
process.on("exit", () => {
  for (const { child } of alive) child.kill("SIGKILL")
})

const spawn = (era: Era): Program => {
  const program = open(["serve"], settingsOf(era))
  alive.add(program)
  program.child.once("close", () => alive.delete(program))
  return program
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

const orHang = <A>(what: string, program: Program, effect: Effect.Effect<A>): Promise<A> =>
  Effect.runPromise(
    effect.pipe(
      Effect.timeoutFailCause({
        duration: hangMs,
        onTimeout: () => Cause.die(new Error(`${what} took more than ${hangMs} ms`))
      }),
      Effect.onError(() => program.signal("SIGKILL"))
    )
  )

interface Era {
  readonly world: World
  readonly dataDir: string
  readonly figures: Figures
  readonly durability: "full" | "relaxed"
}

/** No process of ours that dies loses anything in either mode. */
const settingsOf = ({ dataDir, durability, world }: Era): Settings => ({
  dataDir,
  config: { drainMs, recovery: { onRestart: world.resumes ? "resume" : "interrupt" } },
  env: { TURNSTREAM_DURABILITY: durability }
})

const start = async (era: Era): Promise<{ readonly program: Program; readonly url: string }> => {
  const begun = performance.now()
  const program = spawn(era)
  const url = await orHang("a start", program, readyOf(program))
  era.figures.slowestReadyMs = Math.max(era.figures.slowestReadyMs, Math.round(performance.now() - begun))
  return { program, url }
}

/** Ends it, and waits for what its clients still read. */
const end = async (era: Era, program: Program, signal: "SIGKILL" | "SIGTERM") => {
  const { figures, world } = era
  world.down()
  program.child.kill(signal)
  const { code } = await orHang("an end", program, program.ended)
  if (signal === "SIGKILL") figures.kills++
  else {
    figures.terminations++
    if (code !== 0) world.violate("P22", "", `SIGTERM ended it with ${code}: ${program.stderr()}`)
  }
  await Promise.allSettled([...world.legs])
}

/** Kills a start before, in or just after its recovery. */
const killInRecovery = async (era: Era) => {
  const program = spawn(era)
  await sleep(era.world.chance.between(50, 400))
  if (program.child.exitCode !== null) {
    return era.world.violate("P6", "", `a start after a kill ended with ${program.child.exitCode}: ${program.stderr()}`)
  }
  if (program.stdout() === "") era.figures.killsBeforeReady++
  program.child.kill("SIGKILL")
  await orHang("a kill", program, program.ended)
  era.figures.kills++
}

const newSession = async (world: World, url: string) => {
  const answer = await request(`${url}/v1/sessions`, "POST", {})
  if (answer?.status !== 201) throw new Error(`a session is answered ${answer?.status}: ${answer?.text}`)
  const id = String(answer.body["id"])
  world.sessions.push(id)
  world.active = [...world.active, id].slice(-activeMax)
}

/** P9: what was not answered is sent again, and some of what was: one turn each. */
const repeat = async (world: World, url: string) => {
  const again = world.unanswered.filter(({ key }) => key !== undefined)
  world.unanswered = []
  const known = [...world.submits.values()].filter(({ key, message, sessionId }) =>
    key !== undefined && world.acknowledged.has(message) && world.active.includes(sessionId)
  )
  for (const submit of [...again, world.chance.pick(known), world.chance.pick(known)]) {
    if (submit === undefined) continue
    const id = await send(world, submit, url)
    if (id !== undefined) follow(world, "turn", id)
  }
  const other = world.chance.pick(known)
  if (other === undefined) return
  const answer = await request(`${url}/v1/sessions/${other.sessionId}/turns`, "POST", {
    message: "another body"
  }, { "idempotency-key": other.key ?? "" })
  if (answer?.status !== 422) world.violate("P9", "", `a key with another body is answered ${answer?.status}`)
}

const cycle = async (era: Era): Promise<void> => {
  const { figures, world } = era
  const { chance } = world
  const { program, url } = await start(era)
  try {
    const orphans = await check(world, url, false)
    figures.orphans += orphans.length
    await newSession(world, url)
    world.up(url)
    await repeat(world, url)
    const cut = orphans.filter(({ sessionId }) => world.active.includes(sessionId)).slice(0, 2)
    for (const { id } of cut) await goOn(world, id, chance.is(0.6) ? "resume" : "retry", url)
    for (const id of world.active) void talk(world, id)
    await sleep(chance.between(20, 900))
    await end(era, program, chance.is(0.15) ? "SIGTERM" : "SIGKILL")
    while (chance.is(0.3)) await killInRecovery(era)
  } finally {
    program.child.kill("SIGKILL")
  }
  figures.cycles++
}

/** A last start, in which everything is held against the clients once more and their readers read to the end. */
const close = async (era: Era): Promise<void> => {
  // nothing may run while everything is held against the clients
  era.world.resumes = false
  const { program, url } = await start(era)
  try {
    era.figures.orphans += (await check(era.world, url, false)).length
    era.world.up(url)
    while (era.world.legs.size > 0) await Promise.allSettled([...era.world.legs])
    await check(era.world, url, true)
    for (const { done, id, kind, seen } of era.world.readers) {
      if (kind === "turn" && !done) {
        era.world.violate("P15", id, `a reader never saw its end after ${seen.length} events`)
      }
    }
    await end(era, program, "SIGTERM")
    const { code, stderr, stdout } = await Effect.runPromise(runCommand(["inspect", "--verify"], settingsOf(era)))
    if (code !== 0) era.world.violate("verify", "", `inspect --verify ends with ${code}: ${stdout}${stderr}`)
  } finally {
    program.child.kill("SIGKILL")
  }
}

export interface Options {
  readonly cycles: number
  readonly seed: number
  readonly progress?: (line: string) => void
}

const runEra = async (seed: number, cycles: number, figures: Figures): Promise<Report> => {
  const dataDir = Fs.mkdtempSync(Path.join(Os.tmpdir(), "turnstream-torture-"))
  const world = new World(seed)
  world.resumes = world.chance.is(0.25)
  const era: Era = { world, dataDir, figures, durability: world.chance.is(0.25) ? "relaxed" : "full" }
  let at = 0
  try {
    for (; at < cycles && world.violations.length === 0; at++) await cycle(era)
    if (world.violations.length === 0) await close(era)
  } catch (error) {
    world.violate("torture", "", error instanceof Error ? error.stack ?? error.message : String(error))
  }
  world.stopping = true
  figures.turns += world.digests.size
  figures.submits += world.submits.size
  figures.unanswered +=
    [...world.submits.keys()].filter((message) => !world.acknowledged.has(message) && !world.refused.has(message))
      .length
  figures.eventsSeen += world.readers.reduce((sum, { seen }) => sum + seen.length, 0)
  figures.violations += world.violations.length
  if (world.violations.length === 0) Fs.rmSync(dataDir, { recursive: true, force: true })
  const failed = world.violations.length === 0 ? undefined : { seed, cycle: at, dataDir }
  return { figures, violations: world.violations, failed }
}

export const run = async ({ cycles, progress = () => {}, seed }: Options): Promise<Report> => {
  const figures = noFigures()
  let report: Report = { figures, violations: [], failed: undefined }
  for (let era = 0; figures.cycles < cycles && report.failed === undefined; era++) {
    report = await runEra(seed + era, Math.min(cyclesPerEra, cycles - figures.cycles), figures)
    progress(JSON.stringify(figures))
  }
  return report
}
