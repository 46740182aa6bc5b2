/** The transcript of one turn as a client reads it from a real process: every byte of its event stream, made comparable. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ask, folder, follow, serve, type SseEvent, textOf } from "../../process/harness.ts"
import { leave } from "./artifact.ts"
import * as Normal from "./Normal.ts"

const answer = "A turn is one message and its answer."
const half = 16
const script = {
  steps: [
    { reason: "The reader asks what a turn is.", bytes: 16 },
    { say: answer.slice(0, half), bytes: 8 },
    // for as long as a reader may take to say that it has seen the first half
    { wait: 2_000 },
    { say: answer.slice(half), bytes: 8 },
    { usage: { inputTokens: 12, outputTokens: 9 } }
  ]
}

const typesOf = (events: ReadonlyArray<SseEvent>) => events.map(({ event }) => event ?? "")

const transcript = (request: string, events: ReadonlyArray<SseEvent>) =>
  `> ${request}\n\n${events.map(({ data, event, id }) => `id: ${id}\nevent: ${event}\ndata: ${data}\n`).join("\n")}`

/** Starts a turn and reads its stream to the end. */
const told = (
  url: string,
  session: string,
  body: Readonly<Record<string, unknown>>,
  whileOpen: (stream: Effect.Effect.Success<ReturnType<typeof follow>>, turn: string) => Effect.Effect<void> = () =>
    Effect.void
) =>
  Effect.gen(function*() {
    const started = yield* ask(`${url}/v1/sessions/${session}/turns`, "POST", body)
    const turn = String(started.body[started.status === 202 ? "id" : "turnId"])
    const stream = yield* follow(url, turn)
    yield* whileOpen(stream, turn)
    yield* stream.ended
    return { status: started.status, turn, events: stream.seen }
  })

describe("the stream of a turn, from a real process", () => {
  it.scopedLive("turn.started first, deltas before the end, usage and a checkpoint, turn.completed last; and the unknown provider's two events", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const normal = Normal.make([dataDir])
      const { url } = yield* serve({ dataDir })
      const session = String((yield* ask(`${url}/v1/sessions`, "POST", { title: "Transcript" })).body["id"])

      const whole = yield* told(
        url,
        session,
        { message: "What is a turn?", options: { script } },
        (stream, turn) =>
          Effect.gen(function*() {
            yield* stream.until(() => textOf(stream.seen) === answer.slice(0, half))
            assert.strictEqual((yield* ask(`${url}/v1/turns/${turn}`)).body["status"], "running")
          })
      )
      assert.strictEqual(whole.status, 202)
      const types = typesOf(whole.events)
      assert.deepStrictEqual(types.slice(0, 3), ["turn.started", "context.built", "attempt.started"])
      assert.deepStrictEqual(types.slice(-3), ["telemetry.usage", "checkpoint.saved", "turn.completed"])
      assert.deepStrictEqual([...new Set(types.slice(3, -3))], ["model.delta"])
      assert.isAbove(types.length, 8)
      assert.deepStrictEqual(whole.events.map(({ id }) => Number(id)), types.map((_, index) => index + 1))
      assert.strictEqual(textOf(whole.events), answer)

      const refused = yield* told(url, session, { message: "And this?", provider: "nobody" })
      assert.strictEqual(refused.status, 422)
      assert.deepStrictEqual(typesOf(refused.events), ["turn.started", "turn.failed"])

      leave(
        "stream-transcript.txt",
        normal.text([
          transcript(`GET /v1/turns/${whole.turn}/events (deterministic provider)`, whole.events),
          transcript(`GET /v1/turns/${refused.turn}/events (unknown provider "nobody")`, refused.events)
        ].join("\n"))
      )
    }))
})
