/**
 * What telemetry costs: server CPU with it on against off, per 20-delta turn and per delta: `npm run bench:telemetry --
 * --help`. On: every signal is exported to a collector on loopback and each turn is logged; off: no endpoint and no log. Both
 * services run side by side and are driven in turns, a slice each, so that what the machine does otherwise meets both. CPU
 * is each service's own over the whole run, its exports between its slices included. Bounded: two services, some minutes.
 */
import * as Fs from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as Path from "node:path"
import { call, read } from "./engines/TurnReader.ts"
import * as Arguments from "./kit/Arguments.ts"
import * as ProcessUse from "./kit/ProcessUse.ts"
import * as Program from "./kit/Program.ts"
import { quantile } from "./kit/Statistics.ts"
import * as Table from "./kit/Table.ts"

/** Pairs of slices, each some seconds of one load: the heap grows with a load and shrinks without (`src/cli/Heap.ts`). */
const rounds = 8
const together = 16
const turnsPerSession = 10

interface Case {
  readonly warmUp: number
  /** Of a slice. */
  readonly turns: number
  readonly script: { readonly deltas: number; readonly delayMs?: number }
  /** What the figure is of. */
  readonly things: number
}

const cases = {
  turn: { warmUp: 1_000, turns: 1_000, script: { deltas: 20 }, things: 1_000 },
  delta: { warmUp: 32, turns: 48, script: { deltas: 500, delayMs: 4 }, things: 48 * 500 }
} satisfies Readonly<Record<string, Case>>
const names = ["turn", "delta"] as const

const usage = `npm run bench:telemetry -- [options]

  --only=CASE,...  of ${names.join(", ")}
  --json=FILE      writes the figures as JSON too
  --help           this`

const options = Arguments.orExit(usage, (args) => {
  const { json, only } = Arguments.parse(args, { only: { type: "string" }, json: { type: "string" } })
  return { json, only: Arguments.choice("only", only, names) }
})

const absent = ProcessUse.missing()
if (absent !== undefined) {
  console.error(`Nothing to measure: ${absent}`)
  process.exit(1)
}

/** Takes everything, keeps how much it was. */
const collector = async () => {
  let bytes = 0
  const server = createServer((request, response) => {
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length
    })
    request.on("end", () => response.writeHead(200, { "content-type": "application/json" }).end("{}"))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, bytes: () => bytes }
}

/** Runs `turns` turns, `together` at a time. */
const drive = async (url: string, turns: number, script: Case["script"]): Promise<void> => {
  let left = turns
  const worker = async () => {
    let session = ""
    for (let done = 0; left > 0; done++) {
      left -= 1
      if (done % turnsPerSession === 0) {
        const made = await call("POST", `${url}/v1/sessions`, {}) as { readonly id: string }
        session = made.id
      }
      const { characters } = await read({
        url: `${url}/v1/sessions/${session}/turns`,
        body: { message: "hello", options: { script } },
        accept: "text/event-stream",
        textOf: (data) => data.includes('"type":"turn.completed"') ? "completed" : undefined
      })
      if (characters === 0) throw new Error("a turn did not complete")
    }
  }
  await Promise.all(Array.from({ length: together }, worker))
}

interface Setting {
  readonly endpoint: string
  readonly config: unknown
}

interface Driven {
  readonly url: string
  /** Seconds so far. */
  readonly cpu: () => number
  readonly stop: () => Promise<void>
}

const begin = async ({ script, warmUp }: Case, { config, endpoint }: Setting): Promise<Driven> => {
  const folder = Program.freshFolder()
  const file = Path.join(folder, "config.json")
  Fs.writeFileSync(file, JSON.stringify(config))
  const { pid, stop, url } = await Program.start({
    file: Program.service,
    args: ["serve"],
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      TURNSTREAM_CONFIG: file,
      TURNSTREAM_DATA_DIR: folder,
      TURNSTREAM_PORT: "0"
    },
    folder
  })
  await drive(url, warmUp, script)
  return { url, stop, cpu: () => (ProcessUse.read(pid)?.cpuMs ?? Number.NaN) / 1_000 }
}

interface Lane {
  readonly service: Driven
  readonly begun: number
  readonly slices: Array<number>
}

const laneOf = (service: Driven): Lane => ({ service, begun: service.cpu(), slices: [] })

const compare = async (one: Case, settings: { readonly off: Setting; readonly on: Setting }) => {
  const off = await begin(one, settings.off)
  const on = await begin(one, settings.on)
  const [offLane, onLane] = [laneOf(off), laneOf(on)]
  for (let i = 0; i < rounds; i++) {
    // each is first every other time
    for (const { service, slices } of i % 2 === 0 ? [offLane, onLane] : [onLane, offLane]) {
      const before = service.cpu()
      await drive(service.url, one.turns, one.script)
      slices.push(service.cpu() - before)
    }
  }
  const microsOf = ({ begun, service }: Lane) => ((service.cpu() - begun) / (rounds * one.things)) * 1e6
  const [offMicros, onMicros] = [microsOf(offLane), microsOf(onLane)]
  await off.stop()
  await on.stop()
  const ratios = onLane.slices.map((seconds, i) => seconds / (offLane.slices[i] ?? Number.NaN))
  const percent = (ratio: number) => Math.round((ratio - 1) * 1_000) / 10
  return {
    offMicros,
    onMicros,
    overheadPercent: percent(onMicros / offMicros),
    slicesPercent: [0.25, 0.5, 0.75].map((at) => percent(quantile(ratios, at)))
  }
}

const sink = await collector()
const settings = {
  off: { endpoint: "", config: { telemetry: { logLevel: "none" } } },
  on: { endpoint: sink.url, config: {} }
}
const figures: Array<Awaited<ReturnType<typeof compare>> & { readonly name: string }> = []
for (const name of options.only) figures.push({ name, ...await compare(cases[name], settings) })

console.log(Table.render(
  [
    { title: "of a" },
    { title: "off, µs", align: "right" },
    { title: "on, µs", align: "right" },
    { title: "more, %", align: "right" },
    { title: `quartiles of ${rounds} pairs of slices, %` }
  ],
  figures.map(({ name, offMicros, onMicros, overheadPercent, slicesPercent }) => [
    name,
    Table.number(offMicros),
    Table.number(onMicros),
    `${overheadPercent}`,
    slicesPercent.join(", ")
  ])
))
console.log(`\n${sink.bytes()} bytes exported`)
if (options.json !== undefined) Fs.writeFileSync(options.json, `${JSON.stringify(figures, null, 2)}\n`)
process.exit(0)
