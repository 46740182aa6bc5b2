/**
 * The floor: about the least that a durable engine in Node can do, written by hand, as a program of its own. It parses the
 * provider's events, journals every delta before it is shown (one transaction per turn of the event loop, over all turns
 * together), shows them as server-sent events with ids, and keeps what was said of a turn that broke off. It has no limits,
 * checks, recovery, metrics or logs. `UPSTREAM`: base address of the provider. `DATA_DIR`: folder of its database.
 *
 *     POST /turns/<session> {message, model}   a turn, streamed        GET  /sessions/<session>   its messages
 *     POST /cancel/<session>                   ends its turn           POST /seed/<session>       stores messages
 */
import Sqlite from "better-sqlite3"
import { createParser } from "eventsource-parser"
import { Agent, createServer, request as ask } from "node:http"
import { join } from "node:path"

const { DATA_DIR, UPSTREAM } = process.env
const db = new Sqlite(join(DATA_DIR, "floor.db"))
db.pragma("journal_mode = WAL")
db.pragma("synchronous = NORMAL")
db.exec(`
  create table if not exists message(session text, pos integer, role text, text text, primary key (session, pos)) without rowid;
  create table if not exists turn(id integer primary key, session text, status text, usage text);
  create index if not exists turn_session on turn(session);
  create table if not exists delta(turn integer, seq integer, text text, primary key (turn, seq)) without rowid`)
const sql = {
  begin: db.prepare("begin immediate"),
  commit: db.prepare("commit"),
  history: db.prepare("select role, text as content from message where session = ? order by pos"),
  nextPos: db.prepare("select coalesce(max(pos) + 1, 0) as pos from message where session = ?"),
  addMessage: db.prepare("insert into message values (?, ?, ?, ?)"),
  addTurn: db.prepare("insert into turn(session, status) values (?, 'running')"),
  endTurn: db.prepare("update turn set status = ?, usage = ? where id = ?"),
  addDelta: db.prepare("insert into delta values (?, ?, ?)"),
  running: db.prepare("select id from turn where session = ? and status = 'running'"),
  said: db.prepare("select text from delta where turn = ? order by seq")
}
const say = (session, role, text) => sql.addMessage.run(session, sql.nextPos.get(session).pos, role, text)
const begin = db.transaction((session, text) => {
  say(session, "user", text)
  return sql.addTurn.run(session).lastInsertRowid
})
const seed = db.transaction((session, messages) => {
  for (const { role, text } of messages) say(session, role, text)
})

/** Turns with something to commit. */
const dirty = new Set()
let flushes = false

const flush = () => {
  flushes = false
  sql.begin.run()
  for (const turn of dirty) {
    for (const text of turn.queue) sql.addDelta.run(turn.id, turn.seq++, text)
    if (turn.status !== undefined) {
      say(turn.session, "assistant", turn.text)
      sql.endTurn.run(turn.status, turn.usage, turn.id)
    }
  }
  sql.commit.run()
  for (const turn of dirty) show(turn)
  dirty.clear()
}

const show = (turn) => {
  const { queue, response, status } = turn
  let id = turn.seq - queue.length
  let frames = ""
  for (const text of queue) frames += `id: ${id++}\ndata: {"type":"delta","text":${JSON.stringify(text)}}\n\n`
  turn.queue = []
  if (status !== undefined) response.end(`${frames}data: {"type":"${status}"}\n\n`)
  else if (!response.write(frames) && !response.destroyed) {
    turn.source.pause()
    response.once("drain", () => turn.source.resume())
  }
}

const touch = (turn) => {
  dirty.add(turn)
  if (flushes) return
  flushes = true
  setImmediate(flush)
}

const agent = new Agent({ keepAlive: true, maxSockets: Infinity })
const address = new URL(`${UPSTREAM}/v1/chat/completions`)
const turns = new Map()

const run = (session, { message, model }, response) => {
  const turn = {
    id: begin(session, message),
    session,
    seq: 0,
    queue: [],
    text: "",
    usage: null,
    status: undefined,
    response,
    source: undefined
  }
  const end = (status) => {
    if (turn.status !== undefined) return
    turn.status = status
    turns.delete(session)
    touch(turn)
  }
  const parser = createParser({
    onEvent: ({ data }) => {
      if (data === "[DONE]") return end("completed")
      const { choices, usage } = JSON.parse(data)
      if (usage) turn.usage = JSON.stringify(usage)
      const text = choices[0]?.delta.content
      if (!text || turn.status !== undefined) return
      turn.queue.push(text)
      turn.text += text
      touch(turn)
    }
  })
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" })
  const headers = { "content-type": "application/json" }
  const call = ask(address, { method: "POST", agent, headers }, (source) => {
    turn.source = source.setEncoding("utf8")
    source.on("data", (text) => parser.feed(text))
    source.on("end", () => end("failed"))
    source.on("error", () => end("failed"))
  })
  call.on("error", () => end("failed"))
  const cancel = () => {
    if (turn.status !== undefined) return
    call.destroy()
    end("cancelled")
  }
  turns.set(session, cancel)
  response.on("close", cancel)
  call.end(JSON.stringify({
    model,
    stream: true,
    stream_options: { include_usage: true },
    messages: sql.history.all(session)
  }))
}

const messagesOf = (session) => [
  ...sql.history.all(session).map(({ content, role }) => ({ role, text: content })),
  ...sql.running.all(session).map(({ id }) => ({
    role: "assistant",
    text: sql.said.all(id).map(({ text }) => text).join("")
  }))
]

const answer = (response, value) => {
  response.setHeader("content-type", "application/json")
  response.end(JSON.stringify(value))
}

const server = createServer((request, response) => {
  const parts = []
  request.on("data", (part) => parts.push(part))
  request.on("end", () => {
    const [, what, session] = request.url.split("/")
    const body = parts.length === 0 ? {} : JSON.parse(Buffer.concat(parts).toString())
    if (what === "turns") return run(session, body, response)
    if (what === "sessions") return answer(response, messagesOf(session))
    if (what === "seed") seed(session, body)
    if (what === "cancel") turns.get(session)?.()
    answer(response, {})
  })
})
server.keepAliveTimeout = 120_000
// all streams of a load connect at once
server.listen(0, "127.0.0.1", 4096, () => console.log(`floor ready on http://127.0.0.1:${server.address().port}`))
