/**
 * What a restarted service answers, held against what its clients know: every promise that a kill could break. Turns that
 * have ended and passed are known by a digest from then on; `all` looks at everything again, byte for byte.
 */
import { createHash } from "node:crypto"
import * as Invariants from "../../src/domain/Invariants.ts"
import type { Message } from "../../src/domain/Message.ts"
import type { Checkpoint, Turn } from "../../src/domain/Resources.ts"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import type * as Usage from "../../src/domain/Usage.ts"
import * as UsageSum from "../../src/domain/UsageSum.ts"
import { scriptText } from "../process/harness.ts"
import type { World } from "./world.ts"

const get = async (url: string): Promise<string> => {
  const response = await fetch(url)
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}: ${text}`)
  return text
}

/** Every item of a list, over its pages, as the exact JSON that was sent. */
const listOf = async (url: string): Promise<ReadonlyArray<string>> => {
  const items: Array<string> = []
  let after = ""
  for (;;) {
    const text = await get(`${url}?limit=10000${after}`)
    const page = JSON.parse(text) as { items: ReadonlyArray<unknown>; nextCursor?: string }
    const jsons = page.items.map((item) => JSON.stringify(item))
    const next = page.nextCursor === undefined ? "" : `,"nextCursor":${JSON.stringify(page.nextCursor)}`
    if (text !== `{"items":[${jsons.join(",")}]${next}}`) throw new Error(`${url} is not made of its items' bytes`)
    for (const json of jsons) items.push(json)
    if (page.nextCursor === undefined) return items
    after = `&after=${encodeURIComponent(page.nextCursor)}`
  }
}

interface SessionFacts {
  readonly id: string
  readonly turns: ReadonlyMap<string, Turn>
  readonly questions: ReadonlyMap<string, string>
  readonly answers: ReadonlyMap<string, Message>
}

const factsOf = async (url: string, id: string): Promise<SessionFacts> => {
  const [turns, messages] = await Promise.all([
    listOf(`${url}/v1/sessions/${id}/turns`),
    listOf(`${url}/v1/sessions/${id}/messages`)
  ])
  const parsed = messages.map((json) => JSON.parse(json) as Message)
  const textOf = ({ parts }: Message) => parts.map((part) => part.type === "text" ? part.text : "").join("")
  return {
    id,
    turns: new Map(turns.map((json) => JSON.parse(json) as Turn).map((turn) => [turn.id, turn])),
    questions: new Map(parsed.filter(({ role }) => role === "user").map((message) => [message.id, textOf(message)])),
    answers: new Map(
      parsed.filter(({ role }) => role === "assistant").map((message) => [String(message.turnId), message])
    )
  }
}

/** P4, P9: what was acknowledged is there, what was refused is not, and nothing is there twice. */
const checkSubmits = (world: World, facts: SessionFacts) => {
  const counts = new Map<string, number>()
  for (const text of facts.questions.values()) counts.set(text, (counts.get(text) ?? 0) + 1)
  for (const [message, count] of counts) {
    if (count > 1) world.violate("P9", "", `${message} is there ${count} times`)
    if (!world.submits.has(message)) world.violate("P9", "", `${message} was never sent`)
    if (world.refused.has(message)) world.violate("P9", "", `${message} was refused and is there`)
  }
  for (const [message, submit] of world.submits) {
    const id = world.acknowledged.get(message)
    if (submit.sessionId !== facts.id || id === undefined) continue
    const turn = facts.turns.get(id)
    if (turn === undefined) world.violate("P4", id, "an acknowledged turn is lost")
    else if (facts.questions.get(turn.userMessageId) !== message) world.violate("P4", id, "its question is another")
  }
}

/** What the turns before it said, of which a resumed turn's text is the continuation. */
const saidBefore = (facts: SessionFacts, turn: Turn): string => {
  const parent = turn.resumedFrom === undefined ? undefined : facts.turns.get(turn.resumedFrom)
  return parent === undefined ? "" : saidBefore(facts, parent) + parent.text
}

/** P5, P8: what is kept is a prefix of what the model said, all of it where the turn completed. */
const checkText = (world: World, facts: SessionFacts, turn: Turn) => {
  const submit = world.submits.get(facts.questions.get(turn.userMessageId) ?? "")
  if (submit === undefined) return world.violate("P4", turn.id, "nobody asked for it")
  const { bytes, deltas } = submit.body.options.script
  const whole = scriptText(deltas, bytes)
  const kept = saidBefore(facts, turn) + turn.text
  if (!whole.startsWith(kept)) world.violate("P5", turn.id, "its text is not what the model said")
  if (turn.status === "completed" && whole !== kept) world.violate("P5", turn.id, "it completed without its whole text")
}

/** `recovery.maxResumes` by default. */
const resumesMax = 3

const resumesBefore = (facts: SessionFacts, turn: Turn): number => {
  const parent = turn.resumedFrom === undefined ? undefined : facts.turns.get(turn.resumedFrom)
  return parent === undefined ? 0 : 1 + resumesBefore(facts, parent)
}

/** Where the policy says so, a start goes on with what it closed, within its budget; all else has ended. */
const isResumedAtStart = (world: World, facts: SessionFacts, turn: Turn): boolean => {
  if (turn.status !== "running" || !world.resumes || turn.resumedFrom === undefined) return false
  if (resumesBefore(facts, turn) > resumesMax) world.violate("P6", turn.id, "resumed beyond the budget")
  return true
}

/** P6: ended, once, with a checkpoint, as whoever ended it says. */
const checkEnd = (world: World, turn: Turn) => {
  if (turn.status === "running") return world.violate("P6", turn.id, "an orphan was not closed before ready")
  const seen = world.ended.get(turn.id)
  if (seen !== undefined && seen !== turn.lastSeq) {
    world.violate("P3", turn.id, `a client saw its end at seq ${seen}, and it ended at ${turn.lastSeq}`)
  }
  if (turn.status === "failed" && turn.checkpoint === undefined) {
    world.violate("P6", turn.id, "it was closed without a checkpoint")
  }
  world.ended.set(turn.id, turn.lastSeq)
}

const digestOf = (events: ReadonlyArray<string>): string =>
  createHash("sha256").update(events.join("\n")).digest("base64")

const checkReaders = (world: World, { id, sessionId }: Turn, events: ReadonlyArray<string>) => {
  const journal = events.map((json, i) => ({ seq: i + 1, json }))
  for (const reader of world.readers) {
    if (reader.id !== id && reader.id !== sessionId) continue
    const seen = reader.kind === "turn" ? reader.seen : reader.seen.filter(({ turnId }) => turnId === id)
    const first = seen[0]
    if (first === undefined) continue
    // a session's reader may have come in the middle of a turn
    const after = reader.kind === "turn" ? 0 : first.seq - 1
    const complete = reader.kind === "turn" && reader.done
    world.violations.push(...Invariants.checkFollower(seen, journal, { after, complete }))
  }
}

/** A turn's journal and rows, and what its readers saw. */
const checkTurn = async (world: World, url: string, facts: SessionFacts, turn: Turn): Promise<void> => {
  const at = `${url}/v1/turns/${turn.id}`
  const jsons = await listOf(`${at}/events`)
  const digest = digestOf(jsons)
  const known = world.digests.get(turn.id)
  if (known !== undefined && known !== digest) world.violate("P2", turn.id, "committed events changed")
  checkReaders(world, turn, jsons)
  if (known !== undefined) return
  const events = jsons.map((json) => JSON.parse(json) as TurnEvent)
  world.violations.push(...Invariants.checkJournal(events, { ended: true }))
  const message = facts.answers.get(turn.id)
  const checkpoints = (await listOf(`${at}/checkpoints`)).map((json) => JSON.parse(json) as Checkpoint)
  world.violations.push(...Invariants.checkProjection(events, { turn, message, checkpoints }))
  checkText(world, facts, turn)
  world.digests.set(turn.id, digest)
}

/** P10, P14, P15 over everything that a session holds. */
const checkSession = async (world: World, url: string, facts: SessionFacts) => {
  const jsons = await listOf(`${url}/v1/sessions/${facts.id}/events`)
  const events = jsons.map((json) => JSON.parse(json) as TurnEvent)
  world.violations.push(...Invariants.checkSession(events))
  const place = new Map(events.map(({ seq, turnId }, i) => [`${turnId}.${seq}`, i]))
  for (const { id, kind, seen } of world.readers) {
    if (kind !== "session" || id !== facts.id) continue
    const places = seen.map((event) => place.get(event.id) ?? Number.NaN)
    const first = places[0] ?? 0
    const wrong = places.findIndex((at, i) => at !== first + i)
    if (wrong !== -1) {
      world.violate("P15", seen[wrong]?.turnId ?? "", "a session's reader lost its order", seen[wrong]?.seq)
    }
    for (const [i, at] of places.entries()) {
      if (jsons[at] !== seen[i]?.json) world.violate("P1", seen[i]?.turnId ?? "", "seen, and not in the journal")
    }
  }
  const counted = events.filter((event) => event.type === "telemetry.usage")
  const sum = counted.reduce((total, event) => UsageSum.add(total, event.data.usage), UsageSum.unknown)
  const ledger = JSON.parse(await get(`${url}/v1/usage?by=session&session=${facts.id}`)) as {
    items: ReadonlyArray<{ session: string; turns: number; usage: Usage.Usage }>
  }
  const entry = ledger.items.find(({ session }) => session === facts.id)
  const turns = new Set(counted.map(({ turnId }) => turnId)).size
  if (JSON.stringify(entry?.usage ?? UsageSum.unknown) !== JSON.stringify(sum) || (entry?.turns ?? 0) !== turns) {
    world.violate("P14", "", `the ledger of session ${facts.id} is not the sum of its journal`)
  }
}

/**
 * Holds the sessions that are talked in, or all, against the world. Answers with the turns that this restart had to
 * close. Without `all`, turns that have ended and passed before are left out.
 */
export const check = async (world: World, url: string, all: boolean): Promise<ReadonlyArray<Turn>> => {
  const orphans: Array<Turn> = []
  for (const id of all ? world.sessions : world.active) {
    const facts = await factsOf(url, id)
    checkSubmits(world, facts)
    const resumed = [...facts.turns.values()].filter((turn) => isResumedAtStart(world, facts, turn))
    for (const turn of facts.turns.values()) {
      if (resumed.includes(turn)) continue
      const isNew = !world.digests.has(turn.id)
      if (isNew && turn.error?._tag === "Interrupted") orphans.push(turn)
      if (!isNew && !all) continue
      checkEnd(world, turn)
      await checkTurn(world, url, facts, turn)
    }
    // its journal and its ledger do not grow between two answers
    if (resumed.length === 0) await checkSession(world, url, facts)
  }
  for (const [what, id] of world.acknowledged) {
    if (!world.digests.has(id) && !world.submits.has(what)) {
      world.violate("P4", id, `the ${what} was acknowledged and is lost`)
    }
  }
  return orphans
}
