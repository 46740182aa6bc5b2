// Makes the golden database of the present schema: node test/golden/make.mjs
// Run it once when a schema version is released, after `npm run build`, and commit what it writes: a small database with
// every way in which a turn ends, and the answers that the service gave about it. Never make that of an old version again.
import { spawn, spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url))
const dataDir = mkdtempSync(join(tmpdir(), "turnstream-golden-"))
const env = { PATH: process.env.PATH, TURNSTREAM_DATA_DIR: dataDir, TURNSTREAM_PORT: "0" }

const start = async (more = {}) => {
  const child = spawn(process.execPath, [main, "serve"], {
    env: { ...env, ...more },
    stdio: ["ignore", "pipe", "inherit"]
  })
  const url = await new Promise((resolve, reject) => {
    let said = ""
    child.stdout.setEncoding("utf8").on("data", (text) => {
      said += text
      const ready = /turnstream ready on (\S+)/.exec(said)
      if (ready !== null) resolve(ready[1])
    })
    child.on("exit", (code) => reject(new Error(`ended with code ${code} before it was ready`)))
  })
  const stop = (signal) =>
    new Promise((resolve) => {
      child.once("exit", resolve)
      child.kill(signal)
    })
  return { url, stop }
}

const ask = async (url, method = "GET", body = undefined, headers = {}) => {
  const response = await fetch(url, {
    method,
    headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  return response.json()
}

/** Reads a turn's event stream until `enough` says so, or to its end. */
const follow = async (url, id, enough = () => false) => {
  const response = await fetch(`${url}/v1/turns/${id}/events`, { headers: { accept: "text/event-stream" } })
  let text = ""
  const decoder = new TextDecoder()
  for await (const part of response.body) {
    text += decoder.decode(part, { stream: true })
    if (enough(text)) return
  }
}

const said = (count) => (text) => text.split("event: model.delta").length > count

const submit = (url, session, message, options, more = {}, headers = {}) =>
  ask(`${url}/v1/sessions/${session}/turns`, "POST", { message, options, ...more }, headers)

const newSession = async (url, body) => (await ask(`${url}/v1/sessions`, "POST", body)).id

/** Every way to end, and one turn that is left running. */
const fill = async (url) => {
  const first = await newSession(url, { title: "endings", system: "You are brief." })
  const completed = await submit(url, first, "completed", { script: { deltas: 12, bytes: 6 } }, {}, {
    "idempotency-key": "golden"
  })
  await follow(url, completed.id)
  const steps = [
    { reason: "thinking", bytes: 4 },
    { say: "caf\u00e9 \u{1f600} \u2028 line\nbreak ", bytes: 3 },
    { toolCall: { id: "call-1", name: "lookup", arguments: { q: "x", n: [1, null, true] } } },
    { usage: { inputTokens: 7, outputTokens: 9, cacheReadTokens: 3 } },
    { end: "tool-calls" }
  ]
  const tools = await submit(url, first, { parts: [{ type: "text", text: "tools" }] }, { script: { steps } })
  await follow(url, tools.id)
  const content = { found: ["y"] }
  const answered = await submit(
    url,
    first,
    { parts: [{ type: "tool-result", toolCallId: "call-1", content }] },
    { script: { deltas: 3 } }
  )
  await follow(url, answered.id)
  const broken = [{ say: "half an ans", bytes: 4 }, { fail: { kind: "overloaded", status: 200 } }]
  const failed = await submit(url, first, "failed", { script: { steps: broken } })
  await follow(url, failed.id)
  const resumed = await ask(`${url}/v1/turns/${failed.id}/resume`, "POST")
  await follow(url, resumed.id)
  const flaky = [{ fail: { kind: "rate_limit", attempts: 1, retryAfterMs: 1 } }, { say: "second try" }]
  const again = await submit(url, first, "flaky", { script: { steps: flaky } })
  await follow(url, again.id)
  const slow = await submit(url, first, "cancelled", { script: { deltas: 1_000, delayMs: 20 } })
  await follow(url, slow.id, said(3))
  await ask(`${url}/v1/turns/${slow.id}/cancel`, "POST")
  const retried = await ask(`${url}/v1/turns/${slow.id}/retry`, "POST")
  await follow(url, retried.id, said(2))
  await ask(`${url}/v1/turns/${retried.id}/cancel`, "POST")
  await submit(url, first, "refused", {}, { provider: "nobody" })

  await ask(`${url}/v1/sessions/import`, "POST", {
    v: 1,
    session: { title: "imported" },
    messages: [
      { role: "user", parts: [{ type: "text", text: "an imported question" }] },
      { role: "assistant", parts: [{ type: "text", text: "an imported answer" }] }
    ]
  })

  const last = await newSession(url, { title: "orphan" })
  const orphan = await submit(url, last, "orphan", { script: { deltas: 1_000, delayMs: 5 } })
  const queued = await submit(url, last, "queued behind it", { script: { deltas: 2 } }, { onBusy: "queue" })
  await follow(url, orphan.id, said(5))
  return [orphan.id, queued.id]
}

/** A turn whose events retention has folded. */
const fillFolded = async (url) => {
  const session = await newSession(url, { title: "folded" })
  const { id } = await submit(url, session, "folded", { script: { deltas: 12 } })
  await follow(url, id)
  while ((await ask(`${url}/v1/turns/${id}`)).foldedAt === undefined) await setTimeout(100)
}

/** What the service answers about everything that has ended. */
const answers = async (url, isOpen) => {
  const sessions = (await ask(`${url}/v1/sessions`)).items
  const answer = { sessions: [], turns: [] }
  for (const session of sessions) {
    const turns = (await ask(`${url}/v1/sessions/${session.id}/turns`)).items
    if (turns.some(isOpen)) continue
    const at = `${url}/v1/sessions/${session.id}`
    answer.sessions.push({
      session,
      messages: (await ask(`${at}/messages`)).items,
      exported: await ask(`${at}/export`),
      usage: (await ask(`${url}/v1/usage?by=session,provider,model,day`)).items
        .filter((item) => item.session === session.id)
    })
    for (const turn of turns) {
      answer.turns.push({
        turn,
        // as text: the bytes of an event never change
        events: await (await fetch(`${url}/v1/turns/${turn.id}/events?limit=10000`)).text(),
        checkpoints: (await ask(`${url}/v1/turns/${turn.id}/checkpoints`)).items
      })
    }
  }
  return answer
}

try {
  const settings = join(dataDir, "folding.json")
  writeFileSync(settings, JSON.stringify({ retention: { days: 0, everyMs: 100 } }))
  const folding = await start({ TURNSTREAM_CONFIG: settings })
  await fillFolded(folding.url)
  await folding.stop("SIGTERM")
  const server = await start()
  const orphans = await fill(server.url)
  const { storage } = await ask(`${server.url}/v1/bootstrap`)
  const expected = await answers(server.url, (turn) => turn.status === "running")
  await server.stop("SIGKILL")
  const folder = fileURLToPath(new URL(`v${storage.schemaVersion}/`, import.meta.url))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const file = join(folder, "turnstream.db")
  const copied = spawnSync(process.execPath, [main, "backup", file], { env, encoding: "utf8" })
  if (copied.status !== 0) throw new Error(copied.stderr)
  // what the dead process had committed of the turns that it left
  const left = orphans.map((id) => {
    const { stdout } = spawnSync(process.execPath, [main, "inspect", id, "--json"], { env, encoding: "utf8" })
    return { id, lastSeq: JSON.parse(stdout).turn.lastSeq }
  })
  writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }))
  rmSync(file)
  writeFileSync(join(folder, "expected.json"), `${JSON.stringify({ ...expected, orphans: left }, null, 2)}\n`)
  console.log(
    `${file}.gz: schema ${storage.schemaVersion}, ${expected.turns.length} ended turns, ${left.length} orphans`
  )
} finally {
  rmSync(dataDir, { recursive: true, force: true })
}
