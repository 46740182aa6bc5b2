import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { copyFileSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { checkJournal } from "../../src/domain/Invariants.ts"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import { ask, folder, follow, readyOf, run, scriptText, serve, start, startTurn } from "../process/harness.ts"

const pageBytes = 4_096
const fileOf = (dataDir: string) => join(dataDir, "turnstream.db")
const logOf = (dataDir: string) => `${fileOf(dataDir)}-wal`

const damage = (path: string, at: number, bytes: Buffer) => {
  const content = readFileSync(path)
  bytes.copy(content, at)
  writeFileSync(path, content)
}

/** A folder of its own below `parent` with a copy of a database's files. */
const copyOf = (dataDir: string, parent: string, name: string, files = [fileOf]) => {
  const copy = join(parent, name)
  mkdirSync(copy)
  for (const file of files) copyFileSync(file(dataDir), file(copy))
  return copy
}

/** A database with a long and a short turn, closed. */
const made = Effect.gen(function*() {
  const dataDir = yield* folder
  const server = yield* serve({ dataDir })
  const long = yield* startTurn(server.url, { deltas: 300, bytes: 700 })
  const short = yield* startTurn(server.url, { deltas: 3 })
  for (const { turnId } of [long, short]) yield* Effect.flatMap(follow(server.url, turnId), ({ ended }) => ended)
  yield* server.signal("SIGTERM")
  assert.strictEqual((yield* server.ended).code, 0)
  return { dataDir, turns: [long, short] }
})

/** One line that says that the file is damaged and what to do. */
const assertRefused = (dataDir: string, says: RegExp) =>
  Effect.gen(function*() {
    const { code, stderr } = yield* run(["serve"], { dataDir })
    assert.strictEqual(code, 7, stderr)
    assert.match(stderr, says)
    assert.strictEqual(stderr.trim().split("\n").length, 1)
  })

describe("damaged files", () => {
  it.scopedLive("P19: a database that was cut or overwritten refuses the start in one line, and is left as it is", () =>
    Effect.gen(function*() {
      const { dataDir } = yield* made
      const parent = yield* folder
      const cut = copyOf(dataDir, parent, "cut")
      truncateSync(fileOf(cut), Math.floor(statSync(fileOf(cut)).size / 2))
      const header = copyOf(dataDir, parent, "header")
      damage(fileOf(header), 0, Buffer.alloc(100, 0x5a))
      const schema = copyOf(dataDir, parent, "schema")
      damage(fileOf(schema), 100, Buffer.alloc(pageBytes - 100, 0x5a))
      for (const damaged of [cut, header, schema]) {
        const before = readFileSync(fileOf(damaged))
        yield* assertRefused(damaged, /is not a valid database \(.*restore a backup/)
        assert.isTrue(before.equals(readFileSync(fileOf(damaged))))
      }
    }))

  it.scopedLive(
    "P19: a damaged page anywhere is a refused start or typed answers: the process lives, answers health, and ends well",
    () =>
      Effect.gen(function*() {
        const { dataDir, turns } = yield* made
        const parent = yield* folder
        const pages = statSync(fileOf(dataDir)).size / pageBytes
        const seen = { refused: 0, served: 0, failed: 0 }
        for (let page = 1; page < pages; page += Math.ceil(pages / 8)) {
          const copy = copyOf(dataDir, parent, `page-${page}`)
          damage(fileOf(copy), page * pageBytes, Buffer.alloc(pageBytes, 0xa5))
          const server = yield* start(["serve"], { dataDir: copy, config: { drainMs: 100 } })
          const ready = yield* Effect.option(Effect.sandbox(readyOf(server)))
          if (ready._tag === "None") {
            assert.strictEqual((yield* server.ended).code, 7, server.stderr())
            assert.strictEqual(server.stderr().trim().split("\n").length, 1, server.stderr())
            seen.refused++
            continue
          }
          const url = ready.value
          const paths = turns.flatMap(({ sessionId, turnId }) => [
            `/v1/turns/${turnId}`,
            `/v1/turns/${turnId}/events?limit=10000`,
            `/v1/turns/${turnId}/checkpoints`,
            `/v1/sessions/${sessionId}/messages`,
            `/v1/sessions/${sessionId}/turns`
          ])
          for (const path of ["/v1/sessions", "/v1/usage", ...paths]) {
            const answer = yield* Effect.option(Effect.sandbox(ask(`${url}${path}`)))
            if (answer._tag === "None") {
              // a long page that had begun: its connection was cut, and nobody takes it for a whole one
              assert.match(path, /events/, `page ${page}`)
              seen.failed++
              continue
            }
            const { body, status } = answer.value
            assert.include([200, 503], status, `page ${page}: ${path}: ${JSON.stringify(body)}`)
            if (status === 503) {
              assert.strictEqual(body["code"], "StorageUnavailable")
              seen.failed++
            }
          }
          const submit = yield* ask(`${url}/v1/sessions/${turns[0]?.sessionId}/turns`, "POST", { message: "x" })
          assert.include([202, 503], submit.status, `page ${page}`)
          assert.strictEqual((yield* ask(`${url}/health/live`)).status, 200)
          yield* server.signal("SIGTERM")
          assert.strictEqual((yield* server.ended).code, 0, server.stderr())
          seen.served++
        }
        // damage that nobody met has shown nothing
        assert.isAbove(seen.served, 0)
        assert.isAbove(seen.refused + seen.failed, 0)
      }),
    60_000
  )

  it.scopedLive("P19: a write-ahead log that was cut or overwritten loses what is behind the damage and nothing before it", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const first = yield* serve({ dataDir })
      const { turnId } = yield* startTurn(first.url, { deltas: 50_000, delayMs: 1, bytes: 64 })
      const stream = yield* follow(first.url, turnId)
      // so many commits, one page each, that the turn began in the first third of the log; too few for it to be emptied
      yield* stream.atLeast(400)
      yield* first.signal("SIGKILL")
      yield* first.ended
      const parent = yield* folder
      const size = statSync(logOf(dataDir)).size
      const kept: Array<number> = []
      for (const [i, part] of [0.3, 0.6, 0.9, 1].entries()) {
        const copy = copyOf(dataDir, parent, `cut-${i}`, [fileOf, logOf])
        // a cut, or a byte that is another
        if (i % 2 === 0) truncateSync(logOf(copy), Math.floor(size * part))
        else if (part < 1) damage(logOf(copy), Math.floor(size * part), Buffer.from([0x5a, 0xa5]))
        const { url } = yield* serve({ dataDir: copy })
        const { body, status } = yield* ask(`${url}/v1/turns/${turnId}`)
        assert.strictEqual(status, 200)
        assert.isTrue(scriptText(50_000, 64).startsWith(String(body["text"])))
        const page = (yield* ask(`${url}/v1/turns/${turnId}/events?limit=10000`)).body["items"]
        assert.deepStrictEqual(checkJournal(page as ReadonlyArray<TurnEvent>, { ended: true }), [])
        kept.push(Number(body["lastSeq"]))
      }
      assert.deepStrictEqual(kept, kept.toSorted((a, b) => a - b))
      assert.isAtLeast(kept.at(-1) ?? 0, 400)
      assert.isBelow(kept[0] ?? 0, kept.at(-1) ?? 0)
    }))
})
