/**
 * The kill loop's clients: they submit with and without keys, read turns and sessions over connections that they cut, go
 * on from the last id, cancel, resume and retry. A connection that breaks is no fault; an answer that is not one of the
 * protocol's is.
 */
import { createParser } from "eventsource-parser"
import { isTerminalType } from "../../src/domain/TurnEvent.ts"
import { type Reader, request, type ShortScript, type Submit, type World } from "./world.ts"

/** Reads one connection until it ends, breaks, or `cutAfter` events have come. */
const readLeg = async (world: World, reader: Reader, response: Response, cut: AbortController, cutAfter: number) => {
  let count = 0
  const parser = createParser({
    onEvent: ({ data, event, id }) => {
      // an `error` event carries no id: the stream ends behind it
      if (id === undefined || count >= cutAfter) return
      count++
      const { seq, turnId, type } = JSON.parse(data) as { seq: number; turnId: string; type: string }
      if (type !== event) world.violate("P15", turnId, `event: ${event} over data of ${type}`, seq)
      reader.seen.push({ id, seq, turnId, json: data })
      if (isTerminalType(type)) world.ended.set(turnId, seq)
      if (reader.kind === "turn" && isTerminalType(type)) reader.done = true
      reader.changed()
    }
  })
  const decoder = new TextDecoder()
  try {
    const body = response.body?.getReader()
    for (let part = await body?.read(); part?.done === false && count < cutAfter; part = await body?.read()) {
      parser.feed(decoder.decode(part.value, { stream: true }))
    }
  } catch {
    // the server was killed, or we cut: a broken connection is an end too
  }
  cut.abort()
}

const connect = async (world: World, reader: Reader, url: string): Promise<void> => {
  const cut = new AbortController()
  const last = reader.seen.at(-1)?.id
  const response = await fetch(`${url}/v1/${reader.kind}s/${reader.id}/events`, {
    headers: { accept: "text/event-stream", ...(last === undefined ? {} : { "last-event-id": last }) },
    signal: cut.signal
  }).catch(() => undefined)
  if (response === undefined) return
  if (response.status === 204) {
    reader.done = true
    reader.changed()
  } else if (response.status === 200) {
    await readLeg(world, reader, response, cut, world.chance.is(0.5) ? world.chance.between(1, 40) : Infinity)
  } else if (response.status >= 400 && response.status !== 429 && response.status !== 503) {
    const what = `a reader that goes on after ${last ?? "nothing"} is answered ${response.status}: an event was lost`
    world.violate("P1", reader.id, what)
    reader.done = true
    reader.changed()
  }
}

const newReader = (world: World, kind: Reader["kind"], id: string): Reader => {
  const reader: Reader = { kind, id, seen: [], done: false, changed: () => {} }
  world.readers.push(reader)
  return reader
}

const track = (world: World, leg: Promise<void>): Promise<void> => {
  world.legs.add(leg)
  return leg.finally(() => world.legs.delete(leg))
}

/** Reads to the end of the turn, over restarts of the service. */
const read = async (world: World, reader: Reader): Promise<void> => {
  while (!reader.done && !world.stopping) {
    const url = await world.url()
    if (!world.stopping) await track(world, connect(world, reader, url))
  }
}

export const follow = (world: World, kind: Reader["kind"], id: string): Reader => {
  const reader = newReader(world, kind, id)
  void read(world, reader)
  return reader
}

const when = (reader: Reader, isSo: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    reader.changed = () => {
      if (isSo()) resolve()
    }
    reader.changed()
  })

/** Short ones end before the kill, long ones are cut by it. */
const newScript = (world: World): ShortScript => ({
  deltas: world.chance.pick([1, 5, 60, 200, 1_000]) ?? 1,
  bytes: world.chance.pick([8, 24, 300]) ?? 8,
  delayMs: world.chance.pick([0, 1, 3, 10]) ?? 0,
  burst: world.chance.pick([1, 4, 16]) ?? 1
})

const keyHeader = ({ key }: Submit) => (key === undefined ? {} : { "idempotency-key": key })

/** Takes note of an answer to a submit; the turn's id where there is one. */
export const noteAnswer = (world: World, submit: Submit, status: number, turnId: string | undefined) => {
  if (turnId !== undefined && (status === 200 || status === 202)) {
    const known = world.acknowledged.get(submit.message)
    if (known !== undefined && known !== turnId) world.violate("P9", turnId, `one key, two turns: ${known} before`)
    world.acknowledged.set(submit.message, turnId)
    return turnId
  }
  if (status === 409 || status === 429 || status === 503) {
    if (world.acknowledged.has(submit.message)) world.violate("P9", "", `a known key is answered ${status}`)
    else world.refused.add(submit.message)
  } else world.violate("protocol", turnId ?? "", `a submit is answered ${status}`)
  return undefined
}

/** Sends a submit that streams; its reader, or undefined where nothing came of it. */
const submitStreaming = async (world: World, submit: Submit, url: string): Promise<Reader | undefined> => {
  const cut = new AbortController()
  const response = await fetch(`${url}/v1/sessions/${submit.sessionId}/turns`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream", ...keyHeader(submit) },
    body: JSON.stringify(submit.body),
    signal: cut.signal
  }).catch(() => undefined)
  if (response === undefined) {
    world.unanswered.push(submit)
    return undefined
  }
  const id = noteAnswer(world, submit, response.status, response.headers.get("location")?.split("/").at(-1))
  if (id === undefined) {
    cut.abort()
    return undefined
  }
  const reader = newReader(world, "turn", id)
  void track(world, readLeg(world, reader, response, cut, world.chance.between(1, 60))).then(() => read(world, reader))
  return reader
}

/** Sends a submit again, or for the first time; the turn's id where it was acknowledged. */
export const send = async (world: World, submit: Submit, url: string): Promise<string | undefined> => {
  const address = `${url}/v1/sessions/${submit.sessionId}/turns`
  const answer = await request(address, "POST", submit.body, keyHeader(submit))
  if (answer === undefined) {
    world.unanswered.push(submit)
    return undefined
  }
  const { id } = answer.body
  return noteAnswer(world, submit, answer.status, typeof id === "string" ? id : undefined)
}

const cancel = async (world: World, turnId: string, url: string): Promise<void> => {
  const answer = await request(`${url}/v1/turns/${turnId}/cancel`, "POST")
  if (answer === undefined) return
  if (answer.status !== 200) return world.violate("P12", turnId, `a cancel is answered ${answer.status}`)
  if (answer.body["status"] === "running") world.violate("P12", turnId, "a cancel is answered before the end")
  else world.ended.set(turnId, Number(answer.body["lastSeq"]))
}

/** One client that talks in one session until the service goes away. */
export const talk = async (world: World, sessionId: string): Promise<void> => {
  const url = await world.url()
  if (world.chance.is(0.5)) follow(world, "session", sessionId)
  while (world.isAt(url)) {
    const message = `m-${world.next()}`
    const key = world.chance.is(0.75) ? `key-${message}` : undefined
    const onBusy = world.chance.is(0.3) ? { onBusy: "queue" } : {}
    const body = { message, options: { script: newScript(world) }, ...onBusy }
    const submit: Submit = { sessionId, message, key, body }
    world.submits.set(message, submit)
    const streams = world.chance.is(0.3)
    const started = streams ? await submitStreaming(world, submit, url) : await send(world, submit, url)
    if (started === undefined) {
      // refused: the running turn goes first
      await Promise.race([...world.legs])
      continue
    }
    const reader = typeof started === "string" ? follow(world, "turn", started) : started
    if (world.chance.is(0.3)) follow(world, "turn", reader.id)
    if (world.chance.is(0.3)) {
      const enough = world.chance.between(1, 80)
      await when(reader, () => reader.done || reader.seen.length >= enough)
      await cancel(world, reader.id, url)
    }
    // sometimes the next message comes while this turn runs: refused, or queued
    if (world.chance.is(0.7)) await when(reader, () => reader.done)
  }
}

/** A child of a turn that a kill cut; asked for twice, it is one. */
export const goOn = async (world: World, turnId: string, command: "resume" | "retry", url: string): Promise<void> => {
  const ask = () => request(`${url}/v1/turns/${turnId}/${command}`, "POST")
  const first = await ask()
  if (first?.status !== 202) return
  const id = String(first.body["id"])
  world.acknowledged.set(`${command} of ${turnId}`, id)
  follow(world, "turn", id)
  const again = await ask()
  if (again !== undefined && again.body["id"] !== id) {
    world.violate("P9", turnId, `a second ${command} is answered ${again.status} with another turn`)
  }
}
