// What telemetry costs: server CPU with it on against off, per 20-delta turn and per delta: npm run bench:telemetry [-- --json]
// On: every signal is exported to a collector on loopback and each turn is logged; off: no endpoint and no log. The two
// take turns on the same machine, each pair gives a ratio, and the median of the ratios is the figure. CPU is the
// server's own (user and system), by /proc. Bounded: `rounds` pairs of runs, some seconds each.
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const main = process.env.BENCH_MAIN ?? fileURLToPath(new URL("../dist/main.js", import.meta.url))
const rounds = Number(process.env.BENCH_ROUNDS ?? 7)
const together = 16
/** Ticks of /proc/<pid>/stat a second. */
const ticks = 100

const cases = {
  turn: { warmUp: 200, turns: 800, script: { deltas: 20 } },
  delta: { warmUp: 16, turns: 32, script: { deltas: 500, delayMs: 4 } }
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

const measure = async ({ script, turns, warmUp }, env) => {
  const dataDir = mkdtempSync(join(tmpdir(), "turnstream-bench-"))
  const config = join(dataDir, "config.json")
  writeFileSync(config, JSON.stringify(env.config ?? {}))
  const service = await start(join(dataDir, "data"), { ...env.variables, TURNSTREAM_CONFIG: config })
  try {
    await drive(service.url, warmUp, script)
    const before = service.cpu()
    await drive(service.url, turns, script)
    return (service.cpu() - before) / turns
  } finally {
    await service.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

const compare = async (name, one, settings) => {
  const ratios = []
  const seconds = { on: [], off: [] }
  for (let round = 0; round < rounds; round++) {
    // each is first every other time
    const order = round % 2 === 0 ? ["off", "on"] : ["on", "off"]
    for (const which of order) seconds[which].push(await measure(one, settings[which]))
    ratios.push(seconds.on.at(-1) / seconds.off.at(-1))
  }
  const per = name === "delta" ? one.script.deltas : 1
  return {
    offMicros: Math.round((median(seconds.off) / per) * 1e7) / 10,
    onMicros: Math.round((median(seconds.on) / per) * 1e7) / 10,
    overheadPercent: Math.round((median(ratios) - 1) * 1000) / 10,
    lowest: Math.round((Math.min(...ratios) - 1) * 1000) / 10,
    highest: Math.round((Math.max(...ratios) - 1) * 1000) / 10
  }
}

const sink = await collector()
const settings = {
  off: { variables: { OTEL_EXPORTER_OTLP_ENDPOINT: "" }, config: JSON.parse(process.env.BENCH_OFF ?? "{}") },
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
  for (const [name, f] of Object.entries(figures)) {
    console.log(
      `${name}: off ${f.offMicros} µs, on ${f.onMicros} µs, overhead ${f.overheadPercent} % (${f.lowest} to ${f.highest} in ${rounds} pairs)`
    )
  }
  console.log(`${sink.bytes()} bytes exported`)
}
