/**
 * The provider of the benchmark: chat completions on loopback, as a program of its own. The model's name is the script:
 * `n<deltas>-p<milliseconds between deltas>[-x<tag>]`; every delta has 16 characters. A paced delta carries the time of its
 * emission (tenths of a millisecond since 1970), so that a reader knows how old it is. `GET /calls/<tag>` says how a call
 * went: messages it was sent, deltas it sent, when its socket closed and whether that was before its end.
 */
import { createServer } from "node:http"

/** Deltas in one write where there is no pace: so the upstream is never what limits. */
const group = 32
const unpaced = "sixteen letters "

const now = () => performance.timeOrigin + performance.now()
const frame = (value) => `data: ${JSON.stringify(value)}\n\n`
const chunk = (delta, reason = null) => ({
  id: "chatcmpl-bench",
  object: "chat.completion.chunk",
  created: 1_750_000_000,
  model: "bench",
  choices: [{ index: 0, delta, finish_reason: reason, logprobs: null }]
})
const head = frame(chunk({ role: "assistant", content: "" }))
const deltaOf = (content) => frame(chunk({ content }))
const tailOf = (deltas) =>
  frame(chunk({}, "stop")) +
  frame({
    ...chunk({}),
    choices: [],
    usage: { prompt_tokens: 10, completion_tokens: deltas, total_tokens: 10 + deltas }
  }) +
  "data: [DONE]\n\n"

/** The body may hold thousands of messages: the model is found without parsing it. */
const scriptOf = (body) => {
  const [, deltas = "20", everyMs = "0", tag] = /"model"\s*:\s*"n(\d+)-p(\d+)(?:-x(\w+))?"/.exec(body) ?? []
  return { deltas: Number(deltas), everyMs: Number(everyMs), tag }
}

const playPaced = (response, { deltas, everyMs }, call) => {
  const begun = now()
  const step = () => {
    if (call.closedAt !== null) return
    response.write(deltaOf(String(Math.round(now() * 10)).padEnd(16)))
    call.sent++
    if (call.sent === deltas) return finish(response, call)
    setTimeout(step, Math.max(0, begun + (call.sent + 1) * everyMs - now()))
  }
  setTimeout(step, everyMs)
}

const one = deltaOf(unpaced)
const many = one.repeat(group)

const playUnpaced = (response, { deltas }, call) => {
  while (call.sent < deltas && call.closedAt === null) {
    const count = Math.min(group, deltas - call.sent)
    const taken = response.write(count === group ? many : one.repeat(count))
    call.sent += count
    if (!taken) return void response.once("drain", () => playUnpaced(response, { deltas }, call))
  }
  if (call.closedAt === null) finish(response, call)
}

const finish = (response, call) => {
  call.finished = true
  response.end(tailOf(call.sent))
}

const calls = new Map()

const play = (body, response) => {
  const script = scriptOf(body)
  const call = { messages: 0, sent: 0, finished: false, closedAt: null }
  if (script.tag !== undefined) {
    call.messages = body.match(/"role"/g)?.length ?? 0
    calls.set(script.tag, call)
  }
  response.on("close", () => call.closedAt = now())
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" })
  response.write(head)
  if (script.everyMs > 0) playPaced(response, script, call)
  else playUnpaced(response, script, call)
}

const server = createServer((request, response) => {
  if (request.method === "GET") {
    response.setHeader("content-type", "application/json")
    return response.end(JSON.stringify(calls.get(request.url.replace(/^\/calls\//, "")) ?? null))
  }
  const parts = []
  request.on("data", (part) => parts.push(part))
  request.on("end", () => play(Buffer.concat(parts).toString("latin1"), response))
})
server.keepAliveTimeout = 120_000
server.on("connection", (socket) => socket.setNoDelay(true))
// all streams of a load connect at once
server.listen(0, "127.0.0.1", 4096, () => console.log(`upstream ready on http://127.0.0.1:${server.address().port}`))
