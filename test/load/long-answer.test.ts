import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash, type Hash } from "node:crypto"
import { ask, folder, serve, type Settings } from "../process/harness.ts"
import { figures, needsProc, peakMb, startLong, titled } from "./load.ts"

const chars = 96 * 1_048_576
const bytes = 4_096
const deltas = chars / bytes

interface Text {
  readonly length: number
  readonly digest: string
}

/** What the script says, as its hash: nobody here holds it as a string either. */
const expected = (): Text => {
  const hash = createHash("sha256")
  for (let i = 0; i < deltas; i++) hash.update(`${String(i).padStart(bytes - 1, "0")} `)
  return { length: chars, digest: hash.digest("hex") }
}

const marker = Buffer.from('"text":"')
const quote = 0x22

/** The strings of all `text` fields of a JSON answer, hashed as they arrive. The script's text needs no escapes. */
const textsOf = (address: string): Effect.Effect<ReadonlyArray<Text>> =>
  Effect.promise(async () => {
    const reader = (await fetch(address)).body?.getReader()
    const found: Array<Text> = []
    let open: { hash: Hash; length: number } | undefined
    let rest: Buffer = Buffer.alloc(0)
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
      rest = Buffer.concat([rest, part.value])
      for (;;) {
        if (open === undefined) {
          const start = rest.indexOf(marker)
          // a marker may be cut by the end of what has come
          if (start === -1) {
            rest = rest.subarray(Math.max(0, rest.length - marker.length + 1))
            break
          }
          open = { hash: createHash("sha256"), length: 0 }
          rest = rest.subarray(start + marker.length)
        }
        const end = rest.indexOf(quote)
        const said = end === -1 ? rest : rest.subarray(0, end)
        open.hash.update(said)
        open.length += said.length
        rest = end === -1 ? Buffer.alloc(0) : rest.subarray(end)
        if (end === -1) break
        found.push({ length: open.length, digest: open.hash.digest("hex") })
        open = undefined
      }
    }
    return found
  })

/** The text of the deltas of a turn's event stream, and how many there were. */
const followed = (url: string, turnId: string) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/v1/turns/${turnId}/events`, { headers: { accept: "text/event-stream" } })
    const reader = response.body?.getReader()
    const decoder = new TextDecoder()
    const hash = createHash("sha256")
    let length = 0
    let rest = ""
    let last = ""
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
      const lines = (rest + decoder.decode(part.value, { stream: true })).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) {
        if (line.startsWith("event: ")) last = line.slice(7)
        else if (last === "model.delta" && line.startsWith("data: ")) {
          const { data } = JSON.parse(line.slice(6)) as { data: { text: string } }
          hash.update(data.text)
          length += data.text.length
        }
      }
    }
    return { text: { length, digest: hash.digest("hex") }, last }
  })

const longest = (texts: ReadonlyArray<Text>): Text | undefined => texts.toSorted((a, b) => b.length - a.length)[0]

describe.skipIf(needsProc !== undefined)(titled("a long answer"), () => {
  it.scopedLive(
    "P17: 96 MiB under a heap of 80 MiB: streamed, read back on every way, read again after a restart, and talked on",
    () =>
      Effect.gen(function*() {
        const whole = expected()
        const settings: Settings = {
          dataDir: yield* folder,
          nodeArgs: ["--max-old-space-size=80"],
          config: { limits: { outputBytesPerTurn: 2 * chars } }
        }
        const first = yield* serve(settings)
        const { sessionId, turnId } = yield* startLong(first.url, chars, bytes)
        const live = yield* followed(first.url, turnId)
        assert.strictEqual(live.last, "turn.completed")
        assert.deepStrictEqual(live.text, whole, "the live stream")

        const readBack = (url: string, when: string) =>
          Effect.gen(function*() {
            assert.deepStrictEqual(longest(yield* textsOf(`${url}/v1/turns/${turnId}`)), whole, `${when}: the turn`)
            const messages = `${url}/v1/sessions/${sessionId}/messages`
            assert.deepStrictEqual(longest(yield* textsOf(messages)), whole, `${when}: the messages`)
            const exported = `${url}/v1/sessions/${sessionId}/export`
            assert.deepStrictEqual(longest(yield* textsOf(exported)), whole, `${when}: the export`)
          })
        yield* readBack(first.url, "live")
        const { body } = yield* ask(`${first.url}/v1/sessions/${sessionId}/turns`, "POST", { message: "and now?" })
        const next = yield* followed(first.url, String(body["id"]))
        assert.strictEqual(next.last, "turn.completed")
        yield* figures("P17, 96 MiB", { "peak RSS MB": peakMb(first.child.pid) })
        yield* first.signal("SIGTERM")
        assert.strictEqual((yield* first.ended).code, 0, first.stderr())

        const second = yield* serve(settings)
        yield* readBack(second.url, "after a restart")
        assert.deepStrictEqual((yield* followed(second.url, turnId)).text, whole, "replayed")
        yield* figures("P17, 96 MiB after a restart", { "peak RSS MB": peakMb(second.child.pid) })
      }),
    240_000
  )
})
