// How fast the service starts, how much it holds, how soon a turn speaks: npm run bench [-- --json]
// Each figure is of this machine in this run; other work on it makes them worse, never better. The load is bounded:
// 5 starts and 800 short turns, against a server of its own on a free loopback port and a database in a temporary folder.
// Turns are measured twice: in sessions of ten turns, and in one session that grows, where each turn sends all before it.
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../dist/main.js", import.meta.url))
const starts = 5
const warmUps = 100
const turns = 300
const turnsPerSession = 10

const quantile = (values, q) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))]
const round = (value) => Math.round(value * 10) / 10

/** Starts the service; answers when it has said where it listens. */
const start = async (dataDir) => {
  const begun = performance.now()
  const child = spawn(process.execPath, [main, "serve"], {
    env: { ...process.env, TURNSTREAM_DATA_DIR: dataDir, TURNSTREAM_PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"]
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
  const readyMs = performance.now() - begun
  const stop = () =>
    new Promise((resolve) => {
      child.once("exit", resolve)
      child.kill("SIGTERM")
    })
  return { url, readyMs, pid: child.pid, stop }
}

/** Megabytes, from the kernel; undefined where there is no /proc. */
const residentMb = (pid) => {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024
  } catch {
    return undefined
  }
}

const post = (url, body, headers = {}) =>
  fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body)
  })

/** Milliseconds from the POST to the first delta and to the end of the turn. */
const turn = async (url, sessionId) => {
  const begun = performance.now()
  const body = { message: "hello", options: { script: { deltas: 20 } } }
  const response = await post(`${url}/v1/sessions/${sessionId}/turns`, body, { accept: "text/event-stream" })
  let said = ""
  let firstMs
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    said += text
    if (firstMs === undefined && said.includes("event: model.delta")) firstMs = performance.now() - begun
  }
  if (!said.includes("event: turn.completed")) throw new Error(`a turn did not complete:\n${said.slice(-500)}`)
  return { firstMs, wholeMs: performance.now() - begun }
}

const dataDir = mkdtempSync(join(tmpdir(), "turnstream-bench-"))
try {
  const readyMs = []
  const residents = []
  for (let i = 0; i < starts; i++) {
    const service = await start(dataDir)
    readyMs.push(service.readyMs)
    residents.push(residentMb(service.pid))
    await service.stop()
  }
  const service = await start(dataDir)
  const newSession = async () => (await (await post(`${service.url}/v1/sessions`, {})).json()).id
  const measure = async (count, perSession) => {
    const measured = []
    for (let i = 0, id; i < count; i++) {
      if (i % perSession === 0) id = await newSession()
      measured.push(await turn(service.url, id))
    }
    return measured
  }
  await measure(warmUps, turnsPerSession)
  const short = await measure(turns, turnsPerSession)
  const long = await measure(warmUps + turns, warmUps + turns)
  const resident = residentMb(service.pid)
  await service.stop()

  const first = short.map(({ firstMs }) => firstMs)
  const whole = short.map(({ wholeMs }) => wholeMs)
  const figures = {
    "start to ready, median (ms)": round(quantile(readyMs, 0.5)),
    "RSS when ready, median (MB)": residents.includes(undefined) ? null : round(quantile(residents, 0.5)),
    "first delta after the POST, median (ms)": round(quantile(first, 0.5)),
    "first delta after the POST, p95 (ms)": round(quantile(first, 0.95)),
    "20-delta turn, median (ms)": round(quantile(whole, 0.5)),
    [`first delta at turn ${long.length} of a session, median of 20 (ms)`]: round(
      quantile(long.slice(-20).map(({ firstMs }) => firstMs), 0.5)
    ),
    [`RSS after ${warmUps + short.length + long.length} turns (MB)`]: resident === undefined ? null : round(resident),
    "load of the machine (1 min)": round(loadavg()[0])
  }
  if (process.argv.includes("--json")) console.log(JSON.stringify(figures, null, 2))
  else {for (const [name, value] of Object.entries(figures)) {
      console.log(`${name.padEnd(58)}${value ?? "not known here"}`)
    }}
} finally {
  rmSync(dataDir, { recursive: true, force: true })
}
