import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { chmodSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as Invariants from "../../src/domain/Invariants.ts"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import { raw } from "../journal/databaseFixture.ts"
import { ask, folder, follow, run, scriptText, serve, type SseEvent, startTurn, textOf } from "../process/harness.ts"
import { cannotMount, fill, mounted, remount, shim } from "./disk.ts"

const talking = { deltas: 100_000, delayMs: 1, bytes: 64 }
const wholeText = scriptText(talking.deltas, talking.bytes)

/** How long an answer may take while storage is in trouble (P19). */
const healthMsMax = 500

const lockedMs = 3_000

/** The best of three: a busy machine delays one, a blocked event loop all of them. */
const health = (url: string) =>
  Effect.gen(function*() {
    const times: Array<number> = []
    for (let i = 0; i < 3; i++) {
      const begun = performance.now()
      assert.strictEqual((yield* ask(`${url}/health/live`)).status, 200)
      times.push(performance.now() - begun)
    }
    assert.isBelow(Math.min(...times), healthMsMax)
  })

/** Asks until the turn has ended: an ending that storage refused is tried again within seconds. */
const ended = (url: string, turnId: string) =>
  ask(`${url}/v1/turns/${turnId}`).pipe(
    Effect.filterOrFail(({ body, status }) => status === 200 && body["status"] !== "running"),
    Effect.retry(Schedule.intersect(Schedule.spaced("50 millis"), Schedule.recurs(300))),
    Effect.map(({ body }) => body)
  )

const journalOf = (url: string, turnId: string) =>
  Effect.map(
    ask(`${url}/v1/turns/${turnId}/events?limit=10000`),
    ({ body }) => body["items"] as ReadonlyArray<TurnEvent>
  )

/** What readers were shown is there, the journal is whole, and the text is a prefix of the true one. */
const assertKept = (url: string, turnId: string, seen: ReadonlyArray<SseEvent>) =>
  Effect.gen(function*() {
    const events = yield* journalOf(url, turnId)
    assert.deepStrictEqual(Invariants.checkJournal(events, { ended: true }), [])
    const follower = seen.filter(({ id }) => id !== undefined).map(({ data, id }) => ({ seq: Number(id), json: data }))
    const journal = events.map((event) => ({ seq: event.seq, json: JSON.stringify(event) }))
    assert.deepStrictEqual(Invariants.checkFollower(follower, journal, { after: 0, complete: false }), [])
    const text = String((yield* ask(`${url}/v1/turns/${turnId}`)).body["text"])
    assert.isTrue(text.startsWith(textOf(seen)) && wholeText.startsWith(text))
  })

/** What clients meet while storage refuses: typed failures, and a process that answers. */
const assertRefusing = (url: string, turnId: string, seen: ReadonlyArray<SseEvent>, sessionId: string) =>
  Effect.gen(function*() {
    const last = seen.at(-1)
    assert.strictEqual(last?.event, "error")
    assert.isUndefined(last?.id)
    assert.strictEqual((JSON.parse(last?.data ?? "{}") as { code?: string }).code, "StorageUnavailable")
    yield* health(url)
    const created = yield* ask(`${url}/v1/sessions`, "POST", { system: "x".repeat(20_000) })
    assert.strictEqual(created.status, 503)
    assert.strictEqual(created.body["code"], "StorageUnavailable")
    const submit = yield* ask(`${url}/v1/sessions/${sessionId}/turns`, "POST", { message: "x".repeat(20_000) })
    assert.include([409, 503], submit.status)
    const ready = yield* ask(`${url}/health/ready`)
    assert.deepStrictEqual([ready.status, ready.body["status"]], [503, "storage"])
    const turn = yield* ask(`${url}/v1/turns/${turnId}`)
    assert.strictEqual(turn.status, 200)
    assert.isTrue(String(turn.body["text"]).startsWith(textOf(seen)))
    yield* health(url)
  })

/** A turn that is being written when `refuse` happens, up to its stream's end. */
const interrupted = (url: string, refuse: Effect.Effect<unknown>) =>
  Effect.gen(function*() {
    const turn = yield* startTurn(url, talking)
    const stream = yield* follow(url, turn.turnId)
    yield* stream.atLeast(50)
    yield* refuse
    yield* stream.ended
    yield* assertRefusing(url, turn.turnId, stream.seen, turn.sessionId)
    return { ...turn, seen: stream.seen }
  })

const assertRecovered = (url: string, turn: { turnId: string; sessionId: string; seen: ReadonlyArray<SseEvent> }) =>
  Effect.gen(function*() {
    // also where nobody writes: it is found out by asking
    yield* ask(`${url}/health/ready`).pipe(
      Effect.filterOrFail(({ status }) => status === 200),
      Effect.retry(Schedule.intersect(Schedule.spaced("50 millis"), Schedule.recurs(200)))
    )
    const { error } = yield* ended(url, turn.turnId)
    assert.deepInclude(error, { _tag: "JournalFailure" })
    yield* assertKept(url, turn.turnId, turn.seen)
    const next = yield* startTurn(url, { deltas: 3 }, turn.sessionId)
    assert.strictEqual((yield* ended(url, next.turnId))["status"], "completed")
  })

describe("storage that refuses", () => {
  for (const error of ["ENOSPC", "EROFS", "EIO"] as const) {
    it.scopedLive(`P19: a disk that answers ${error} while a turn is written is a typed failure; the process lives, answers, and goes on when it may write`, (context) =>
      Effect.gen(function*() {
        const disk = shim
        if (typeof disk === "string") return context.skip(disk)
        const dataDir = yield* folder
        const { url } = yield* serve({ dataDir, env: disk.env(dataDir) })
        const turn = yield* interrupted(url, Effect.sync(() => disk.refuse(dataDir, error)))
        disk.allow(dataDir)
        yield* assertRecovered(url, turn)
      }))
  }

  it.scopedLive("P19: a full disk is a typed failure; the process lives, answers, and goes on when there is room", (context) =>
    Effect.gen(function*() {
      if (cannotMount !== undefined) return context.skip(cannotMount)
      const dataDir = yield* mounted(16_384)
      const { url } = yield* serve({ dataDir })
      let ballast = ""
      const turn = yield* interrupted(
        url,
        Effect.sync(() => {
          ballast = fill(dataDir)
        })
      )
      rmSync(ballast)
      yield* assertRecovered(url, turn)
    }))

  it.scopedLive("P19: files that may not grow are a typed failure, and what was acknowledged is there after a start with room", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      // the log holds about a thousand pages of 4 KiB before it is emptied into the database
      const first = yield* serve({ dataDir, fileBytesMax: 2_097_152, config: { drainMs: 100 } })
      const turn = yield* interrupted(first.url, Effect.void)
      yield* first.signal("SIGTERM")
      assert.strictEqual((yield* first.ended).code, 0, first.stderr())
      const { url } = yield* serve({ dataDir })
      const { status } = yield* ended(url, turn.turnId)
      assert.strictEqual(status, "failed")
      yield* assertKept(url, turn.turnId, turn.seen)
    }))

  it.scopedLive("P19: while another process holds the database locked, health answers at once and the turn goes on after", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const { url } = yield* serve({ dataDir })
      const { turnId } = yield* startTurn(url, { deltas: 1_000, delayMs: 1, bytes: 64 })
      const stream = yield* follow(url, turnId)
      yield* stream.atLeast(50)
      yield* Effect.scoped(Effect.gen(function*() {
        const sql = yield* raw(join(dataDir, "turnstream.db"))
        yield* Effect.retry(sql`BEGIN EXCLUSIVE`, Schedule.recurs(1_000))
        const until = performance.now() + lockedMs
        let rounds = 0
        while (performance.now() < until) {
          yield* health(url)
          assert.strictEqual((yield* ask(`${url}/v1/turns/${turnId}`)).body["status"], "running")
          rounds += 1
        }
        // an event loop that waits for the lock answers once, when it is gone
        assert.isAbove(rounds, lockedMs / healthMsMax)
        yield* sql`ROLLBACK`
      }))
      yield* stream.ended
      assert.strictEqual(stream.seen.at(-1)?.event, "turn.completed")
      assert.strictEqual(textOf(stream.seen), scriptText(1_000, 64))
    }))

  it.scopedLive("P19: a folder that may not be written refuses the start, and a command that reads, each in one line", (context) =>
    Effect.gen(function*() {
      const isRoot = process.getuid?.() === 0
      if (isRoot && cannotMount !== undefined) return context.skip(cannotMount)
      const dataDir = yield* isRoot ? mounted(16_384) : folder
      const first = yield* serve({ dataDir })
      const { turnId } = yield* startTurn(first.url, { deltas: 3 })
      yield* ended(first.url, turnId)
      yield* first.signal("SIGTERM")
      yield* first.ended
      yield* Effect.acquireRelease(
        Effect.sync(() => isRoot ? remount(dataDir, "ro") : chmodSync(dataDir, 0o500)),
        () => Effect.sync(() => isRoot ? remount(dataDir, "rw") : chmodSync(dataDir, 0o700))
      )
      // a log beside the database belongs to reading it too, and cannot be made here
      for (const args of [["serve"], ["inspect", turnId]]) {
        const refused = yield* run(args, { dataDir })
        assert.strictEqual(refused.code, 7)
        assert.match(refused.stderr, /Cannot write to .*\n$/)
        assert.strictEqual(refused.stderr.trim().split("\n").length, 1)
      }
    }))
})
