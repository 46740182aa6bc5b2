/** What clients do with an engine while it fails or dies under them. Each is run over and over, to its end or its death. */
import * as Effect from "effect/Effect"
import { Journal } from "../../src/journal/Journal.ts"
import type { Script } from "../../src/provider/Script.ts"
import type { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import type { Client } from "./witness.ts"

export type Scenario = (client: Client) => Effect.Effect<unknown, unknown, TurnRuntime | Journal>

/** Three commits of text. */
const spoken: Script = {
  steps: [{ say: "one " }, { wait: 100 }, { say: "two ", bytes: 2 }, { wait: 100 }, { say: "three" }]
}
const spokenText = "one two three"
/** The same, and a long pause in which to be cancelled. */
const paused: Script = { steps: [{ say: "one " }, { wait: 100 }, { say: "two " }, { wait: 5_000 }, { say: "three" }] }

const together = { concurrency: "unbounded", discard: true } as const

/** A reader that stays, and one that leaves after three events and comes back. */
const readers = (client: Client, id: Parameters<Client["follow"]>[0]) =>
  Effect.all([
    client.follow(id),
    Effect.flatMap(client.follow(id, 0, 3), (last) => client.follow(id, last))
  ], together)

const plain: Scenario = (client) =>
  Effect.gen(function*() {
    const session = yield* client.createSession
    yield* readers(client, yield* client.submit(session, "k", spoken, spokenText))
  })

/** Up to the second delta, then the cancel. */
const cutShort = (client: Client) =>
  Effect.gen(function*() {
    const session = yield* client.createSession
    const id = yield* client.submit(session, "k", paused, spokenText)
    const reading = yield* Effect.fork(client.follow(id))
    yield* client.follow(id, 0, 5)
    yield* client.cancel(id)
    yield* reading.await
    return id
  })

const cancel: Scenario = cutShort

const providerFailure: Scenario = (client) =>
  Effect.gen(function*() {
    const session = yield* client.createSession
    const script: Script = { steps: [{ say: "one " }, { wait: 100 }, { say: "two " }, { fail: { kind: "quota" } }] }
    yield* readers(client, yield* client.submit(session, "k", script, "one two "))
  })

/** An attempt that the engine repeats by itself, then a failure, then the client's retry. */
const retry: Scenario = (client) =>
  Effect.gen(function*() {
    const session = yield* client.createSession
    const script: Script = {
      steps: [{ fail: { kind: "overloaded", attempts: 1 } }, { say: "one " }, { fail: { kind: "quota" } }]
    }
    const id = yield* client.submit(session, "k", script, "one ")
    yield* client.follow(id)
    const again = yield* client.child(id, "retry")
    yield* readers(client, again)
    yield* client.child(id, "retry")
  })

const resume: Scenario = (client) =>
  Effect.gen(function*() {
    const id = yield* cutShort(client)
    const child = yield* Effect.either(client.child(id, "resume"))
    if (child._tag === "Right") yield* readers(client, child.right)
    // the cancel came too late: there is nothing to resume
    else if (child.left._tag !== "TurnConflict") yield* child.left
  })

/** Two turns of one session, the second in line. */
const queue: Scenario = (client) =>
  Effect.gen(function*() {
    const session = yield* client.createSession
    const first = yield* client.submit(session, "k1", spoken, spokenText)
    const second = yield* client.submit(session, "k2", spoken, spokenText, "queue")
    yield* Effect.all([client.follow(first), client.follow(second)], together)
  })

/** One session goes while a turn of it runs and one waits; the other stays. */
const deleteSession: Scenario = (client) =>
  Effect.gen(function*() {
    const stays = yield* client.createSession
    const goes = yield* client.createSession
    const other = yield* client.submit(stays, "k", spoken, spokenText)
    const id = yield* client.submit(goes, "k1", paused, spokenText)
    yield* client.submit(goes, "k2", spoken, spokenText, "queue")
    const reading = yield* Effect.fork(client.follow(id))
    yield* client.follow(id, 0, 4)
    yield* client.deleteSession(goes)
    yield* reading.await
    yield* client.follow(other)
  })

/** Everything that has ended is folded, and the file rewritten, while a turn of another session runs. It begins as `cancel`. */
export const retention: Scenario = (client) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    yield* cutShort(client)
    const session = yield* client.createSession
    yield* client.follow(yield* client.submit(session, "k1", spoken, spokenText))
    const running = yield* client.submit(yield* client.createSession, "k2", spoken, spokenText)
    yield* client.follow(running, 0, 4)
    yield* journal.foldTurns("2999-01-01T00:00:00.000Z", "2999-01-02T00:00:00.000Z", 10)
    yield* journal.vacuum
    yield* client.follow(running)
  })

/** Left in the middle: what a recovery finds. */
export const halfway: Scenario = (client) =>
  Effect.gen(function*() {
    const session = yield* client.createSession
    const id = yield* client.submit(session, "k1", paused, spokenText)
    yield* client.submit(session, "k2", spoken, spokenText, "queue")
    yield* client.follow(id, 0, 5)
    const waits = yield* client.createSession
    yield* client.submit(waits, "k3", { steps: [{ wait: 60_000 }, { say: "late" }] }, "late")
  })

export const scenarios = { plain, cancel, providerFailure, retry, resume, queue, deleteSession } as const

/** So many first writes of a scenario are those of another one (`resume` begins as `cancel`): nothing new is found there. */
export const sharedWrites: Partial<Record<keyof typeof scenarios, number>> = { resume: 27 }
