import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { frameBytesMax, type FrameDecoder } from "../../../src/provider/wire/Decoder.ts"
import { incomplete, protocol } from "../../../src/provider/wire/Fault.ts"
import * as JsonLines from "../../../src/provider/wire/JsonLines.ts"
import { bytesOf, cutAt, pieces } from "../families/decoding.ts"

/** Keeps every frame; `"end"` closes it, `"bad"` is a fault that it keeps. */
const recorder = () => {
  const frames: Array<unknown> = []
  let progress: "open" | "closed" = "open"
  let fault: typeof incomplete | undefined
  const decoder: FrameDecoder<unknown> = {
    frame: (frame) => {
      frames.push(frame)
      if (frame === "end") progress = "closed"
      if (frame === "bad") fault = protocol("the decoder's own")
      return fault
    },
    end: () => fault ?? (progress === "closed" ? undefined : incomplete),
    progress: () => progress
  }
  return { frames, lines: JsonLines.make(decoder) }
}

const read = (parts: Iterable<Uint8Array>) => {
  const { frames, lines } = recorder()
  for (const part of parts) {
    const fault = lines.push(part)
    if (fault !== undefined) return { frames, fault }
  }
  return { frames, fault: lines.end() }
}

const body = bytesOf('{"a":"né"}\r\n\n  \r\n["日本 🎈"]\n1\n"end"\n')
const frames = [{ a: "né" }, ["日本 🎈"], 1, "end"]

describe("lines of JSON", () => {
  it("are the same in every cut, with CRLF and blank lines between them", () => {
    for (let at = 0; at <= body.length; at++) {
      assert.deepStrictEqual(read(cutAt(body, [at])), { frames, fault: undefined })
    }
    for (const size of [1, 2, 3, 7]) assert.deepStrictEqual(read(pieces(body, size)), { frames, fault: undefined })
  })

  it("are the same in any cut of any values", () => {
    FastCheck.assert(FastCheck.property(
      FastCheck.array(FastCheck.jsonValue()),
      FastCheck.constantFrom("\n", "\r\n", "\n\n", " \n\t\r\n"),
      FastCheck.array(FastCheck.nat(500)),
      (values, end, places) => {
        const json = values.map((value) => JSON.stringify(value))
        const { frames } = read(cutAt(bytesOf(json.join(end)), places))
        const upTo = json.indexOf('"end"') + 1 || json.length
        if (!json.includes('"bad"')) assert.deepStrictEqual(frames, json.slice(0, upTo).map((text) => JSON.parse(text)))
      }
    ))
  })

  it("begin behind a byte order mark", () => {
    assert.deepStrictEqual(read([bytesOf('\uFEFF"end"\n')]), { frames: ["end"], fault: undefined })
  })

  it("count without a line feed where they are last and whole", () => {
    assert.deepStrictEqual(read([bytesOf('1\n"end"')]), { frames: [1, "end"], fault: undefined })
    assert.deepStrictEqual(read([bytesOf("1\n2")]), { frames: [1, 2], fault: incomplete })
  })

  it("are a cut answer where the last is cut, a broken one where another is", () => {
    assert.deepStrictEqual(read([bytesOf('1\n{"a":')]), { frames: [1], fault: incomplete })
    assert.deepStrictEqual(read([bytesOf('1\n"é').slice(0, -1)]), { frames: [1], fault: incomplete })
    const broken = read([bytesOf('1\n{"a":\n"end"\n')])
    assert.deepStrictEqual([broken.frames, broken.fault?.kind], [[1], "protocol"])
  })

  it("are read no further than the end or the first fault", () => {
    assert.deepStrictEqual(read([bytesOf('"end"\n2\n{\n{')]), { frames: ["end"], fault: undefined })
    const { frames, lines } = recorder()
    assert.strictEqual(lines.push(bytesOf('"bad"\n1\n'))?.detail, "the decoder's own")
    assert.strictEqual(lines.push(bytesOf("2\n"))?.detail, "the decoder's own")
    assert.strictEqual(lines.end()?.detail, "the decoder's own")
    assert.deepStrictEqual(frames, ["bad"])
  })

  it("keep the decoder's own fault where the last has no line feed", () => {
    assert.strictEqual(read([bytesOf('"bad"')]).fault?.detail, "the decoder's own")
  })

  it("give nothing from an empty body", () => {
    assert.deepStrictEqual(read([]), { frames: [], fault: incomplete })
    assert.deepStrictEqual(read([bytesOf("\n \r\n")]), { frames: [], fault: incomplete })
  })

  it("are held up to the size of a frame and no further", () => {
    const piece = new Uint8Array(1_048_576).fill(0x20)
    const { frames, lines } = recorder()
    for (let held = 0; held < frameBytesMax; held += piece.length) assert.isUndefined(lines.push(piece))
    assert.strictEqual(lines.push(bytesOf(" "))?.kind, "protocol")
    assert.strictEqual(lines.push(bytesOf('\n"end"\n'))?.kind, "protocol")
    assert.strictEqual(lines.end()?.kind, "protocol")
    assert.deepStrictEqual(frames, [])
  })

  it("are held one at a time, each up to the size of a frame", () => {
    const piece = new Uint8Array(1_048_576).fill(0x20)
    const { frames, lines } = recorder()
    for (const value of ["1", "2", '"end"']) {
      for (let held = 0; held < frameBytesMax; held += piece.length) assert.isUndefined(lines.push(piece))
      assert.isUndefined(lines.push(bytesOf(`\n${value}\n`)))
    }
    assert.isUndefined(lines.end())
    assert.deepStrictEqual(frames, [1, 2, "end"])
  })
})
