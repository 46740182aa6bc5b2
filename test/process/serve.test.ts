import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createServer } from "node:net"
import { join } from "node:path"
import { ask, folder, follow, run, scriptText, serve, start, startTurn, textOf } from "./harness.ts"

const endless = { steps: [{ endless: "word ", everyMs: 20 }] }

const terminal = (data: string | undefined) =>
  (JSON.parse(data ?? "{}") as { data?: { error?: { _tag: string; cause: string } } }).data?.error

describe("serve", () => {
  it.scopedLive("one line on stdout says that it is ready, and then it is", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const server = yield* serve({ dataDir })
      assert.match(server.stdout(), /^turnstream ready on http:\/\/127\.0\.0\.1:\d+\n$/)
      assert.strictEqual((yield* ask(`${server.url}/health/ready`)).status, 200)
    }))

  it.scopedLive("P22: SIGTERM drains, closes what runs as Interrupted{shutdown} with a checkpoint, ends every stream, exits 0 in time", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const drainMs = 500
      const settings = { dataDir, config: { drainMs } }
      const server = yield* serve(settings)
      const turns = yield* Effect.forEach([1, 2, 3], () => startTurn(server.url, endless))
      const streams = yield* Effect.forEach(
        turns.flatMap(({ turnId }) => Array.from({ length: 34 }, () => turnId)),
        (turnId) => follow(server.url, turnId)
      )
      yield* Effect.forEach(streams, (stream) => stream.atLeast(5))
      const before = performance.now()
      yield* server.signal("SIGTERM")
      const { code } = yield* server.ended
      const tookMs = performance.now() - before
      assert.strictEqual(code, 0, server.stderr())
      assert.isAtLeast(tookMs, drainMs - 50)
      assert.isBelow(tookMs, drainMs + 2_000)
      for (const stream of streams) {
        yield* stream.ended
        const last = stream.seen.at(-1)
        assert.strictEqual(last?.event, "turn.failed")
        assert.deepInclude(terminal(last?.data), { _tag: "Interrupted", cause: "shutdown" })
      }
      for (const { turnId } of turns) {
        const { stdout } = yield* run(["inspect", turnId, "--json"], settings)
        const { checkpoints, turn } = JSON.parse(stdout) as {
          turn: { text: string; error: { _tag: string } }
          checkpoints: ReadonlyArray<{ text: string }>
        }
        assert.strictEqual(turn.error._tag, "Interrupted")
        assert.strictEqual(checkpoints.at(-1)?.text, turn.text)
        assert.match(turn.text, /^(word )+$/)
      }
    }))

  it.scopedLive("a second signal ends it at once", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const server = yield* serve({ dataDir, config: { drainMs: 600_000 } })
      const { turnId } = yield* startTurn(server.url, endless)
      yield* Effect.flatMap(follow(server.url, turnId), (stream) => stream.atLeast(4))
      yield* server.signal("SIGTERM")
      yield* server.signal("SIGINT")
      assert.deepStrictEqual(yield* server.ended, { code: 130, signal: null })
    }))

  it.scopedLive("P5, P6: after kill -9 in mid-turn, what a client saw is a prefix of what is kept, and the turn is closed before the service is ready", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const settings = { dataDir }
      const script = { deltas: 5_000, delayMs: 2 }
      const first = yield* serve(settings)
      const { sessionId, turnId } = yield* startTurn(first.url, script)
      const stream = yield* follow(first.url, turnId)
      yield* stream.atLeast(30)
      yield* first.signal("SIGKILL")
      yield* first.ended
      yield* stream.ended
      const saw = textOf(stream.seen)

      const second = yield* serve(settings)
      const { body: turn } = yield* ask(`${second.url}/v1/turns/${turnId}`)
      const kept = String(turn["text"])
      assert.isTrue(kept.startsWith(saw), "a client saw text that was lost")
      assert.isTrue(scriptText(5_000).startsWith(kept), "the text is not what the model said")
      assert.isAbove(saw.length, 0)
      assert.strictEqual(turn["status"], "failed")
      assert.deepInclude(turn["error"], { _tag: "Interrupted", cause: "crash", retryable: true })

      // both start from what is kept: the one goes on behind it, the other begins again
      const { body: resumed, status } = yield* ask(`${second.url}/v1/turns/${turnId}/resume`, "POST")
      assert.strictEqual(status, 202)
      const rest = yield* follow(second.url, String(resumed["id"]))
      yield* rest.atLeast(10)
      assert.isTrue(scriptText(5_000).startsWith(kept + textOf(rest.seen)), "a resume repeats or skips text")
      yield* ask(`${second.url}/v1/turns/${String(resumed["id"])}/cancel`, "POST")
      const { body: retried } = yield* ask(`${second.url}/v1/turns/${turnId}/retry`, "POST")
      const again = yield* follow(second.url, String(retried["id"]))
      yield* again.atLeast(10)
      assert.isTrue(scriptText(5_000).startsWith(textOf(again.seen)))
      assert.strictEqual((yield* ask(`${second.url}/v1/sessions/${sessionId}`)).body["running"], retried["id"])
    }))

  it.scopedLive("P7: a second start is refused and names the owner; --take-over takes the database, and the first stops with its own exit code", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const first = yield* serve({ dataDir })
      const { turnId } = yield* startTurn(first.url, endless)
      const stream = yield* follow(first.url, turnId)
      yield* stream.atLeast(5)
      const refused = yield* run(["serve"], { dataDir })
      assert.strictEqual(refused.code, 8)
      assert.include(refused.stderr, `process ${first.child.pid}`)
      assert.include(refused.stderr, "--take-over")
      assert.strictEqual(refused.stderr.trim().split("\n").length, 1, "one line, no stack trace")

      const second = yield* serve({ dataDir }, ["--take-over"])
      assert.strictEqual((yield* first.ended).code, 8)
      yield* stream.ended
      const { body: turn } = yield* ask(`${second.url}/v1/turns/${turnId}`)
      assert.deepInclude(turn["error"], { _tag: "Interrupted", cause: "crash" })
      assert.isTrue(String(turn["text"]).startsWith(textOf(stream.seen)))
    }))

  it.scopedLive("a start that fails says in one line what is wrong and what to do", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const taken = yield* Effect.acquireRelease(
        Effect.async<{ port: number; close: () => void }>((resume) => {
          const server = createServer()
          server.listen(0, "127.0.0.1", () => {
            const address = server.address()
            const port = typeof address === "object" && address !== null ? address.port : 0
            resume(Effect.succeed({ port, close: () => server.close() }))
          })
        }),
        ({ close }) => Effect.sync(close)
      )
      const cases: ReadonlyArray<readonly [args: ReadonlyArray<string>, env: Record<string, string>, says: RegExp]> = [
        [["serve"], { TURNSTREAM_PORT: "many" }, /^turnstream: TURNSTREAM_PORT: .* Use 0 to 65535/],
        [["serve", "--port", "many"], {}, /^turnstream: --port: .* Use 0 to 65535/],
        [["serve", "--config", "missing.json"], {}, /missing\.json: does not exist/],
        [["serve", "--host", "0.0.0.0"], {}, /Set TURNSTREAM_TOKEN/],
        [["serve", "--port", String(taken.port)], {}, /is in use\. Stop the other program or set TURNSTREAM_PORT/]
      ]
      for (const [args, env, says] of cases) {
        const { code, stderr, stdout } = yield* run(args, { dataDir, env })
        assert.strictEqual(code, 2, stderr)
        assert.match(stderr, says)
        assert.strictEqual(stderr.trim().split("\n").length, 1, stderr)
        assert.strictEqual(stdout, "")
      }
    }))

  it.scopedLive("flags win over the environment", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const program = yield* start(["serve", "--port", "0", "--data-dir", join(dataDir, "inner")], {
        dataDir,
        env: { TURNSTREAM_PORT: "not read" }
      })
      yield* program.line(/ready on/)
      const { stdout } = yield* run(["doctor", "--data-dir", join(dataDir, "inner")], { dataDir })
      assert.include(stdout, `TURNSTREAM_DATA_DIR = ${join(dataDir, "inner")} (--data-dir)`)
      assert.include(stdout, `owner: process ${program.child.pid}`)
    }))
})
