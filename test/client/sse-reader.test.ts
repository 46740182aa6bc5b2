import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as SseReader from "../../src/client/SseReader.ts"

const bytesOf = (text: string) => new TextEncoder().encode(text)

const readAll = (pieces: ReadonlyArray<Uint8Array>) => {
  const reader = SseReader.make()
  return pieces.flatMap((piece) => reader.push(piece))
}

const read = (text: string) => readAll([bytesOf(text)])

/** A stream with every line end, a BOM, comments, an event without an id, and characters of two to four bytes. */
const sample = '\uFEFF: turnstream\r\n\r\nid: a.1\nevent: turn.started\ndata: {"x":"é€😀"}\n\n' +
  "id: a.2\r\nevent: model.delta\r\ndata: one\r\ndata: two\r\n\r\n: heartbeat\n\nevent: error\rdata: {}\r\rdata\n\n" +
  "data: after\n\ndata: never finished"

const expected: ReadonlyArray<SseReader.SseMessage> = [
  { event: "turn.started", data: '{"x":"é€😀"}', lastId: "a.1" },
  { event: "model.delta", data: "one\ntwo", lastId: "a.2" },
  { event: "error", data: "{}", lastId: "a.2" },
  { event: "message", data: "", lastId: "a.2" },
  { event: "message", data: "after", lastId: "a.2" }
]

describe("SSE reader", () => {
  it("reads every kind of line end, several data lines, comments and fields without a value", () => {
    assert.deepStrictEqual(read(sample), expected)
  })

  it("P15: gives the same messages however the bytes are cut", () => {
    const bytes = bytesOf(sample)
    for (let at = 0; at <= bytes.length; at++) {
      assert.deepStrictEqual(readAll([bytes.subarray(0, at), bytes.subarray(at)]), expected, `cut at ${at}`)
    }
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.integer({ min: 0, max: bytes.length })), (cuts) => {
        const places = [0, ...cuts, bytes.length].sort((a, b) => a - b)
        assert.deepStrictEqual(
          readAll(places.slice(1).map((to, index) => bytes.subarray(places[index], to))),
          expected
        )
      })
    )
  })

  it("an event without an id keeps the last one, so that a reader keeps its place", () => {
    assert.deepStrictEqual(read("id: 7\ndata: a\n\nevent: error\ndata: b\n\n").map(({ lastId }) => lastId), ["7", "7"])
  })

  it("takes off one leading space of a value, no more, and ignores an id with NUL", () => {
    assert.deepStrictEqual(read("data:  two\nid: x\0y\n\n"), [{ event: "message", data: " two", lastId: "" }])
  })

  it("a message that the stream did not finish is not shown", () => {
    assert.deepStrictEqual(read("id: 1\ndata: whole\n"), [])
  })

  it("a line in many pieces is one value", () => {
    const piece = "x".repeat(1_000)
    const pieces = [bytesOf("data: "), ...Array.from({ length: 500 }, () => bytesOf(piece)), bytesOf("\n\n")]
    assert.strictEqual(readAll(pieces)[0]?.data.length, 500_000)
  })
})
