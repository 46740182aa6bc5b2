/**
 * What a turn costs, counted and not timed: the same on every machine. `npm run bench:counts -- --help`. The service runs
 * in this process, where a supervisor sees every effect; its upstream and its reader are processes of their own. What a
 * delta costs is the difference of two turns, so that what a turn costs at its ends falls out.
 */
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Supervisor from "effect/Supervisor"
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import { Session } from "node:inspector/promises"
import { Socket } from "node:net"
import { promisify } from "node:util"
import * as SettingsLoader from "../src/config/SettingsLoader.ts"
import * as Page from "../src/http/Page.ts"
import * as Server from "../src/http/Server.ts"
import { layerContext, layerRegistry, layerRuntime, layerTelemetry } from "../src/layers.ts"
import { layerCounted, makeCounter } from "../test/journal/growth.ts"
import { modelOf, type Script, start as startUpstream } from "./engines/Upstream.ts"
import * as Arguments from "./kit/Arguments.ts"
import * as Program from "./kit/Program.ts"
import * as Table from "./kit/Table.ts"

const usage = `npm run bench:counts -- [options]

  --json=FILE  writes the counts as JSON too
  --help       this`

const { json } = Arguments.orExit(usage, (args) => Arguments.parse(args, { json: { type: "string" } }))

/** Deltas of the longer turn beside the shorter, one at a time. */
const deltas = 100

class Seen extends Supervisor.AbstractSupervisor<void> {
  effects = 0
  wakeUps = 0
  fibers = 0
  override readonly value = undefined as never
  override onEffect(): void {
    this.effects++
  }
  override onResume(): void {
    this.wakeUps++
  }
  override onStart(): void {
    this.fibers++
  }
}

const seen = new Seen()
const counter = makeCounter()
const calls = { stringify: 0, parse: 0, socketWrites: 0 }

/** Counts the calls of a method of the runtime's own, which stays what it is. */
const counting = <K extends string>(owner: { [P in K]: (...args: never) => unknown }, name: K, count: () => void) => {
  const real = owner[name]
  Object.defineProperty(owner, name, {
    value(this: unknown, ...args: ReadonlyArray<unknown>) {
      count()
      return Reflect.apply(real, this, args)
    }
  })
}

const folder = Program.freshFolder()
const upstream = await startUpstream()
const settings = SettingsLoader.layerWith({
  dataDir: folder,
  port: 0,
  network: { live: true, allowLoopback: true },
  providers: [{ id: "local", family: "openai-compatible", baseUrl: `${upstream.url}/v1`, models: "any" }]
})
const watched = Layer.merge(
  Supervisor.addSupervisor(seen),
  RuntimeFlags.enableOpSupervision
)
const service = ManagedRuntime.make(
  Server.layer.pipe(
    Layer.provide(Page.layerEmpty),
    Layer.provide(layerRuntime),
    Layer.provide(Layer.mergeAll(layerCounted(folder, counter), layerRegistry, layerContext)),
    Layer.provide(layerTelemetry),
    Layer.provide(watched),
    Layer.provide(settings)
  )
)
const { url } = await service.runPromise(Server.Server)

const run = promisify(execFile)

/** One turn in a session of its own, read to its end by another process. */
const turn = async (script: Script) => {
  const reader = `
    const post = (path, body, accept) => fetch(${JSON.stringify(url)} + path, {
      method: "POST", headers: { "content-type": "application/json", accept }, body: JSON.stringify(body)
    })
    const { id } = await (await post("/v1/sessions", {}, "application/json")).json()
    const ask = { message: "hello", provider: "local", model: ${JSON.stringify(modelOf(script))} }
    const said = await (await post("/v1/sessions/" + id + "/turns", ask, "text/event-stream")).text()
    if (!said.includes("event: turn.completed")) throw new Error(said.slice(-500))`
  await run(process.execPath, ["--input-type=module", "-e", reader])
}

const inspector = new Session()
inspector.connect()

interface Counts {
  readonly [what: string]: number
}

const now = () => ({
  "effects": seen.effects,
  "fibers started": seen.fibers,
  "wake-ups of a fiber": seen.wakeUps,
  "SQL statements": counter.statements,
  "socket writes": calls.socketWrites,
  "JSON.stringify": calls.stringify,
  "JSON.parse": calls.parse
})

interface Node {
  readonly selfSize: number
  readonly children: ReadonlyArray<Node>
}
const sizeOf = (node: Node): number => node.children.reduce((sum, child) => sum + sizeOf(child), node.selfSize)

const counted = async (script: Script): Promise<Counts> => {
  const before = now()
  await inspector.post("HeapProfiler.startSampling", {
    samplingInterval: 512,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true
  } as never) // newer than the types
  await turn(script)
  const { profile } = await inspector.post("HeapProfiler.stopSampling")
  const after = now()
  const counts = Object.entries(after).map(([what, value]) => [what, value - before[what as keyof typeof before]])
  return Object.fromEntries([...counts, ["kB allocated", sizeOf(profile.head) / 1024]])
}

counting(JSON, "stringify", () => calls.stringify++)
counting(JSON, "parse", () => calls.parse++)
counting(Socket.prototype as never, "_writeGeneric", () => calls.socketWrites++)

for (let i = 0; i < 20; i++) await turn({ deltas: 20 })
const short = await counted({ deltas: 1, everyMs: 5 })
const long = await counted({ deltas: 1 + deltas, everyMs: 5 })
const whole = await counted({ deltas: 20 })

const rows = Object.keys(whole).map((what) => ({
  what,
  perTurn: whole[what] ?? 0,
  perDelta: ((long[what] ?? 0) - (short[what] ?? 0)) / deltas
}))
console.log(Table.render(
  [{ title: "counted" }, { title: "20-delta turn, with its session", align: "right" }, {
    title: "a delta that comes alone",
    align: "right"
  }],
  rows.map(({ perDelta, perTurn, what }) => [what, Table.number(perTurn), Table.number(perDelta)])
))
if (json !== undefined) Fs.writeFileSync(json, JSON.stringify(rows, null, 2))
await service.dispose()
await Program.endAll()
