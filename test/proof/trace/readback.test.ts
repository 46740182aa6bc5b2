/**
 * What is written is read back by another process: after a clean stop, and after kill -9 in mid-turn. The dump holds both
 * readings of the ended turn, byte for byte the same, and what recovery made of the turn that was cut.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ask, folder, follow, serve, textOf } from "../../process/harness.ts"
import { json, leave } from "./artifact.ts"
import * as Normal from "./Normal.ts"

const script = { steps: [{ say: "Kept, whatever happens.", bytes: 6 }, { usage: { inputTokens: 3, outputTokens: 5 } }] }
/** Words, then silence: what was committed before the kill is known, so that two runs leave the same. */
const cutScript = { steps: [{ say: "Half an answer, ", bytes: 4 }, { hang: true }] }
const cutEvents = 7

/** Everything that the service tells of a session and one of its turns. */
const reading = (url: string, session: string, turn: string) =>
  Effect.map(
    Effect.all({
      session: ask(`${url}/v1/sessions/${session}`),
      turn: ask(`${url}/v1/turns/${turn}`),
      events: ask(`${url}/v1/turns/${turn}/events`),
      checkpoints: ask(`${url}/v1/turns/${turn}/checkpoints`),
      messages: ask(`${url}/v1/sessions/${session}/messages`),
      usage: ask(`${url}/v1/usage?by=session&session=${session}`)
    }),
    (answers) => {
      for (const [name, { body, status }] of Object.entries(answers)) {
        assert.strictEqual(status, 200, name)
        // two readings of nothing are equal too
        if ("items" in body) assert.isNotEmpty(body["items"], name)
      }
      return Object.fromEntries(Object.entries(answers).map(([name, { body }]) => [name, body]))
    }
  )

const itemsOf = (page: Record<string, unknown> | undefined) =>
  (page?.["items"] ?? []) as ReadonlyArray<Readonly<Record<string, unknown>>>

const begin = (url: string, title: string, script: unknown) =>
  Effect.gen(function*() {
    const session = String((yield* ask(`${url}/v1/sessions`, "POST", { title })).body["id"])
    const { body } = yield* ask(`${url}/v1/sessions/${session}/turns`, "POST", { message: title, options: { script } })
    return { session, turn: String(body["id"]), stream: yield* follow(url, String(body["id"])) }
  })

describe("what is written is read back", () => {
  it.scopedLive("after kill -9 and a restart an ended turn reads the same, and the turn that was cut is closed with all that a client saw", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const normal = Normal.make([dataDir])
      const first = yield* serve({ dataDir })
      const ended = yield* begin(first.url, "A turn that ends", script)
      yield* ended.stream.ended
      const before = yield* reading(first.url, ended.session, ended.turn)
      const cut = yield* begin(first.url, "A turn that is cut", cutScript)
      yield* cut.stream.atLeast(cutEvents)
      yield* first.signal("SIGKILL")
      yield* first.ended
      yield* cut.stream.ended
      const seen = textOf(cut.stream.seen)

      const second = yield* serve({ dataDir })
      const after = yield* reading(second.url, ended.session, ended.turn)
      assert.deepStrictEqual(after, before)
      const recovered = yield* reading(second.url, cut.session, cut.turn)
      const turn = recovered["turn"] ?? {}
      assert.strictEqual(turn["text"], seen)
      assert.strictEqual(turn["status"], "failed")
      assert.deepInclude(turn["error"], { _tag: "Interrupted", cause: "crash", retryable: true })
      assert.deepInclude(recovered["session"], { id: cut.session, running: null })
      assert.deepInclude(itemsOf(recovered["checkpoints"]).at(-1), { phase: "streaming", text: seen })
      assert.deepStrictEqual(
        itemsOf(recovered["events"]).slice(-3).map(({ type }) => type),
        ["telemetry.usage", "checkpoint.saved", "turn.failed"]
      )
      leave(
        "readback-kill-9.json",
        normal.text(json({ "before the kill": before, "after the restart": after, seen, "the cut turn": recovered }))
      )
    }))

  it.scopedLive("after a clean stop and a restart everything reads the same, and the bootstrap tells of the same schema and the next epoch", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const normal = Normal.make([dataDir])
      const first = yield* serve({ dataDir })
      const empty = (yield* ask(`${first.url}/v1/bootstrap`)).body
      const { session, stream, turn } = yield* begin(first.url, "A turn that ends", script)
      yield* stream.ended
      const before = yield* reading(first.url, session, turn)
      yield* first.signal("SIGTERM")
      assert.strictEqual((yield* first.ended).code, 0)

      const second = yield* serve({ dataDir })
      const again = (yield* ask(`${second.url}/v1/bootstrap`)).body
      const after = yield* reading(second.url, session, turn)
      assert.deepStrictEqual(after, before)
      const { epoch: _, ...storage } = empty["storage"] as { readonly epoch: number }
      assert.deepInclude(again["storage"], { ...storage, epoch: 2 })
      assert.deepStrictEqual({ ...again, storage: undefined }, { ...empty, storage: undefined })
      leave("bootstrap.json", normal.text(json(empty)))
      leave("readback-restart.json", normal.text(json({ "before the stop": before, "after the restart": after })))
    }))
})
