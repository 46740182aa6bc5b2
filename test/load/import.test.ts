import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Path from "node:path"
import { type Answer, ask, folder, follow, serve, type SseEvent, startTurn } from "../process/harness.ts"
import { figures, needsProc, peakMb, resetPeak, titled } from "./load.ts"

/** What `limits.importBytes` allows by default. */
const bytesMax = 67_108_864

/**
 * Milliseconds between two events of a turn that says something every 5. Measured: 40 to 70; with one parse and one
 * transaction it was 2,400.
 */
const gapMax = 600

/** Peak of memory over what there was, in bodies. Measured: 1 to 2; with one parse it was 12. */
const bodiesMax = 3

/** As many short messages as go into so many bytes: what is slowest to parse, to check and to write. */
const transcript = (bytes: number): Buffer => {
  const message = JSON.stringify({ role: "user", parts: [{ type: "text", text: "x".repeat(60) }] })
  const head = '{"v":1,"session":{"title":"large"},"messages":['
  const count = Math.floor((bytes - head.length - 2) / (message.length + 1))
  return Buffer.from(`${head}${`${message},`.repeat(count - 1)}${message}]}`)
}

const post = (url: string, body: Buffer): Effect.Effect<Answer> =>
  Effect.promise(async (signal) => {
    const response = await fetch(`${url}/v1/sessions/import`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: new Uint8Array(body),
      signal
    })
    return { status: response.status, body: await response.json() as Record<string, unknown> }
  })

/** When the server made it, in its own words. */
const madeAt = ({ data }: SseEvent): number => Date.parse((JSON.parse(data) as { readonly at: string }).at)

const endless = { deltas: 20_000, delayMs: 5 }

/** Looks into the file, beside the service. */
const looking = (dataDir: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new Sqlite(Path.join(dataDir, "turnstream.db"), { readonly: true })),
    (db) => Effect.sync(() => db.close())
  )
const countOf = (db: Sqlite.Database, from: string): number =>
  Number((db.prepare(`SELECT count(*) AS n FROM ${from}`).get() as { readonly n: number }).n)

describe("a large import", () => {
  it.scopedLive(
    titled("of the most bytes allowed: a running turn goes on, and memory holds the body and no more than two beside"),
    (context) =>
      Effect.gen(function*() {
        if (needsProc !== undefined) return context.skip(needsProc)
        const dataDir = yield* folder
        const { child, url } = yield* serve({ dataDir })
        const { turnId } = yield* startTurn(url, endless)
        const follower = yield* follow(url, turnId)
        yield* follower.atLeast(20)
        const body = transcript(bytesMax)
        resetPeak(child.pid)
        const before = peakMb(child.pid)
        const from = follower.seen.length
        const { body: session, status } = yield* post(url, body)
        assert.strictEqual(status, 201)
        const peak = peakMb(child.pid)
        // those after the last hold: the answer overtakes them
        yield* follower.atLeast(follower.seen.length + 20)
        const during = follower.seen.slice(from - 1).map(madeAt)
        const gaps = during.slice(1).map((at, index) => at - (during[index] ?? at))
        const gap = Math.max(...gaps)
        const bodies = (peak - before) * 1_048_576 / body.length
        yield* figures("an import of 64 MiB", { "longest gap ms": gap, "events meanwhile": gaps.length, bodies })
        assert.isAbove(gaps.length, 100)
        assert.isBelow(gap, gapMax)
        assert.isBelow(bodies, bodiesMax)
        const db = yield* looking(dataDir)
        assert.isAbove(countOf(db, `messages WHERE session_id = '${String(session["id"])}'`), 500_000)
      }),
    120_000
  )

  it.scopedLive(
    "killed in the middle: after a restart there is no such session, and none of its rows",
    () =>
      Effect.gen(function*() {
        const dataDir = yield* folder
        const program = yield* serve({ dataDir })
        const { sessionId, turnId } = yield* startTurn(program.url, endless)
        const follower = yield* follow(program.url, turnId)
        yield* follower.atLeast(1)
        const db = yield* looking(dataDir)
        const importing = yield* Effect.fork(Effect.exit(post(program.url, transcript(bytesMax / 2))))
        // the turn's events are the clock
        yield* follower.until(() => countOf(db, "messages") > 10_000)
        yield* program.signal("SIGKILL")
        yield* program.ended
        yield* Fiber.interrupt(importing)
        assert.isAbove(countOf(db, "messages"), 10_000)
        assert.strictEqual(countOf(db, "sessions"), 2)
        const { url } = yield* serve({ dataDir })
        const { items } = (yield* ask(`${url}/v1/sessions`)).body as { readonly items: ReadonlyArray<{ id: string }> }
        assert.deepStrictEqual(items.map(({ id }) => id), [sessionId])
        assert.strictEqual(countOf(db, "sessions"), 1)
        assert.isBelow(countOf(db, "messages"), 3)
      }),
    60_000
  )

  it.scopedLive(
    "whose client leaves in the middle leaves nothing, while the turns of others go on",
    () =>
      Effect.gen(function*() {
        const dataDir = yield* folder
        const { url } = yield* serve({ dataDir })
        const { turnId } = yield* startTurn(url, endless)
        const follower = yield* follow(url, turnId)
        const db = yield* looking(dataDir)
        const importing = yield* Effect.fork(post(url, transcript(bytesMax / 2)))
        yield* follower.until(() => countOf(db, "messages") > 10_000)
        yield* Fiber.interrupt(importing)
        // its messages go a piece at a time, and it behind them
        yield* follower.until(() => countOf(db, "sessions") === 1)
        assert.isBelow(countOf(db, "messages"), 3)
      }),
    60_000
  )
})
