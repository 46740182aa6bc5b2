// What telemetry costs: server CPU with it on against off, per 20-delta turn and per delta: npm run bench:telemetry [-- --json]
// On: every signal is exported to a collector on loopback and each turn is logged; off: no endpoint and no log. Both services
// run side by side and are driven in turns, a slice each, so that what the machine does otherwise meets both. CPU is each
// service's own (user and system, by /proc) over the whole run, its exports between its slices included. Bounded: two
// services, some minutes in all.
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../dist/main.js", import.meta.url))
/** Pairs of slices, each some seconds of one load: the heap grows with a load and shrinks without (`src/cli/Heap.ts`). */
const rounds = 8
const together = 16
/** Ticks of /proc/<pid>/stat a second. */
const ticks = 100

const cases = {
  turn: { warmUp: 1000, turns: 1000, script: { deltas: 20 } },
  delta: { warmUp: 32, turns: 48, script: { deltas: 500, delayMs: 4 } }
}

/** Takes everything, keeps how much it was. */
const collector = async () => {
  let bytes = 0
  const server = createServer((request, response) => {
    request.on("data", (chunk) => {
      bytes += chunk.length
    })
    request.on("end", () => response.writeHead(200, { "content-type": "application/json" }).end("{}"))
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  return { url: `http://127.0.0.1:${server.address().port}`, bytes: () => bytes, close: () => server.close() }
}

const start = async (dataDir, env) => {
  const child = spawn(process.execPath, [main, "serve"], {
    env: { ...process.env, TURNSTREAM_DATA_DIR: dataDir, TURNSTREAM_PORT: "0", ...env },
    stdio: ["ignore", "pipe", "ignore"]
  })
  child.stdout.setEncoding("utf8")
  const url = await new Promise((resolve, reject) => {
    let said = ""
    child.stdout.on("data", (text) => {
      said += text
      const ready = /turnstream ready on (\S+)/.exec(said)
      if (ready !== null) resolve(ready[1])
    })
    child.on("exit", (code) => reject(new Error(`the service ended with code ${code} before it was ready`)))
  })
  return {
    url,
    /** Seconds of CPU so far. */
    cpu: () => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ")
      return (Number(fields[11]) + Number(fields[12])) / ticks
    },
    stop: () =>
      new Promise((resolve) => {
        child.once("exit", resolve)
        child.kill("SIGTERM")
      })
  }
}

const post = (url, body) =>
  fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify(body)
  })

/** Runs `turns` turns, `together` at a time, a session for every ten. */
const drive = async (url, turns, script) => {
  let left = turns
  const worker = async () => {
    let session
    for (let done = 0; left > 0; done++) {
      left -= 1
      if (done % 10 === 0) {
        const made = await fetch(`${url}/v1/sessions`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: "{}"
        })
        session = (await made.json()).id
      }
      const answer = await post(`${url}/v1/sessions/${session}/turns`, { message: "hello", options: { script } })
      const text = await answer.text()
      if (!text.includes("event: turn.completed")) throw new Error(`a turn did not complete: ${text.slice(-300)}`)
    }
  }
  await Promise.all(Array.from({ length: together }, worker))
}

const begin = async ({ script, warmUp }, { config, variables }) => {
  const dataDir = mkdtempSync(join(tmpdir(), "turnstream-bench-"))
  const file = join(dataDir, "config.json")
  writeFileSync(file, JSON.stringify(config))
  const service = await start(join(dataDir, "data"), { ...variables, TURNSTREAM_CONFIG: file })
  await drive(service.url, warmUp, script)
  return { ...service, dataDir, before: service.cpu(), slices: [] }
}

const end = async (service) => {
  const seconds = service.cpu() - service.before
  await service.stop()
  rmSync(service.dataDir, { recursive: true, force: true })
  return seconds
}

const slice = async (service, { script, turns }) => {
  const before = service.cpu()
  await drive(service.url, turns, script)
  service.slices.push(service.cpu() - before)
}

const round = (value, digits) => Math.round(value * 10 ** digits) / 10 ** digits

const compare = async (name, one, settings) => {
  const off = await begin(one, settings.off)
  const on = await begin(one, settings.on)
  // the first has begun before the second was warm
  off.before = off.cpu()
  for (let i = 0; i < rounds; i++) {
    // each is first every other time
    for (const service of i % 2 === 0 ? [off, on] : [on, off]) await slice(service, one)
  }
  const ratios = on.slices.map((seconds, i) => seconds / off.slices[i]).sort((a, b) => a - b)
  const [offSeconds, onSeconds] = [await end(off), await end(on)]
  const things = rounds * one.turns * (name === "delta" ? one.script.deltas : 1)
  return {
    offMicros: round((offSeconds / things) * 1e6, 1),
    onMicros: round((onSeconds / things) * 1e6, 1),
    overheadPercent: round((onSeconds / offSeconds - 1) * 100, 1),
    slicesPercent: [0.25, 0.5, 0.75].map((q) => round((ratios[Math.floor(ratios.length * q)] - 1) * 100, 1))
  }
}

const sink = await collector()
const settings = {
  off: { variables: { OTEL_EXPORTER_OTLP_ENDPOINT: "" }, config: { telemetry: { logLevel: "none" } } },
  on: { variables: { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url }, config: {} }
}
const only = process.argv.find((argument) => argument in cases)
const figures = {}
for (const [name, one] of Object.entries(cases)) {
  if (only === undefined || only === name) figures[name] = await compare(name, one, settings)
}
sink.close()
if (process.argv.includes("--json")) console.log(JSON.stringify({ ...figures, exportedBytes: sink.bytes() }))
else {
  for (const [name, { offMicros, onMicros, overheadPercent, slicesPercent }] of Object.entries(figures)) {
    console.log(
      `${name}: off ${offMicros} µs, on ${onMicros} µs, ${overheadPercent} % more (quartiles of ${rounds} pairs of slices: ${
        slicesPercent.join(", ")
      } %)`
    )
  }
  console.log(`${sink.bytes()} bytes exported`)
}
