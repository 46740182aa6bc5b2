import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import { connect } from "node:net"
import { join } from "node:path"
import * as Invariants from "../../src/domain/Invariants.ts"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import { raw } from "../journal/databaseFixture.ts"
import { ask, folder, follow, readyOf, run, serve, type SseEvent, start, startTurn, textOf } from "./harness.ts"

const endless = { steps: [{ endless: "word ", everyMs: 5 }] }

/** Everything that a stream of one turn brought, as a follower saw it. */
const seenIn = (events: ReadonlyArray<SseEvent>) =>
  events.filter(({ id }) => id !== undefined).map(({ data, id }) => ({ seq: Number(id), json: data }))

/** Completes when a PATCH is in the kernel's hands, with what will be answered. */
const sendRaw = (url: string, path: string, body: unknown): Effect.Effect<Effect.Effect<string>> =>
  Effect.async((resume) => {
    const { host, port } = new URL(url)
    const json = JSON.stringify(body)
    const head = `PATCH ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Type: application/json\r\n`
    let text = ""
    const socket = connect(Number(port), "127.0.0.1", () => {
      socket.write(`${head}Content-Length: ${json.length}\r\n\r\n${json}`, () => resume(Effect.succeed(answer)))
    })
    socket.setEncoding("utf8").on("data", (part: string) => {
      text += part
    })
    const closed = once(socket, "close")
    const answer = Effect.map(Effect.promise(() => closed), () => text)
  })

const journalOf = (url: string, turnId: string) =>
  Effect.map(
    ask(`${url}/v1/turns/${turnId}/events?limit=10000`),
    ({ body }) => body["items"] as ReadonlyArray<TurnEvent>
  )

/** How many commits there are of each owner before the present one: one that was replaced adds none. */
const commitsOfFormer = (dataDir: string) =>
  Effect.scoped(Effect.gen(function*() {
    const sql = yield* raw(join(dataDir, "turnstream.db"))
    return yield* sql`SELECT epoch, count(*) AS commits FROM batches
      WHERE epoch < (SELECT epoch FROM owner) GROUP BY epoch ORDER BY epoch`
  }))

describe("two processes, one database", () => {
  it.scopedLive("P7: a start is refused while the owner lives, naming it, and changes nothing; after kill -9 it never waits", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const first = yield* serve({ dataDir })
      const { turnId } = yield* startTurn(first.url, endless)
      const stream = yield* follow(first.url, turnId)
      yield* stream.atLeast(10)
      const refused = yield* run(["serve"], { dataDir })
      assert.strictEqual(refused.code, 8)
      assert.include(refused.stderr, `process ${first.child.pid} `)
      const before = stream.seen.length
      yield* stream.atLeast(before + 10)
      yield* first.signal("SIGKILL")
      yield* first.ended
      yield* stream.ended
      const second = yield* serve({ dataDir })
      const { body } = yield* ask(`${second.url}/v1/turns/${turnId}`)
      assert.deepInclude(body["error"], { _tag: "Interrupted", cause: "crash" })
      assert.isTrue(String(body["text"]).startsWith(textOf(stream.seen)))
    }))

  it.scopedLive("P7: a stopped owner that was taken over and wakes up writes nothing: its streams end with an error without an id, its commands with Fenced", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      let owner = yield* serve({ dataDir })
      const turns: Array<string> = []
      for (let round = 0; round < 3; round++) {
        const { sessionId, turnId } = yield* startTurn(owner.url, endless)
        const quiet = yield* startTurn(owner.url, { steps: [{ say: "a" }, { hang: true }] })
        const stream = yield* follow(owner.url, turnId)
        const idle = yield* follow(owner.url, quiet.turnId)
        yield* stream.atLeast(20)
        yield* idle.atLeast(4)
        yield* owner.signal("SIGSTOP")
        const stopped = owner
        // the owner may hold SQLite's lock: then it has to wake up and be stopped again
        let next = yield* start(["serve", "--take-over"], { dataDir })
        let ready = yield* Effect.option(Effect.sandbox(readyOf(next)))
        while (ready._tag === "None") {
          assert.include(next.stderr(), `process ${stopped.child.pid} `)
          yield* stopped.signal("SIGCONT")
          yield* stream.atLeast(stream.seen.length + 1)
          yield* stopped.signal("SIGSTOP")
          next = yield* start(["serve", "--take-over"], { dataDir })
          ready = yield* Effect.option(Effect.sandbox(readyOf(next)))
        }
        owner = { ...next, url: ready.value }
        turns.push(turnId, quiet.turnId)
        const former = yield* commitsOfFormer(dataDir)
        const closed = (yield* ask(`${owner.url}/v1/turns/${turnId}`)).body
        // sent while it sleeps, answered when it wakes
        const answer = yield* sendRaw(stopped.url, `/v1/sessions/${sessionId}`, { title: "written by a stale owner" })
        yield* stopped.signal("SIGCONT")
        assert.match(yield* answer, /^HTTP\/1\.1 503 [^]*"code":"Fenced"/)
        for (const { ended, seen } of [stream, idle]) {
          yield* ended
          assert.strictEqual(seen.at(-1)?.event, "error")
          assert.isUndefined(seen.at(-1)?.id)
          assert.strictEqual((JSON.parse(seen.at(-1)?.data ?? "{}") as { code?: string }).code, "Fenced")
        }
        assert.deepStrictEqual(yield* stopped.ended, { code: 8, signal: null })
        assert.deepStrictEqual((yield* ask(`${owner.url}/v1/turns/${turnId}`)).body, closed)
        assert.isUndefined((yield* ask(`${owner.url}/v1/sessions/${sessionId}`)).body["title"])
        assert.deepStrictEqual(yield* commitsOfFormer(dataDir), former)
        assert.lengthOf(former, round + 1)
        const journal = (yield* journalOf(owner.url, turnId)).map((event) => ({
          seq: event.seq,
          json: JSON.stringify(event)
        }))
        const violations = Invariants.checkFollower(seenIn(stream.seen), journal, { after: 0, complete: false })
        assert.deepStrictEqual(violations, [])
      }
      for (const turnId of turns) {
        const events = yield* journalOf(owner.url, turnId)
        assert.deepStrictEqual(Invariants.checkJournal(events, { ended: true }), [])
      }
    }))

  it.scopedLive("P7: who meets the lock of an owner that was stopped in the middle of a write is told which process it is", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const owner = yield* serve({ dataDir })
      yield* startTurn(owner.url, endless)
      // stands for that owner: it cannot be stopped at a chosen instruction
      yield* Effect.scoped(Effect.gen(function*() {
        const sql = yield* raw(join(dataDir, "turnstream.db"))
        yield* sql`BEGIN IMMEDIATE`
        const refused = yield* run(["serve", "--take-over"], { dataDir })
        assert.strictEqual(refused.code, 7)
        assert.include(refused.stderr, "locked")
        assert.include(refused.stderr, `its owner is process ${owner.child.pid} `)
        assert.strictEqual(refused.stderr.trim().split("\n").length, 1)
        yield* sql`ROLLBACK`
      }))
      yield* serve({ dataDir }, ["--take-over"])
      assert.deepStrictEqual(yield* owner.ended, { code: 8, signal: null })
    }))
})
