import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { ask, folder, follow, run, serve, startTurn } from "./harness.ts"

/** Files of the folder that hold the text. */
const holding = (dataDir: string, text: string): ReadonlyArray<string> =>
  Fs.readdirSync(dataDir).filter((name) => Fs.readFileSync(Path.join(dataDir, name)).includes(text))

describe("vacuum, inside the server that owns the database", () => {
  it.scopedLive("leaves nothing of a deleted session's text in any file, and keeps the rest", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const secret = "the-heron-flies-at-dusk"
      const { url } = yield* serve({ dataDir })
      const kept = yield* startTurn(url, { steps: [{ say: "kept-answer " }] })
      yield* (yield* follow(url, kept.turnId)).ended
      const { sessionId, turnId } = yield* startTurn(url, { steps: [{ say: `${secret} `, repeat: 400 }] })
      yield* (yield* follow(url, turnId)).ended
      assert.notDeepEqual(holding(dataDir, secret), [])

      assert.strictEqual((yield* ask(`${url}/v1/sessions/${sessionId}`, "DELETE")).status, 204)
      const vacuumed = yield* run(["vacuum", "--url", url, "--json"], { dataDir })
      assert.strictEqual(vacuumed.code, 0, vacuumed.stderr)
      assert.deepInclude(JSON.parse(vacuumed.stdout), { logEmptied: true })

      assert.deepStrictEqual(holding(dataDir, secret), [])
      assert.notDeepEqual(holding(dataDir, "kept-answer"), [])
      assert.strictEqual((yield* ask(`${url}/v1/turns/${kept.turnId}`)).body["text"], "kept-answer ")
      // the service goes on writing
      const next = yield* startTurn(url, { deltas: 3 }, kept.sessionId)
      yield* (yield* follow(url, next.turnId)).ended
      assert.strictEqual((yield* ask(`${url}/v1/turns/${next.turnId}`)).body["status"], "completed")
    }))

  it.scopedLive("without a server it takes the database itself, and refuses one that is owned", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const program = yield* serve({ dataDir })
      const refused = yield* run(["vacuum"], { dataDir })
      assert.notStrictEqual(refused.code, 0)
      assert.include(refused.stderr, "--url")
      yield* program.signal("SIGTERM")
      yield* program.ended
      const { code, stdout } = yield* run(["vacuum"], { dataDir })
      assert.strictEqual(code, 0)
      assert.match(stdout, /^\d+ bytes before, \d+ after\n$/)
    }))
})
